"""The third gate: on the wire a message is judged once more, on facts read that moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.scenario.desk import (
    EVENING,
    MORNING,
    Desk,
    admit,
    delivery_line,
    open_desk,
    plan_and_release,
    submits,
)

from duewise.jobs.approvals import as_recorded, withdraw

YESTERDAY = date(2026, 8, 13)
NIGHT = datetime(2026, 8, 14, 14, 5, tzinfo=UTC)  # 22:05 in Shanghai
NEXT_MORNING = datetime(2026, 8, 15, 0, 0, tzinfo=UTC)  # 08:00


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li")
    assert plan_and_release(opened, {"borrower": "Li", "due": [YESTERDAY]}) == {"ready": 1}
    return opened


def envelope(desk: Desk, *columns: str) -> tuple[Any, ...]:
    """Columns of Li's envelope."""
    return desk.rows(f"SELECT {', '.join(columns)} FROM envelope WHERE borrower_id = 'Li'")[0]


async def test_it_keeps_every_verdict_with_its_gate(desk: Desk) -> None:
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.verdicts("Li") == [(gate, "allow", []) for gate in ("plan", "release", "wire")]
    assert desk.states() == {"delivered": 1}
    desk.assert_ties()


async def test_it_puts_off_to_the_morning_what_would_leave_at_night(desk: Desk) -> None:
    desk.run("UPDATE envelope SET valid_until = %(until)s", until=NEXT_MORNING + timedelta(hours=4))
    async with delivery_line(desk) as line:
        await line.pass_at(NIGHT)
        assert submits(desk) == []
        assert desk.verdicts("Li")[-1] == ("wire", "defer", ["CN-HRS-01"])
        assert envelope(desk, "state", "not_before", "attempt") == ("ready", NEXT_MORNING, 0)
        await line.pass_at(NEXT_MORNING)
    assert desk.states() == {"delivered": 1}
    desk.assert_ties()


async def test_it_lets_lapse_what_may_leave_only_after_its_validity(desk: Desk) -> None:
    desk.run("UPDATE envelope SET valid_until = %(until)s", until=NIGHT + timedelta(hours=1))
    async with delivery_line(desk) as line:
        await line.pass_at(NIGHT)
    assert desk.story("Li")[-1] == ("lapsed", "deferred past validity: defer: CN-HRS-01")
    assert submits(desk) == []
    desk.assert_ties()


LATE = datetime(2026, 8, 14, 13, 40, tzinfo=UTC)  # 21:40


@pytest.mark.parametrize("holds", [True, False])
async def test_it_sends_late_only_by_a_route_that_holds_to_the_end_of_validity(
    tmp_path: Path, dsn: str, *, holds: bool
) -> None:
    desk = open_desk(tmp_path / "workspace", dsn, holds_validity=holds)
    admit(desk, "Li")
    plan_and_release(desk, {"borrower": "Li", "due": [YESTERDAY]})
    desk.run("UPDATE envelope SET valid_until = %(until)s", until=NIGHT - timedelta(minutes=5))
    async with delivery_line(desk) as line:
        await line.pass_at(LATE)
    gate, outcome, rules = desk.verdicts("Li")[-1]
    told = desk.rows("SELECT facts->>'msg.validity_ctl' FROM verdict WHERE gate = 'wire'")
    assert told == [(str(holds).lower(),)]
    assert (gate, outcome) == ("wire", "allow" if holds else "defer")
    assert rules == ([] if holds else ["CN-HRS-03"])
    assert bool(submits(desk)) == holds


async def test_it_lets_lapse_what_nobody_sent_in_time(desk: Desk) -> None:
    async with delivery_line(desk) as line:
        await line.pass_at(NIGHT)
    assert desk.story("Li")[-1] == ("lapsed", "validity_ended")
    assert submits(desk) == []
    desk.assert_ties()


async def test_it_waits_for_the_ledger_and_does_not_count_it_as_attempts(desk: Desk) -> None:
    """However often a gate puts a message off, the gateway still gets all its tries."""
    async with delivery_line(desk) as line:
        for minute in range(8):
            await line.pass_at(EVENING - timedelta(minutes=30 - minute), is_ledger_fresh=False)
            assert desk.verdicts("Li")[-1] == ("wire", "defer", ["CN-LED-03"])
        assert submits(desk) == []
        await line.control.refuse("ESME_RMSGQFUL", count=2)
        await line.pass_at(EVENING - timedelta(minutes=10))
        assert envelope(desk, "state", "attempt") == ("ready", 1)
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 1}
    desk.assert_ties()


@pytest.mark.parametrize(
    ("change", "state", "outcome", "rule"),
    [
        ("number_state = 'invalid'", "held", "review", "CN-ID-04"),
        ("phone_sealed = NULL", "held", "review", "CN-ID-04"),
        ("is_wrong_party = true", "blocked", "block", "CN-ID-03"),
    ],
)
async def test_it_stops_at_what_was_learned_of_the_number_since(
    desk: Desk, change: str, state: str, outcome: str, rule: str
) -> None:
    desk.run(f"UPDATE person SET {change}")
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.verdicts("Li")[-1] == ("wire", outcome, [rule])
    assert desk.story("Li")[-1] == (state, f"{outcome}: {rule}")
    assert submits(desk) == []
    desk.assert_ties()


async def test_it_stops_at_an_opt_out_that_nobody_cancelled_for(desk: Desk) -> None:
    desk.run(
        "INSERT INTO opt_out VALUES (DEFAULT, 'Li', 'sms', %(now)s, 'desk', true)", now=MORNING
    )
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.verdicts("Li")[-1] == ("wire", "block", ["DW-OPT-01"])
    desk.assert_ties()


async def test_it_stops_at_a_text_that_was_withdrawn(desk: Desk) -> None:
    ((name,),) = desk.rows("SELECT template FROM envelope")
    with desk.app.connect(desk.dsn) as conn:
        text = desk.app.templates[name]
        withdraw(conn, text, by="Wang", why="a wrong number", now=MORNING)
        with pytest.raises(psycopg.errors.RestrictViolation):
            conn.execute("UPDATE template_approval SET what = 'approved'")
        assert not as_recorded(conn, desk.app.tenant).templates[name].is_approved
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.verdicts("Li")[-1] == ("wire", "block", ["CN-SIG-01"])
    assert submits(desk) == []
    desk.assert_ties()


async def test_it_sends_one_message_about_a_debt_a_day(desk: Desk) -> None:
    desk.run(
        "INSERT INTO envelope SELECT (jsonb_populate_record(e, jsonb_build_object("
        "'envelope_id', nextval(pg_get_serial_sequence('envelope', 'envelope_id')),"
        " 'key', 'Li|again', 'step', 'again'))).* FROM envelope e"
    )
    desk.run("UPDATE plan_run SET proposals = proposals + 1")
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.verdicts("Li")[-1] == ("wire", "defer", ["CN-CAP-04"])
    assert desk.states() == {"delivered": 1, "lapsed": 1}
    assert len({record["reference"] for record in submits(desk)}) == 1
    desk.assert_ties()
