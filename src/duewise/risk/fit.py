"""Models of a frame of features, and a validation that cannot flatter them.

Every probability that is judged comes from a model that saw neither its row, nor its borrower, nor
(with a time column) anything later. All choices, of recipe, of trees, of calibration, are made
again within each fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk import metrics
from duewise.risk.boosting import Boosting, Settings, fit_boosting
from duewise.risk.folds import Split, splits
from duewise.risk.inputs import Inconclusive, Inputs, read_dates, read_inputs, read_target, require
from duewise.risk.interval import MEASURES, ROUNDS, differences, intervals
from duewise.risk.monitor import Reference, reference
from duewise.risk.scorecard import Scorecard, fit_scorecard

Floats = npt.NDArray[np.float64]

SCORE = "probability"  # among the references: where the model's own word lay


class Model(Protocol):
    """Anything that gives each row of a frame a probability."""

    def probability(self, frame: pl.DataFrame) -> Floats:
        """One for each row, in its order."""
        ...


Learner = Callable[..., Model]


@dataclass(frozen=True)
class Columns:
    """What the columns of a frame are for; those not named are features, all or as listed.

    `time` is a date; `known_after_days` later the outcome of its row is known. `money` is what the
    account owes, in one unit. `protected` are kept for the fairness tables, and never features.
    """

    target: str
    groups: str
    time: str | None = None
    known_after_days: int = 0
    money: str | None = None
    protected: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    signs: Mapping[str, int] = field(default_factory=dict)

    def features_of(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The feature columns, in the frame's order."""
        taken = {self.target, self.groups, self.time, self.money, *self.protected}
        return self.features or tuple(name for name in frame.columns if name not in taken)


@dataclass(frozen=True)
class Validation:
    """What came of it, as frames; `model` names whose figures they are.

    `predictions`: row, fold, target and a probability per model. `metrics`: pooled, with intervals.
    `folds`: the same fold by fold. `differences`: every model less the first, paired. `calibration`
    and `curve`: errors beside their noise floor, and the bins. `gains`: of money, where known.
    """

    predictions: pl.DataFrame
    metrics: pl.DataFrame
    folds: pl.DataFrame
    differences: pl.DataFrame
    calibration: pl.DataFrame
    curve: pl.DataFrame
    gains: pl.DataFrame


def learners(settings: Settings | None = None) -> dict[str, Learner]:
    """Ours: boosting and the scorecard, by name."""
    return {"boosting": partial(fit_boosting, settings=settings), "scorecard": fit_scorecard}


