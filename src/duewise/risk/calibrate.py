"""Scores into probabilities that mean what they say, by the map that does best out of fold.

A map is one of three, learned from log-odds that no model has been fitted on: `platt` (Platt 1999),
`beta` (Kull, Silva Filho, Flach 2017, Electronic Journal of Statistics 11, equation 4), `isotonic`
(Zadrozny, Elkan 2002, KDD). All rise with the score, so a ranking stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from duewise.risk.logistic import expit, fit_logistic
from duewise.risk.metrics import log_loss, monotone

Floats = npt.NDArray[np.float64]

KINDS = ("platt", "beta", "isotonic")
RIDGE = 1e-6
# An isotonic step may reach 0 or 1, which no finite number of rows can warrant.
BLUR = 0.5


@dataclass(frozen=True)
class Calibration:
    """A rising map from log-odds to a probability.

    `values` are intercept and slope (platt), intercept and the slopes of log p and -log(1 - p)
    (beta), or the knots' probabilities at `knots` (isotonic).
    """

    kind: str
    values: tuple[float, ...]
    knots: tuple[float, ...] = ()

    def __call__(self, odds: Floats) -> Floats:
        """Probabilities, one for each of the log-odds."""
        if self.kind == "isotonic":
            return np.asarray(np.interp(odds, self.knots, self.values), dtype=np.float64)
        columns = _COLUMNS[self.kind](odds)
        return expit(self.values[0] + columns @ np.asarray(self.values[1:]))


def calibrate(odds: Floats, target: Floats, *, fold: npt.NDArray[np.int64]) -> Calibration:
    """The map whose log-loss is lowest on folds it has not seen, then learned from all rows.

    `odds` must come from models that have not seen their rows; `fold` says which rows belong
    together. Ties go to the simpler map.
    """
    loss = {kind: _loss_unseen(kind, odds, target, fold) for kind in KINDS}
    return learn(min(KINDS, key=loss.__getitem__), odds, target)


def learn(kind: str, odds: Floats, target: Floats) -> Calibration:
    """The map of that kind, by maximum likelihood (isotonic: least squares, which is the same)."""
    if kind != "isotonic":
        found = fit_logistic(_COLUMNS[kind](odds), target, ridge=RIDGE, rising=True)
        return Calibration(kind, tuple(found.tolist()))
    fitted = monotone(target, odds)
    knots, first = np.unique(odds, return_index=True)
    steps, place, rows = np.unique(fitted[first], return_inverse=True, return_counts=True)
    # Between the middles of two steps the map is a straight line, so it rises everywhere (Oron,
    # Flournoy 2017, Statistics in Biopharmaceutical Research 9, 258-267).
    middle = np.bincount(place, weights=knots) / rows
    count = np.bincount(np.searchsorted(steps, fitted), minlength=len(steps))
    mean = target.mean()
    shrunk = (steps * count + BLUR * mean) / (count + BLUR)
    return Calibration("isotonic", tuple(shrunk.tolist()), tuple(middle.tolist()))


def _loss_unseen(kind: str, odds: Floats, target: Floats, fold: npt.NDArray[np.int64]) -> float:
    probability = np.empty(len(odds))
    for k in np.unique(fold):
        held = fold == k
        probability[held] = learn(kind, odds[~held], target[~held])(odds[held])
    return log_loss(target, probability)


def _line(odds: Floats) -> Floats:
    return odds[:, None]


def _beta(odds: Floats) -> Floats:
    """Logarithms: log p and -log(1 - p) of the log-odds, without leaving them."""
    return np.column_stack((-np.logaddexp(0.0, -odds), np.logaddexp(0.0, odds)))


_COLUMNS: Mapping[str, Callable[[Floats], Floats]] = {"platt": _line, "beta": _beta}
