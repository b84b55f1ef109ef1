"""After a backdated payment, a reversal, a late chargeback: which notices were wrong."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.desk import (
    EVENING,
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

from duewise.jobs.ingest import Payment, record_payments
from duewise.jobs.wrong_notices import find_wrong_notices
from duewise.store.book import Book

YESTERDAY = date(2026, 8, 13)
BEFORE = timedelta(days=2)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li", "Wang")
    return opened


@pytest.fixture
def book(desk: Desk) -> Book:
    return write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)


def tell(desk: Desk, payment_id: str, yuan: str, *, made: datetime, **given: Any) -> None:
    """News at the clock's instant of what was made with Li's loan earlier."""
    event = Payment(payment_id, "Li-1001", made, Decimal(yuan), **given)
    with desk.app.connect(desk.dsn) as conn:
        record_payments(conn, [event], now=desk.clock.now())


def wrong(desk: Desk, book: Book, **asked: Any) -> list[dict[str, Any]]:
    with desk.app.connect(desk.dsn) as conn:
        found = find_wrong_notices(
            conn, book, desk.app.tenant.products, now=desk.clock.now(), **asked
        )
        return list(found)


async def send(desk: Desk, book: Book) -> None:
    """Plan, release and send the day's notices; then it is the next day."""
    release(desk, plan_day(desk, book))
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 2}
    desk.clock.set(EVENING + timedelta(days=1))


def said_and_true(found: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [
        (
            found[f"{side}amount_minor"],
            found[f"{side}days_past_due"],
            found[f"{side}bucket"],
        )
        for side in ("", "true_")
    ]


async def test_it_lists_the_notice_that_a_backdated_payment_made_wrong(
    desk: Desk, book: Book
) -> None:
    await send(desk, book)
    assert wrong(desk, book) == []
    tell(desk, "P-1", "868.40", made=EVENING - BEFORE)
    (found,) = wrong(desk, book)
    assert (found["borrower_id"], found["loan_id"]) == ("Li", "Li-1001")
    assert said_and_true(found) == [(86_840, 1, "M1"), (0, 0, "M0")]
    assert [news["payment_id"] for news in found["news"]] == ["P-1"]
    assert wrong(desk, book, loan_id="Wang-1001") == []
    assert wrong(desk, book, until=found["as_of"]) == []


async def test_it_lists_no_notice_that_was_right_when_it_left(desk: Desk, book: Book) -> None:
    await send(desk, book)
    tell(desk, "P-1", "868.40", made=EVENING + timedelta(hours=1))
    assert wrong(desk, book) == [], "paid on the notice's day, after it"


async def test_it_lists_the_notice_that_a_reversal_made_wrong(desk: Desk, book: Book) -> None:
    pay(desk, "P-1", "Li", "500.00")
    await send(desk, book)
    assert wrong(desk, book) == []
    tell(desk, "R-1", "500.00", made=desk.clock.now(), kind="reversal", reverses="P-1")
    (found,) = wrong(desk, book)
    assert said_and_true(found) == [(36_840, 1, "M1"), (86_840, 1, "M1")]
    assert [news["payment_id"] for news in found["news"]] == ["R-1"]


async def test_it_lists_the_notice_that_a_late_chargeback_made_wrong(
    desk: Desk, book: Book
) -> None:
    pay(desk, "P-1", "Li", "500.00")
    await send(desk, book)
    tell(desk, "C-2", "100.00", made=desk.clock.now(), kind="chargeback", reverses="P-1")
    assert wrong(desk, book) == [], "a chargeback of a later day leaves the notice right"
    tell(desk, "C-1", "200.00", made=EVENING - timedelta(hours=9), kind="chargeback")
    (found,) = wrong(desk, book)
    assert said_and_true(found) == [(36_840, 1, "M1"), (56_840, 1, "M1")]
    assert [news["payment_id"] for news in found["news"]] == ["C-1"]


async def test_it_says_so_on_the_command_line(
    desk: Desk, book: Book, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(desk, book)
    tell(desk, "P-1", "868.40", made=EVENING - BEFORE)
    monkeypatch.setenv("DUEWISE_DATABASE_URL", desk.dsn)
    clock = desk.clock.now().isoformat()
    where = ("--workspace", desk.app.workspace, "--clock", clock)
    said = CommandLine(capsys, *where)("ledger", "notices", "--since", "2026-08-14")
    assert said.code == 0, said
    assert "said  CNY 868.40, 1 days past due, M1, due 2026-08-13" in said.out
    assert "true  CNY 0.00, 0 days past due, M0, due -" in said.out
    assert "payment P-1 of CNY 868.40" in said.out
    assert "1 wrong notices" in said.out
    told = CommandLine(capsys, *where, "--json")("ledger", "notices")
    assert told.json["true_amount_minor"] == 0
