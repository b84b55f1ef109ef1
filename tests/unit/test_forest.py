"""A forest scores what LightGBM scores, to the last bit that counts."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pytest

from duewise.errors import BadInput
from duewise.risk.forest import BLOCK, forest_of

Floats = npt.NDArray[np.float64]
ROWS, CLOSE = 2 * BLOCK + 77, 1e-9
NAMES = ["late", "paid", "age", "kind"]


def told(seed: int, *, missing: float) -> tuple[Floats, Floats]:
    """Invented rows of three numbers and a kind (0 to 39), and what became of them."""
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(ROWS, 4)).round(chance.integers(1, 4))
    x[:, 3] = chance.integers(0, 40, ROWS)
    x[chance.random(ROWS) < missing, 1] = 0
    x[chance.random((ROWS, 4)) < missing] = np.nan
    odds = np.nan_to_num(x[:, 0] + x[:, 1] * x[:, 2]) + np.nan_to_num(x[:, 3]) % 7 / 3
    return x, (odds + chance.normal(size=ROWS) > 1).astype(float)


def fitted(x: Floats, y: Floats, *, trees: int = 12, kind: bool = True, **settings: Any) -> Any:
    data = lgb.Dataset(x, y, categorical_feature=[3] if kind else [], feature_name=NAMES)
    own = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    return lgb.train({**own, **settings}, data, trees)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "settings",
    [
        {"num_leaves": 31},
        {"num_leaves": 31, "zero_as_missing": True},
        {"num_leaves": 7, "use_missing": False},
        {"num_leaves": 400, "max_bin": 900, "min_data_in_leaf": 1, "min_data_in_bin": 1},
        {"num_leaves": 2},
        {"num_leaves": 15, "monotone_constraints": [1, -1, 0, 0], "kind": False},
    ],
    ids=lambda each: "-".join(f"{name}={value}" for name, value in each.items()),
)
def test_it_scores_as_the_library_does(seed: int, settings: dict[str, Any]) -> None:
    x, y = told(seed, missing=0.15)
    booster = fitted(x, y, **settings)
    asked, _ = told(seed + 100, missing=0.3)
    strange = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -3.0, 2.7, 1e12, 39.0])
    asked = np.vstack([asked, np.repeat(strange[:, None], 4, axis=1)])
    scores = forest_of(booster.model_to_string()).score(asked.T)
    expected = np.asarray(booster.predict(asked, raw_score=True))
    assert np.abs(scores - expected).max() <= CLOSE


def test_it_scores_each_row_by_itself() -> None:
    x, y = told(5, missing=0.1)
    forest = forest_of(fitted(x, y).model_to_string())
    together = forest.score(x.T)
    alone = [forest.score(x[n : n + 1].T)[0] for n in (0, 7, ROWS - 1)]
    assert alone == together[[0, 7, ROWS - 1]].tolist()


def test_it_takes_single_precision_as_it_stands() -> None:
    x, y = told(6, missing=0.1)
    booster, small = fitted(x, y), x.astype(np.float32)
    scores = forest_of(booster.model_to_string()).score(small.T)
    expected = np.asarray(booster.predict(small.astype(np.float64), raw_score=True))
    assert np.abs(scores - expected).max() <= CLOSE


def test_it_lays_out_trees_that_never_split() -> None:
    x = np.zeros((50, 4))
    booster = fitted(x, np.arange(50) % 2 / 1.0, trees=3)
    expected = np.asarray(booster.predict(x, raw_score=True))
    assert np.abs(forest_of(booster.model_to_string()).score(x.T) - expected).max() <= CLOSE


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "multiclass", "num_class": 2},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"linear_tree": True, "kind": False},
    ],
    ids=["classes", "averaged", "linear"],
)
def test_it_refuses_what_it_cannot_score(settings: dict[str, Any]) -> None:
    x, y = told(7, missing=0)
    with pytest.raises(BadInput, match="cannot be laid out"):
        forest_of(fitted(x, y, **settings).model_to_string())


def test_it_refuses_what_is_no_model() -> None:
    with pytest.raises(BadInput, match="not a text of LightGBM"):
        forest_of("Li pays late")
