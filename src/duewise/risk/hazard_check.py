"""How good a hazard of paying is, on later mornings of borrowers it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.boosting import Settings
from duewise.risk.cured import as_known_on
from duewise.risk.folds import LATER_SHARE, group_folds
from duewise.risk.guards import SLOPES, Guard
from duewise.risk.hazard import DAYS, HORIZONS, TREES, Hazard, cured_by, first_days, fit_hazard
from duewise.risk.inputs import ROWS_MIN, Inconclusive, Reason, require
from duewise.risk.interval import ROUNDS, bootstrap
from duewise.risk.logistic import expit, logit
from duewise.risk.metrics import calibration_line

Floats = npt.NDArray[np.float64]

OURS, USUAL = "hazard", "usual share"
SCORE, GAIN = "integrated_brier", "lower_than_usual"
BIAS_MAX = 0.03
WORSE_MAX = 0.0005  # how much worse than the last model's a score may look


@dataclass(frozen=True)
class HazardCheck:
    """`judged` are the rows; `probability` is rows x HORIZONS by model.

    `metrics`: model, metric, point, low, high. `calibration`: model, horizon, rows, probability,
    paid, brier, slope, slope_error: of the mornings before the horizon's day ends.
    """

    judged: pl.DataFrame
    probability: Mapping[str, Floats]
    metrics: pl.DataFrame
    calibration: pl.DataFrame


def check_hazard(
    rows: pl.DataFrame,
    features: Sequence[str],
    *,
    groups: str,
    seed: int,
    folds: int,
    settings: Settings = TREES,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> HazardCheck | Inconclusive:
    """Judge the hazard, beside the usual share, on the last 30 % of the mornings.

    `rows` are those of `with_cure`, with as_of. Judged are mornings whose outcomes are known for
    thirty days, each by a model of other borrowers' earlier mornings, as known when the judged ones
    begin. Raises BadInput as `fit_hazard`; Inconclusive where there is too little.
    """
    require(rows, ["as_of", "known_days", "from_day", groups])
    complete = rows.filter(pl.col("known_days") >= DAYS).sort("as_of", maintain_order=True)
    if complete.height < ROWS_MIN:
        return Inconclusive(Reason.TOO_FEW_ROWS)
    begins = complete["as_of"][int(complete.height * (1 - LATER_SHARE))]
    judged = complete.filter(pl.col("as_of") >= begins)
    learned = as_known_on(rows.filter(pl.col("as_of") < begins), begins - timedelta(days=1))
    if learned.height < ROWS_MIN:
        return Inconclusive(Reason.TOO_FEW_DATES)
    if judged.height < ROWS_MIN:
        return Inconclusive(Reason.TOO_FEW_ROWS)
    both = pl.concat([learned[groups], judged[groups]])
    cured = pl.concat([learned["is_cured"], judged["is_cured"]])
    fold = group_folds(both, cured, folds=folds, seed=seed)
    of_learned, of_judged = fold[: learned.height], fold[learned.height :]
    found = {name: np.zeros((judged.height, len(HORIZONS))) for name in (OURS, USUAL)}
    for k in range(folds):
        train, test = learned.filter(of_learned != k), judged.filter(of_judged == k)
        model = fit_hazard(train, features, groups=groups, seed=seed, settings=settings)
        if isinstance(model, Inconclusive):
            return model
        found[OURS][of_judged == k] = model.probability_cured(test)
        found[USUAL][of_judged == k] = usual_share(train, test)
        if progress:
            progress(k + 1, folds)
    return HazardCheck(
        judged,
        found,
        _metrics(judged, found, groups=groups, seed=seed, rounds=rounds),
        pl.concat([_calibration(judged, name, each) for name, each in found.items()]),
    )


def usual_share(train: pl.DataFrame, test: pl.DataFrame) -> Floats:
    """Rows x HORIZONS of what a day's share of payers makes it, whoever it is (Kaplan, Meier)."""
    first, days = first_days(train), train["days"].to_numpy()
    cured = train["is_cured"].to_numpy()
    day = np.arange(1, DAYS + 1)
    at_risk = ((first[:, None] <= day) & (days[:, None] >= day)).sum(axis=0)
    paid = (cured[:, None] & (days[:, None] == day)).sum(axis=0)
    share = np.where(day >= first_days(test)[:, None], paid / np.maximum(at_risk, 1), 0.0)
    return cured_by(share)[:, [horizon - 1 for horizon in HORIZONS]]


