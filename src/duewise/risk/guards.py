"""May a new model take the place of the last one: every guard is stated, and each must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from duewise.risk.fit import Validation

SERVED = "boosting"
SLOPES = (0.8, 1.25)
ECE_ABOVE_NOISE_MAX = 0.01
BIAS_MAX = 0.02
# How much worse than the last model a point may look before chance is no excuse.
MARGINS: Mapping[str, float] = {"auc": 0.005, "brier": 0.0005, "log_loss": 0.001}
RISING_IS_BETTER = {"auc"}


@dataclass(frozen=True)
class Guard:
    """One question, its figure, and whether it holds. `says` is for people."""

    name: str
    says: str
    figure: float
    holds: bool


def absolute_guards(found: Validation, groups: pl.DataFrame) -> list[Guard]:
    """What a model must be, whatever was before it. `groups` as by `fairness.group_figures`."""
    auc = found.metrics.row(
        by_predicate=(pl.col("model") == SERVED) & (pl.col("metric") == "auc"), named=True
    )
    error = found.calibration.row(by_predicate=pl.col("model") == SERVED, named=True)
    excess = error["ece"] - error["ece_floor_high"]
    bias = groups.select((pl.col("bias").abs() - 2 * pl.col("error")).max()).item() or 0.0
    low, high = SLOPES
    return [
        Guard("ranks", "the interval of the AUC lies above 0.5", auc["low"], auc["low"] > 0.5),  # noqa: PLR2004 — a coin
        Guard(
            "slope",
            f"the calibration slope lies between {low} and {high}",
            error["slope"],
            low <= error["slope"] <= high,
        ),
        Guard(
            "calibration",
            f"the calibration error is at most {ECE_ABOVE_NOISE_MAX} above its noise floor",
            excess,
            excess <= ECE_ABOVE_NOISE_MAX,
        ),
        Guard(
            "groups",
            f"no group's bias is more than {BIAS_MAX} beyond two standard errors",
            bias,
            bias <= BIAS_MAX,
        ),
    ]


def relative_guards(differences: pl.DataFrame) -> list[Guard]:
    """What a model must not lose against the last one, on the same rows.

    `differences` is the new model less the last: metric, point, low, high (`interval.differences`).
    A guard breaks where the whole interval says worse, or the point is worse by its margin.
    """
    return [
        _not_worse(row) for row in differences.iter_rows(named=True) if row["metric"] in MARGINS
    ]


def _not_worse(row: Mapping[str, float | str]) -> Guard:
    metric = str(row["metric"])
    sign = 1.0 if metric in RISING_IS_BETTER else -1.0
    point, best = (
        sign * float(row["point"]),
        max(sign * float(row["low"]), sign * float(row["high"])),
    )
    margin = MARGINS[metric]
    return Guard(
        f"{metric}_not_worse",
        f"{metric} is not worse than the last model's, surely or by more than {margin}",
        float(row["point"]),
        best >= 0 and point >= -margin,
    )