def cross_validate(
    frame: pl.DataFrame,
    target: str,
    groups: str,
    seed: int,
    folds: int,
    *,
    columns: Columns | None = None,
    models: Mapping[str, Learner] | None = None,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> Validation | Inconclusive:
    """Judge `models` (ours by default) on rows they never saw.

    `columns` says more of the frame than target and groups. Raises BadInput for a column no model
    can use; Inconclusive where there is too little to judge by.
    """
    given = columns or Columns(target, groups)
    require(frame, [target, groups, *([given.money] if given.money else []), *given.protected])
    outcome = read_target(frame, target)
    if isinstance(outcome, Inconclusive):
        return outcome
    inputs = read_inputs(frame, given.features_of(frame), signs=given.signs)
    found = splits(
        frame[groups],
        pl.Series(outcome),
        folds=folds,
        seed=seed,
        time=read_dates(frame, given.time) if given.time else None,
        known_after_days=given.known_after_days,
    )
    if isinstance(found, Inconclusive):
        return found
    parts = []
    for number, split in enumerate(found):
        judged = partial(_judged, frame, outcome, split, groups=groups, inputs=inputs)
        parts.append(judged(models=models or learners(), seed=seed))
        if progress:
            progress(number + 1, len(found))
    numbered = [part.with_columns(fold=pl.lit(k)) for k, part in enumerate(parts)]
    return judge(pl.concat(numbered).sort("row"), frame, columns=given, seed=seed, rounds=rounds)


def _judged(
    frame: pl.DataFrame,
    outcome: Floats,
    split: Split,
    *,
    groups: str,
    inputs: Inputs,
    models: Mapping[str, Learner],
    seed: int,
) -> pl.DataFrame:
    """row, target and the probabilities of one fold."""
    train, test = frame[split.train], frame[split.test]
    found = {
        name: fit(train, outcome[split.train], train[groups], inputs=inputs, seed=seed).probability(
            test
        )
        for name, fit in models.items()
    }
    return pl.DataFrame({"row": split.test, "target": outcome[split.test], **found})


@dataclass(frozen=True)
class Fitted:
    """Models of one event, made of the same rows, and where features and score lay in them."""

    target: str
    boosting: Boosting
    scorecard: Scorecard
    references: Mapping[str, Reference]


def fit_models(
    frame: pl.DataFrame, columns: Columns, *, seed: int, settings: Settings | None = None
) -> Fitted | Inconclusive:
    """Both models of all rows. Raises BadInput, or is Inconclusive, as `cross_validate`."""
    outcome = read_target(frame, columns.target)
    if isinstance(outcome, Inconclusive):
        return outcome
    inputs = read_inputs(frame, columns.features_of(frame), signs=columns.signs)
    groups = frame[columns.groups]
    boosting = fit_boosting(frame, outcome, groups, inputs=inputs, seed=seed, settings=settings)
    card = fit_scorecard(frame, outcome, groups, inputs=inputs, seed=seed)
    score = pl.Series(SCORE, boosting.probability(frame))
    references = {name: reference(frame[name]) for name in inputs.names}
    return Fitted(columns.target, boosting, card, {**references, SCORE: reference(score)})


def judge(
    predictions: pl.DataFrame,
    frame: pl.DataFrame,
    *,
    columns: Columns,
    seed: int,
    rounds: int = ROUNDS,
) -> Validation:
    """The figures of predictions (row, target, fold, a column per model) on rows of `frame`."""
    models = [name for name in predictions.columns if name not in {"row", "target", "fold"}]
    rows = frame[predictions["row"].to_numpy()]
    target, groups = predictions["target"].to_numpy(), rows[columns.groups]
    one = partial(intervals, target, groups=groups, seed=seed, rounds=rounds)
    pair = partial(differences, target, groups=groups, seed=seed, rounds=rounds)
    by_model = {name: predictions[name].to_numpy() for name in models}
    first = by_model[models[0]]
    return Validation(
        predictions,
        _stacked(by_model, one),
        pl.concat([_fold_figures(predictions, name) for name in models]),
        _stacked({name: by_model[name] for name in models[1:]}, lambda p: pair(p, first)),
        _stacked(by_model, lambda p: _calibration(target, p, seed=seed)),
        _stacked(by_model, partial(metrics.calibration_curve, target)),
        _gains(by_model, target, rows, columns),
    )


def _stacked(
    by_model: Mapping[str, Floats], figures: Callable[[Floats], pl.DataFrame]
) -> pl.DataFrame:
    named = [
        figures(probability).select(pl.lit(name).alias("model"), pl.all())
        for name, probability in by_model.items()
    ]
    return pl.concat(named) if named else pl.DataFrame()


def _fold_figures(predictions: pl.DataFrame, model: str) -> pl.DataFrame:
    """model, fold, metric, value."""
    rows: Sequence[tuple[str, int, str, float]] = [
        (model, int(fold), metric, measure(part["target"].to_numpy(), part[model].to_numpy()))
        for (fold,), part in predictions.group_by("fold", maintain_order=True)
        for metric, measure in MEASURES.items()
    ]
    return pl.DataFrame(rows, schema=["model", "fold", "metric", "value"], orient="row")


def _calibration(target: Floats, probability: Floats, *, seed: int) -> pl.DataFrame:
    error = metrics.calibration_error(target, probability, seed=seed)
    slope, intercept = metrics.calibration_line(target, probability)
    parts = metrics.decomposition(target, probability)
    return pl.DataFrame(
        {
            "ece": error.error,
            "ece_floor": error.floor,
            "ece_floor_high": error.floor_high,
            "slope": slope,
            "intercept": intercept,
            "reliability": parts.reliability,
            "resolution": parts.resolution,
            "uncertainty": parts.uncertainty,
        }
    )


def _gains(
    by_model: Mapping[str, Floats], target: Floats, rows: pl.DataFrame, columns: Columns
) -> pl.DataFrame:
    if columns.money is None:
        return pl.DataFrame()
    money = rows[columns.money].cast(pl.Float64).to_numpy()
    return _stacked(by_model, lambda p: metrics.gains(target, p, money))