def hazard_guards(
    found: HazardCheck, *, last: Hazard | None, groups: str, seed: int
) -> list[Guard]:
    """What a hazard must be; and against the last one, if it can read the rows, not worse."""
    gain = found.metrics.row(by_predicate=pl.col("metric") == GAIN, named=True)
    ours = found.calibration.filter(model=OURS)
    slopes = ours["slope"].to_list()
    low, high = SLOPES
    bias = _bias(ours)
    worst = max(slopes, key=lambda slope: abs(slope - 1))
    noise = [2 * error for error in ours["slope_error"].to_list()]
    guards = [
        Guard(
            "better_than_usual",
            "the whole interval of its Brier score is lower than the usual share's",
            gain["low"],
            gain["low"] > 0,
        ),
        Guard(
            "slope",
            f"each horizon's slope lies between {low} and {high}, within two standard errors",
            worst,
            all(low - n <= slope <= high + n for slope, n in zip(slopes, noise, strict=True)),
        ),
        Guard(
            "bias",
            f"no horizon's mean is more than {BIAS_MAX} off, beyond two standard errors",
            bias,
            bias <= BIAS_MAX,
        ),
    ]
    return guards if last is None else [*guards, _not_worse(found, last, groups, seed)]


def _bias(calibration: pl.DataFrame) -> float:
    """How far the worst horizon's mean probability is off, beyond what chance may do."""
    paid = pl.col("paid")
    noise = 2 * (paid * (1 - paid) / pl.col("rows")).sqrt()
    off = (pl.col("probability") - paid).abs() - noise
    return float(calibration.select(off.max()).item())


def _not_worse(found: HazardCheck, last: Hazard, groups: str, seed: int) -> Guard:
    before = last.probability_cured(found.judged)
    name = f"{SCORE}_not_worse"
    compared = bootstrap(
        lambda paid, first, one, two: [_score(paid, first, one) - _score(paid, first, two)],
        [name],
        [*_outcome(found.judged), found.probability[OURS], before],
        groups=found.judged[groups],
        seed=seed,
        rounds=ROUNDS,
    ).row(0, named=True)
    says = f"its Brier score is not worse than the last model's, surely or by more than {WORSE_MAX}"
    return Guard(
        name, says, compared["point"], compared["low"] <= 0 and compared["point"] <= WORSE_MAX
    )


def _outcome(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """Rows x HORIZONS: paid by then; and whether the horizon is still to come on the morning."""
    days, cured = rows["days"].to_numpy()[:, None], rows["is_cured"].to_numpy()[:, None]
    paid = cured & (days <= np.array(HORIZONS))
    ahead = first_days(rows)[:, None] <= np.array(HORIZONS)
    return paid.astype(np.float64), ahead.astype(np.float64)


def _score(paid: Floats, ahead: Floats, probability: Floats) -> float:
    """The mean over the horizons of the Brier score of the mornings before it."""
    error = ahead * np.square(probability - paid)
    return float((error.sum(axis=0) / np.maximum(ahead.sum(axis=0), 1)).mean())


def _metrics(
    judged: pl.DataFrame, found: Mapping[str, Floats], *, groups: str, seed: int, rounds: int
) -> pl.DataFrame:
    def figures(paid: Floats, ahead: Floats, ours: Floats, usual: Floats) -> list[float]:
        one, other = _score(paid, ahead, ours), _score(paid, ahead, usual)
        return [one, other, 1 - one / other]

    table = bootstrap(
        figures,
        [SCORE, SCORE, GAIN],
        [*_outcome(judged), found[OURS], found[USUAL]],
        groups=judged[groups],
        seed=seed,
        rounds=rounds,
    )
    return table.select(pl.Series("model", [OURS, USUAL, OURS]), pl.all())


def _calibration(judged: pl.DataFrame, model: str, probability: Floats) -> pl.DataFrame:
    paid, ahead = _outcome(judged)
    rows = []
    for horizon, of, event, foreseen in zip(HORIZONS, ahead.T, paid.T, probability.T, strict=True):
        target, told = event[of > 0], foreseen[of > 0]
        slope, error = slope_of(target, told)
        rows.append(
            {
                "model": model,
                "horizon": horizon,
                "rows": len(target),
                "probability": float(told.mean()),
                "paid": float(target.mean()),
                "brier": float(np.square(told - target).mean()),
                "slope": slope,
                "slope_error": error,
            }
        )
    return pl.DataFrame(rows)


def slope_of(target: Floats, probability: Floats) -> tuple[float, float]:
    """The calibration slope and its standard error (the inverse information); nan for no line."""
    odds = logit(probability)
    if not 0 < target.mean() < 1 or np.ptp(odds) == 0:
        return float("nan"), float("nan")
    slope, intercept = calibration_line(target, probability)
    fitted = expit(intercept + slope * odds)
    design = np.column_stack((np.ones(len(odds)), odds))
    information = design.T @ (design * (fitted * (1 - fitted))[:, None])
    return slope, float(np.sqrt(np.linalg.inv(information)[1, 1]))
