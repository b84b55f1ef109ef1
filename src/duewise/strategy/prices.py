"""What one more unit of each budget is worth: the prices at which the budgets are just enough.

With a price on each budget every borrower can be decided alone (Everett 1963, "Generalized Lagrange
multiplier method", Operations Research 11(3)); what all then come to, plus the price of the budgets
themselves, bounds from above what any plan within the budgets is worth. The bound is convex and
piecewise linear in the prices; its least value is found by cutting planes (Kelley 1960, "The
cutting-plane method for solving convex programs", J. SIAM 8(4), section 2), inside a box of prices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from duewise.strategy.offers import Floats, Tally

CUTS_MAX = 200
# A cut's query lies between the model's least point and the best seen: fewer zigzags (in-out
# separation: Ben-Ameur and Neto 2007, "Acceleration of cutting-plane and column generation
# algorithms", Networks 49(1)).
TOWARDS_MODEL = 0.6
PAD = 1e-6  # of the box: the solver's own error
FINEST = 1e-10  # HiGHS takes nothing finer

Pass = Callable[[Floats], Tally]  # what all borrowers come to at these prices


@dataclass(frozen=True)
class Box:
    """Prices from `low` to `high`, budget by budget."""

    low: Floats
    high: Floats

    def edges(self, point: Floats) -> npt.NDArray[np.bool_]:
        """Where the point lies at an edge beyond which there are prices; none is below 0."""
        edge = (self.high - self.low) * PAD
        below = (point <= self.low + edge) & (self.low > 0)
        return below | (point >= self.high - edge)


@dataclass(frozen=True)
class Found:
    """The prices that prove the least bound in a box, and the box in which alone better may lie."""

    prices: Floats
    bound: float
    box: Box


@dataclass
class _Cuts:
    """The bound from below: planes over the unit box, each through a point that was asked about."""

    box: Box
    slopes: list[Floats] = field(default_factory=list)
    at_low: list[float] = field(default_factory=list)

    def add(self, point: Floats, bound: float, slope: Floats) -> None:
        self.slopes.append(slope * (self.box.high - self.box.low))
        self.at_low.append(bound + float(slope @ (self.box.low - point)))

    def least(self, seen: float) -> tuple[Floats, float]:
        """Where the planes' upper hull is least, and how far that is below the bound seen."""
        slopes = np.array(self.slopes)
        scale = self._scale(slopes)
        rows = np.column_stack([slopes / scale, -np.ones(len(slopes))])
        sides = (seen - np.array(self.at_low)) / scale
        goal = np.append(np.zeros(slopes.shape[1]), 1.0)
        solved = _solve(goal, rows, sides, [*([(0, 1)] * slopes.shape[1]), (None, None)])
        return self._point(solved[:-1]), -float(solved[-1]) * scale

    def not_above(self, bound: float) -> Box:
        """The smallest box around all points at which the hull is not above that bound."""
        slopes = np.array(self.slopes)
        scale, sides = self._scale(slopes), bound - np.array(self.at_low)
        budgets = slopes.shape[1]
        ends = [
            _solve(sign * np.eye(budgets)[k], slopes / scale, sides / scale, [(0, 1)] * budgets)[k]
            for sign in (1, -1)
            for k in range(budgets)
        ]
        return Box(
            self._point(np.array(ends[:budgets]) - PAD), self._point(np.array(ends[budgets:]) + PAD)
        )

    def _point(self, unit: Floats) -> Floats:
        inside: Floats = self.box.low + np.clip(unit, 0, 1) * (self.box.high - self.box.low)
        return inside

    @staticmethod
    def _scale(slopes: Floats) -> float:
        return max(float(np.abs(slopes).max()), 1e-300)


def bound_at(tally: Tally, prices: Floats, budgets: Floats) -> float:
    """The bound that these prices prove, from what all come to at them."""
    return float(tally.worth + prices @ budgets)


def least_bound(at: Pass, budgets: Floats, box: Box, *, within: float, slack: float = 0) -> Found:
    """The prices in the box that prove the least bound, up to the share `within` of it.

    `slack`, a share of it too, widens the box in which better may lie.
    """
    cuts, point = _Cuts(box), (box.low + box.high) / 2
    prices, least = point, np.inf
    for _ in range(CUTS_MAX):
        told = at(point)
        bound = bound_at(told, point, budgets)
        cuts.add(point, bound, budgets - told.used)
        if bound < least:
            prices, least = point, bound
        lowest, below = cuts.least(least)
        if below <= within * abs(least):
            break
        point = prices + TOWARDS_MODEL * (lowest - prices)
    return Found(prices, least, cuts.not_above(least * (1 + slack)))


def _solve(goal: Floats, rows: Floats, sides: Floats, bounds: list[Any]) -> Floats:
    from scipy.optimize import linprog

    solved = linprog(
        goal,
        A_ub=rows,
        b_ub=sides,
        bounds=bounds,
        method="highs-ds",
        options={"dual_feasibility_tolerance": FINEST, "primal_feasibility_tolerance": FINEST},
    )
    found: Floats = solved.x
    return found
