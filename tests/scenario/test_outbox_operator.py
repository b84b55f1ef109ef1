"""Whoever watches the sending: pauses and drains a route, sees what waits, and ties the books."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.desk import (
    EVENING,
    PASSWORD,
    Desk,
    admit,
    delivery_line,
    gateway,
    open_desk,
    plan_and_release,
    submits,
)
from tests.scenario.road import CommandLine

from duewise.jobs.deliver import Run, deliver
from duewise.jobs.routes import pause

CAST = ("Chen", "Li", "Wang", "Zhao")
PAUSED = "carrier works on its line"


@pytest.fixture
def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Four messages of two parts, due."""
    desk = open_desk(tmp_path / "workspace", dsn)
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    admit(desk, *CAST)
    due = [date(2026, 8, 13)]
    plan_and_release(desk, *({"borrower": borrower, "due": due} for borrower in CAST))
    return desk


@pytest.fixture
def duewise(desk: Desk, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    clock = EVENING.isoformat()
    return CommandLine(capsys, "--workspace", desk.app.workspace, "--clock", clock)


async def test_it_claims_nothing_for_a_paused_route_until_it_is_resumed(
    desk: Desk, duewise: CommandLine
) -> None:
    async with delivery_line(desk, early_share=1.0) as line:
        assert duewise("outbox", "pause", "smpp", "--reason", PAUSED).out == "smpp: paused\n"
        await line.pass_at(EVENING)
        assert submits(desk) == []
        assert duewise("outbox", "pause", "smpp").out == "smpp: was paused before\n"
        status = json.loads(duewise("--json", "outbox", "status").out)
        assert status["queue"] == {"due": 4, "later": 0, "held": 0, "claimed": 0}
        (route,) = status["routes"]
        assert (route["name"], route["reason"]) == ("smpp", PAUSED)
        assert duewise("outbox", "resume", "smpp").out == "smpp: resumed\n"
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 4}


async def test_it_ends_a_send_until_empty_while_its_route_is_paused(desk: Desk) -> None:
    desk.clock.set(EVENING)
    async with delivery_line(desk) as line:
        with desk.app.connect(desk.dsn) as conn:
            pause(conn, "smpp", reason=PAUSED, now=EVENING, names=desk.app.routes)
        done = await asyncio.wait_for(
            deliver(
                line.channel,
                connect=desk.app.connector(desk.dsn),
                tenant=desk.app.tenant,
                clock=desk.clock,
                settings=line.settings,
                run=Run(stop=asyncio.Event()),
            ),
            timeout=10,
        )
    assert done.total() == 0
    assert desk.states() == {"ready": 4}


async def test_it_drains_a_route_once_all_it_was_given_has_its_receipt(
    desk: Desk, duewise: CommandLine
) -> None:
    async with delivery_line(desk, silent_share=1.0) as line:
        await line.pass_at(EVENING)
        waiting = duewise("outbox", "drain", "smpp", "--seconds", "0")
        assert waiting.code == 1
        assert "smpp is paused, and 4 are still on their way" in waiting.err
    desk.run("UPDATE envelope SET state = 'delivered'")
    empty = duewise("outbox", "drain", "smpp", "--seconds", "0")
    assert (empty.code, empty.out) == (0, "smpp: paused and empty\n")


def test_it_says_at_the_end_of_a_send_that_the_route_is_paused(
    desk: Desk, duewise: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    duewise("outbox", "pause", "smpp")
    monkeypatch.setenv("DUEWISE_LEDGER__FEED", "events")
    monkeypatch.setenv("DUEWISE_SMPP__PASSWORD", PASSWORD)
    with gateway(desk, clock=EVENING.isoformat()) as ports:
        monkeypatch.setenv("DUEWISE_SMPP__PORT", str(ports["port"]))
        said = duewise("send", "--linger-s", "0")
    assert said.code == 0, said
    assert "smpp is paused" in said.err


def test_it_knows_its_routes_by_name(duewise: CommandLine) -> None:
    said = duewise("outbox", "pause", "smmp")
    assert said.code == 2
    assert said.err == "duewise: ROUTE: no route 'smmp'. Mend: one of smpp\n"


async def test_it_ties_every_day_and_every_route_and_exports_them_for_the_bill(
    desk: Desk, duewise: CommandLine, tmp_path: Path
) -> None:
    async with delivery_line(desk, early_share=1.0, duplicate_share=1.0) as line:
        await line.pass_at(EVENING)
    for name in ("bill.csv", "bill.parquet"):
        said = duewise("--json", "outbox", "reconcile", "--out", tmp_path / name)
        assert said.code == 0, said
    found = json.loads(said.out)
    assert found["ties"]
    (day,) = found["days"]
    assert (day["planned"], day["sent"], day["submitted"], day["delivered"]) == (4, 4, 4, 4)
    bill = pl.read_csv(tmp_path / "bill.csv", try_parse_dates=True)
    assert bill.equals(pl.read_parquet(tmp_path / "bill.parquet"))
    (row,) = bill.to_dicts()
    assert row["day"] == date(2026, 8, 14)
    assert (row["route"], row["submitted"], row["delivered"]) == ("smpp", 4, 4)
    assert (row["parts_submitted"], row["parts_accepted"], row["parts_delivered"]) == (8, 8, 8)


async def test_it_leaves_with_code_one_when_a_message_is_missing_from_the_books(
    desk: Desk, duewise: CommandLine
) -> None:
    assert duewise("outbox", "reconcile").code == 0, "nothing sent yet ties, too"
    async with delivery_line(desk, early_share=1.0) as line:
        await line.pass_at(EVENING)
    desk.run("DELETE FROM envelope WHERE borrower_id = 'Li'")
    said = duewise("outbox", "reconcile")
    assert said.code == 1
    assert "the books do not tie" in said.err


def test_it_writes_no_table_it_does_not_know(duewise: CommandLine, tmp_path: Path) -> None:
    said = duewise("outbox", "reconcile", "--out", tmp_path / "bill.xls")
    assert said.code == 2
    assert "name it .csv or .parquet" in said.err
