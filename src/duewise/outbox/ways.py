"""By which of several routes a message leaves: shares by weight, a standby, and the reason.

A message's slot follows from its number alone, so that it stays with its route; the slots of a
route that is out are given to the others until it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

SLOTS: Final = 1_000
# Near the golden section: of any numbers in a row every route gets its share, by two at most.
STEP: Final = 621
Ranges: TypeAlias = tuple[tuple[int, int], ...]

ENDED_MIN: Final = 200  # messages with an end, before a route is known by them
WEIGHT_FLOOR: Final = 0.1  # of what was given: who is sent nothing can never become better
SUCCESS_POWER: Final = 4  # a tenth less delivered is a third less weight
SLOW_TIMES: Final = 2.0
SLOW_S_MIN: Final = 60.0
_Z95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Way:
    """A route of a kind of message. `weight` beside the others'; 0: a standby.

    `price` of a part, in major units.
    """

    name: str
    weight: float = 1.0
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a route's messages: how many have an end, and how many reached the handset.

    `latency_s`: median seconds from the wire to the receipt; None without a delivered one.
    """

    name: str
    ended: int = 0
    delivered: int = 0
    parts_each: float = 1.0
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """A learned weight and why it is that."""

    name: str
    weight: float
    reason: str


def slot_of(envelope_id: int) -> int:
    """The slot of a message, from 0 to `SLOTS` - 1; the claim's SQL says the same.

    >>> [slot_of(number) for number in (1, 2, 3)]
    [621, 242, 863]
    """
    return envelope_id * STEP % SLOTS


def share_out(ways: Sequence[Way], *, out: Collection[str] = ()) -> Mapping[str, Ranges]:
    """The slots of each route as ranges, the end exclusive; none for a standby not needed.

    >>> share_out([Way("a", 3), Way("b", 1), Way("c", 0)])
    {'a': ((0, 750),), 'b': ((750, 1000),), 'c': ()}
    >>> share_out([Way("a", 3), Way("b", 1), Way("c", 0)], out={"a", "b"})["c"]
    ((0, 750), (750, 1000))
    """
    slots: dict[str, Ranges] = {way.name: () for way in ways}
    homes = [way for way in ways if way.weight > 0] or list(ways[:1])
    open_ones = [way for way in ways if way.name not in out]
    takers = [way for way in open_ones if way in homes] or open_ones[:1]
    for name, (start, stop) in _cut(homes, 0, SLOTS):
        pieces = _cut(takers, start, stop) if name in out else [(name, (start, stop))]
        for taker, piece in pieces:
            slots[taker] += (piece,)
    return slots


def _cut(ways: Sequence[Way], start: int, stop: int) -> list[tuple[str, tuple[int, int]]]:
    """A range in pieces by weight; the ends are rounded, so that nothing is left over."""
    total = sum(way.weight for way in ways) or 1.0
    pieces, before, sum_ = [], start, 0.0
    for way in ways:
        sum_ += way.weight if len(ways) > 1 else total
        end = start + round((stop - start) * sum_ / total)
        if end > before:
            pieces.append((way.name, (before, end)))
        before = end
    return pieces


def weigh(ways: Sequence[Way], records: Collection[Record]) -> tuple[Weight, ...]:
    """Weights by what routes have shown: success at least, cost of a message, and time taken.

    The success is the lower end of its interval (Wilson 1927), so that few messages prove little. A
    standby stays one, and who has too few messages keeps what was given.

    >>> best, other = weigh(
    ...     [Way("a", 1, 0.05), Way("b", 1, 0.05)],
    ...     [Record("a", 9_000, 8_900), Record("b", 9_000, 8_000)],
    ... )
    >>> best.weight, round(other.weight, 2), other.reason
    (1.0, 0.64, 'delivered 88.2 % at least, 0.0500 a message')
    """
    known = {each.name: each for each in records if each.ended >= ENDED_MIN}
    judged = [way for way in ways if way.weight > 0 and way.name in known]
    values = {
        way.name: _value(way, known[way.name], has_prices=_has_prices(judged)) for way in judged
    }
    best = max(values.values(), default=0.0)
    times = [known[way.name].latency_s for way in judged]
    fastest = min((each for each in times if each is not None), default=None)
    weights = []
    for way in ways:
        if way.name not in values or not best:
            ended = next((each.ended for each in records if each.name == way.name), 0)
            reason = "standby" if not way.weight else f"as given: {ended} of {ENDED_MIN} ended"
            weights.append(Weight(way.name, way.weight, reason))
            continue
        record = known[way.name]
        is_slow = _is_slow(record.latency_s, fastest)
        share = values[way.name] / best / (SLOW_TIMES if is_slow else 1.0)
        reason = _reason(way, record, is_slow=is_slow)
        weights.append(Weight(way.name, way.weight * max(share, WEIGHT_FLOOR), reason))
    return tuple(weights)


def _has_prices(ways: Sequence[Way]) -> bool:
    return all(way.price > 0 for way in ways)


def _value(way: Way, record: Record, *, has_prices: bool) -> float:
    success = success_at_least(record.delivered, record.ended) ** SUCCESS_POWER
    return success / (way.price * record.parts_each) if has_prices else success


def _is_slow(latency_s: float | None, fastest: float | None) -> bool:
    if latency_s is None or fastest is None:
        return False
    return latency_s > SLOW_TIMES * fastest and latency_s - fastest > SLOW_S_MIN


def _reason(way: Way, record: Record, *, is_slow: bool) -> str:
    least = success_at_least(record.delivered, record.ended)
    said = f"delivered {least:.1%} at least".replace("%", " %")
    said += f", {way.price * record.parts_each:.4f} a message"
    return f"{said}, slow: {record.latency_s:.0f} s" if is_slow else said


def success_at_least(delivered: int, ended: int) -> float:
    """The lower end of the 95 % interval of a share (Wilson 1927); 0 without any.

    >>> round(success_at_least(95, 100), 3), success_at_least(0, 0)
    (0.888, 0.0)
    """
    if not ended:
        return 0.0
    share, z2 = delivered / ended, _Z95**2
    middle = share + z2 / (2 * ended)
    half: float = _Z95 * ((share * (1 - share) + z2 / (4 * ended)) / ended) ** 0.5
    return max(0.0, (middle - half) / (1 + z2 / ended))
