"""Contact windows: whether the local clock is inside them, in every candidate zone."""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import and_

import numpy as np

from duewise.book.calendar import Calendar
from duewise.guard.rule import Window
from duewise.guard.truth import Bools, Truth, known, packed
from duewise.guard.zones import Clock, Zones

_EPOCH = np.datetime64("1970-01-01", "D")
_WEEK = 7
_THURSDAY = 4  # 1 January 1970


def is_open(window: Window, *, zones: Zones, calendar: Calendar | None) -> Truth:
    """Open in all candidate zones; not known where the instant or the zones are not."""
    clocks = (zones.clocks[name] for name in zones.of)
    open_in = (
        ~has | packed(is_open_in(window, clock, calendar))
        for has, clock in zip(zones.of.values(), clocks, strict=True)
    )
    where = reduce(and_, (zones.clocks[name].shown.known for name in zones.of), zones.known)
    return known(reduce(and_, open_in, where), where)


def is_open_in(window: Window, clock: Clock, calendar: Calendar | None) -> Bools:
    """Whether the zone's clock stands inside the window, row by row."""
    time_us, day = clock.time_us.values, clock.day.values
    before_end = time_us <= window.end_us if window.end_inclusive else time_us < window.end_us
    result: Bools = (time_us >= window.start_us) & before_end
    has_every_day = len(window.days) == _WEEK
    if has_every_day and not (window.exclude_holidays and calendar):
        return result
    distinct, which = np.unique(day, return_inverse=True)
    allowed = np.array([_is_allowed(int(each), window, calendar) for each in distinct], dtype=bool)
    opens: Bools = result & allowed[which]
    return opens


@lru_cache(maxsize=4_096)
def _is_allowed(day: int, window: Window, calendar: Calendar | None) -> bool:
    """Whether the window opens at all on that day since 1970."""
    if (day + _THURSDAY - 1) % _WEEK + 1 not in window.days:
        return False
    if not (window.exclude_holidays and calendar):
        return True
    date = (_EPOCH + day).item()
    return date not in calendar.holidays and calendar.knows(date)
