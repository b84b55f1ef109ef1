"""What borrowers write back, through the gateway: each reply does its work once."""

from __future__ import annotations

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
    plan_day,
    release,
    submits,
    write_book,
)

from duewise.store.book import Book

YESTERDAY = date(2026, 8, 13)
CAST = {"Chen": YESTERDAY, "Li": YESTERDAY, "Wang": YESTERDAY, "Zhao": YESTERDAY}


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, *CAST)
    return opened


@pytest.fixture
def book(desk: Desk) -> Book:
    made = write_book(desk, **CAST)
    assert release(desk, plan_day(desk, made)) == {"ready": 4}
    return made


def plan_again(desk: Desk, book: Book, borrower: str) -> tuple[str, str, list[str]]:
    """Decision, reason and rules for a borrower as the day is planned once more."""
    desk.clock.set(MORNING + timedelta(hours=1))
    folder = plan_day(desk, book, name="plan-2")
    rows = pl.read_parquet(folder / "plan.parquet").filter(borrower_id=borrower)
    return rows.select("decision", "reason", "rules").row(0)


async def test_it_sends_no_more_to_one_who_opted_out(desk: Desk, book: Book) -> None:
    async with delivery_line(desk) as line:
        await line.reply("Zhao", "R")
        assert desk.story("Zhao")[-1] == ("cancelled", "opted_out")
        await line.pass_at(EVENING)
    assert desk.states() == {"cancelled": 1, "delivered": 3}
    assert plan_again(desk, book, "Zhao")[:2] == ("none", "channel_opted_out")
    desk.assert_ties()


async def test_it_records_an_opt_out_once_although_it_is_told_twice(desk: Desk, book: Book) -> None:
    """A reply that was not acknowledged comes again over the next bind; some people insist."""
    assert book
    async with delivery_line(desk) as line:
        await line.reply("Zhao", "R")
        await line.control.drop()
        await line.reply("Zhao", "TD")
        await line.reply("Zhao", "R")
    assert desk.rows("SELECT borrower_id, is_active FROM opt_out") == [("Zhao", True)]
    assert [state for state, _ in desk.story("Zhao")] == ["ready", "cancelled"]


async def test_it_freezes_a_number_that_belongs_to_somebody_else(desk: Desk, book: Book) -> None:
    async with delivery_line(desk) as line:
        await line.reply("Wang", "你打错了，我不是王先生")
        assert desk.story("Wang")[-1] == ("cancelled", "wrong_person")
        await line.pass_at(EVENING)
    assert desk.rows("SELECT borrower_id FROM person WHERE is_wrong_party") == [("Wang",)]
    _, _, rules = plan_again(desk, book, "Wang")
    assert "CN-ID-03" in rules
    desk.assert_ties()


async def test_it_frees_everybody_behind_a_number_that_opts_out(desk: Desk, book: Book) -> None:
    """Two borrowers share a handset: whoever holds it has spoken for the number."""
    assert book
    desk.run(
        "UPDATE person SET (phone_sealed, number_token) = (SELECT %(sealed)s, number_token"
        " FROM person WHERE borrower_id = 'Zhao') WHERE borrower_id = 'Li'",
        sealed=desk.app.keyring.seal("+8613800000003", column="phone", borrower_id="Li"),
    )
    async with delivery_line(desk) as line:
        await line.reply("Zhao", "退订")
        await line.pass_at(EVENING)
    assert desk.story("Li")[-1] == ("cancelled", "opted_out")
    assert desk.story("Zhao")[-1] == ("cancelled", "opted_out")
    assert desk.rows("SELECT borrower_id FROM opt_out ORDER BY 1") == [("Li",), ("Zhao",)]
    assert desk.rows("SELECT count(*) FROM reply") == [(1,)]


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("失业了没钱还，能不能分期", "hardship", "CN-HRD-02"),
        ("我没有借过这笔钱，金额不对", "dispute", "CN-DSP-01"),
    ],
)
async def test_it_opens_a_case_and_holds_and_asks_no_more(
    desk: Desk, book: Book, text: str, kind: str, rule: str
) -> None:
    async with delivery_line(desk) as line:
        await line.reply("Wang", text)
        assert desk.story("Wang")[-1] == ("held", f"reply_{kind}")
        await line.reply("Wang", f"{text}！")
        await line.pass_at(EVENING)
    cases = desk.rows("SELECT borrower_id, kind, closed_at FROM case_file")
    assert cases == [("Wang", kind, None)]
    assert desk.states() == {"held": 1, "delivered": 3}
    decision, _, rules = plan_again(desk, book, "Wang")
    assert (decision, rule in rules) == ("proposed", True)
    desk.assert_ties()


async def test_it_holds_the_message_of_one_who_says_he_has_paid(desk: Desk, book: Book) -> None:
    assert book
    async with delivery_line(desk) as line:
        await line.reply("Li", "已经还了")
        await line.pass_at(EVENING)
        assert desk.states() == {"held": 1, "delivered": 3}
        await line.pass_at(EVENING + timedelta(hours=1))
    assert desk.story("Li")[-1] == ("lapsed", "validity_ended_while_held: reply_paid")
    desk.assert_ties()


async def test_it_keeps_what_a_stranger_writes_and_does_nothing(desk: Desk, book: Book) -> None:
    assert book
    async with delivery_line(desk) as line:
        await line.reply("Li", "R", number="10086")
        await line.reply("Li", "R", number="+8613912345678")
    found = desk.rows("SELECT borrower_id, intent, action FROM reply ORDER BY reply_id")
    assert found == [(None, "opt_out", "unknown_number")] * 2
    assert desk.states() == {"ready": 4}
    assert submits(desk) == []
