"""History judged again: the same under the same rules, and other exactly where a rule changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.scenario.audit_world import (
    SENT,
    SPAN,
    UNSENT,
    command_line,
    decided_day,
    records,
    sealed_now,
)
from tests.scenario.desk import DAY, MORNING, Desk, delivery_line

from duewise.guard import profile
from duewise.jobs.contacts import Contact, record_contacts

HOURS = (
    "- {id: RP-HRS-01, for: {stage: [overdue]}, VALID window: {start: '08:00', end: '19:00'},"
    " else: defer, basis: policy, conf: L, src: [HOUSE]}"
)
ROLE = (
    '- {id: RP-ID-01, for: {stage: [overdue]}, must: "to.number_state == valid",'
    " else: block, basis: policy, conf: L, src: [HOUSE]}"
)


@pytest.fixture
async def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    return await decided_day(tmp_path, dsn)


def change_rules(desk: Desk, *rules: str) -> None:
    """The house's rules of the workspace from now on: the shipped ones and these."""
    shipped = Path(profile.__file__).parent / "profiles" / "house.yaml"
    path = desk.app.workspace / "profiles" / "house.yaml"
    path.write_text("\n".join([shipped.read_text(encoding="utf-8").rstrip(), *rules]) + "\n")


def replayed(desk: Desk, capsys: pytest.CaptureFixture[str], span: str = SPAN) -> dict[str, Any]:
    said = command_line(desk, capsys)("audit", "replay", span)
    assert said.code == 0, said.err
    told: dict[str, Any] = said.json
    return told


def test_it_finds_no_difference_where_nothing_changed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    told = replayed(desk, capsys)
    verdicts = len(SENT) + len(UNSENT)
    assert told == {
        "judged": 2 * verdicts,
        "planned": verdicts,
        "without_text": 0,
        "differences": [],
    }


def test_it_lists_exactly_those_whom_a_changed_rule_concerns(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody's number was unknown at the release; Chen's was on the wire."""
    change_rules(desk, ROLE)
    (only,) = replayed(desk, capsys)["differences"]
    assert (only["borrower"], only["gate"]) == ("Chen", "wire")
    assert only["recorded"]["outcome"] == "review"
    assert only["then"] == only["now"]
    assert (only["now"]["outcome"], only["now"]["rules"]) == ("block", ["CN-ID-04", "RP-ID-01"])


def test_it_tells_a_rule_of_its_day_from_one_that_came_later(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the next day on the hours end at seven: by the rules of the day nothing was wrong."""
    change_rules(desk, HOURS.replace("VALID", "valid_from: 2026-08-15,"))
    assert replayed(desk, capsys)["differences"] == []
    desk.clock.set(desk.clock.now().replace(day=16))
    found = replayed(desk, capsys)["differences"]
    late = {each["borrower"] for each in found if each["gate"] == "wire"}
    assert late == {*SENT, *UNSENT}
    assert all(each["recorded"] == each["then"] != each["now"] for each in found)
    assert {rule for each in found for rule in each["now"]["rules"]} >= {"RP-HRS-01"}
    on_time = [each for each in found if each["gate"] == "release"]
    judged_at = {each["verdict"] for each in on_time}
    assert judged_at == {
        verdict
        for (verdict,) in desk.rows(
            "SELECT verdict_id FROM verdict WHERE gate = 'release'"
            " AND (facts->>'now')::timestamptz >= '2026-08-14T19:00+08:00'"
        )
    }


def test_it_counts_those_whose_text_is_no_longer_what_was_judged(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    other = desk.app.keyring.seal("另一段文字", column="text", borrower_id="Li00")
    desk.run("UPDATE envelope SET text_sealed = %(s)s WHERE borrower_id = 'Li00'", s=other)
    told = replayed(desk, capsys)
    assert (told["judged"], told["without_text"], told["differences"]) == (28, 2, [])


def test_it_replays_the_days_that_are_asked_for_and_no_others(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed(desk, capsys, "2026-08-13..2026-08-13")["judged"] == 0
    assert replayed(desk, capsys, f"2026-08-01..{DAY}")["judged"] == 30
    said = command_line(desk, capsys)("audit", "replay", "2026-08-14..2026-08-13")
    assert (said.code, "no span of days" in said.err) == (2, True)


async def test_it_counts_contacts_as_they_were_known_then(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second message of the day was put off; that a contact became known later changes nothing."""
    desk.run(
        "INSERT INTO envelope SELECT (jsonb_populate_record(e, jsonb_build_object("
        "'envelope_id', nextval(pg_get_serial_sequence('envelope', 'envelope_id')), 'key',"
        " 'again', 'state', 'ready', 'attempt', 0, 'wired_at', NULL))).*"
        " FROM envelope e WHERE borrower_id = 'Li00'"
    )
    async with delivery_line(desk) as line:
        await line.pass_at()
    assert sealed_now(desk) == 1
    last = records(desk)[-1]
    assert (last["outcome"], last["rules"]) == ("defer", ["CN-CAP-04"])
    assert len(last["history"]) == 1
    with desk.app.connect(desk.dsn) as conn:
        late = Contact("c-1", "Li01", MORNING, "sms", "out", "own", stage="overdue")
        record_contacts(conn, [late], now=desk.clock.now())
    assert replayed(desk, capsys)["differences"] == []
