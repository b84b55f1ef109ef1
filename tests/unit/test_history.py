"""In which bucket a loan was, and what became of it, told with Li, who pays late."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from tests.unit.test_ledger import APRIL_1, MARCH_1, MAY_1, THREE, loans, payments

from duewise.book.align import Aligned, LoanTables, align
from duewise.book.delinquency import DEFAULT_BUCKETS, Bucket, Buckets, BucketTable
from duewise.book.history import DATES_MAX, dates_between, slices, status, transitions
from duewise.book.product import shipped_products
from duewise.book.schema import EXTENSIONS
from duewise.errors import BadInput
from duewise.frames import conform

FIRSTS = [date(2026, month, 1) for month in (2, 3, 4, 5, 6, 7)]
LATER = datetime(2030, 1, 1, tzinfo=UTC)
# From 2026-05-15 on, Li's lender lets ten days pass.
TWO_TABLES = Buckets(
    (
        *DEFAULT_BUCKETS.tables,
        BucketTable(
            date(2026, 5, 15), (Bucket("M0", 0), Bucket("watched", 10), Bucket("late", None))
        ),
    )
)


def extended(number: int, agreed: str, due: date) -> pl.DataFrame:
    row = {
        "loan_id": "A",
        "borrower_id": "Li",
        "number": number,
        "agreed_at": datetime.fromisoformat(agreed).replace(tzinfo=UTC),
        "due_date": due,
        "reason": "hardship",
    }
    return conform(pl.DataFrame([row]), EXTENSIONS, name="extensions")


def part(
    paid: pl.DataFrame | None = None,
    extensions: pl.DataFrame | None = None,
    opened: date = date(2026, 2, 1),
) -> Aligned:
    tables = LoanTables(loans("A", opened=opened), THREE, payments() if paid is None else paid)
    if extensions is not None:
        tables = LoanTables(tables.loans, THREE, tables.payments, extensions=extensions)
    return align(tables, shipped_products(), known_at=LATER, zone="UTC")


def seen(of: Aligned, name: str, buckets: Buckets = DEFAULT_BUCKETS) -> list[object]:
    return status(of, FIRSTS, buckets)[name].to_list()


def changes(of: Aligned, buckets: Buckets = DEFAULT_BUCKETS) -> list[tuple[str, str, str]]:
    found = transitions(status(of, FIRSTS, buckets), buckets)
    return found.select("from_bucket", "to_bucket", "change").rows()


def test_it_says_on_each_day_how_late_a_loan_was() -> None:
    nothing_paid = part()
    assert seen(nothing_paid, "days_past_due") == [0, 0, 31, 61, 92, 122]
    assert seen(nothing_paid, "bucket") == ["M0", "M0", "M2", "M3", "M4", "M5"]
    assert seen(nothing_paid, "class5")[3:] == ["special_mention", "substandard", "substandard"]
    assert seen(nothing_paid, "outstanding_minor") == [300] * 6


def test_it_knows_a_loan_from_the_day_it_was_opened() -> None:
    assert seen(part(opened=date(2026, 3, 1)), "date") == FIRSTS[1:]
    assert seen(part(opened=date(2026, 3, 2)), "date") == FIRSTS[2:]


def test_it_calls_a_step_by_what_became_of_the_loan() -> None:
    paid = payments(
        ("1", "A", "2026-04-20T12:00", 200, None), ("2", "A", "2026-06-20T12:00", 100, None)
    )
    assert changes(part(paid)) == [
        ("M0", "M0", "stay"),
        ("M0", "M2", "roll"),
        ("M2", "M0", "cure"),
        ("M0", "M2", "roll"),
        ("M2", "closed", "close"),
    ]


def test_it_calls_it_improved_where_a_part_was_caught_up() -> None:
    paid = payments(("1", "A", "2026-05-20T12:00", 100, None))
    assert changes(part(paid))[3:] == [("M3", "M3", "stay"), ("M3", "M4", "roll")]
    paid = payments(("1", "A", "2026-05-20T12:00", 200, None))
    assert changes(part(paid))[3:] == [("M3", "M2", "improve"), ("M2", "M3", "roll")]


def test_it_calls_it_re_aged_where_an_extension_brought_it_back() -> None:
    of = part(extensions=extended(1, "2026-03-20T12:00", date(2026, 6, 10)))
    assert seen(of, "days_past_due") == [0, 0, 0, 30, 61, 91]
    late_first = part(extensions=extended(1, "2026-04-20T12:00", date(2026, 6, 10)))
    assert changes(late_first)[1:3] == [("M0", "M2", "roll"), ("M2", "M1", "re_age")]
    both = transitions(status(late_first, FIRSTS, DEFAULT_BUCKETS), DEFAULT_BUCKETS)
    assert both["change"].to_list().count("re_age") == 1, "only in the step it was agreed in"


def test_it_does_not_call_it_re_aged_where_it_got_worse_all_the_same() -> None:
    of = part(extensions=extended(3, "2026-04-20T12:00", date(2026, 6, 10)))
    assert changes(of)[2] == ("M2", "M3", "roll")


def test_it_counts_no_step_of_what_owes_nothing() -> None:
    paid = payments(("1", "A", "2026-02-20T12:00", 300, None))
    assert changes(part(paid)) == [("M0", "closed", "close")]


def test_it_tells_the_same_days_under_the_table_of_their_time() -> None:
    assert seen(part(), "bucket", TWO_TABLES) == ["M0", "M0", "M2", "M3", "late", "late"]
    before, after = (
        status(part(), FIRSTS, TWO_TABLES, rules_of=day)["bucket"].to_list()
        for day in (date(2026, 5, 14), date(2026, 5, 15))
    )
    assert before == ["M0", "M0", "M2", "M3", "M4", "M5"]
    assert after == ["M0", "M0", "late", "late", "late", "late"]


def test_it_moves_no_loan_by_changing_the_table() -> None:
    assert changes(part(), TWO_TABLES)[2:] == [
        ("M2", "M3", "roll"),
        ("late", "late", "stay"),
        ("late", "late", "stay"),
    ]


def test_it_comes_to_the_same_loan_by_loan() -> None:
    owed = pl.concat([THREE, THREE.with_columns(loan_id=pl.lit("B"))])
    paid = payments(("1", "B", "2026-04-20T12:00", 200, None))
    tables = LoanTables(loans("A", "B"), owed, paid)
    both = align(tables, shipped_products(), known_at=LATER, zone="UTC")
    one_by_one = [
        status(some, FIRSTS, DEFAULT_BUCKETS) for some in slices(both, len(FIRSTS), rows_max=1)
    ]
    assert [each["loan_id"].unique().to_list() for each in one_by_one] == [["A"], ["B"]]
    assert pl.concat(one_by_one).equals(status(both, FIRSTS, DEFAULT_BUCKETS))


@pytest.mark.parametrize(
    ("first", "last", "every", "found"),
    [
        (MARCH_1, MAY_1, "month", [MARCH_1, APRIL_1, MAY_1]),
        (date(2026, 3, 2), MAY_1, "month", [APRIL_1, MAY_1]),
        (date(2026, 3, 1), date(2026, 3, 10), "week", [date(2026, 3, 2), date(2026, 3, 9)]),
        (date(2026, 2, 28), date(2026, 3, 1), "day", [date(2026, 2, 28), date(2026, 3, 1)]),
    ],
)
def test_it_looks_on_the_first_day_of_each(
    first: date, last: date, every: str, found: list[date]
) -> None:
    assert dates_between(first, last, every=every) == found


@pytest.mark.parametrize(
    ("first", "last", "every", "said"),
    [
        (MAY_1, APRIL_1, "day", "--to: 2026-04-01 lies before 2026-05-01"),
        (date(2026, 3, 2), date(2026, 4, 3), "month", "--to: .* holds 1 first days of a month"),
        (date(2020, 1, 1), date(2026, 1, 1), "day", f"--every: .* {DATES_MAX:,} is the most"),
    ],
)
def test_it_refuses_a_range_in_which_it_cannot_look(
    first: date, last: date, every: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        dates_between(first, last, every=every)
