"""A logit of a day's hazard of paying: what is smooth in the day, and linear in what is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.inputs import Inputs
from duewise.risk.logistic import expit, fit_logistic

Floats = npt.NDArray[np.float64]

CLOCK = ("day", "weekday", "day_of_month")  # what a person-period adds to the features
LAST = 30  # day at risk
KNOTS = (1, 2, 3, 5, 7, 10, 14, 21)
RIDGE = 50.0  # on columns of unit spread: that of a prior of 1/7 around no effect
SPREADS_MAX = 3.0  # an amount further out says no more than one there


@dataclass(frozen=True)
class Splines:
    """A logit: linear splines of the day, weekdays, the month's turn, and levelled features."""

    inputs: Inputs
    middle: tuple[float, ...]
    spread: tuple[float, ...]
    coefficients: tuple[float, ...]

    def probability(self, frame: pl.DataFrame) -> Floats:
        """A day's hazard for each person-period."""
        matrix = self.inputs.matrix(frame)
        columns = _columns(frame, matrix, np.array(self.middle), np.array(self.spread))
        return expit(self.coefficients[0] + columns @ np.array(self.coefficients[1:]))


def fit_splines(
    frame: pl.DataFrame, target: Floats, groups: pl.Series, *, inputs: Inputs, seed: int
) -> Splines:
    """By a ridge; a feature's effect may fade or grow with the logarithm of the day."""
    del groups, seed  # asked for by the protocol of learners; nothing here is drawn or folded
    matrix = inputs.matrix(frame)
    known = ~np.isnan(matrix)
    middle = np.array(
        [
            np.median(column[seen]) if seen.any() else 0.0
            for column, seen in zip(matrix.T, known.T, strict=True)
        ]
    )
    spread = np.where(known, matrix - middle, 0.0).std(axis=0)
    columns = _columns(frame, matrix, middle, spread)
    found = fit_logistic(columns, target, ridge=RIDGE)
    return Splines(inputs, *(tuple(each.tolist()) for each in (middle, spread, found)))


def _columns(frame: pl.DataFrame, matrix: Floats, middle: Floats, spread: Floats) -> Floats:
    """The design: what is not known stands at the middle."""
    level = (matrix - middle) / np.where(spread > 0, spread, np.inf)
    level = np.clip(np.nan_to_num(level), -SPREADS_MAX, SPREADS_MAX)
    day, weekday, of_month = (frame[name].cast(pl.Float64).to_numpy() for name in CLOCK)
    turn = 2 * np.pi * of_month / 31
    clock = [
        *(np.maximum(day - knot, 0.0) / (LAST - knot) ** 0.5 for knot in KNOTS),
        *((weekday == n).astype(np.float64) for n in range(1, 8)),
        np.cos(turn),
        np.sin(turn),
    ]
    return np.column_stack((level, level * np.log(day)[:, None] / np.log(LAST), *clock))
