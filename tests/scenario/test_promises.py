"""A promise from its reply to its end: what waits, what is said, and what the desk is told of it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
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
    pay,
    plan_day,
    release,
    write_book,
)
from tests.scenario.road import CommandLine

from duewise.errors import BadInput
from duewise.jobs.explain import explanation_text
from duewise.jobs.ingest import complete_feed
from duewise.jobs.promises import Promise, record_promises, withdraw_promise
from duewise.jobs.replan import replan_held
from duewise.jobs.worklist import promises_told, see_to, waiting_replies
from duewise.store.book import Book
from duewise.store.explain import explain

YESTERDAY = date(2026, 8, 13)
NEXT_FRIDAY = date(2026, 8, 21)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li", "Wang")
    return opened


def standing(desk: Desk, book: Book, day: date) -> list[tuple[str, str, str]]:
    """Borrower, state and reason of each promise on a day, by what is known at the clock's instant."""
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, desk.clock.now())
        now = desk.clock.now()
        told = promises_told(conn, book, desk.app.tenant, as_of=day, now=now)
    return told.sort("promise_id").select("borrower_id", "state", "why").rows()


async def test_it_rests_until_the_promised_day_and_tells_what_became_of_it(desk: Desk) -> None:
    book = write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)
    assert release(desk, plan_day(desk, book)) == {"ready": 2}
    async with delivery_line(desk) as line:
        await line.reply("Li", "下周五先还500")
        await line.reply("Wang", "你们几点下班？")
    with desk.app.connect(desk.dsn) as conn:
        counts = replan_held(conn, book, desk.app.tenant, now=desk.clock.now())
        (waiting,) = waiting_replies(conn, desk.app.tenant)
        see_to(conn, waiting.reply_id, by="Chen", now=desk.clock.now())
        assert waiting_replies(conn, desk.app.tenant) == []
        told = explain(conn, workspace=desk.app.workspace, borrower_id="Li", as_of=MORNING.date())
    assert counts == {"cancelled": 1}
    assert (waiting.borrower_id, waiting.text) == ("Wang", "你们几点下班？")
    assert desk.story("Li")[-2:] == [
        ("held", "reply_promise"),
        ("cancelled", "after_promise: promise_open"),
    ]
    assert "CNY 500.00 by 2026-08-21 (reply)" in explanation_text(told)
    desk.assert_ties()

    assert standing(desk, book, MORNING.date()) == [("Li", "open", "day_not_over")]
    desk.clock.set(MORNING + timedelta(days=5))
    pay(desk, "P-1", "Li", "500.00")
    desk.clock.set(MORNING + timedelta(days=8))
    assert standing(desk, book, NEXT_FRIDAY + timedelta(days=1)) == [("Li", "kept", "amount_paid")]


def test_it_takes_down_what_an_agent_hears_once_and_refuses_what_nobody_can_promise(
    desk: Desk,
) -> None:
    book = write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)
    by = Promise("desk-1", "Li", NEXT_FRIDAY, loan_id="Li-1001", source="Chen")
    anew = Promise("desk-2", "Li", NEXT_FRIDAY, loan_id="Li-1001", amount=Decimal(300))
    with desk.app.connect(desk.dsn) as conn:

        def take(*told: Promise) -> tuple[int, int]:
            found = record_promises(conn, told, tenant=desk.app.tenant, now=desk.clock.now())
            return found.recorded, found.duplicates

        assert take(by) == (1, 0)
        assert take(by, anew) == (1, 1)
        for wrong, said in (
            (Promise("x", "Zhao", NEXT_FRIDAY), "unknown borrower"),
            (Promise("x", "Li", NEXT_FRIDAY, loan_id="Wang-1001"), "has no loan"),
            (Promise("x", "Li", YESTERDAY), "nobody promises"),
            (Promise("x", "Li", NEXT_FRIDAY, amount=Decimal(0)), "not above zero"),
        ):
            with pytest.raises(BadInput, match=said):
                take(wrong)
        found = plan_day(desk, book)
        ((number,),) = desk.rows("SELECT promise_id FROM promise WHERE cancelled_at IS NULL")
        assert withdraw_promise(conn, number, now=desk.clock.now()) == "Li"
        with pytest.raises(BadInput, match="that stands"):
            withdraw_promise(conn, number, now=desk.clock.now())
    plan = pl.read_parquet(found / "plan.parquet").select("borrower_id", "reason")
    assert plan.rows() == [("Li", "promise_open"), ("Wang", "")]
    desk.clock.set(MORNING + timedelta(days=9))
    told = standing(desk, book, NEXT_FRIDAY + timedelta(days=2))
    assert [each[1:] for each in told] == [("cancelled", "replaced"), ("cancelled", "withdrawn")]


def test_it_takes_down_a_file_of_promises_or_none_of_it(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)
    assert release(desk, plan_day(desk, book)) == {"ready": 2}
    for name, value in desk.environment().items():
        monkeypatch.setenv(name, value)
    clock = ("--clock", desk.clock.now().isoformat())
    duewise = CommandLine(capsys, "--workspace", desk.app.workspace, *clock, "--json")
    file, head = tmp_path / "promises.csv", "promise_ref,borrower_id,day,loan_id,amount,made_at"
    good = f"K-1,Li,{NEXT_FRIDAY},Li-1001,500.00,2026-08-14T08:20+08:00"
    for line, wrong in (
        (f"K-2,Nobody,{NEXT_FRIDAY},,,", ":3: unknown borrower 'Nobody'"),
        (f"K-2,Wang,{NEXT_FRIDAY},Li-1001,,", ":3: 'Wang' has no loan 'Li-1001'"),
        ("K-2,Wang,2026-08-01,,,", ":3: promise 'K-2': nobody promises 2026-08-01"),
        (f"K-2,Wang,{NEXT_FRIDAY},,-5,", ":3: promise 'K-2': the amount is not above zero"),
        (f"K-2,Wang,{NEXT_FRIDAY},,five,", ":3: 'five' is no amount"),
        ("K-2,Wang,Friday,,,", ":3: 'Friday' is no day"),
        (f",Wang,{NEXT_FRIDAY},,,", ":3: no promise_ref"),
        (f"K-2,Wang,{NEXT_FRIDAY},,,2027-01-01T00:00+08:00", "has not come yet"),
    ):
        file.write_text(f"{head}\n{good}\n{line}\n", encoding="utf-8")
        said = duewise("promise", "import", file)
        assert (said.code, wrong in said.err) == (2, True), said.err
    assert desk.rows("SELECT count(*) FROM promise") == [(0,)]
    file.write_text(f"{head}\n{good}\nK-2,Wang,{NEXT_FRIDAY},,,\n", encoding="utf-8")
    told = [json.loads(duewise("promise", "import", file).out) for _ in range(2)]
    assert told == [
        {"recorded": 2, "duplicates": 0, "held": 2},
        {"recorded": 0, "duplicates": 2, "held": 0},
    ]
    desk.clock.set(EVENING)
    assert standing(desk, book, MORNING.date())[0] == ("Li", "open", "day_not_over")
