"""Reasons add up to the score, agree with Shapley's definition, and stay when chance changes."""

from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from tests.unit.risk_frames import QUICK, drawn_frame

from duewise.risk.boosting import Boosting, fit_boosting
from duewise.risk.inputs import read_inputs
from duewise.risk.logistic import logit
from duewise.risk.reasons import overlap, reasons
from duewise.risk.scorecard import Scorecard, fit_scorecard

FEATURES = ["late_share", "tenure", "noise"]
WORDS = {
    "late_share": {"en": "instalments often came late", "zh": "历史还款常有逾期"},
    "tenure": {"en": "the loan is young", "zh": "借款时间较短"},
}


def boosted(frame: pl.DataFrame, *, seed: int = 0) -> Boosting:
    inputs = read_inputs(frame, FEATURES, signs={"late_share": 1, "tenure": -1})
    target = frame["late"].to_numpy().astype(float)
    return fit_boosting(
        frame, target, frame["borrower_id"], inputs=inputs, seed=seed, settings=QUICK
    )


def carded(frame: pl.DataFrame) -> Scorecard:
    inputs = read_inputs(frame, [*FEATURES, "product"], signs={"late_share": 1, "tenure": -1})
    target = frame["late"].to_numpy().astype(float)
    return fit_scorecard(frame, target, frame["borrower_id"], inputs=inputs, seed=0)


def expected(node: dict[str, Any], row: np.ndarray, known: frozenset[int]) -> float:
    """The tree's value where only some features are known: others go both ways, by their counts."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return expected(left if goes_left(node, row) else right, row, known)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    values = [expected(child, row, known) for child in (left, right)]
    return float(np.average(values, weights=counts))


def goes_left(node: dict[str, Any], row: np.ndarray) -> bool:
    value = row[node["split_feature"]]
    return bool(node["default_left"] if np.isnan(value) else value <= node["threshold"])


def shapley(text: str, row: np.ndarray) -> list[float]:
    """By Shapley's definition (1953): a feature's gain over every coalition of the others."""
    trees = lightgbm.Booster(model_str=text).dump_model()["tree_info"]

    def worth(known: frozenset[int]) -> float:
        return sum(expected(tree["tree_structure"], row, known) for tree in trees)

    k, found = len(row), []
    for feature in range(k):
        others = [n for n in range(k) if n != feature]
        gains = [
            factorial(size)
            * factorial(k - size - 1)
            / factorial(k)
            * (worth(frozenset({*some, feature})) - worth(frozenset(some)))
            for size in range(k)
            for some in combinations(others, size)
        ]
        found.append(sum(gains))
    return found


def test_it_agrees_with_shapley_by_every_coalition() -> None:
    frame = drawn_frame(600)
    model = boosted(frame)
    shares = model.contributions(frame)
    matrix = model.inputs.matrix(frame)
    for n in (0, 7, int(np.isnan(matrix[:, 0]).argmax())):
        by_definition = sum(
            weight * np.array(shapley(text, matrix[n]))
            for text, weight in zip(model.boosters, model.weights, strict=True)
        )
        assert shares[n, :-1] == pytest.approx(by_definition, abs=1e-9)


def test_it_adds_up_to_the_score() -> None:
    frame = drawn_frame(600)
    for model in (boosted(frame), carded(frame)):
        assert model.contributions(frame).sum(axis=1) == pytest.approx(model.odds(frame), abs=1e-9)


def test_it_gives_the_points_that_the_table_says() -> None:
    frame = drawn_frame()
    card = carded(frame)
    table = card.table()
    assert table["points"].dtype == pl.Int64
    points = dict(
        zip(
            table.filter(feature="product")["bin"],
            table.filter(feature="product")["points"],
            strict=True,
        )
    )
    assert points["card"] > points["cash"]
    lines = table.filter(pl.col("feature") == "late_share", pl.col("bin") != "missing")["points"]
    assert lines.to_list() == sorted(set(lines), reverse=True)
    best = card.score(
        pl.DataFrame({"late_share": [0.0], "tenure": [59], "noise": [0.0], "product": ["card"]})
    )
    by_hand = float(
        card.base + table.group_by("feature").agg(pl.col("points").max())["points"].sum()
    )
    assert best[0] <= by_hand
    assert (card.score(frame) <= by_hand).all()
    assert card.odds(frame) == pytest.approx(logit(card.probability(frame)), abs=0.7)


def test_it_tells_the_three_weightiest_in_both_languages() -> None:
    frame = pl.DataFrame({"late_share": [0.9, 0.1], "tenure": [1, 50], "noise": [2.0, -2.0]})
    shares = np.array([[1.2, 0.3, 0.5, -2.0], [-1.0, -0.2, -0.1, -2.0]])
    told = reasons(shares, FEATURES, frame, words=WORDS)
    assert told["reasons"].to_list() == [["late_share", "noise", "tenure"], []]
    assert told["reasons_en"][0].to_list() == [
        "instalments often came late",
        "noise is higher than usual",
        "the loan is young",
    ]
    assert told["reasons_zh"][0].to_list() == [
        "历史还款常有逾期",
        "noise高于常见水平",
        "借款时间较短",
    ]


def test_it_keeps_its_reasons_when_only_chance_changes() -> None:
    frame = drawn_frame()
    told = [
        reasons(boosted(frame, seed=seed).contributions(frame), FEATURES, frame, words=WORDS)
        for seed in (0, 1)
    ]
    assert overlap(told[0]["reasons"], told[1]["reasons"]) > 0.85
    first = [each["reasons"].list.first() for each in told]
    assert (first[0] == first[1]).mean() > 0.85  # type: ignore[operator]
