"""Gradient boosting by LightGBM: several recipes, blended and calibrated on rows they never saw.

Within the rows it is given, folds of borrowers serve three ends at once: how many trees to grow is
read off where the held-out folds no longer gain, the blend of recipes is weighed, and the
calibration is chosen. Then each recipe grows that many trees on all rows, a few times over from
different seeds, whose mean is the model (bagging: Breiman 1996).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.calibrate import Calibration, calibrate
from duewise.risk.folds import group_folds
from duewise.risk.forest import Forest, forest_of
from duewise.risk.inputs import Inputs
from duewise.risk.logistic import fit_logistic

if TYPE_CHECKING:
    from lightgbm import Dataset

Floats = npt.NDArray[np.float64]

ROUNDS_MAX = 2_000
PATIENCE = 50
BLEND_RIDGE = 1e-3
WEIGHT_MIN = 0.02  # a recipe that adds less to the log-odds is left out: it costs, and says nothing
# From so many rows on the folds share one table of bins, which is quicker to make: where bins are
# cut is then told by features of held-out rows too, never by their outcomes.
SHARED_BINS_FROM = 200_000
FOLDS_OF_MANY = 2  # of so many rows half tell well enough how many trees to grow, and how they err
FORESTS_MAX = 64  # laid out at once: those of a few models

_COMMON: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.04,
    "bagging_freq": 1,
    "cat_smooth": 20,
    "max_cat_to_onehot": 8,
    "verbosity": -1,
    "deterministic": True,
    "force_col_wise": True,
    # Shape constraints that a split obeys without giving up more gain than it must.
    "monotone_constraints_method": "intermediate",
}
# Small trees that see little of the data each, and larger ones on a strong leash. Set by custom,
# before any file was looked at; which of them counts is decided within the fit.
RECIPES: tuple[Mapping[str, Any], ...] = (
    {
        "num_leaves": 8,
        "min_data_in_leaf": 40,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "lambda_l2": 5.0,
    },
    {
        "num_leaves": 24,
        "min_data_in_leaf": 120,
        "feature_fraction": 0.25,
        "bagging_fraction": 0.6,
        "lambda_l2": 20.0,
        "extra_trees": True,
    },
)


@dataclass(frozen=True)
class Settings:
    """How a fit goes about it: inner folds, recipes, bags of each. More of them cost more time."""

    folds: int = 5
    recipes: tuple[Mapping[str, Any], ...] = RECIPES
    bags: int = 3
    threads: int = 1


# For a first look, or a book of millions: a tenth of the time, and a little less exact.
QUICK = Settings(folds=3, recipes=({**RECIPES[0], "learning_rate": 0.15},), bags=1)


@dataclass(frozen=True)
class Boosting:
    """A fitted model. `boosters` are LightGBM texts, each with its weight in the log-odds."""

    inputs: Inputs
    boosters: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    calibration: Calibration

    def odds(self, frame: pl.DataFrame) -> Floats:
        """Blended log-odds, before calibration."""
        columns = self.inputs.columns(frame)
        found = np.full(len(frame), self.intercept)
        for text, weight in zip(self.boosters, self.weights, strict=True):
            found += weight * _laid_out(text).score(columns)
        return found

    def probability(self, frame: pl.DataFrame) -> Floats:
        """Calibrated probability that the row's event comes."""
        return self.calibration(self.odds(frame))

    @property
    def trees(self) -> int:
        """How many trees a row walks through."""
        return sum(text.count("\nTree=") for text in self.boosters)

    def contributions(self, frame: pl.DataFrame, *, threads: int = 1) -> Floats:
        """Rows x (features, then the base): exact Shapley values of the log-odds; they add up.

        TreeSHAP: Lundberg et al. 2020, Nature Machine Intelligence 2, algorithm 2. Shapley values
        are linear in the model, so those of a blend are the blend of those.
        """
        matrix = self.inputs.matrix(frame)
        found = np.zeros((len(matrix), matrix.shape[1] + 1))
        found[:, -1] = self.intercept
        for text, weight in zip(self.boosters, self.weights, strict=True):
            found += weight * _predicted(text, matrix, pred_contrib=True, num_threads=threads)
        return found


