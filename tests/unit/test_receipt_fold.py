"""Receipts of parts become one state, whatever their order and however often they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duewise.outbox.receipt import PRECEDENCE, fold_receipts

CASES = """
parts  receipts                               state
1      a:delivered                            delivered
1      a:failed                               failed
1      a:expired a:delivered                  delivered
2      a:delivered                            -
2      a:delivered b:delivered                delivered
2      a:delivered a:delivered                -
2      a:delivered b:failed                   failed
2      a:failed                               failed
2      a:expired b:delivered                  expired
2      a:expired b:failed                     failed
2      a:unknown b:delivered                  unknown
1      a:unknown a:failed                     failed
"""


@pytest.mark.parametrize("line", CASES.strip().splitlines()[1:])
def test_it_folds(line: str) -> None:
    parts, *receipts, state = line.split()
    told = [(word.partition(":")[0], word.partition(":")[2]) for word in receipts]
    assert str(fold_receipts(int(parts), told) or "-") == state


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(PRECEDENCE)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_it_ends_the_same_in_any_order_and_told_twice(
    parts: int, receipts: list[tuple[str, str]], chance: object
) -> None:
    told_twice = receipts * 2
    chance.shuffle(told_twice)  # type: ignore[attr-defined]
    assert fold_receipts(parts, told_twice) == fold_receipts(parts, receipts)
