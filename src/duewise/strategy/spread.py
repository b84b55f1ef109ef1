"""Which hour each message leaves in, so that no hour is asked for more than its routes can carry.

The urgent keep their hours first. Whoever finds an hour full moves to the hour of his own window
that is liked best and has room; where none has, he stays, and the day does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from duewise.strategy.offers import Floats, Wholes
from duewise.strategy.timing import HOURS


@dataclass(frozen=True)
class Asked:
    """Messages of one kind on one day, (n,) each, hours counted from its midnight.

    Each is planned for `hour`, may leave from hour `opens` to `closes`, not included, and takes
    `units` of what an hour can carry. Those of a lower `lane` come first, then those of a lower
    `draw`.
    """

    hour: Wholes
    opens: Wholes
    closes: Wholes
    lane: Wholes
    units: Wholes
    draw: Floats


@dataclass(frozen=True)
class Placed:
    """The `hour` of each message, and whether it has `room` there; (n,) each."""

    hour: Wholes
    has_room: np.ndarray[tuple[int], np.dtype[np.bool_]]


def fitted(asked: Asked, room: Floats, liked: Floats) -> Placed:
    """Messages in hours that have room for them, as far as there is any.

    `room` (24,) is how many units each hour can carry, `liked` (24,) how well each is responded to.

    >>> three = np.array([1, 1, 1])
    >>> asked = Asked(9 * three, 9 * three, 12 * three, 0 * three, three, np.array([0.2, 0.1, 0.3]))
    >>> room, liked = np.ones(24), np.arange(24) / 24
    >>> fitted(asked, room, liked).hour.tolist()
    [11, 9, 10]
    """
    hour, left = asked.hour.copy(), room.copy()
    has_room = np.zeros(len(hour), np.bool_)
    first = np.lexsort((asked.draw, asked.lane))
    ends = np.searchsorted(asked.lane[first], np.unique(asked.lane), side="right")
    for mine in np.split(first, ends[:-1]):
        has_room[list(_kept(mine, asked, left))] = True
        for group in _windows(mine[~has_room[mine]], asked):
            for to in _best_first(asked, group[0], liked):
                taken = _take(group, asked.units, left, to)
                hour[taken], has_room[taken] = to, True
                group = group[len(taken) :]  # noqa: PLW2901  the rest of it
                if not len(group):
                    break
    return Placed(hour, has_room)


def _kept(mine: Wholes, asked: Asked, left: Floats) -> Iterator[int]:
    """Those of a lane whose own hour has room; it is taken."""
    for at in np.unique(asked.hour[mine]):
        yield from _take(mine[asked.hour[mine] == at], asked.units, left, at)


def _windows(rest: Wholes, asked: Asked) -> Iterator[Wholes]:
    """The messages by window, in their order; those with the fewest hours to choose from first."""
    if not len(rest):
        return
    window = np.column_stack([asked.closes - asked.opens, asked.opens, asked.closes])[rest]
    _, which = np.unique(window, axis=0, return_inverse=True)
    for number in range(which.max() + 1):
        yield rest[which.ravel() == number]


def _best_first(asked: Asked, one: int, liked: Floats) -> list[int]:
    """The hours of a message's window, the best liked first; of two alike the earlier."""
    hours = range(max(0, int(asked.opens[one])), min(HOURS, int(asked.closes[one])))
    return sorted(hours, key=lambda at: (-liked[at], at))


def _take(who: Wholes, units: Wholes, left: Floats, at: int) -> Wholes:
    """As many of them, from the first, as the hour has room for; it is taken."""
    summed = np.cumsum(units[who])
    taken = who[: np.searchsorted(summed, left[at], side="right")]
    if len(taken):
        left[at] -= summed[len(taken) - 1]
    return taken
