"""Laws of allocation: within every budget, one offer each at most, and provably near the best."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.strategy.allocate import Allocation, allocate, chosen
from duewise.strategy.exact import relaxed
from duewise.strategy.offers import NOTHING, Floats, Offers, Wholes, joined

MESSAGES, MONEY, CALLS = 0, 1, 2
ACTIONS = 12


def made(
    borrowers: int, seed: int, *, groups: int = 4, worth: Floats | None = None
) -> list[Offers]:
    """Offers by message or call: calls are worth four times as much, and cost a slot and ¥1.20."""
    rng = np.random.default_rng(seed)
    is_call = np.arange(ACTIONS) % 4 == 3
    value = rng.lognormal(3, 1, (borrowers, 1)) * rng.uniform(0.3, 1.7, (borrowers, ACTIONS))
    value[:, is_call] *= 4
    if worth is not None:
        value = rng.choice(worth, (borrowers, ACTIONS))
    cost = np.zeros((borrowers, ACTIONS, 3), dtype=np.int32)
    cost[:, :, MESSAGES] = ~is_call
    cost[:, :, MONEY] = np.where(is_call, 120, rng.integers(1, 4, (borrowers, 1)) * 4)
    cost[:, :, CALLS] = is_call
    return [
        Offers(
            np.arange(len(rows) + 1) * ACTIONS,
            np.ascontiguousarray(value[rows]).reshape(-1),
            np.ascontiguousarray(cost[rows]).reshape(-1, 3),
        ).untied(rng.random(len(rows)))
        for rows in np.array_split(np.arange(borrowers), groups)
    ]


def budgets_for(borrowers: int) -> list[int]:
    """Four borrowers in ten may get a message, one in fifty a call, and money is short."""
    return [borrowers * 4 // 10, borrowers * 5, borrowers // 50]


def check(groups: list[Offers], budgets: list[int], allocation: Allocation) -> None:
    """What is said of the allocation is what it comes to, borrower by borrower."""
    picks = chosen(groups, allocation)
    value, used = 0.0, np.zeros(len(budgets), dtype=np.int64)
    for group, pick in zip(groups, picks, strict=True):
        taken = pick != NOTHING
        assert (pick[taken] >= group.starts[:-1][taken]).all()
        assert (pick[taken] < group.starts[1:][taken]).all()
        value += float(group.value[pick[taken]].sum())
        used += group.cost[pick[taken]].sum(axis=0, dtype=np.int64)
    assert (used <= budgets).all()
    assert used.tolist() == allocation.used.tolist()
    assert value == pytest.approx(allocation.value, rel=1e-9)
    assert value <= allocation.bound * (1 + 1e-9)


def test_it_is_within_a_thousandth_of_the_linear_programme() -> None:
    groups, budgets = made(2_000, seed=1), budgets_for(2_000)
    allocation = allocate(groups, budgets)
    check(groups, budgets, allocation)
    programme = relaxed(joined(groups), np.array(budgets, dtype=float))
    assert allocation.bound == pytest.approx(programme.value, rel=1e-7)
    assert allocation.value >= programme.value * 0.999


def test_it_proves_a_gap_of_a_hundred_thousandth_on_a_large_book() -> None:
    groups, budgets = made(60_000, seed=3), budgets_for(60_000)
    allocation = allocate(groups, budgets)
    check(groups, budgets, allocation)
    assert allocation.gap <= 1e-5


def test_it_decides_alike_on_one_thread_and_on_many() -> None:
    groups, budgets = made(20_000, seed=4), budgets_for(20_000)
    alone = allocate(groups, budgets)
    with ThreadPoolExecutor(4) as pool:
        together = allocate(groups, budgets, each=pool.map)
    assert together.exceptions == alone.exceptions
    assert together.prices.tolist() == alone.prices.tolist()
    assert (together.value, together.bound) == (alone.value, alone.bound)


def test_it_splits_masses_of_equals() -> None:
    groups = made(20_000, seed=5, worth=np.array([1.0, 2.0, 5.0]))
    budgets = budgets_for(20_000)
    allocation = allocate(groups, budgets)
    check(groups, budgets, allocation)
    assert allocation.gap <= 5e-4


def test_it_charges_nothing_for_a_budget_that_is_not_short() -> None:
    groups, budgets = made(5_000, seed=6), [500, 10_000_000, 0]
    allocation = allocate(groups, budgets)
    check(groups, budgets, allocation)
    assert allocation.used[MESSAGES] == 500
    assert allocation.prices[MESSAGES] > 0
    assert allocation.prices[MONEY] == 0


@pytest.mark.parametrize("borrowers", [0, 1, 40])
def test_it_gives_nothing_where_nothing_may_be_spent(borrowers: int) -> None:
    groups = made(borrowers, seed=7)
    allocation = allocate(groups, [0, 0, 0])
    assert allocation.value == 0
    assert all((pick == NOTHING).all() for pick in chosen(groups, allocation))


small = st.integers(1, 5).flatmap(
    lambda borrowers: st.tuples(
        st.lists(st.integers(0, 3), min_size=borrowers, max_size=borrowers),
        st.integers(0, 2**32 - 1),
        st.tuples(st.integers(0, 6), st.integers(0, 20)),
    )
)


@settings(max_examples=60, deadline=None)
@given(small)
def test_it_finds_the_best_of_all_plans_of_a_few(case: tuple[list[int], int, Wholes]) -> None:
    counts, seed, budgets = case
    rng = np.random.default_rng(seed)
    offers = Offers(
        np.concatenate([[0], np.cumsum(counts)]),
        rng.integers(-2, 30, sum(counts)).astype(float),
        rng.integers(0, [3, 9], (sum(counts), 2)).astype(np.int32),
    )
    allocation = allocate([offers], list(budgets))
    check([offers], list(budgets), allocation)
    assert allocation.value == pytest.approx(_best_of_all(offers, np.array(budgets)), abs=1e-4)


def _best_of_all(offers: Offers, budgets: Wholes) -> float:
    """Every plan tried."""
    choices = [
        [NOTHING, *range(first, last)]
        for first, last in zip(offers.starts[:-1], offers.starts[1:], strict=True)
    ]
    plans = ([pick for pick in plan if pick != NOTHING] for plan in product(*choices))
    return max(
        float(offers.value[plan].sum())
        for plan in plans
        if (offers.cost[plan].sum(axis=0) <= budgets).all()
    )
