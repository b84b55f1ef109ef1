"""Estimates from sufficient statistics: a point with its interval, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import NormalDist

BORROWERS_MIN = 30  # in each arm; below it an interval is wider than anything worth saying
MISMATCH_P = 0.001  # Fabijan et al. 2019, "Diagnosing sample ratio mismatch", KDD: a usual alarm
CONFIDENCE = 0.95


class Reason(StrEnum):
    """Why there is no estimate."""

    TOO_FEW_BORROWERS = "too_few_borrowers"
    NO_EVENTS = "no_events"
    HORIZON_NOT_REACHED = "horizon_not_reached"
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"
    EFFECT_NOT_CERTAIN = "effect_not_certain"

    @property
    def meaning(self) -> str:
        """One sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Reason, str] = {
    Reason.TOO_FEW_BORROWERS: f"an arm has fewer than {BORROWERS_MIN} borrowers",
    Reason.NO_EVENTS: "nobody was late in either arm, so there is nothing to compare",
    Reason.HORIZON_NOT_REACHED: "no instalment is old enough to know yet",
    Reason.SAMPLE_RATIO_MISMATCH: "the arms' sizes differ from their shares by more than chance",
    Reason.EFFECT_NOT_CERTAIN: "the effect's interval includes none at all",
}


@dataclass(frozen=True)
class Tally:
    """Sufficient statistics of one value per borrower; tallies of disjoint groups add with `+`.

    >>> Tally(2, 1, 1) + Tally(1, 1, 1)
    Tally(n=3, sum=2, sum_squares=2)
    """

    n: int
    sum: float
    sum_squares: float

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.n + other.n, self.sum + other.sum, self.sum_squares + other.sum_squares)

    @property
    def mean(self) -> float | None:
        """None of nobody."""
        return self.sum / self.n if self.n else None

    @property
    def is_binary(self) -> bool:
        """Whether every value was 0 or 1: only then squares sum to what the values do."""
        return self.sum == self.sum_squares

    @property
    def variance(self) -> float:
        """Of the values, unbiased (n - 1); for two borrowers or more."""
        return max(0.0, self.sum_squares - self.sum**2 / self.n) / (self.n - 1)


NOBODY = Tally(0, 0, 0)


@dataclass(frozen=True)
class Estimate:
    """A point and its 95 % interval, from so many borrowers."""

    point: float
    low: float
    high: float
    n_control: int
    n_treated: int

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Inconclusive:
    """No estimate, and why."""

    reason: Reason


@dataclass(frozen=True)
class SampleRatio:
    """Whether the arms have the sizes that their shares promise."""

    p_value: float
    is_mismatch: bool


def difference(control: Tally, treated: Tally) -> Estimate | Inconclusive:
    """Treated mean minus control mean, one value per borrower; negative is fewer.

    Values of 0 and 1 take Newcombe's interval, which holds for rare events and stays in [-1, 1];
    others Welch's with the normal quantile (Welch 1938, Biometrika 29, 350-362).

    >>> found = difference(Tally(1000, 100, 100), Tally(1000, 80, 80))
    >>> [round(figure, 3) for figure in (found.low, found.point, found.high)]
    [-0.045, -0.02, 0.005]
    >>> difference(Tally(10, 1, 1), Tally(1000, 80, 80))
    Inconclusive(reason=<Reason.TOO_FEW_BORROWERS: 'too_few_borrowers'>)
    """
    if min(control.n, treated.n) < BORROWERS_MIN:
        return Inconclusive(Reason.TOO_FEW_BORROWERS)
    if control.sum_squares == 0 and treated.sum_squares == 0:
        return Inconclusive(Reason.NO_EVENTS)
    if control.is_binary and treated.is_binary:
        return _newcombe(control, treated)
    return _welch(control, treated)


def wilson(events: float, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval of one proportion (Wilson 1927, JASA 22, 209-212).

    >>> [round(bound, 4) for bound in wilson(56, 70)]
    [0.6918, 0.877]
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = events / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def sample_ratio_mismatch(counts: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Pearson's chi-square of the arms' sizes against their shares; alarm below p = 0.001.

    `shares` are of any scale; both mappings name the same arms. Of nobody, p is 1.

    >>> shares = {"treated": 0.95, "hold_out": 0.05}
    >>> sample_ratio_mismatch({"treated": 9500, "hold_out": 500}, shares).is_mismatch
    False
    """
    assert counts.keys() == shares.keys(), "one share for each arm"
    total, whole = sum(counts.values()), sum(shares.values())
    promised = {arm: total * share / whole for arm, share in shares.items() if share > 0}
    if any(count for arm, count in counts.items() if arm not in promised):
        return SampleRatio(p_value=0.0, is_mismatch=True)
    if not total or len(promised) < 2:  # noqa: PLR2004 — one arm has no ratio
        return SampleRatio(p_value=1.0, is_mismatch=False)
    from scipy.stats import chisquare

    test = chisquare([counts[arm] for arm in promised], list(promised.values()))
    p_value = float(test.pvalue)
    return SampleRatio(p_value, p_value < MISMATCH_P)


def cost_per_prevented(cost: float, effect: Estimate | Inconclusive) -> Estimate | Inconclusive:
    """What one prevented event cost: `cost` over the events prevented among the treated.

    In the unit of `cost`. The bounds are those of the effect carried through; only an effect whose
    interval lies below 0 has prevented anything.
    """
    if isinstance(effect, Inconclusive):
        return effect
    if effect.high >= 0:
        return Inconclusive(Reason.EFFECT_NOT_CERTAIN)
    each = [-cost / (effect.n_treated * bound) for bound in (effect.point, effect.low, effect.high)]
    return Estimate(each[0], each[1], each[2], effect.n_control, effect.n_treated)


def _newcombe(control: Tally, treated: Tally) -> Estimate:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, method 10: the hybrid score interval."""
    before, after = control.sum / control.n, treated.sum / treated.n
    low_before, high_before = wilson(control.sum, control.n)
    low_after, high_after = wilson(treated.sum, treated.n)
    point = after - before
    return Estimate(
        point,
        point - sqrt((after - low_after) ** 2 + (high_before - before) ** 2),
        point + sqrt((high_after - after) ** 2 + (before - low_before) ** 2),
        control.n,
        treated.n,
    )


def _welch(control: Tally, treated: Tally) -> Estimate:
    point = treated.sum / treated.n - control.sum / control.n
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    half = z * sqrt(control.variance / control.n + treated.variance / treated.n)
    return Estimate(point, point - half, point + half, control.n, treated.n)
