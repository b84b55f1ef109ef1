"""Allocation's figures: everyone's offers under three budgets, beside HiGHS on a share of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.optimize import linprog

from duewise.errors import IntegrityBroken
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, in_turns, rates
from duewise.strategy.allocate import Allocation, allocate
from duewise.strategy.exact import constraints
from duewise.strategy.offers import Offers, Wholes

ACTIONS = 12
GROUP = 62_500  # borrowers to a group, as to a partition
CONFIRMED = 1e-6  # of the bound
PEER = "HiGHS, interior point"
_PEER_SHARE = 100  # the solver's seconds grow faster than its borrowers
_MESSAGE, _MONEY, _CALL = range(3)


def allocation(task: Task) -> list[Figure]:
    """Borrowers decided a second under three budgets, and how far from the best it may be at most.

    The peer solves in fractions, and as many borrowers as it can in a sitting; both are timed on
    those, and ours on all.
    """
    everyone, few = task.sizes.allocated, max(task.sizes.allocated // _PEER_SHARE, 100)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        size = [
            offers_of(np.arange(n, min(n + GROUP, everyone))) for n in range(0, everyone, GROUP)
        ]
        share = [offers_of(np.arange(few))]
        done: list[Allocation] = []

        def ours() -> None:
            done.append(allocate(size, budgets_for(everyone), each=pool.map))

        def ours_of_few() -> None:
            done.append(allocate(share, budgets_for(few)))

        ours_of_few()
        _prove(done[-1], _peer(share[0], budgets_for(few)))
        beside = in_turns(
            ours_of_few,
            lambda: _peer(share[0], budgets_for(few)),
            turns=task.sizes.turns,
            timer=task.timer,
        )
        whole = in_turns(ours, None, turns=task.sizes.turns, timer=task.timer)
    actions = f"{ACTIONS} actions, {len(budgets_for(few))} budgets"
    proved = f"{actions}, at most {done[-1].gap:.1e} of the bound is not had"
    return [
        rates("allocate", "borrowers/s", everyone, whole, note=proved),
        rates("allocate", "borrowers/s", few, beside, peer_name=PEER, note=actions),
    ]


def offers_of(n: Wholes) -> Offers:
    """Twelve offers to each of the borrowers numbered `n`: three of four messages, else calls."""
    luck = (n[:, None] * 7_919 + np.arange(ACTIONS) * 104_729) % 9_973 / 9_973
    need = np.exp(3 + 2 * ((n * 48_271) % 65_537 / 65_537 - 0.5))
    is_call = np.arange(ACTIONS) % 4 == 3  # noqa: PLR2004 -- the last of each four
    value = need[:, None] * (0.3 + luck) * np.where(is_call, 4, 1)
    cost = np.zeros((len(n), ACTIONS, 3), dtype=np.int32)
    cost[:, :, _MESSAGE] = ~is_call
    cost[:, :, _MONEY] = np.where(is_call, 120, 4 * (1 + n % 3)[:, None])
    cost[:, :, _CALL] = is_call
    starts = np.arange(len(n) + 1) * ACTIONS
    return Offers(starts, value.reshape(-1), cost.reshape(-1, 3)).untied(luck[:, 0])


def budgets_for(borrowers: int) -> list[int]:
    """Messages for four in ten, a call for one in a hundred, and not enough money for both."""
    return [borrowers * 4 // 10, borrowers * 43 // 10, borrowers // 100]


def _peer(offers: Offers, budgets: list[int]) -> float:
    """What offers in fractions are worth, as the solver has it."""
    solved = linprog(
        -offers.value,
        A_ub=constraints(offers),
        b_ub=np.concatenate([budgets, np.ones(offers.borrowers)]),
        bounds=(0, 1),
        method="highs-ipm",
    )
    return float(-solved.fun)


def _prove(ours: Allocation, peer: float) -> None:
    """Raises IntegrityBroken where the solver does not confirm our bound."""
    if abs(ours.bound - peer) > peer * CONFIRMED:
        raise IntegrityBroken("bench allocate: the solver does not confirm it; nothing was timed")
