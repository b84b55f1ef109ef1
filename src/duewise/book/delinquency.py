"""How late is late: buckets by days past due, five classes, the lateness outcomes are counted at.

Edges are data: lenders differ, so every function takes them and only defaults to the usual ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

LATE_DAYS = (1, 7, 30)

# Risk classes of a personal loan by days past due, up to and including:
# 商业银行金融资产风险分类办法 (Order 2023 No. 1), arts. 10 to 13. A lender that knows more may
# class a loan worse, never better.
CLASS5 = (
    ("normal", 0),
    ("special_mention", 90),
    ("substandard", 270),
    ("doubtful", 360),
    ("loss", None),
)


@dataclass(frozen=True)
class Bucket:
    """A range of days past due that starts above the bucket before it; `days_max` is in it."""

    name: str
    days_max: int | None


@dataclass(frozen=True)
class BucketTable:
    """The edges that a lender uses from a date on, until the next table."""

    valid_from: date
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class Buckets:
    """All tables a lender has used, oldest first: the rule versions of "in which bucket was it"."""

    tables: tuple[BucketTable, ...]

    def on(self, day: date) -> tuple[Bucket, ...]:
        """The edges valid on a day; before the first table, the first one's."""
        valid = [table for table in self.tables if table.valid_from <= day]
        return (valid[-1] if valid else self.tables[0]).buckets

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tables, the better first; each once."""
        placed = {
            each.name: place for table in self.tables for place, each in enumerate(table.buckets)
        }
        return tuple(sorted(placed, key=lambda name: placed[name]))


BUCKETS = (
    Bucket("M0", 0),
    Bucket("M1", 30),
    Bucket("M2", 60),
    Bucket("M3", 90),
    Bucket("M4", 120),
    Bucket("M5", 150),
    Bucket("M6", 180),
    Bucket("M7", None),
)
DEFAULT_BUCKETS = Buckets((BucketTable(date(2000, 1, 1), BUCKETS),))


def bucket(days_past_due: pl.Expr, buckets: Sequence[Bucket] = BUCKETS) -> pl.Expr:
    """The name of the bucket (Str) of a column of days past due (Int32); null stays null.

    >>> pl.select(bucket(pl.Series([0, 1, 30, 31, 400]).implode().explode())).to_series().to_list()
    ['M0', 'M1', 'M1', 'M2', 'M7']
    """
    *bounded, last = buckets
    assert last.days_max is None, "the last bucket is open"
    name = pl.lit(last.name)
    for step in reversed(bounded):
        name = pl.when(days_past_due <= step.days_max).then(pl.lit(step.name)).otherwise(name)
    return pl.when(days_past_due.is_not_null()).then(name)


def places(
    days_past_due: npt.NDArray[np.int32], buckets: Sequence[Bucket] = BUCKETS
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """The place among the buckets of each number of days past due, and the buckets' names.

    >>> places(np.array([0, 1, 30, 31, 400], np.int32))[0].tolist()
    [0, 1, 1, 2, 7]
    """
    edges = [step.days_max for step in buckets if step.days_max is not None]
    of_days = np.searchsorted(edges, np.arange(max(edges, default=0) + 2)).astype(np.int8)
    names = tuple(step.name for step in buckets)
    return of_days[np.clip(days_past_due, 0, len(of_days) - 1)], names


def places5(
    days_past_due: npt.NDArray[np.int32], is_charged_off: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """The same for the five classes; what was charged off is lost.

    >>> places5(np.array([0, 91, 91], np.int32), np.array([False, False, True]))[0].tolist()
    [0, 2, 4]
    """
    place, names = places(days_past_due, [Bucket(name, days) for name, days in CLASS5])
    place[is_charged_off] = len(names) - 1
    return place, names


def bucket_on(days_past_due: pl.Expr, day: pl.Expr, buckets: Buckets) -> pl.Expr:
    """The name of the bucket by the table in force on a column of days (Date).

    >>> pl.select(bucket_on(pl.lit(31), pl.lit(date(2026, 1, 1)), DEFAULT_BUCKETS)).item()
    'M2'
    """
    return _by_table(day, buckets, [bucket(days_past_due, t.buckets) for t in buckets.tables])


def place_on(days_past_due: pl.Expr, day: pl.Expr, buckets: Buckets) -> pl.Expr:
    """Which bucket of the table it is, counted from 0 (UInt32): the higher, the worse.

    >>> pl.select(place_on(pl.lit(31), pl.lit(date(2026, 1, 1)), DEFAULT_BUCKETS)).item()
    2
    """
    places = [
        pl.sum_horizontal(days_past_due > step.days_max for step in table.buckets[:-1])
        for table in buckets.tables
    ]
    return _by_table(day, buckets, places)


def _by_table(day: pl.Expr, buckets: Buckets, values: Sequence[pl.Expr]) -> pl.Expr:
    """Of the values, one a table, that of the last table valid by then; at first the first's."""
    value = values[0]
    for table, newer in zip(buckets.tables[1:], values[1:], strict=True):
        value = pl.when(day >= table.valid_from).then(newer).otherwise(value)
    return value


def class5(days_past_due: pl.Expr, *, is_charged_off: pl.Expr) -> pl.Expr:
    """The class (Str) of a column of days past due (Int32); what was charged off is lost.

    >>> days = pl.Series([0, 1, 90, 91, 271, 361])
    >>> pl.select(class5(pl.lit(days), is_charged_off=pl.lit(value=False))).to_series().to_list()
    ['normal', 'special_mention', 'special_mention', 'substandard', 'doubtful', 'loss']
    """
    classes = [Bucket(name, days_max) for name, days_max in CLASS5]
    return pl.when(is_charged_off).then(pl.lit("loss")).otherwise(bucket(days_past_due, classes))


def is_late(days_past_due: pl.Expr, *, days: int) -> pl.Expr:
    """Whether a column of days past due has reached `days` (Boolean).

    >>> pl.select(is_late(pl.lit(7), days=7)).item()
    True
    """
    return days_past_due >= days


def late_flags(days_past_due: pl.Expr, late_days: Sequence[int] = LATE_DAYS) -> list[pl.Expr]:
    """One Boolean column for each number of days: `late_1d`, `late_7d`, `late_30d`.

    >>> pl.select(late_flags(pl.lit(8))).row(0)
    (True, True, False)
    """
    return [is_late(days_past_due, days=days).alias(f"late_{days}d") for days in late_days]
