"""Contact windows: whether the local clock is inside them, in every candidate zone."""

from __future__ import annotations

from functools import reduce
from operator import and_

import polars as pl

from duewise.book.calendar import Calendar
from duewise.guard.rule import Window
from duewise.guard.zones import Zones, clock

_DAY_US = 86_400_000_000


def is_open(window: Window, *, zones: Zones, calendar: Calendar | None) -> pl.Expr:
    """Open in all candidate zones; null where the instant or the zones are not known."""
    open_in = [~zones.has(zone) | is_open_in(window, zone, calendar) for zone in zones.names]
    known = zones.all_known & pl.col("now").is_not_null()
    return pl.when(known).then(reduce(and_, open_in, pl.lit(value=True)))


def is_open_in(window: Window, zone: str, calendar: Calendar | None) -> pl.Expr:
    """Whether the zone's clock stands inside the window."""
    local = clock(zone)
    time_us = local.to_physical() % _DAY_US
    before_end = time_us <= window.end_us if window.end_inclusive else time_us < window.end_us
    result = (time_us >= window.start_us) & before_end
    if len(window.days) < len("mtwtfss"):
        result &= local.dt.weekday().is_in(window.days)
    if window.exclude_holidays and calendar:
        result &= ~local.dt.date().is_in(sorted(calendar.holidays))
        if calendar.years is not None:  # in a year nobody knows every day may be a holiday
            result &= local.dt.year().is_in(sorted(calendar.years))
    return result
