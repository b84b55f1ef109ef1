"""A model that no longer fits is seen, and something simpler stands in for it."""

import numpy as np
import polars as pl
import pytest

from duewise.risk.fairness import group_figures
from duewise.risk.logistic import expit, logit
from duewise.risk.monitor import Finding, Limits, drift, findings, performance, psi, reference

SEED = 7


def outcomes(*, shift: float = 0.0, slope: float = 1.0, rows: int = 6_000) -> pl.DataFrame:
    """Matured outcomes whose log-odds are `slope` times the model's, plus `shift`."""
    chance = np.random.default_rng(SEED)
    odds = chance.normal(-1.5, 1, rows)
    late = chance.random(rows) < expit(slope * odds + shift)
    return pl.DataFrame(
        {
            "product": chance.choice(["card", "cash"], rows),
            "probability": expit(odds),
            "target": pl.Series(late).cast(pl.Int64),
        }
    )


def found(table: pl.DataFrame, before: pl.DataFrame) -> list[Finding]:
    drifted = drift({"probability": reference(before["probability"])}, table)
    performed = performance(table, segment="product", seed=SEED)
    return findings(drifted, performed, score="probability", auc_before=0.75, limits=Limits())


def test_it_has_nothing_to_say_of_a_model_that_fits() -> None:
    table = outcomes()
    assert found(table, table) == []
    performed = performance(table, segment="product", seed=SEED)
    assert performed["segment"].to_list() == ["all", "card", "cash"]
    assert performed["slope"].to_list() == pytest.approx([1, 1, 1], abs=0.15)


def test_it_sees_probabilities_that_mean_something_else() -> None:
    before = outcomes()
    assert found(outcomes(shift=1), before) == [Finding.OUT_OF_CALIBRATION]
    assert found(outcomes(slope=0.2, shift=-1), before) == [
        Finding.OUT_OF_CALIBRATION,
        Finding.RANKS_NO_BETTER,
    ]


def test_it_sees_scores_that_lie_elsewhere() -> None:
    before = outcomes()
    moved = before.with_columns(
        probability=pl.Series(expit(logit(before["probability"].to_numpy()) + 1))
    )
    assert Finding.SCORE_MOVED in found(moved, before)


def test_it_judges_no_outcome_that_is_still_open() -> None:
    table = outcomes(shift=3).with_columns(target=pl.lit(None, pl.Int64))
    assert found(table, table) == []
    performed = performance(table, segment="product", seed=SEED)
    assert performed["open"][0] == len(table)
    assert performed["auc"].null_count() == performed.height


def test_it_measures_by_the_published_formula() -> None:
    before = pl.Series([1.0] * 50 + [2.0] * 50)
    after = pl.Series([1.0] * 80 + [2.0] * 20)
    by_hand = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert psi(reference(before), after) == pytest.approx(by_hand)
    texts = pl.Series(["card"] * 50 + ["cash"] * 50)
    assert psi(reference(texts), pl.Series(["card"] * 80 + ["cash"] * 20)) == pytest.approx(by_hand)


def test_it_counts_the_missing_and_the_new_as_moved() -> None:
    number = reference(pl.Series([1.0, 2.0, 3.0, 4.0] * 25))
    assert psi(number, pl.Series([1.0, 2.0, None, None] * 25)) > 0.25
    same = pl.Series([1.0, float("nan"), None, 4.0] * 25)
    assert psi(reference(same), same) == 0.0
    text = reference(pl.Series(["card", "cash"] * 50))
    assert psi(text, pl.Series(["card", "gold"] * 50)) > 0.25


def test_it_shows_each_group_with_its_own_noise() -> None:
    table = outcomes().with_row_index("row")
    frame = pl.DataFrame(
        {
            "sex": np.where(np.arange(6_000) < 40, "female", "male"),
            "age": np.arange(6_000) % 50 + 20,
        }
    )
    predictions = table.rename({"probability": "boosting"})
    figures = group_figures(predictions, frame, model="boosting", protected=["sex", "age"])
    sexes = figures.filter(column="sex")
    assert sexes["rows"].to_list() == [40, 5_960]
    assert sexes["bias"][0] is None
    ages = figures.filter(column="age")
    assert ages["rows"].sum() == 6_000
    assert (ages["bias"].abs() < 4 * ages["error"]).all()
