"""The envelope's states: every move is known, every state is counted once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from duewise.outbox.envelope import BALANCE, MOVES, State, balance, is_allowed


def test_it_knows_the_moves_of_every_state() -> None:
    assert set(MOVES) == set(State)


def test_it_counts_every_state_exactly_once() -> None:
    counted = Counter(state for states in BALANCE.values() for state in states)
    assert counted == Counter(State)


def test_it_leaves_delivered_for_nothing_and_what_is_over_only_by_proof() -> None:
    proof = {State.DELIVERED, State.FAILED, State.EXPIRED}
    assert not any(is_allowed(State.DELIVERED, new) for new in State)
    for over in (State.BLOCKED, State.CANCELLED, State.LAPSED, State.FAILED, State.EXPIRED):
        assert {new for new in State if is_allowed(over, new)} == proof - {over}


def test_it_never_sends_the_accepted_again() -> None:
    reachable = {State.ACCEPTED}
    while more := {new for old in reachable for new in MOVES[old]} - reachable - {State.UNKNOWN}:
        reachable |= more
    assert State.SENDING not in reachable


def test_it_ties_only_when_both_equations_hold() -> None:
    counts = {State.DELIVERED: 3, State.ACCEPTED: 1, State.BLOCKED: 2, State.READY: 1}
    tied = balance(counts, planned=7, submitted=4)
    assert tied.ties
    assert (tied.sent, tied.unknown, tied.held) == (4, 1, 1)
    assert not replace(tied, planned=8).ties
    assert not replace(tied, submitted=5).ties
