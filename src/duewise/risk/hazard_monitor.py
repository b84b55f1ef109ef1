"""Whether a hazard of paying still fits, as outcomes mature, and what stands in for it if not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import Schema
from duewise.risk.hazard import HORIZONS, USUAL, first_days
from duewise.risk.hazard_check import OURS, slope_of
from duewise.risk.inputs import require
from duewise.risk.monitor import EVENTS_MIN, ROWS_MIN, Finding, Limits

Floats = npt.NDArray[np.float64]

SCORE = "probability_cured_30d"  # among the references: where the model's own word lay
_FIGURES = ("probability", "paid", "bias", "bias_error", "brier", "slope", "slope_error")
SCHEMA: Schema = {
    "model": pl.String,
    **dict.fromkeys(("horizon", "rows", "open"), pl.Int64),
    **dict.fromkeys(_FIGURES, pl.Float64),
}
ERRORS = 2  # standard errors that are left to chance


def performance(
    rows: pl.DataFrame, probability: Mapping[str, Floats], *, groups: str
) -> pl.DataFrame:
    """What has become of the mornings known for long enough, by model and horizon.

    `rows` are those of `with_cure`, `probability` is rows x HORIZONS by model. Columns: model,
    horizon, rows, open, probability, paid, bias, bias_error (by borrower), brier, slope,
    slope_error; figures are null for fewer than 500 rows, the slope for fewer than 30 of either
    outcome.
    """
    require(rows, ["days", "is_cured", "known_days", groups])
    return pl.DataFrame(
        [
            {"model": model, "horizon": horizon} | _figures(rows, column, horizon, groups)
            for model, columns in probability.items()
            for horizon, column in zip(HORIZONS, columns.T, strict=True)
        ],
        schema=SCHEMA,
    )


def worse_than_usual(
    rows: pl.DataFrame, ours: Floats, usual: Floats, *, groups: str
) -> tuple[float, float]:
    """How much higher the Brier score is than the usual day's, all horizons; its standard error."""
    total, count = np.zeros(rows.height), 0
    for horizon, one, other in zip(HORIZONS, ours.T, usual.T, strict=True):
        known, paid = _known(rows, horizon), _paid(rows, horizon)
        total += known * (np.square(one - paid) - np.square(other - paid))
        count += int(known.sum())
    return float(total.sum() / max(count, 1)), _error(total, rows[groups], count)


def findings(
    drifted: pl.DataFrame,
    performed: pl.DataFrame,
    *,
    worse: tuple[float, float],
    limits: Limits,
) -> dict[str, list[Finding]]:
    """Every limit that is passed, by model: the hazard, and the usual day, which has no features.

    Figures may lie as far past a limit as two standard errors before it counts as passed.
    """
    of_score = drifted.filter(feature=SCORE)["psi"].to_list()
    moved = drifted.filter(pl.col("feature") != SCORE)["moved"].to_list()
    excess, error = worse
    past = {
        Finding.SCORE_MOVED: any(value > limits.psi for value in of_score),
        Finding.FEATURES_MOVED: sum(moved) > limits.moved_share * max(len(moved), 1),
        Finding.OUT_OF_CALIBRATION: _is_biased(performed, OURS, limits)
        or _is_bent(performed, limits),
        Finding.NO_BETTER_THAN_USUAL: excess > ERRORS * error,
    }
    found = {OURS: [finding for finding, is_past in past.items() if is_past]}
    if USUAL in performed["model"]:
        is_biased = _is_biased(performed, USUAL, limits)
        found[USUAL] = [Finding.OUT_OF_CALIBRATION] if is_biased else []
    return found


def _is_biased(performed: pl.DataFrame, model: str, limits: Limits) -> bool:
    own = performed.filter(pl.col("model") == model).drop_nulls("bias")
    return bool((own["bias"].abs() - ERRORS * own["bias_error"] > limits.bias).any())


def _is_bent(performed: pl.DataFrame, limits: Limits) -> bool:
    own = performed.filter(pl.col("model") == OURS, pl.col("slope").is_finite())
    slope, error = own["slope"], ERRORS * own["slope_error"]
    is_bent = (slope + error < limits.slope_low) | (slope - error > limits.slope_high)
    return bool(is_bent.any())


def _known(rows: pl.DataFrame, horizon: int) -> npt.NDArray[np.bool_]:
    """The mornings before a horizon that is known of every lapse with this due date."""
    known: npt.NDArray[np.bool_] = rows["known_days"].to_numpy() >= horizon
    return known & (first_days(rows) <= horizon)


def _paid(rows: pl.DataFrame, horizon: int) -> Floats:
    paid = rows["is_cured"].to_numpy() & (rows["days"].to_numpy() <= horizon)
    return np.asarray(paid, dtype=np.float64)


def _figures(
    rows: pl.DataFrame, probability: Floats, horizon: int, groups: str
) -> dict[str, object]:
    known = _known(rows, horizon)
    paid, told = _paid(rows, horizon)[known], probability[known]
    count, ahead = len(paid), int((first_days(rows) <= horizon).sum())
    found: dict[str, float | None] = dict.fromkeys(_FIGURES)
    if count >= ROWS_MIN:
        has_both = EVENTS_MIN <= paid.sum() <= count - EVENTS_MIN
        slope, slope_error = slope_of(paid, told) if has_both else (None, None)
        values = (
            float(told.mean()),
            float(paid.mean()),
            float((told - paid).mean()),
            _error(told - paid, rows[groups].filter(pl.Series(known)), count),
            float(np.square(told - paid).mean()),
            slope,
            slope_error,
        )
        found = dict(zip(_FIGURES, values, strict=True))
    return {"rows": count, "open": ahead - count, **found}


def _error(summands: Sequence[float] | Floats, groups: pl.Series, count: int) -> float:
    """The standard error of their sum divided by `count`; a borrower's hang together."""
    each = pl.DataFrame({"group": groups, "x": summands}).group_by("group").agg(pl.col("x").sum())
    sums = each["x"].to_numpy()
    return float(np.sqrt(np.square(sums - sums.mean()).sum()) / max(count, 1))
