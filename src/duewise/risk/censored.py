"""How good the chances of having paid by a day are, where some lapses are known for fewer days.

All take `days` and `cured` of lapses as in `duewise.risk.hazard`: the days at risk, and whether the
last of them saw the payment. A lapse not known for long enough is stood in for by those that are
(inverse probability of censoring weights).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from duewise.risk.logistic import expit, logit

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def known_through(days: Days, cured: Flags, *, until: int) -> Floats:
    """The probability of being known to the end of day 0, 1, …, `until` (Kaplan, Meier 1958).

    >>> known_through(np.array([1, 2, 2, 2]), np.array([False, False, True, False]), until=2)
    array([1.  , 1.  , 0.75])
    """
    found = np.ones(until + 1)
    for day in range(1, until):
        left = (days > day) | ((days == day) & ~cured)
        lost = (days == day) & ~cured
        found[day + 1] = found[day] * (1 - lost.sum() / max(left.sum(), 1))
    return found


def weights(days: Days, cured: Flags, *, horizon: int) -> tuple[Floats, Floats]:
    """Whether paid by the horizon (0 or 1), and how many lapses each stands for; 0 if not known.

    Graf, Schmoor, Sauerbrei, Schumacher 1999, Statistics in Medicine 18, equation 8.
    """
    known = known_through(days, cured, until=horizon)
    paid = cured & (days <= horizon)
    seen = np.minimum(days, horizon)
    return paid.astype(np.float64), np.where(paid | (days >= horizon), 1 / known[seen], 0.0)


def measures(days: Days, cured: Flags, probability: Floats, *, horizon: int) -> dict[str, float]:
    """The share that paid by then (paid), brier and slope of one horizon's probabilities."""
    paid, weight = weights(days, cured, horizon=horizon)
    return {
        "paid": float(np.average(paid, weights=weight)),
        "brier": float((weight * np.square(probability - paid)).mean()),
        "slope": calibration_slope(days, cured, probability, horizon=horizon),
    }


def integrated_brier(
    days: Days, cured: Flags, probability: Floats, *, horizons: Sequence[int]
) -> float:
    """The mean of the weighted Brier scores at the horizons; `probability` is lapses x horizons.

    >>> integrated_brier(np.array([1, 3]), np.array([True, False]),
    ...                  np.array([[0.5], [0.5]]), horizons=[3])
    0.25
    """
    scores = []
    for column, horizon in zip(probability.T, horizons, strict=True):
        paid, weight = weights(days, cured, horizon=horizon)
        scores.append((weight * np.square(column - paid)).mean())
    return float(np.mean(scores))


def calibration_slope(days: Days, cured: Flags, probability: Floats, *, horizon: int) -> float:
    """The slope of the outcome's log-odds on those foreseen, weighted (Cox 1958, Biometrika 45).

    1 is exact, below 1 is too sure; not a number where all are foreseen alike.
    """
    from scipy.optimize import minimize

    if np.ptp(probability) == 0:
        return float("nan")
    paid, weight = weights(days, cured, horizon=horizon)
    odds = logit(probability)

    def loss(line: Floats) -> tuple[float, Floats]:
        fitted = line[0] + line[1] * odds
        miss = weight * (expit(fitted) - paid) / len(odds)
        value = (weight * (np.logaddexp(0.0, fitted) - paid * fitted)).mean()
        return float(value), np.array([miss.sum(), miss @ odds])

    return float(minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS").x[1])