def fit_boosting(
    frame: pl.DataFrame,
    target: Floats,
    groups: pl.Series,
    *,
    inputs: Inputs,
    seed: int,
    settings: Settings | None = None,
) -> Boosting:
    """A model of these rows; the same bytes in give the same model out on one machine."""
    chosen = settings or Settings()
    matrix = inputs.matrix(frame)
    folds = min(chosen.folds, FOLDS_OF_MANY) if _is_many(target) else chosen.folds
    fold = group_folds(groups, pl.Series(target), folds=folds, seed=seed)
    recipes = [
        {**_parameters(inputs, seed + 101 * n), **recipe, "num_threads": chosen.threads}
        for n, recipe in enumerate(chosen.recipes)
    ]
    whole = [_dataset(matrix, target, inputs) if _is_many(target) else None for _ in recipes]
    held_out = [
        _held_out(matrix, target, fold, recipe, inputs, whole=each)
        for recipe, each in zip(recipes, whole, strict=True)
    ]
    unseen = np.column_stack([odds for _, odds in held_out])
    intercept, weights = blend(unseen, target)
    kept = [
        (text, weight / chosen.bags)
        for recipe, (rounds, _), weight, each in zip(
            recipes, held_out, weights.tolist(), whole, strict=True
        )
        if weight > 0
        for text in _bag(
            matrix, target, recipe, inputs, rounds=rounds, bags=chosen.bags, whole=each
        )
    ]
    odds = intercept + unseen @ weights
    return Boosting(
        inputs,
        tuple(text for text, _ in kept),
        tuple(weight for _, weight in kept),
        intercept,
        calibrate(odds, target, fold=fold),
    )


def _parameters(inputs: Inputs, seed: int) -> dict[str, Any]:
    signs = [inputs.signs.get(name, 0) for name in inputs.names]
    return {**_COMMON, "seed": seed, **({"monotone_constraints": signs} if any(signs) else {})}


def _held_out(
    matrix: Floats,
    target: Floats,
    fold: npt.NDArray[np.int64],
    recipe: Mapping[str, Any],
    inputs: Inputs,
    *,
    whole: Dataset | None,
) -> tuple[int, Floats]:
    """How many trees all rows deserve, and each row's log-odds by a model that has not seen it."""
    import lightgbm

    best, unseen = [], np.empty(len(target))
    for k in np.unique(fold):
        held = fold == k
        if whole:
            parts = [whole.subset(np.flatnonzero(rows).tolist()) for rows in (~held, held)]
            learned, judged = parts
        else:
            learned = _dataset(matrix[~held], target[~held], inputs)
            judged = _dataset(matrix[held], target[held], inputs, of=learned)
        booster = lightgbm.train(
            {**recipe},
            learned,
            num_boost_round=ROUNDS_MAX,
            valid_sets=[judged],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        best.append(booster.best_iteration)
        forest = forest_of(booster.model_to_string(num_iteration=booster.best_iteration))
        unseen[held] = forest.score(matrix[held].T)
    return max(1, round(float(np.mean(best)))), unseen


def _is_many(target: Floats) -> bool:
    return len(target) > SHARED_BINS_FROM


def _bag(
    matrix: Floats,
    target: Floats,
    recipe: Mapping[str, Any],
    inputs: Inputs,
    *,
    rounds: int,
    bags: int,
    whole: Dataset | None,
) -> list[str]:
    """Models of all rows, from one seed each; the first on the table that the folds have shared."""
    import lightgbm

    return [
        lightgbm.train(
            {**recipe, "seed": recipe["seed"] + bag},
            whole if whole and bag == 0 else _dataset(matrix, target, inputs),
            num_boost_round=rounds,
        ).model_to_string()
        for bag in range(bags)
    ]


def _dataset(
    matrix: Floats, target: Floats, inputs: Inputs, *, of: Dataset | None = None
) -> Dataset:
    import lightgbm

    return lightgbm.Dataset(
        matrix,
        target,
        reference=of,
        feature_name=[f"f{n}" for n in range(matrix.shape[1])],
        categorical_feature=list(range(len(inputs.numbers), len(inputs.names))),
    )


def blend(unseen: Floats, target: Floats) -> tuple[float, Floats]:
    """Intercept and a weight >= 0 for each column of log-odds (Wolpert 1992, stacking)."""
    found = fit_logistic(unseen, target, ridge=BLEND_RIDGE, rising=True)
    small = found[1:] < WEIGHT_MIN
    if small.any() and not small.all():
        kept = fit_logistic(unseen[:, ~small], target, ridge=BLEND_RIDGE, rising=True)
        found = np.zeros(len(small) + 1)
        found[0], found[1:][~small] = kept[0], kept[1:]
    return float(found[0]), found[1:]


@lru_cache(maxsize=FORESTS_MAX)
def _laid_out(text: str) -> Forest:
    return forest_of(text)


def _predicted(text: str, matrix: Floats, **options: Any) -> Floats:  # noqa: ANN401 — LightGBM's
    import lightgbm

    return np.asarray(lightgbm.Booster(model_str=text).predict(matrix, **options))
