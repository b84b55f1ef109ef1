"""The feature table, and the features of a lender that never was."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import AS_OF, NOW, contacts, tables

from duewise.book.align import LoanTables
from duewise.book.product import shipped_products
from duewise.book.schema import EXTENSIONS, INSTALMENTS, LOANS, PAYMENTS
from duewise.frames import completed, conform
from duewise.risk.features import KEY, feature_table, features

PRODUCTS, ZONE = shipped_products(), "Asia/Shanghai"
FEATURES_MIN = 60


def book_of(*loans: dict[str, Any]) -> LoanTables:
    """The loans' tables in the book's form."""
    made = tables(*loans)
    return LoanTables(
        conform(completed(made.loans, LOANS), LOANS, name="loans"),
        conform(made.instalments, INSTALMENTS, name="instalments"),
        conform(completed(made.payments, PAYMENTS), PAYMENTS, name="payments"),
    )


def told(*loans: dict[str, Any], **given: pl.DataFrame) -> dict[str, Any]:
    """The features of the one open loan on the morning of the day."""
    found = features(book_of(*loans), PRODUCTS, as_of=AS_OF, zone=ZONE, known_at=NOW, **given)
    return found.row(0, named=True)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


def ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


LI: dict[str, Any] = {
    "borrower": "Li",
    "due": [ago(90), ago(60), ago(30), AS_OF + timedelta(days=2)],
    "paid": [(noon(ago(92)), 86_840), (noon(ago(50)), 88_000), (noon(ago(30)), 86_840)],
}


def test_it_reads_a_history_as_a_person_would() -> None:
    row = told(LI)
    expected = {
        "number": 4,
        "due_date": AS_OF + timedelta(days=2),
        "past_count": 3,
        "late_count": 1,
        "late_7_count": 1,
        "late_30_count": 0,
        "late_share_shrunk": pytest.approx(1.6 / 7),
        "delay_last": 0,
        "delay_before_last": 10,
        "delay_first": -2,
        "days_since_late": 60,
        "on_time_streak": 1,
        "early_share": pytest.approx(1 / 3),
        "due_day_share": pytest.approx(1 / 3),
        "days_early_mean": 1,
        "payment_count": 3,
        "days_since_payment": 30,
        "days_to_due": 2,
        "period_days": 32,
        "instalments_left": 1,
        "next_to_mean": 1,
        "principal_left_share": 0.25,
        "loan_age_days": (AS_OF - date(2026, 1, 14)).days,
        "days_past_due": 0,
    }
    assert {name: row[name] for name in expected} == expected


def test_it_tells_nothing_where_there_is_nothing_to_tell() -> None:
    row = told({"borrower": "Chen", "due": [AS_OF + timedelta(days=5)]})
    assert row["past_count"] == 0
    unknown = (
        "late_share",
        "delay_mean",
        "days_since_late",
        "days_since_payment",
        "payday_regularity",
    )
    assert [row[name] for name in unknown] == [None] * len(unknown)


def test_it_finds_the_distance_to_the_spring_festival() -> None:
    due = [date(2026, 8, 30)]  # 2026-02-15 is the first day of the holiday: 196 days before
    assert told({"borrower": "Li", "due": due})["days_to_spring_festival"] == 196
    assert told({"borrower": "Li", "due": [date(2031, 2, 1)]})["days_to_spring_festival"] is None


def test_it_hears_of_contacts() -> None:
    log = contacts(("Li", NOW - timedelta(days=5), "pre_due", "L1"))
    row = told(LI, contacts=log)
    assert (row["contact_count_28d"], row["days_since_contact"]) == (1, 5)
    assert row["answered_share_28d"] is None


def test_it_takes_the_latest_row_that_the_lender_gives() -> None:
    given = pl.DataFrame(
        {
            "borrower_id": ["Li", "Li"],
            "as_of": [ago(40), ago(10)],
            "income": [3_000.0, 4_000.0],
            "late_share": [0.0, 0.5],
        }
    )
    row = told(LI, given=given)
    assert (row["income"], row["given_late_share"]) == (4_000.0, 0.5)
    assert row["late_share"] == pytest.approx(1 / 3)


def test_it_documents_every_feature() -> None:
    table = feature_table()
    assert len({each.name for each in table}) == len(table) >= FEATURES_MIN
    assert not [each.name for each in table if not (each.meaning and all(each.reason.values()))]
    assert [*KEY, *(each.name for each in table)] == list(told(LI))


def test_it_fills_every_feature_for_somebody() -> None:
    """A name in the table that no code fills would be empty for everybody."""
    undone = (noon(ago(20)), 5_000)
    earlier = {
        "borrower": "Li",
        "loan": "L0",
        "due": [ago(300)],
        "paid": [(noon(ago(290)), 90_000)],
    }
    log = contacts(("Li", NOW - timedelta(days=5), "pre_due", "L1")).with_columns(
        outcome=pl.lit("no_answer")
    )
    longer = {**LI, "due": [ago(n) for n in (150, 120, 90, 60, 30)] + [AS_OF + timedelta(days=2)]}
    row = told(
        earlier, {**longer, "paid": [(noon(ago(152)), 86_840), *LI["paid"], undone]}, contacts=log
    )
    assert [name for name, value in row.items() if value is None] == []


def test_it_knows_extensions_and_money_that_went_back() -> None:
    made = tables({**LI, "autopay": True})
    taken = made.payments[1].with_columns(
        payment_id=pl.lit("back"),
        kind=pl.lit("reversal"),
        reverses=pl.lit(made.payments["payment_id"][1]),
    )
    longer = {"loan_id": "Li-1001", "borrower_id": "Li", "number": 4, "agreed_at": noon(ago(3))}
    book = LoanTables(
        conform(completed(made.loans, LOANS), LOANS, name="loans"),
        conform(made.instalments, INSTALMENTS, name="instalments"),
        conform(completed(pl.concat([made.payments, taken]), PAYMENTS), PAYMENTS, name="payments"),
        extensions=conform(
            completed(pl.DataFrame([{**longer, "due_date": AS_OF}]), EXTENSIONS),
            EXTENSIONS,
            name="extensions",
        ),
    )
    row = features(book, PRODUCTS, as_of=AS_OF, zone=ZONE).row(0, named=True)
    names = ("reversal_count", "autopay_failure_count", "extension_count", "days_to_due")
    assert [row[name] for name in names] == [1, 1, 1, 0]
