"""What could be done for each borrower, its worth and what it takes; compiled passes over it.

A pass costs one read of the columns. Deciding what the budgets are worth is `allocate`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from duewise.book.compiled import compiled, inlined

Floats: TypeAlias = npt.NDArray[np.float64]
Wholes: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Costs: TypeAlias = npt.NDArray[np.int32]

NOTHING = -1  # the offer of a borrower to whom nothing is done
UNTIED = 2.0**-17  # of a value at most: so little more one offer is made worth than its equal
_GOLDEN = 0.6180339887498949  # multiples of it fall evenly between 0 and 1


@dataclass(frozen=True)
class Offers:
    """The offers of some borrowers; those of borrower i lie in `starts[i]:starts[i + 1]`.

    `value` is what an offer is worth, in any one unit, (offers,); `cost` the whole units it takes
    of each budget, (offers, budgets), int32 and never negative.
    """

    starts: Wholes
    value: Floats
    cost: Costs

    @property
    def borrowers(self) -> int:
        return len(self.starts) - 1

    def untied(self, draws: Floats) -> Offers:
        """The same, no two worth the same: of equal borrowers chance decides, not their order.

        `draws` (borrowers,) lie in [0, 1). Values grow by less than UNTIED of themselves.
        """
        value = np.empty_like(self.value)
        _untie(self.starts, self.value, draws, value)
        return Offers(self.starts, value, self.cost)


@dataclass(frozen=True)
class Tally:
    """What a pass came to: the sum of what each borrower's best offer is worth, and takes."""

    worth: float
    used: Wholes

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.worth + other.worth, self.used + other.used)

    def at(self, prices: Floats) -> Tally:
        """The same where its worth, told at no price, is to be net of these."""
        return Tally(self.worth - float(prices @ self.used), self.used)


@dataclass(frozen=True)
class Choice:
    """Per borrower the index of the best offer or NOTHING, and its lead over the second best."""

    offer: Wholes
    lead: Floats


@dataclass(frozen=True)
class Undecided:
    """The borrowers whose best offer depends on where in a box the prices lie.

    `who` are their numbers among all; `decided` is what the others come to, at no price.
    """

    offers: Offers
    who: Wholes
    decided: Tally


def best(offers: Offers, prices: Floats) -> Choice:
    """What is best for each borrower at these prices; of two equals the first."""
    return Choice(*_best(offers.starts, offers.value, offers.cost, prices))


def tally(offers: Offers, prices: Floats) -> Tally:
    """The worth, net of the prices, of what is best for each, and what it takes."""
    return Tally(*_tally(offers.starts, offers.value, offers.cost, prices))


def undecided(offers: Offers, low: Floats, high: Floats) -> Undecided:
    """Those who do not choose alike at all prices from `low` to `high`, with what may be chosen.

    An offer is kept unless the best in the middle of the box beats it everywhere in the box.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    kept, counts, worth, used = _undecided(offers.starts, offers.value, offers.cost, middle, half)
    who, offer = np.flatnonzero(counts), np.flatnonzero(kept)
    starts = np.concatenate([[0], np.cumsum(counts[who])])
    rest = Offers(starts, offers.value[offer], offers.cost[offer])
    return Undecided(rest, who, Tally(worth, used))


def joined(parts: Sequence[Offers]) -> Offers:
    """The offers of several groups of borrowers, one group after the other."""
    ends = np.cumsum([0, *(len(part.value) for part in parts)])
    starts = [part.starts[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return Offers(
        np.concatenate([*starts, ends[-1:]]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.cost for part in parts]),
    )


def picked(offers: Offers, who: Wholes) -> Offers:
    """The offers of the borrowers `who` alone."""
    counts = offers.starts[who + 1] - offers.starts[who]
    starts = np.concatenate([[0], np.cumsum(counts)])
    offer = np.arange(starts[-1]) + np.repeat(offers.starts[who] - starts[:-1], counts)
    return Offers(starts, offers.value[offer], offers.cost[offer])


@compiled
def _untie(starts: Wholes, value: Floats, draws: Floats, untied: Floats) -> None:
    for i in range(len(starts) - 1):
        for j in range(starts[i], starts[i + 1]):
            point = draws[i] + (j - starts[i]) * _GOLDEN
            untied[j] = value[j] * (1 + UNTIED * (point - np.floor(point)))


@compiled
def _best(starts: Wholes, value: Floats, cost: Costs, prices: Floats) -> tuple[Wholes, Floats]:
    offer = np.empty(len(starts) - 1, dtype=np.int64)
    lead = np.empty(len(starts) - 1)
    for i in range(len(starts) - 1):
        first, second, pick = 0.0, -np.inf, NOTHING
        for j in range(starts[i], starts[i + 1]):
            net = _net(value, cost, prices, j)
            if net > first:
                first, second, pick = net, first, j
            elif net > second:
                second = net
        offer[i] = pick
        lead[i] = first - second
    return offer, lead


@compiled
def _tally(starts: Wholes, value: Floats, cost: Costs, prices: Floats) -> tuple[float, Wholes]:
    worth, used = 0.0, np.zeros(len(prices), dtype=np.int64)
    for i in range(len(starts) - 1):
        first, pick = 0.0, NOTHING
        for j in range(starts[i], starts[i + 1]):
            net = _net(value, cost, prices, j)
            if net > first:
                first, pick = net, j
        worth += first
        if pick != NOTHING:
            for k in range(len(prices)):
                used[k] += cost[pick, k]
    return worth, used


@compiled
def _undecided(
    starts: Wholes, value: Floats, cost: Costs, middle: Floats, half: Floats
) -> tuple[Flags, Wholes, float, Wholes]:
    kept = np.zeros(len(value), dtype=np.bool_)
    counts = np.zeros(len(starts) - 1, dtype=np.int64)
    worth, used = 0.0, np.zeros(len(half), dtype=np.int64)
    for i in range(len(starts) - 1):
        first, pick = 0.0, NOTHING
        for j in range(starts[i], starts[i + 1]):
            net = _net(value, cost, middle, j)
            if net > first:
                first, pick = net, j
        for j in range(starts[i], starts[i + 1]):
            rival = first - _net(value, cost, middle, j) <= _reach(cost, half, j, pick)
            if j != pick and rival:
                kept[j] = True
                counts[i] += 1
        if pick != NOTHING and (counts[i] or first <= _reach(cost, half, pick, NOTHING)):
            kept[pick] = True
            counts[i] += 1
        elif pick != NOTHING:
            worth += value[pick]
            for k in range(len(half)):
                used[k] += cost[pick, k]
    return kept, counts, worth, used


@inlined
def _net(value: Floats, cost: Costs, prices: Floats, j: int) -> float:
    """What an offer is worth less the price of what it takes."""
    net = value[j]
    for k in range(len(prices)):
        net -= prices[k] * cost[j, k]
    return float(net)


@inlined
def _reach(cost: Costs, half: Floats, j: int, pick: int) -> float:
    """How much one offer's net worth may gain on another's, or on nothing, within half a box."""
    reach = 0.0
    for k in range(len(half)):
        taken = cost[pick, k] if pick != NOTHING else 0
        reach += half[k] * abs(cost[j, k] - taken)
    return reach
