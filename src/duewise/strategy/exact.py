"""Small allocations solved outright by HiGHS: in fractions, with prices, and in whole offers.

Huangfu and Hall 2018, "Parallelizing the dual revised simplex method", Math. Prog. Comp. 10. Whole
books go through `allocate`, which asks this of the few borrowers on whom it hangs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duewise.strategy.offers import NOTHING, Floats, Offers, Wholes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NODES_MAX = 40
FINEST = 1e-10  # HiGHS takes nothing finer; ties are told apart by less than its default


@dataclass(frozen=True)
class Relaxed:
    """What offers in fractions are worth at most, and what one more unit of each budget adds."""

    value: float
    prices: Floats


def relaxed(offers: Offers, limits: Floats) -> Relaxed:
    """The linear programme: each borrower's offers sum to at most one, the budgets hold."""
    from scipy.optimize import linprog  # a worker, which solves nothing, never waits for it

    if not len(offers.value):
        return Relaxed(0.0, np.zeros(len(limits)))
    scale = max(float(np.abs(offers.value).max()), 1e-12)
    solved = linprog(
        -offers.value / scale,
        A_ub=constraints(offers),
        b_ub=_sides(offers, limits),
        bounds=(0, 1),
        method="highs-ds",
        options={"dual_feasibility_tolerance": FINEST, "primal_feasibility_tolerance": FINEST},
    )
    prices = -solved.ineqlin.marginals[: len(limits)] * scale
    return Relaxed(float(-solved.fun * scale), np.maximum(prices, 0))


def whole_offers(offers: Offers, limits: Floats, *, within: float) -> Wholes:
    """Per borrower the index of an offer or NOTHING: the most that whole offers can be worth.

    Up to `within`, in the unit of the values. What bounds the search is a count of nodes and not a
    clock, so that it always ends alike.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    taken = np.full(offers.borrowers, NOTHING, dtype=np.int64)
    ceiling = relaxed(offers, limits).value
    if ceiling <= 0:
        return taken
    solved = milp(
        -offers.value / max(float(np.abs(offers.value).max()), 1e-12),
        integrality=np.ones(len(offers.value)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(constraints(offers), ub=_sides(offers, limits)),
        options={"node_limit": NODES_MAX, "mip_rel_gap": within / ceiling},
    )
    if solved.x is not None:
        offer = np.flatnonzero(solved.x > 0.5)  # noqa: PLR2004 -- 0 or 1, but for rounding
        taken[np.searchsorted(offers.starts, offer, side="right") - 1] = offer
    return taken


def constraints(offers: Offers) -> csr_array:
    """A row for each budget, then one for each borrower with offers to choose between."""
    from scipy.sparse import csr_array, vstack

    offer = np.arange(len(offers.value))
    owner = np.repeat(np.arange(offers.borrowers), np.diff(offers.starts))
    one_each = csr_array(
        (np.ones(len(offer)), (owner, offer)), shape=(offers.borrowers, len(offer))
    )
    return vstack([csr_array(offers.cost.T.astype(np.float64)), one_each]).tocsr()


def _sides(offers: Offers, limits: Floats) -> Floats:
    return np.concatenate([limits, np.ones(offers.borrowers)])
