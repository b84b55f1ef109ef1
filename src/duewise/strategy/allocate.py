"""Who gets which offer under budgets that all share: at most one offer each, no budget overrun.

At the right prices all borrowers but a handful decide alone. So the prices are sought in a box that
shrinks; the borrowers whose choice the box leaves open are solved as a linear programme, which
splits at most as many borrowers as there are budgets; those nearest to a tie as an integer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np

from duewise.strategy.exact import relaxed, whole_offers
from duewise.strategy.offers import (
    NOTHING,
    Flags,
    Floats,
    Offers,
    Tally,
    Undecided,
    Wholes,
    best,
    joined,
    picked,
    tally,
    undecided,
)
from duewise.strategy.prices import Box, Found, bound_at, least_bound

SAMPLE = 16_384  # borrowers who say where to look for the prices
SLACK = 1e-3  # of the bound: what a sample may be wrong about it
CORE_MAX = 1_500  # borrowers whom a linear programme settles in a moment
TIES = 96  # borrowers nearest to a tie, settled as whole numbers
FIRST, FINER, NOISE = (
    1e-5,
    1e-2,
    1e-14,
)  # of the bound: how near its least is sought, round by round
SHRINK, WIDEN = 0.1, 4.0  # times a box that holds too many prices, or too few
ROUNDS_MAX = 60
CHEAPEST = 1e-9  # a box has a width even where no budget is ever taken of
WHOLE = 2e-6  # of the bound: what the search for whole offers may leave
PROVED = 1e-9  # of the bound: programme and prices agree

Each = Callable[[Callable[[Offers], Any], Iterable[Offers]], Iterable[Any]]


@dataclass(frozen=True)
class Allocation:
    """What is done, by its rule: at `prices` each gets what is best, but for the `exceptions`.

    `exceptions` tells of a few borrowers, counted through all groups, which of their own offers
    they get, counted from 0, or NOTHING. `used` (budgets,) never exceeds the budgets; the chosen
    are worth `value`, and nothing within the budgets is worth more than `bound`.
    """

    prices: Floats
    exceptions: dict[int, int]
    used: Wholes
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """The share of the bound that is not proved to be had; 0 is proved to be the best."""
        return (self.bound - self.value) / self.bound if self.bound > 0 else 0.0


def allocate(groups: Sequence[Offers], budgets: Sequence[int], *, each: Each = map) -> Allocation:
    """The offers worth most within the budgets, over all groups of borrowers together.

    `budgets` are whole units, one for each column of `cost`. `each` maps a pass over the groups,
    in their order: a thread pool's `map` makes it go on all cores, and changes no figure.

    >>> two = Offers(np.array([0, 1, 2]), np.array([3.0, 2.0]), np.array([[1], [1]], np.int32))
    >>> one_message = allocate([two], [1])
    >>> chosen([two], one_message)[0].tolist(), one_message.value, one_message.bound
    ([0, -1], 3.0, 3.0)
    """
    limits = np.asarray(budgets, dtype=np.float64)
    core, prices = _narrowed(groups, limits, each)
    everyone = _all(each(partial(tally, prices=prices), groups))
    bound = bound_at(everyone, prices, limits)
    who, near = _nearest_ties(groups, core, prices, limits - everyone.used)
    at_ties = tally(near, prices)
    others = everyone.used - at_ties.used
    offer = whole_offers(near, limits - others, within=WHOLE * bound)
    taken = offer[offer != NOTHING]
    used = others + near.cost[taken].sum(axis=0, dtype=np.int64)
    assert (used <= limits).all(), "an allocation is within its budgets"
    worth = everyone.worth - at_ties.worth + float(prices @ others)
    value = worth + float(near.value[taken].sum())
    own = np.where(offer == NOTHING, NOTHING, offer - near.starts[:-1])
    exceptions = dict(zip(who.tolist(), own.tolist(), strict=True))
    return Allocation(prices, exceptions, used, value, max(value, bound))


def chosen(groups: Sequence[Offers], allocation: Allocation, *, each: Each = map) -> list[Wholes]:
    """For each group the index of each borrower's offer within the group, or NOTHING."""
    found: list[Wholes] = [
        choice.offer for choice in each(partial(best, prices=allocation.prices), groups)
    ]
    ends = np.cumsum([group.borrowers for group in groups])
    for who, own in allocation.exceptions.items():
        number = int(np.searchsorted(ends, who, side="right"))
        group = groups[number]
        position = who - int(ends[number]) + group.borrowers
        found[number][position] = NOTHING if own == NOTHING else group.starts[position] + own
    return found


