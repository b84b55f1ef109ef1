"""Logistic regression by Newton's method, with a ridge and signs if asked: one solver for all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from duewise.book.compiled import compiled

Floats = npt.NDArray[np.float64]

STEPS_MAX = 200
# A log-odds of 34 is a probability of 1 - 2e-15, the nearest to 1 that differs from it.
LOGIT_MAX = 34.0


def logit(probability: Floats) -> Floats:
    """Log-odds, kept within +-34.

    >>> logit(np.array([0.5, 1.0])).tolist()
    [0.0, 34.0]
    """
    with np.errstate(divide="ignore"):
        odds = np.log(probability) - np.log1p(-probability)
    return np.asarray(np.clip(odds, -LOGIT_MAX, LOGIT_MAX), dtype=np.float64)


def expit(odds: Floats) -> Floats:
    """Probability of log-odds; bit for bit SciPy's, which a plan's worker need not import.

    >>> expit(np.array([-np.inf, 0.0, np.inf])).tolist()
    [0.0, 0.5, 1.0]
    """
    found = np.empty(odds.size)
    _expit(np.ravel(odds), found)
    return found.reshape(odds.shape)


@compiled
def _expit(odds: Floats, found: Floats) -> None:
    for n in range(len(odds)):
        found[n] = 1 / (1 + math.exp(-odds[n]))


def fit_logistic(
    columns: Floats, target: Floats, *, ridge: float = 0.0, rising: bool = False
) -> Floats:
    """Intercept first, then a coefficient for each column of `columns` (n rows, k columns).

    Maximum likelihood less `ridge` / 2 x the squared coefficients, the intercept free (McCullagh,
    Nelder 1989, section 4.4). With `rising` no coefficient is below 0. Solved by projected L-BFGS
    (Byrd et al. 1995), on columns brought to one scale. Perfectly separable classes need a ridge.

    >>> fit_logistic(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 1.0, 1.0, 1.0]),
    ...              ridge=0.1).round(2).tolist()
    [0.38, 1.88]
    """
    from scipy.optimize import minimize

    middle, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    design = np.column_stack((np.ones(len(target)), (columns - middle) / spread))
    weight = np.concatenate(([0.0], ridge / spread**2)) / len(target)
    bounds = [(None, None)] + [(0.0 if rising else None, None)] * columns.shape[1]

    found = minimize(
        _loss,
        np.zeros(design.shape[1]),
        args=(design, target, weight),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": STEPS_MAX * 10, "ftol": 1e-15, "gtol": 1e-9},
    )
    slopes = found.x[1:] / spread
    return np.concatenate(([found.x[0] - slopes @ middle], slopes))


def _loss(beta: Floats, design: Floats, target: Floats, weight: Floats) -> tuple[float, Floats]:
    """Mean negative log-likelihood with its penalty, and the gradient."""
    odds = design @ beta
    loss = (np.logaddexp(0.0, odds) - target * odds).mean() + 0.5 * weight @ beta**2
    gradient = design.T @ (expit(odds) - target) / len(target) + weight * beta
    return float(loss), gradient
