"""What became of the next instalment, and when that may be said."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from tests.unit.lender import AS_OF
from tests.unit.test_features import LI, PRODUCTS, ZONE, book_of, noon

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.risk.features import features, morning
from duewise.risk.target import TARGETS, maturity, with_targets

DUE = AS_OF + timedelta(days=2)


def became(paid_after: int | None, *, seen_after: int) -> pl.DataFrame:
    """Li's row with targets, her fourth instalment paid so many days after it was due."""
    paid = [] if paid_after is None else [(noon(DUE + timedelta(days=paid_after)), 95_000)]
    return told(book_of({**LI, "paid": [*LI["paid"], *paid]}), DUE + timedelta(days=seen_after))


def told(tables: LoanTables, seen: date) -> pl.DataFrame:
    rows = features(tables, PRODUCTS, as_of=AS_OF, zone=ZONE)
    known_at = morning(seen + timedelta(days=1), ZONE)
    later = ledger(tables, PRODUCTS, as_of=seen, known_at=known_at, zone=ZONE)
    return with_targets(rows, later)


@pytest.mark.parametrize(
    ("paid_after", "expected"),
    [
        (-1, (False, False, False)),
        (0, (False, False, False)),
        (1, (True, False, False)),
        (6, (True, False, False)),
        (7, (True, True, False)),
        (30, (True, True, True)),
        (None, (True, True, True)),
    ],
)
def test_it_counts_days_from_the_due_date(
    paid_after: int | None, expected: tuple[bool, ...]
) -> None:
    assert became(paid_after, seen_after=40).select(*TARGETS).row(0) == expected


@pytest.mark.parametrize("paid_after", [-1, None])
def test_it_waits_for_who_paid_early_as_long_as_for_who_did_not(paid_after: int | None) -> None:
    rows = became(paid_after, seen_after=5)
    assert rows.select("late_7", "late_30").row(0) == (None, None)
    assert rows["late_1"].item() is (paid_after is None)
    found = maturity(rows).select("target", "rows", "not_mature").rows()
    assert found == [("late_1", 1, 0), ("late_7", 0, 1), ("late_30", 0, 1)]


def test_it_leaves_out_what_was_put_off() -> None:
    plain = book_of(LI)
    longer = plain.extensions.clear().extend(
        pl.DataFrame(
            {
                "loan_id": "Li-1001",
                "number": 4,
                "agreed_at": noon(AS_OF),
                "due_date": DUE + timedelta(days=9),
                "reason": None,
                "borrower_id": "Li",
            },
            schema_overrides=dict(plain.extensions.schema),
        ).select(plain.extensions.columns)
    )
    rows = told(
        LoanTables(plain.loans, plain.instalments, plain.payments, extensions=longer),
        DUE + timedelta(days=40),
    )
    assert maturity(rows)["put_off"].to_list() == [1, 1, 1]


def test_it_says_nothing_of_a_loan_with_nothing_to_come() -> None:
    past = {**LI, "due": LI["due"][:3], "paid": LI["paid"][:1]}
    rows = told(book_of(past), DUE + timedelta(days=40))
    assert maturity(rows)["no_instalment"].to_list() == [1, 1, 1]
