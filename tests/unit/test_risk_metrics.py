"""Measures of probabilities against scikit-learn and statsmodels, and against what must hold."""

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.stats import ks_2samp
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from duewise.risk import interval, metrics
from duewise.risk.logistic import expit, fit_logistic, logit

SEED = 20261125


def drawn(
    n: int = 3_000, *, slope: float = 1.0, seed: int = SEED
) -> tuple[metrics.Floats, metrics.Floats]:
    """Outcomes of known log-odds, and probabilities whose log-odds are `slope` times those."""
    chance = np.random.default_rng(seed)
    odds = chance.normal(-1.5, 1.0, n).round(2)
    target = (chance.random(n) < expit(odds)).astype(float)
    return target, expit(slope * odds)


def test_it_agrees_with_scikit_learn() -> None:
    target, probability = drawn()
    assert metrics.auc(target, probability) == pytest.approx(roc_auc_score(target, probability))
    assert metrics.brier(target, probability) == pytest.approx(
        brier_score_loss(target, probability)
    )
    assert metrics.log_loss(target, probability) == pytest.approx(
        sklearn_log_loss(target, probability)
    )
    expected = ks_2samp(probability[target == 1], probability[target == 0]).statistic
    assert metrics.ks(target, probability) == pytest.approx(expected)


def test_it_splits_the_brier_score_exactly() -> None:
    target, probability = drawn(slope=2.0)
    found = metrics.decomposition(target, probability)
    parts = found.reliability - found.resolution + found.uncertainty
    assert parts == pytest.approx(found.score, abs=1e-12)
    assert found.reliability > metrics.decomposition(*drawn()).reliability > 0


def test_it_finds_the_slope_that_was_put_in() -> None:
    target, exact = drawn()
    slope, intercept = metrics.calibration_line(target, exact)
    assert slope == pytest.approx(1.0, abs=0.12)
    assert intercept == pytest.approx(0.0, abs=0.2)
    twice, _ = metrics.calibration_line(target, expit(2 * logit(exact)))
    assert twice == pytest.approx(slope / 2, rel=1e-4)


def test_it_puts_the_calibration_error_of_exact_probabilities_at_the_floor() -> None:
    found = [metrics.calibration_error(*drawn(seed=n), seed=SEED, rounds=100) for n in range(40)]
    # One in twenty lies above the 95th percentile; six or more of forty would be one in sixty.
    assert sum(each.error > each.floor_high for each in found) < 6
    floors = [each.floor for each in found]
    assert np.mean([each.error for each in found]) == pytest.approx(np.mean(floors), rel=0.1)
    wrong = metrics.calibration_error(*drawn(slope=3.0), seed=SEED)
    assert wrong.error > 2 * wrong.floor_high


def test_it_bins_by_equal_mass() -> None:
    target, probability = drawn()
    curve = metrics.calibration_curve(target, probability)
    gap = (curve["probability"] - curve["observed"]).abs()
    weighted = (gap * curve["rows"]).sum() / len(target)
    assert metrics.ece(target, probability) == pytest.approx(weighted)
    assert set(curve["rows"]) == {200}


def test_it_ranks_money_at_risk_no_better_than_hindsight() -> None:
    target, probability = drawn()
    money = np.random.default_rng(SEED).lognormal(7, 1, len(target))
    found = metrics.gains(target, probability, money)
    assert (found["captured"] <= found["perfect"]).all()
    assert (found["captured"] > found["share"]).all()
    nothing = metrics.gains(np.zeros(10), probability[:10], money[:10])
    assert nothing["captured"].null_count() == nothing.height


def test_it_agrees_with_statsmodels_on_a_logistic_regression() -> None:
    target, probability = drawn()
    columns = np.column_stack((logit(probability) * 40, np.sin(np.arange(len(target)))))
    expected = sm.Logit(target, sm.add_constant(columns)).fit(disp=0).params
    assert fit_logistic(columns, target) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert fit_logistic(-columns, target, rising=True)[1] == 0.0


def test_it_covers_the_truth_and_widens_where_rows_repeat() -> None:
    target, probability = drawn()
    alone = pl.Series(np.arange(len(target)))
    once = interval.intervals(target, probability, groups=alone, seed=1)
    twice = interval.intervals(
        np.repeat(target, 2),
        np.repeat(probability, 2),
        groups=pl.Series(np.repeat(alone, 2)),
        seed=1,
    )
    assert once["point"].to_list() == pytest.approx(twice["point"].to_list())
    width, again = (once["high"] - once["low"]), (twice["high"] - twice["low"])
    assert again.to_list() == pytest.approx(width.to_list(), rel=1e-9)
    assert ((once["low"] <= once["point"]) & (once["point"] <= once["high"])).all()


def test_it_sees_a_small_difference_in_pairs() -> None:
    target, probability = drawn()
    noise = np.random.default_rng(SEED + 1).normal(0, 0.3, len(target))
    worse = expit(logit(probability) + noise)
    groups = pl.Series(np.arange(len(target)))
    found = interval.differences(target, probability, worse, groups=groups, seed=1)
    auc = found.row(by_predicate=pl.col("metric") == "auc", named=True)
    assert auc["low"] > 0
    alone = interval.intervals(target, probability, groups=groups, seed=1)
    assert auc["high"] - auc["low"] < (alone["high"] - alone["low"])[0] / 2
