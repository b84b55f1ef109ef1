"""The order in which the fold takes rows: loan by loan, each loan's sorted; where each begins.

Where rows lie so already, as a book's partitions do, nothing is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.columns import NONE, Int64s
from duewise.book.sweep import Runs, heads_of, trend


def in_order(
    rows: pl.DataFrame, loan_ids: pl.Series, within: Sequence[str]
) -> tuple[pl.DataFrame, Int64s]:
    """The rows of these loans, each loan's together and sorted by `within`; where each starts.

    Rows of other loans are left out. The starts have one entry more than there are loans.
    """
    if rows.is_empty():
        return rows, np.zeros(len(loan_ids) + 1, np.int64)
    found = _Found.of(rows, loan_ids)
    if found.is_tidy and _is_sorted(rows, found.runs, within):
        return rows, starts_of(found.counts(len(loan_ids)))
    rows = (
        rows.with_columns(pl.Series("_place", found.places[found.runs]))
        .filter(pl.col("_place") >= 0)
        .sort("_place", *within, maintain_order=True)
    )
    counts = np.bincount(rows["_place"].to_numpy(), minlength=len(loan_ids))
    return rows.drop("_place"), starts_of(counts)


def starts_of(counts: npt.NDArray[np.integer[Any]]) -> Int64s:
    """Where each loan's rows start, with one entry more, from how many each has.

    >>> starts_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def counts_in_order(
    rows: pl.DataFrame, loan_ids: pl.Series, within: Sequence[str]
) -> Int64s | None:
    """How many rows each loan has; None where they do not lie as `in_order` would lay them."""
    if rows.is_empty():
        return np.zeros(len(loan_ids), np.int64)
    found = _Found.of(rows, loan_ids)
    if found.is_tidy and _is_sorted(rows, found.runs, within):
        return found.counts(len(loan_ids))
    return None


@dataclass(frozen=True)
class _Found:
    """Runs of rows of one loan each: each row's run, each run's first row and place, or NONE."""

    runs: Runs
    heads: Int64s
    places: Int64s

    @classmethod
    def of(cls, rows: pl.DataFrame, loan_ids: pl.Series) -> _Found:
        runs = rows["loan_id"].rle_id().to_numpy()
        heads = heads_of(runs)
        places = _places(rows["loan_id"].gather(heads), loan_ids)
        return cls(runs, heads, places.fill_null(NONE).to_numpy())

    @property
    def is_tidy(self) -> bool:
        """Whether each loan has one run, in the loans' order, and no other loan has any."""
        return bool((np.diff(self.places, prepend=NONE) > 0).all())

    def counts(self, loans: int) -> Int64s:
        counts = np.zeros(loans, np.int64)
        counts[self.places] = np.diff(self.heads, append=len(self.runs))
        return counts


def _places(found: pl.Series, loan_ids: pl.Series) -> pl.Series:
    """For each loan found, its place among the loans (Int64), or null."""
    if found.equals(loan_ids):
        return pl.Series(np.arange(len(loan_ids)))
    places = pl.DataFrame({"loan_id": loan_ids, "place": np.arange(len(loan_ids))})
    return found.to_frame("loan_id").join(places, on="loan_id", how="left", maintain_order="left")[
        "place"
    ]


def _is_sorted(rows: pl.DataFrame, runs: Runs, within: Sequence[str]) -> bool:
    """Whether every run is in the order of the columns `within`."""
    if not within:
        return True
    first, *others = within
    column = rows[first]
    if not column.dtype.is_temporal() or column.null_count():
        return _is_sorted_by_all(rows, runs, within)
    falls, ties = trend(runs, column.to_physical().to_numpy())
    return not falls and not (ties and others and not _is_sorted_by_all(rows, runs, within))


def _is_sorted_by_all(rows: pl.DataFrame, runs: Runs, within: Sequence[str]) -> bool:
    is_same = runs[1:] == runs[:-1]
    for name in within:
        column = rows[name]
        before, after = column[:-1], column[1:]
        if (is_same & (after < before).to_numpy()).any():
            return False
        is_same = is_same & (after == before).to_numpy()
    return True
