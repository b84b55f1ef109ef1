"""How good probabilities are: they rank, they are sharp, and they mean what they say.

All take `target` (0 or 1) and `probability` as arrays of one length, n >= 1, with both classes
where a ranking is asked for. Intervals are made in `duewise.risk.interval`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.logistic import fit_logistic, logit

Floats = npt.NDArray[np.float64]

BINS = 15  # of equal mass, for the calibration error and its curve
# A probability of exactly 0 or 1 would cost an infinite log-loss for one mistake.
TINY = 1e-15


@dataclass(frozen=True)
class Decomposition:
    """The Brier score and its three parts: score = reliability - resolution + uncertainty."""

    score: float
    reliability: float
    resolution: float
    uncertainty: float


@dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error, and what it would be were every probability exact.

    `floor` is the mean and `floor_high` the 95th percentile over simulated outcomes.
    """

    error: float
    floor: float
    floor_high: float


def auc(target: Floats, probability: Floats) -> float:
    """The chance that a late one ranks above a punctual one, ties half (Mann, Whitney 1947).

    >>> auc(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    from scipy.stats import rankdata

    late = target.sum()
    ranks = rankdata(probability)[target == 1].sum()
    return float((ranks - late * (late + 1) / 2) / (late * (len(target) - late)))


def ks(target: Floats, probability: Floats) -> float:
    """The largest gap between the late and the punctual distribution (Smirnov 1948).

    >>> ks(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.5
    """
    order = np.argsort(probability, kind="stable")
    late = target[order]
    ends = np.flatnonzero(np.append(np.diff(probability[order]) > 0, True))
    gap = np.cumsum(late) / late.sum() - np.cumsum(1 - late) / (1 - late).sum()
    return float(np.abs(gap[ends]).max())


def brier(target: Floats, probability: Floats) -> float:
    """The mean squared error (Brier 1950, Monthly Weather Review 78, 1-3)."""
    return float(np.square(probability - target).mean())


def decomposition(target: Floats, probability: Floats) -> Decomposition:
    """The Brier score in parts, without bins: against the best monotone recalibration.

    Dimitriadis, Gneiting, Jordan 2021, PNAS 118(8), equation 4. The reliability part can only be
    overstated, as the recalibration has seen the outcomes.

    >>> found = decomposition(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    >>> round(found.reliability - found.resolution + found.uncertainty - found.score, 12)
    0.0
    """
    score = brier(target, probability)
    best = brier(target, monotone(target, probability))
    flat = brier(target, np.full(len(target), target.mean()))
    return Decomposition(score, score - best, flat - best, flat)


def monotone(target: Floats, probability: Floats) -> Floats:
    """The monotone function of the probability nearest to the outcomes; ties get one value."""
    from scipy.optimize import isotonic_regression

    values, place, weight = np.unique(probability, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=target, minlength=len(values)) / weight
    fitted: Floats = isotonic_regression(mean, weights=weight).x
    return fitted[place]


def log_loss(target: Floats, probability: Floats) -> float:
    """The mean negative log-likelihood, in nats (Good 1952)."""
    sure = np.clip(probability, TINY, 1 - TINY)
    return float(-np.where(target == 1, np.log(sure), np.log1p(-sure)).mean())


def calibration_curve(target: Floats, probability: Floats, *, bins: int = BINS) -> pl.DataFrame:
    """By bin of equal mass, the lowest first: rows, mean probability, observed share."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return pl.DataFrame(
        {
            "rows": [len(part) for part in parts],
            "probability": [float(probability[part].mean()) for part in parts],
            "observed": [float(target[part].mean()) for part in parts],
        }
    )


def ece(target: Floats, probability: Floats, *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass (Naeini et al. 2015, AAAI).

    >>> ece(np.array([0.0, 1.0]), np.array([0.25, 0.75]), bins=1)
    0.0
    """
    return float(_errors(target[np.argsort(probability, kind="stable")], probability, bins))


def calibration_error(
    target: Floats, probability: Floats, *, seed: int, rounds: int = 200
) -> CalibrationError:
    """The error beside its noise floor: outcomes drawn from the very probabilities.

    Even exact probabilities show an error on finitely many rows (Broecker, Smith 2007, Weather and
    Forecasting 22, 651-661), so no error at or below the floor says anything.
    """
    chance = np.random.default_rng(seed)
    rising = np.sort(probability)
    drawn = [
        _errors((chance.random(len(rising)) < rising).astype(np.float64), rising, BINS)
        for _ in range(rounds)
    ]
    return CalibrationError(
        ece(target, probability), float(np.mean(drawn)), float(np.quantile(drawn, 0.95))
    )


def _errors(target: Floats, probability: Floats, bins: int) -> float:
    """`target` lies in the order of rising probability; the probabilities are sorted here."""
    edges = [len(part) for part in np.array_split(target, min(bins, len(target)))]
    starts = np.concatenate(([0], np.cumsum(edges)[:-1]))
    gaps = np.add.reduceat(target - np.sort(probability), starts)
    return float(np.abs(gaps).sum() / len(target))


def calibration_line(target: Floats, probability: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome on the logit of the probability; (1, 0) is exact.

    Cox 1958, Biometrika 45, 562-565. A slope below 1 says the probabilities are too extreme.
    """
    intercept, slope = fit_logistic(logit(probability)[:, None], target)
    return float(slope), float(intercept)


def gains(
    target: Floats,
    probability: Floats,
    money: Floats,
    *,
    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5),
) -> pl.DataFrame:
    """What share of the money that came late lies with the accounts ranked first.

    Accounts rank by probability x money, their expected amount late. `money` is in any one unit.
    A row per share of accounts: share, captured, perfect (ranked by the outcome itself); null
    where no money came late.

    >>> even = np.array([1.0, 1.0])
    >>> gains(np.array([0.0, 1.0]), np.array([0.2, 0.6]), even, shares=(0.5,)).row(0)
    (0.5, 1.0, 1.0)
    """
    late = target * money
    total = late.sum()
    cut = [round(share * len(target)) for share in shares]
    ranked = np.cumsum(late[np.argsort(-probability * money, kind="stable")])
    perfect = np.cumsum(np.sort(late)[::-1])
    found = {
        name: [float(sums[n - 1] / total) if n and total else None for n in cut]
        for name, sums in (("captured", ranked), ("perfect", perfect))
    }
    return pl.DataFrame({"share": list(shares), **found})
