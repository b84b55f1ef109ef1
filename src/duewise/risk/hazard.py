"""After the due date: the chance, day by day, that a missed instalment is paid.

A lapse is an instalment still unpaid at the end of its effective due date, with the features known
on the morning of `from_day`: 1 is the day after. Each day at risk is a row of its own (Singer,
Willett 1993, Journal of Educational Statistics 18, 155-195): that day to the one it was paid on,
day 30, or the last day known. Who is looked at later has not paid before (van Houwelingen 2007,
Scandinavian Journal of Statistics 34, 70-85: landmarks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.ledger import Ledger
from duewise.errors import BadInput
from duewise.risk import censored
from duewise.risk.boosting import RECIPES, Boosting, Settings, blend, fit_boosting
from duewise.risk.calibrate import Calibration, calibrate
from duewise.risk.folds import group_folds
from duewise.risk.inputs import (
    ROWS_MIN,
    Inconclusive,
    Inputs,
    Reason,
    read_inputs,
    read_target,
    require,
)
from duewise.risk.logistic import logit
from duewise.risk.monitor import Reference
from duewise.risk.splines import CLOCK, Splines, fit_splines

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]
Part = Callable[..., Boosting | Splines]

DAYS = 30  # at risk, from the day after the effective due date
HORIZONS = (3, 7, 14, 30)
FOLDS = 3
PAID = "is_paid_today"
AS_IT_IS = Calibration("platt", (0.0, 1.0))
USUAL = "usual day"  # the part that knows nobody: the day since due, and the calendar
# Few leaves: a lapse makes up to thirty rows that differ in their day only.
TREES = Settings(
    folds=FOLDS,
    recipes=({**RECIPES[0], "num_leaves": 5, "min_data_in_leaf": 100, "learning_rate": 0.1},),
    bags=2,
)
QUICK = Settings(folds=2, recipes=({**TREES.recipes[0], "learning_rate": 0.3},), bags=1)


def lapses(later: Ledger) -> pl.DataFrame:
    """loan_id, number, due_date (effective), days and is_cured, as known by the end of a day.

    `days` (1 to 30) were at risk: until it was settled if is_cured, else as far as is known. An
    instalment that falls due while an older one is unpaid is no lapse of its own.
    """
    due, settled = pl.col("effective_due_date"), pl.col("settled_date")
    known = pl.lit(later.as_of)
    # Unsettled ones count as settled after all that is known.
    older = settled.fill_null(known.dt.offset_by("1d")).cum_max().shift(1).over("loan_id")
    took = (settled - due).dt.total_days()
    seen = pl.min_horizontal((known - due).dt.total_days(), took, DAYS)
    return (
        later.instalments.sort("loan_id", "effective_due_date", "number")
        .filter((older <= due).fill_null(value=True))
        .select(
            "loan_id",
            "number",
            due_date=due,
            days=seen,
            is_cured=(took <= DAYS).fill_null(value=False),
        )
        .filter(pl.col("days") >= 1)
    )


def person_periods(rows: pl.DataFrame, days: Days) -> pl.DataFrame:
    """Each row once for each day from its `from_day` (1 if it has none) to `days`, with CLOCK.

    `due_date` says which days these are.

    >>> from datetime import date
    >>> rows = pl.DataFrame({"due_date": [date(2026, 7, 30)]})
    >>> person_periods(rows, np.array([2]))["weekday"].to_list()
    [5, 6]
    """
    first = first_days(rows)
    count = days - first + 1
    place = np.repeat(np.arange(len(days)), count)
    day = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count) + first[place]
    on = pl.col("due_date") + pl.duration(days=pl.col("day"))
    return (
        rows[place]
        .with_columns(day=pl.Series(day, dtype=pl.Int64))
        .with_columns(weekday=on.dt.weekday(), day_of_month=on.dt.day())
    )


def first_days(rows: pl.DataFrame) -> Days:
    """The day of each row's morning: `from_day`, or 1."""
    if "from_day" not in rows.columns:
        return np.ones(rows.height, np.int64)
    return rows["from_day"].cast(pl.Int64).to_numpy()


