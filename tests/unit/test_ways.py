"""Routes share a kind of message: slots by weight, a standby, and weights that are learned."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.outbox.ways import SLOTS, WEIGHT_FLOOR, Record, Way, share_out, slot_of, weigh

NAMES = ("a", "b", "c", "d")


def owners(ways: list[Way], out: set[str]) -> list[str]:
    """The route of each slot; fails where a slot has none or two."""
    found: dict[int, str] = {}
    for name, ranges in share_out(ways, out=out).items():
        for start, stop in ranges:
            for slot in range(start, stop):
                assert slot not in found
                found[slot] = name
    return [found[slot] for slot in range(SLOTS)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0, 0.5, 1, 3, 7.3]), min_size=1, max_size=4),
    st.sets(st.sampled_from(NAMES)),
)
def test_it_moves_no_message_but_those_of_a_route_that_is_out(
    weights: list[float], out: set[str]
) -> None:
    ways = [Way(name, weight) for name, weight in zip(NAMES, weights, strict=False)]
    out &= {way.name for way in ways}
    if len(out) == len(ways):
        assert not any(share_out(ways, out=out).values())
        return
    home, now = owners(ways, set()), owners(ways, out)
    assert not out & set(now)
    moved = {was for was, then in zip(home, now, strict=True) if was != then}
    assert moved <= out
    if any(weights):
        assert all(
            abs(home.count(way.name) / SLOTS - way.weight / sum(weights)) <= 1 / SLOTS
            for way in ways
        )


def test_it_gives_every_route_its_share_of_any_messages_in_a_row() -> None:
    slots = [slot_of(number) for number in range(7_001, 7_101)]
    assert len(set(slots)) == 100
    assert [sum(slot < edge for slot in slots) for edge in (300, 700)] == [
        pytest.approx(30, abs=1),
        pytest.approx(70, abs=1),
    ]


TABLE = """
worse delivery   0.05 9000 8900 20   0.05 9000 8000 20   1.0 0.64
dearer           0.05 9000 8900 20   0.10 9000 8900 20   1.0 0.5
slower           0.05 9000 8900 20   0.05 9000 8900 300  1.0 0.5
hardly anything  0.05 9000 8900 20   0.05 9000 90   20   1.0 0.1
too few          0.05 9000 8900 20   0.05 150  1    20   1.0 1.0
no price told    0    9000 8900 20   0.10 9000 8900 20   1.0 1.0
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines())
def test_it_weighs_routes_by_what_they_have_shown(line: str) -> None:
    *_, price_a, ended_a, sent_a, s_a, price_b, ended_b, sent_b, s_b, a, b = line.split()
    found = weigh(
        [Way("a", 1, float(price_a)), Way("b", 1, float(price_b)), Way("c", 0)],
        [
            Record("a", int(ended_a), int(sent_a), latency_s=float(s_a)),
            Record("b", int(ended_b), int(sent_b), latency_s=float(s_b)),
        ],
    )
    assert [round(each.weight, 2) for each in found] == [float(a), float(b), 0]
    assert all(each.weight >= WEIGHT_FLOOR for each in found[:2])
    assert found[2].reason == "standby"
