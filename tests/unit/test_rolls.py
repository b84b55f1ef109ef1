"""Roll rates and vintages of a handful of loans, counted by hand."""

from __future__ import annotations

from datetime import date

import polars as pl

from duewise.book.delinquency import DEFAULT_BUCKETS
from duewise.book.history import STATUS
from duewise.measure.rolls import (
    LATE_DAYS,
    NO_COUNTS,
    Counts,
    changes,
    counts_of,
    roll_rates,
    total,
    vintage_shares,
)

FEBRUARY_1, MARCH_1, APRIL_1, MAY_1 = (date(2026, month, 1) for month in (2, 3, 4, 5))


def seen(**loans: list[tuple[date, int, int]]) -> pl.DataFrame:
    """Loans opened on 2026-02-10, each with (date, days past due, outstanding)."""
    return pl.DataFrame(
        [
            {
                "loan_id": loan,
                "opened_date": date(2026, 2, 10),
                "original_principal_minor": 1_000,
                "date": day,
                "days_past_due": days,
                "worst_days_past_due": max(late for at, late, _ in rows if at <= day),
                "bucket": "unused",
                "class5": "unused",
                "outstanding_minor": owed,
                "extensions": 0,
            }
            for loan, rows in loans.items()
            for day, days, owed in rows
        ],
        schema=dict(STATUS),
    )


# Of three in M1 on 1 March one rolls, one cures, one stays; by balance 500, 300 and 200 of 1,000.
FOUR = seen(
    rolls=[(MARCH_1, 20, 500), (APRIL_1, 51, 500), (MAY_1, 81, 500)],
    cures=[(MARCH_1, 5, 300), (APRIL_1, 0, 250), (MAY_1, 0, 0)],
    stays=[(MARCH_1, 1, 200), (APRIL_1, 30, 150), (MAY_1, 30, 150)],
    never=[(MARCH_1, 0, 900), (APRIL_1, 0, 800), (MAY_1, 0, 700)],
)


def counted() -> Counts:
    return counts_of(FOUR, DEFAULT_BUCKETS)


def test_it_states_the_share_of_a_bucket_that_went_where() -> None:
    rates = roll_rates(counted().rolls, DEFAULT_BUCKETS).filter(from_bucket="M1", to_date=APRIL_1)
    assert rates.select("to_bucket", "loans", "balance_minor").rows() == [
        ("M0", 1, 300),
        ("M1", 1, 200),
        ("M2", 1, 500),
    ]
    assert rates["share_by_count"].to_list() == [1 / 3] * 3
    assert rates["share_by_balance"].to_list() == [0.3, 0.2, 0.5]


def test_it_pools_the_periods_by_what_they_count() -> None:
    pooled = roll_rates(counted().rolls, DEFAULT_BUCKETS, pooled=True)
    m0 = pooled.filter(from_bucket="M0")
    # On 1 March one was in M0, on 1 April two; one of these three was closed.
    assert m0.select("to_bucket", "loans").rows() == [("M0", 2), ("closed", 1)]
    assert m0["share_by_balance"].to_list() == [1_700 / 1_950, 250 / 1_950]
    assert pooled["from_bucket"].unique(maintain_order=True).to_list() == ["M0", "M1", "M2"]


def test_it_counts_what_became_of_them() -> None:
    march = changes(counted().rolls).filter(from_date=MARCH_1)
    assert march.select("from_bucket", "change", "loans").rows() == [
        ("M0", "stay", 1),
        ("M1", "cure", 1),
        ("M1", "roll", 1),
        ("M1", "stay", 1),
    ]


def test_it_follows_a_vintage_by_its_age() -> None:
    shares = vintage_shares(counted().vintages, FEBRUARY_1).filter(late_days=30)
    assert shares.select("vintage", "months_on_book", "loans").rows() == [
        (FEBRUARY_1, 1, 4),
        (FEBRUARY_1, 2, 4),
        (FEBRUARY_1, 3, 4),
    ]
    assert shares["late_by_count"].to_list() == [0.0, 0.5, 0.5]
    assert shares["ever_by_principal"].to_list() == [0.0, 0.5, 0.5]
    day = vintage_shares(counted().vintages, FEBRUARY_1).filter(late_days=1)
    assert day["late_by_count"].to_list() == [0.75, 0.5, 0.5]
    assert day["ever_by_count"].to_list() == [0.75, 0.75, 0.75]


def test_it_weighs_principal_as_it_was_disbursed() -> None:
    heavy = pl.col("loan_id") == "rolls"
    principal = pl.when(heavy).then(7_000).otherwise(1_000).alias("original_principal_minor")
    found = counts_of(FOUR.with_columns(principal), DEFAULT_BUCKETS).vintages
    shares = vintage_shares(found, FEBRUARY_1).filter(late_days=60, months_on_book=3)
    assert shares["late_by_principal"].to_list() == [0.7]
    assert shares["late_by_count"].to_list() == [0.25]


def test_it_does_not_say_ever_of_loans_that_were_there_before_it_looked() -> None:
    shares = vintage_shares(counted().vintages, MARCH_1)
    assert shares["ever_by_count"].null_count() == shares["ever_by_principal"].null_count() == 15
    assert shares["late_by_count"].null_count() == 0


def test_it_reads_a_vintage_once_its_month_is_over_and_once_a_month() -> None:
    days = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 2), date(2026, 3, 9), APRIL_1]
    found = counts_of(seen(Li=[(day, 0, 100) for day in days]), DEFAULT_BUCKETS).vintages
    shares = vintage_shares(found, FEBRUARY_1).filter(late_days=1)
    assert shares.select("date", "months_on_book").rows() == [
        (date(2026, 2, 28), 0),
        (date(2026, 3, 9), 1),
        (APRIL_1, 2),
    ]


def test_it_has_nothing_to_say_of_no_loans() -> None:
    nothing = total([])
    assert nothing is NO_COUNTS
    assert roll_rates(nothing.rolls, DEFAULT_BUCKETS, pooled=True).is_empty()
    assert vintage_shares(nothing.vintages, MARCH_1).is_empty()
    some = total([counted()])
    assert some.rolls.equals(counted().rolls)
    assert some.vintages["late_days"].unique().sort().to_list() == list(LATE_DAYS)
