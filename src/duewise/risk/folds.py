"""Which rows judge which: no borrower on both sides, and nothing later than what it judges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.inputs import Inconclusive, Reason

Rows = npt.NDArray[np.int64]

LATER_SHARE = 0.3  # of the rows: those of the last dates, which are predicted


@dataclass(frozen=True)
class Split:
    """Row numbers: fit on `train`, judge on `test`."""

    train: Rows
    test: Rows


def group_folds(groups: pl.Series, target: pl.Series, *, folds: int, seed: int) -> Rows:
    """The fold of each row, from 0: whole groups, those with a late row spread evenly.

    >>> fold = group_folds(pl.Series(["Li", "Li", "Wang", "Chen"]), pl.Series([1, 0, 0, 0]),
    ...                    folds=2, seed=0)
    >>> bool(fold[0] == fold[1])
    True
    """
    rows = pl.DataFrame({"group": groups, "late": target})
    each = rows.group_by("group").agg(pl.col("late").max()).sort("group")
    mixed = np.random.default_rng(seed).permutation(len(each))
    # One after the other within each class: fold sizes differ by one group at most.
    dealt = each[mixed].sort("late", maintain_order=True).with_row_index("place")
    fold = dealt.select("group", fold=pl.col("place").cast(pl.Int64) % folds)
    joined = rows.join(fold, on="group", how="left", maintain_order="left", nulls_equal=True)
    return joined["fold"].to_numpy()


def drawn_groups(groups: pl.Series, *, share: float, seed: int) -> Rows:
    """The rows of a share of the groups, whole ones, in their order.

    >>> drawn_groups(pl.Series(["Li", "Li", "Wang", "Wang"]), share=0.5, seed=0).tolist()
    [2, 3]
    """
    who = groups.unique().sort()
    picked = np.random.default_rng(seed).choice(len(who), round(share * len(who)), replace=False)
    is_kept = groups.is_in(who.gather(np.sort(picked)).implode())
    return np.flatnonzero(is_kept.fill_null(value=False).to_numpy())


def splits(
    groups: pl.Series,
    target: pl.Series,
    *,
    folds: int,
    seed: int,
    time: pl.Series | None = None,
    known_after_days: int = 0,
) -> list[Split] | Inconclusive:
    """A split per fold of borrowers; with a `time` (dates) also by time.

    With time, the last 30 % of the rows are judged, each by a model that saw neither its borrower
    nor an outcome that became known on or after the first judged date: an outcome is known
    `known_after_days` after its row's date. Without, all rows are judged.
    """
    fold = group_folds(groups, target, folds=folds, seed=seed)
    seen = later = np.ones(len(fold), dtype=bool)
    if time is not None:
        begins = time.sort()[int(len(time) * (1 - LATER_SHARE))]
        seen = (time + timedelta(days=known_after_days) < begins).to_numpy()
        later = (time >= begins).to_numpy()
    found = [
        Split(np.flatnonzero(seen & (fold != k)), np.flatnonzero(later & (fold == k)))
        for k in range(folds)
    ]
    outcome = target.cast(pl.Float64).to_numpy()
    if not all(len(part) for each in found for part in (each.train, each.test)):
        return Inconclusive(Reason.ONE_CLASS_IN_FOLD if time is None else Reason.TOO_FEW_DATES)
    if any(outcome[part].min() == outcome[part].max() for s in found for part in (s.train, s.test)):
        return Inconclusive(Reason.ONE_CLASS_IN_FOLD)
    return found
