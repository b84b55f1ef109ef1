from __future__ import annotations

import polars as pl
import pytest

from duewise.book.delinquency import Bucket, bucket, is_late, late_flags


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (90, "M3"), (180, "M6"), (181, "M7")],
)
def test_it_puts_both_edges_into_the_right_bucket(days: int, name: str) -> None:
    assert pl.select(bucket(pl.lit(days))).item() == name


def test_it_takes_the_edges_of_the_lender() -> None:
    edges = (Bucket("current", 3), Bucket("late", None))
    assert pl.select(bucket(pl.lit(3), edges)).item() == "current"
    assert pl.select(bucket(pl.lit(4), edges)).item() == "late"


def test_it_says_nothing_of_days_that_are_not_known() -> None:
    assert pl.select(bucket(pl.lit(None, pl.Int32))).item() is None


def test_it_counts_as_late_from_the_day_named() -> None:
    days = pl.DataFrame({"days_past_due": [0, 1, 6, 7, 30]})
    assert days.select(is_late(pl.col("days_past_due"), days=7)).to_series().to_list() == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert days.select(late_flags(pl.col("days_past_due"))).columns == [
        "late_1d",
        "late_7d",
        "late_30d",
    ]
