"""How late is late: buckets by days past due, and the lateness outcomes are counted at.

Edges are data: lenders differ, so every function takes them and only defaults to the usual ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

LATE_DAYS = (1, 7, 30)


@dataclass(frozen=True)
class Bucket:
    """A range of days past due that starts above the bucket before it; `days_max` is in it."""

    name: str
    days_max: int | None


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
