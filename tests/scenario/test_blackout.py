"""A flood in one region: nobody there is told anything, at no gate, until it is lifted or over."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.desk import (
    EVENING,
    MORNING,
    Desk,
    admit,
    delivery_line,
    open_desk,
    plan_and_release,
    plan_day,
    release,
    submits,
    write_book,
)
from tests.scenario.road import CommandLine

from duewise.errors import BadInput
from duewise.jobs import blackout
from duewise.jobs.operations import cases_of

YESTERDAY = date(2026, 8, 13)
TOMORROW = MORNING + timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    """Li lives in the flooded city, Wang in another; where Chen lives nobody knows."""
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li", "Wang", "Chen")
    opened.run("UPDATE person SET region = '440305' WHERE borrower_id = 'Li'")
    opened.run("UPDATE person SET region = '310101' WHERE borrower_id = 'Wang'")
    return opened


def order(desk: Desk, region: str = "4403") -> int:
    with desk.app.connect(desk.dsn) as conn:
        return blackout.order(
            conn, region, from_at=MORNING, until_at=TOMORROW, reason="flood", now=MORNING
        )


def test_it_covers_the_region_and_whoever_may_be_in_it(desk: Desk) -> None:
    number = order(desk)
    with desk.app.connect(desk.dsn) as conn:
        for at, covered in (
            (MORNING - timedelta(seconds=1), []),
            (MORNING, ["Chen", "Li"]),
            (TOMORROW - timedelta(seconds=1), ["Chen", "Li"]),
            (TOMORROW, []),
        ):
            cases = cases_of(conn, ["Chen", "Li", "Wang"], now=at)
            assert cases.filter("blackout")["borrower_id"].to_list() == covered
        assert blackout.lift(conn, number, now=EVENING) == "4403"
        assert cases_of(conn, ["Chen", "Li", "Wang"], now=EVENING).is_empty()
        (told,) = blackout.listed(conn)
        assert (told.people, told.people_anywhere, told.state(EVENING)) == (1, 1, "lifted")
        with pytest.raises(BadInput, match="no blackout 1 is in force or ahead"):
            blackout.lift(conn, number, now=EVENING)


def test_it_holds_at_the_first_gate_and_at_the_second(desk: Desk) -> None:
    book = write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)
    before = plan_day(desk, book, name="before")
    order(desk)
    after = plan_day(desk, book, name="after")
    plan = pl.read_parquet(after / "plan.parquet").sort("borrower_id")
    told = dict(plan.select("borrower_id", "rules").iter_rows())
    assert (told["Li"], told["Wang"]) == (["DW-BLK-01"], [])
    release(desk, before)
    assert desk.verdicts("Li")[-1] == ("release", "defer", ["DW-BLK-01"])
    assert desk.verdicts("Wang")[-1] == ("release", "allow", [])


async def test_it_holds_on_the_wire_at_once_and_lets_go_when_it_is_lifted(desk: Desk) -> None:
    assert plan_and_release(desk, {"borrower": "Li", "due": [YESTERDAY]}) == {"ready": 1}
    number = order(desk)
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
        assert submits(desk) == []
        assert desk.verdicts("Li")[-1] == ("wire", "defer", ["DW-BLK-01"])
        assert desk.states() == {"ready": 1}
        with desk.app.connect(desk.dsn) as conn:
            blackout.lift(conn, number, now=EVENING)
        await line.pass_at(EVENING + timedelta(minutes=2))
    assert desk.states() == {"delivered": 1}
    desk.assert_ties()


def test_it_is_ordered_listed_and_lifted_by_command(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", desk.dsn)
    duewise = CommandLine(
        capsys, "--workspace", desk.app.workspace, "--clock", MORNING.isoformat(), "--json"
    )
    until = ("--until", TOMORROW.isoformat(), "--reason", "flood")
    told = duewise("guard", "blackout", "4403", *until).json
    assert (told["region"], told["people"], told["people_anywhere"]) == ("4403", 1, 1)
    listed = json.loads(duewise("guard", "blackouts").out)
    assert (listed["state"], listed["reason"]) == ("in force", "flood")
    assert duewise("guard", "lift", str(told["blackout_id"])).json["state"] == "lifted"
    assert json.loads(duewise("guard", "blackouts").out)["state"] == "lifted"
    refused = duewise("guard", "blackout", "4403", "--until", "soon", "--reason", "flood")
    assert (refused.code, "--until: 'soon' is no instant" in refused.err) == (2, True)
    early = duewise("guard", "blackout", "44", "--until", "2026-08-01T00:00Z", "--reason", "flood")
    assert (early.code, "would be over before it begins" in early.err) == (2, True)
    silent = duewise("guard", "blackout", " ", *until)
    assert (silent.code, "region and reason must be told" in silent.err) == (2, True)
    assert duewise("guard", "lift", "99").code == 2
