"""Fifty thousand random histories, folded and lived day by day: the same to the minor unit."""

from __future__ import annotations

import pytest
from tests.compared import assert_agrees
from tests.histories import history_of

BULK = 50_000
BLOCK = 2_500


@pytest.mark.parametrize("first", range(0, BULK, BLOCK))
def test_it_agrees_with_an_oracle_that_goes_day_by_day(first: int) -> None:
    seeds = list(range(first, first + BLOCK))
    assert_agrees([history_of(seed) for seed in seeds], seeds)
