"""Roll rates and vintages of a book of any size: counts of each part that add up, then shares.

A count is kept by bucket, month or threshold and never by loan, so what is held does not grow with
the book; the shares are taken once, of the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add

import polars as pl

from duewise.book.align import Aligned
from duewise.book.delinquency import Buckets
from duewise.book.history import CLOSED, slices, status, transitions
from duewise.frames import empty

BY = {"count": "loans", "balance": "balance_minor"}
LATE_DAYS = (1, 7, 30, 60, 90)

_COUNTED = (
    "loans",
    "balance_minor",
    "principal_minor",
    "late_loans",
    "late_principal_minor",
    "ever_loans",
    "ever_principal_minor",
)
_ROLL_KEYS = ("from_date", "to_date", "from_bucket", "to_bucket", "change")
_VINTAGE_KEYS = ("vintage", "date", "late_days")


@dataclass(frozen=True)
class Counts:
    """What roll rates and vintages follow from; counts of two parts of a book add with `+`.

    rolls: from_date, to_date, from_bucket, to_bucket, change; loans, balance_minor (on from_date).
    vintages: vintage (first of the month), date, late_days; loans and principal_minor of all, and
    of those that late now (`late_`) or on any date up to then (`ever_`); principal as disbursed.
    """

    rolls: pl.DataFrame
    vintages: pl.DataFrame

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            _sum(pl.concat([self.rolls, other.rolls]), _ROLL_KEYS),
            _sum(pl.concat([self.vintages, other.vintages]), _VINTAGE_KEYS),
        )


NO_COUNTS = Counts(
    empty(
        {
            **dict.fromkeys(("from_date", "to_date"), pl.Date),
            **dict.fromkeys(("from_bucket", "to_bucket", "change"), pl.String),
            **dict.fromkeys(("loans", "balance_minor"), pl.Int64),
        }
    ),
    empty(
        {
            "vintage": pl.Date,
            "date": pl.Date,
            "late_days": pl.Int32,
            **{name: pl.Int64 for name in _COUNTED if name != "balance_minor"},
        }
    ),
)


def counts(
    aligned: Aligned, dates: Sequence[date], buckets: Buckets, *, rules_of: date | None = None
) -> Counts:
    """The counts of a part of a book; `dates` rise. Memory is bounded by history.ROWS_MAX."""
    return total(
        counts_of(status(some, dates, buckets, rules_of=rules_of), buckets, rules_of=rules_of)
        for some in slices(aligned, len(dates))
    )


def counts_of(seen: pl.DataFrame, buckets: Buckets, *, rules_of: date | None = None) -> Counts:
    """The counts of loans whose status (history.STATUS) is known."""
    steps = transitions(seen, buckets, rules_of=rules_of)
    return Counts(
        steps.group_by(_ROLL_KEYS)
        .agg(pl.len().cast(pl.Int64).alias("loans"), pl.col("balance_minor").sum())
        .sort(_ROLL_KEYS),
        _vintage_counts(seen),
    )


def total(parts: Iterable[Counts]) -> Counts:
    """The sum of counts; of none, the counts of no loans."""
    return reduce(add, parts, NO_COUNTS)


def roll_rates(rolls: pl.DataFrame, buckets: Buckets, *, pooled: bool = False) -> pl.DataFrame:
    """Which share of each bucket was where by the next date: of each period, or of all `pooled`.

    Columns: from_date, to_date (not when pooled), from_bucket, to_bucket, loans, balance_minor,
    share_by_count and share_by_balance (Float64). The shares of a from_bucket (and period) sum to
    1. The balance is that of the earlier date. `rolls`: of Counts.
    """
    keys = [] if pooled else ["from_date", "to_date"]
    cells = _sum(rolls, (*keys, "from_bucket", "to_bucket"))
    row = [*keys, "from_bucket"]
    order = pl.Enum([*buckets.names, CLOSED])
    return cells.with_columns(
        (pl.col(of) / pl.col(of).sum().over(row)).alias(f"share_by_{by}") for by, of in BY.items()
    ).sort(*keys, pl.col("from_bucket").cast(order), pl.col("to_bucket").cast(order))


def changes(rolls: pl.DataFrame) -> pl.DataFrame:
    """How many loans of each bucket changed in which way in each period; with their balance.

    Columns: from_date, to_date, from_bucket, change, loans, balance_minor. `rolls`: of Counts.
    """
    return _sum(rolls, ("from_date", "to_date", "from_bucket", "change"))


def vintage_shares(found: pl.DataFrame, first: date) -> pl.DataFrame:
    """Which share of the loans disbursed in a month was late, by age: `found` is of Counts.

    Columns: vintage, months_on_book (Int32: calendar months), date, late_days, loans,
    principal_minor; late_by_count, late_by_principal, ever_by_count, ever_by_principal (Float64).
    Ever is null for loans that were there before `first`, the first date looked at.
    """
    ages = (pl.col("date").dt.year() - pl.col("vintage").dt.year()) * 12 + (
        pl.col("date").dt.month().cast(pl.Int32) - pl.col("vintage").dt.month().cast(pl.Int32)
    )
    is_whole = pl.col("vintage") >= first
    return found.select(
        "vintage",
        ages.alias("months_on_book"),
        "date",
        "late_days",
        "loans",
        "principal_minor",
        late_by_count=pl.col("late_loans") / pl.col("loans"),
        late_by_principal=pl.col("late_principal_minor") / pl.col("principal_minor"),
        ever_by_count=pl.when(is_whole).then(pl.col("ever_loans") / pl.col("loans")),
        ever_by_principal=pl.when(is_whole).then(
            pl.col("ever_principal_minor") / pl.col("principal_minor")
        ),
    ).sort("late_days", "vintage", "months_on_book")


def _vintage_counts(seen: pl.DataFrame) -> pl.DataFrame:
    """Of the dates, the last of each month; a vintage counts once its month is over."""
    vintage = pl.col("opened_date").dt.month_start()
    month = pl.col("date").dt.month_start()
    last = seen.group_by(month.alias("month")).agg(pl.col("date").max())
    rows = (
        seen.join(last, on="date", how="semi")
        .with_columns(vintage=vintage)
        .filter(pl.col("date") >= vintage.dt.month_end())
    )
    late = pl.concat(_late_counts(rows, days) for days in LATE_DAYS)
    return late.select(NO_COUNTS.vintages.columns).sort(_VINTAGE_KEYS)


def _late_counts(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    principal = pl.col("original_principal_minor")
    late, ever = pl.col("days_past_due") >= days, pl.col("worst_days_past_due") >= days
    return (
        rows.group_by("vintage", "date")
        .agg(
            pl.len().cast(pl.Int64).alias("loans"),
            principal.sum().alias("principal_minor"),
            late.sum().cast(pl.Int64).alias("late_loans"),
            principal.filter(late).sum().alias("late_principal_minor"),
            ever.sum().cast(pl.Int64).alias("ever_loans"),
            principal.filter(ever).sum().alias("ever_principal_minor"),
        )
        .with_columns(late_days=pl.lit(days, pl.Int32))
    )


def _sum(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Everything that is counted, by these keys, in their order."""
    counted = [name for name in frame.columns if name in _COUNTED]
    return frame.group_by(keys).agg(pl.col(counted).sum()).sort(keys)