def _narrowed(groups: Sequence[Offers], limits: Floats, each: Each) -> tuple[Undecided, Floats]:
    """The borrowers left open by a small box around the best prices, and these prices."""
    box = outer = _first_box(groups, limits)
    core = _all_undecided(groups, box, each)
    within = FIRST
    for _ in range(ROUNDS_MAX):
        if core.offers.borrowers <= CORE_MAX:
            prices = _settled(core, limits, box)
            if prices is not None:
                return core, prices
        found = least_bound(partial(_at, core), limits, box, within=within)
        at_edge = outer.edges(found.prices)
        if core.offers.borrowers > CORE_MAX and not at_edge.any():
            box = found.box if within > NOISE else _shrunk(found)
            core, within = _narrower(core, box), max(within * FINER, NOISE)
        else:
            box = outer = _wider(outer, found.prices, at_edge)
            core, within = _all_undecided(groups, box, each), FIRST
    raise AssertionError("the prices of the budgets were not found")


def _shrunk(found: Found) -> Box:
    """A smaller box where many prices are as good: a budget of 0 has any price above some."""
    half = (found.box.high - found.box.low) * SHRINK / 2
    return Box(
        np.maximum(found.prices - half, found.box.low),
        np.minimum(found.prices + half, found.box.high),
    )


def _wider(box: Box, point: Floats, at_edge: Flags) -> Box:
    """The box, wider where the point lies at its edge, or all over."""
    times = np.where(at_edge | ~at_edge.any(), WIDEN, 1.0)
    half = (box.high - box.low) * times / 2
    middle = np.where(times > 1, point, (box.low + box.high) / 2)
    return Box(np.maximum(middle - half, 0), middle + half)


def _nearest_ties(
    groups: Sequence[Offers], core: Undecided, prices: Floats, left: Floats
) -> tuple[Wholes, Offers]:
    """Those nearest to a tie, as many as it takes for the others to be within the budgets."""
    order = np.argsort(best(core.offers, prices).lead, kind="stable")
    ties = TIES
    while True:
        who = np.sort(core.who[order[:ties]])
        near = _offers_of(groups, who)
        if ties >= len(order) or (tally(near, prices).used + left >= 0).all():
            return who, near
        ties *= 4


def _first_box(groups: Sequence[Offers], limits: Floats) -> Box:
    """A box that probably holds the prices: all there may be, or what a sample says."""
    borrowers = sum(group.borrowers for group in groups)
    stride = max(1, borrowers // SAMPLE)
    sample = joined([picked(g, np.arange(0, g.borrowers, stride)) for g in groups])
    everything = Box(np.zeros_like(limits), _dearest(sample) * 2)
    if borrowers <= CORE_MAX:
        return everything
    share = sample.borrowers / borrowers
    at = partial(tally, sample)
    found = least_bound(at, limits * share, everything, within=SLACK / 10, slack=SLACK)
    return found.box


def _dearest(offers: Offers) -> Floats:
    """For each budget a price at which nobody would take of it."""
    value = offers.value[:, None]
    ratio = np.divide(value, offers.cost, out=np.zeros(offers.cost.shape), where=offers.cost > 0)
    dearest: Floats = np.maximum(ratio.max(axis=0, initial=0), CHEAPEST)
    return dearest


def _settled(core: Undecided, limits: Floats, box: Box) -> Floats | None:
    """The best prices of all, or None where they lie outside the box.

    By strong duality: the programme over the core is worth as much as its prices' bound.
    """
    left = limits - core.decided.used
    if (left < 0).any():
        return None
    programme = relaxed(core.offers, left)
    prices = np.clip(programme.prices, box.low, box.high)
    bound = bound_at(tally(core.offers, prices), prices, left)
    whole = core.decided.worth + bound + float(core.offers.value.max(initial=0))
    return prices if bound - programme.value <= PROVED * whole else None


def _all_undecided(groups: Sequence[Offers], box: Box, each: Each) -> Undecided:
    parts = list(each(partial(undecided, low=box.low, high=box.high), groups))
    firsts = np.cumsum([0, *(group.borrowers for group in groups)])
    return Undecided(
        joined([part.offers for part in parts]),
        np.concatenate([part.who + first for part, first in zip(parts, firsts, strict=False)]),
        _all(part.decided for part in parts),
    )


def _narrower(core: Undecided, box: Box) -> Undecided:
    inner = undecided(core.offers, box.low, box.high)
    return Undecided(inner.offers, core.who[inner.who], core.decided + inner.decided)


def _offers_of(groups: Sequence[Offers], who: Wholes) -> Offers:
    """All offers of these borrowers, who are counted through all groups."""
    firsts = np.cumsum([0, *(group.borrowers for group in groups)])
    cuts = np.searchsorted(who, firsts)
    return joined(
        [picked(group, who[cuts[n] : cuts[n + 1]] - firsts[n]) for n, group in enumerate(groups)]
    )


def _at(core: Undecided, prices: Floats) -> Tally:
    """What all come to at prices in the core's box."""
    return core.decided.at(prices) + tally(core.offers, prices)


def _all(tallies: Iterable[Tally]) -> Tally:
    return reduce(add, tallies)
