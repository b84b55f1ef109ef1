"""Intervals by resampling borrowers, and of a difference on the very same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.metrics import auc, brier, ks, log_loss

Floats = npt.NDArray[np.float64]
Measure = Callable[[Floats, Floats], float]

CONFIDENCE = 0.95
ROUNDS = 200
MEASURES: Mapping[str, Measure] = {"auc": auc, "ks": ks, "brier": brier, "log_loss": log_loss}


def intervals(
    target: Floats,
    probability: Floats,
    *,
    groups: pl.Series,
    seed: int,
    rounds: int = ROUNDS,
    measures: Mapping[str, Measure] = MEASURES,
) -> pl.DataFrame:
    """A row per measure: metric, point, low, high (95 %, percentile bootstrap over groups).

    Efron, Tibshirani 1993, sections 8.6 and 13.3: all rows of a drawn borrower come along, so that
    many rows of one borrower do not look like much evidence.
    """
    names = list(measures)
    return bootstrap(
        lambda y, p: [measures[name](y, p) for name in names],
        names,
        (target, probability),
        groups=groups,
        seed=seed,
        rounds=rounds,
    )


def differences(
    target: Floats,
    first: Floats,
    second: Floats,
    *,
    groups: pl.Series,
    seed: int,
    rounds: int = ROUNDS,
    measures: Mapping[str, Measure] = MEASURES,
) -> pl.DataFrame:
    """The same of `first` minus `second`, paired: both are judged on each resample."""
    names = list(measures)
    return bootstrap(
        lambda y, one, two: [measures[name](y, one) - measures[name](y, two) for name in names],
        names,
        (target, first, second),
        groups=groups,
        seed=seed,
        rounds=rounds,
    )


def bootstrap(
    statistic: Callable[..., Sequence[float]],
    names: Sequence[str],
    columns: Sequence[Floats],
    *,
    groups: pl.Series,
    seed: int,
    rounds: int,
) -> pl.DataFrame:
    """metric, point, low, high of each value that `statistic(*columns)` gives, by `names`."""
    chance = np.random.default_rng(seed)
    order, starts, sizes = _members(groups)
    drawn = []
    for _ in range(rounds):
        picked = chance.integers(len(starts), size=len(starts))
        rows = order[_ranges(starts[picked], sizes[picked])]
        if 0 < columns[0][rows].mean() < 1:
            drawn.append(statistic(*(column[rows] for column in columns)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.asarray(drawn), (tail, 1 - tail), axis=0)
    point = statistic(*columns)
    return pl.DataFrame({"metric": list(names), "point": list(point), "low": low, "high": high})


def _members(groups: pl.Series) -> tuple[npt.NDArray[np.int64], ...]:
    """Row numbers in the order of their group, and where each group starts and how long it is."""
    codes = groups.rank("dense").to_numpy().astype(np.int64) - 1
    sizes = np.bincount(codes)
    return np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes, sizes


def _ranges(starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """start, start + 1, … for each pair, one after the other."""
    ends: npt.NDArray[np.int64] = np.cumsum(sizes)
    shifts: npt.NDArray[np.int64] = np.repeat(starts - (ends - sizes), sizes)
    return np.arange(len(shifts), dtype=np.int64) + shifts