def cured_by(hazards: Floats) -> Floats:
    """Lapses x days: the probability of having paid by the end of each, 1 - prod(1 - h).

    >>> cured_by(np.array([[0.5, 0.5, 0.0]])).tolist()
    [[0.5, 0.75, 0.75]]
    """
    return np.asarray(1 - np.cumprod(1 - hazards, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Hazard:
    """A fitted model: parts blended in the log-odds of a day's hazard, then calibrated.

    `weights` may be below 0: what a part says counts by how far it is from everybody's usual day.
    """

    inputs: Inputs
    parts: Mapping[str, Boosting | Splines]
    weights: tuple[float, ...]
    intercept: float
    calibration: Calibration

    def hazards(self, rows: pl.DataFrame) -> Floats:
        """Rows x 30: the probability of paying on a day if not before; 0 on days that are past.

        Needs due_date; `from_day` is the day of the row's morning.
        """
        require(rows, ["due_date"])
        periods = person_periods(rows, np.full(rows.height, DAYS))
        odds = np.full(periods.height, self.intercept)
        for part, weight in zip(self.parts.values(), self.weights, strict=True):
            odds += weight * logit(part.probability(periods))
        found = np.zeros((rows.height, DAYS))
        found[np.arange(1, DAYS + 1) >= first_days(rows)[:, None]] = self.calibration(odds)
        return found

    def probability_cured(self, rows: pl.DataFrame) -> Floats:
        """Rows x HORIZONS: paid by the end of day 3, 7, 14 and 30 after the due date.

        0 for a horizon that is past.
        """
        return cured_by(self.hazards(rows))[:, [horizon - 1 for horizon in HORIZONS]]

    def usual(self) -> Hazard | None:
        """The part that knows nobody, by itself; None in a model that was made without it."""
        part = self.parts.get(USUAL)
        if part is None:
            return None
        return Hazard(part.inputs, {USUAL: part}, (1.0,), 0.0, AS_IT_IS)


@dataclass(frozen=True)
class FittedHazard:
    """A hazard as it is registered: under the name of its target.

    `references` say where features and score lay in its rows.
    """

    target: str
    hazard: Hazard
    references: Mapping[str, Reference] = field(default_factory=dict)


def fit_hazard(
    rows: pl.DataFrame,
    features: Sequence[str],
    *,
    groups: str,
    seed: int,
    settings: Settings = TREES,
) -> Hazard | Inconclusive:
    """Everybody's usual day, and what trees and a logit on splines say beyond it.

    Each counts as far as it helps on folds it has not seen, and one that adds nothing is left out:
    who is little known of is as everybody, and not the same on all days. `rows` are lapses with
    their features: due_date, days, is_cured, and from_day unless all are of the first morning.
    Raises BadInput for a column no model can use, or days outside from_day to 30; Inconclusive
    where there is too little to learn from.
    """
    days = _read_days(rows)
    if rows.height < ROWS_MIN:
        return Inconclusive(Reason.TOO_FEW_ROWS)
    periods = person_periods(rows, days).with_columns(
        (pl.col("is_cured") & (pl.col("day") == pl.col("days"))).alias(PAID)
    )
    target = read_target(periods, PAID)
    if isinstance(target, Inconclusive):
        return target
    inputs = read_inputs(periods, (*features, *CLOCK), signs={})
    # Whole borrowers, so that no fold has seen a day of a lapse it judges.
    fold = group_folds(periods[groups], pl.Series(target), folds=FOLDS, seed=seed)
    learners: dict[str, Part] = {
        USUAL: partial(fit_splines, inputs=read_inputs(periods, CLOCK, signs={})),
        "trees": partial(fit_boosting, inputs=inputs, settings=settings),
        "splines": partial(fit_splines, inputs=inputs),
    }
    learn = partial(_learn, periods, target, groups, seed=seed)
    unseen = np.column_stack(
        [_unseen(partial(learn, each), periods, fold) for each in learners.values()]
    )
    intercept, weights = _beyond_usual(unseen, target)
    every = np.ones(len(target), dtype=bool)
    kept = [name for name, weight in zip(learners, weights, strict=True) if weight != 0]
    return Hazard(
        inputs,
        {name: learn(learners[name], every) for name in kept},
        tuple(weights[weights != 0].tolist()),
        intercept,
        calibrate(intercept + unseen @ weights, target, fold=fold),
    )


def _beyond_usual(unseen: Floats, target: Floats) -> tuple[float, Floats]:
    """Intercept, and weights of log-odds whose first column is the usual day's.

    The others are weighed by how far they are from it, so that little weight leaves the usual.
    """
    beyond = np.column_stack((unseen[:, :1], unseen[:, 1:] - unseen[:, :1]))
    intercept, weights = blend(beyond, target)
    return intercept, np.concatenate(([weights[0] - weights[1:].sum()], weights[1:]))


def judge(rows: pl.DataFrame, probability: Floats) -> pl.DataFrame:
    """By horizon: the mean probability, the share that paid, Brier score and calibration slope.

    `rows` are lapses that the model has not seen, `probability` is theirs, rows x HORIZONS.
    Weighted for censoring. Columns: horizon, probability, paid, brier, slope.
    """
    days, cured = _read_days(rows), rows["is_cured"].to_numpy()
    return pl.DataFrame(
        [
            {"horizon": horizon, "probability": column.mean()}
            | censored.measures(days, cured, column, horizon=horizon)
            for horizon, column in zip(HORIZONS, probability.T, strict=True)
        ]
    )


def _read_days(rows: pl.DataFrame) -> Days:
    require(rows, ["due_date", "days", "is_cured"])
    first = pl.Series(first_days(rows))
    is_right = rows["days"].is_between(first, DAYS) & (first >= 1)
    if not is_right.fill_null(value=False).all():
        mend = f"give each lapse its days at risk, 1 to {DAYS}, and none before from_day"
        raise BadInput("column 'days' holds more than days at risk", mend=mend)
    return rows["days"].cast(pl.Int64).to_numpy()


def _learn(
    periods: pl.DataFrame,
    target: Floats,
    groups: str,
    learner: Part,
    kept: npt.NDArray[np.bool_],
    *,
    seed: int,
) -> Boosting | Splines:
    chosen = periods.filter(kept)
    return learner(chosen, target[kept], chosen[groups], seed=seed)


def _unseen(
    learn: Callable[[npt.NDArray[np.bool_]], Boosting | Splines], periods: pl.DataFrame, fold: Days
) -> Floats:
    """Each row's log-odds by a model that has not seen its borrower."""
    found = np.empty(len(fold))
    for k in np.unique(fold):
        held = fold == k
        found[held] = logit(learn(~held).probability(periods.filter(held)))
    return found
