"""The candidate time zones of an addressee, and what their clocks show, in a batch of messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, reduce
from operator import or_
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import INSTANT
from duewise.guard.columns import Columns, Numbers
from duewise.guard.truth import Bits, none

Instants: TypeAlias = npt.NDArray[np.int64]
_SECOND_US = 1_000_000
_DAY_US = 24 * 3_600 * _SECOND_US
_DAYS_MAX = 4_000  # a span over which each day is looked at by itself
_CHANGES = 1  # no offset: a microsecond


@dataclass(frozen=True, eq=False)
class Clock:
    """What the clock of a zone shows at `now`: microseconds since 1970, as if it showed UTC."""

    shown: Numbers

    @cached_property
    def day(self) -> Numbers:
        """The local date, in days since 1970."""
        return Numbers(self.shown.values // _DAY_US, self.shown.known)

    @cached_property
    def time_us(self) -> Numbers:
        """The time of day."""
        return Numbers(self.shown.values - self.day.values * _DAY_US, self.shown.known)


@dataclass(frozen=True, eq=False)
class Zones:
    """The zones that occur, and the bits of the rows that may be there.

    A row without a zone, or with one that does not exist, is not `known`. `home` is the zone whose
    calendar days count, None for the addressee's own.
    """

    of: Mapping[str, Bits]
    known: Bits
    clocks: Mapping[str, Clock]
    home: str | None

    @property
    def days(self) -> tuple[str, ...]:
        """The zones whose calendar days count."""
        return (self.home,) if self.home else tuple(self.of)


def zones_of(columns: Columns, home: str | None) -> Zones:
    """Where the addressees may be, by `to.tz`, and what clocks show there at `now`."""
    of, known = _candidates(columns)
    names = dict.fromkeys((*of, *([home] if home else [])))
    now = columns.numbers("now")
    clocks = {name: Clock(Numbers(local_us(now.values, name), now.known)) for name in names}
    return Zones(of, known, clocks, home)


def _candidates(columns: Columns) -> tuple[Mapping[str, Bits], Bits]:
    """Who may be in which zone, and whose zones all exist."""
    sets = columns.sets("to.tz")
    names = sorted(zone for zone in sets.places if zone and _exists(zone))
    of = {zone: sets.have(zone) for zone in names}
    somewhere = reduce(or_, of.values(), none(columns.height))
    return of, somewhere & ~sets.have_beside(names)


def local_us(instants_us: Instants, zone: str) -> Instants:
    """What a clock of the zone shows at each instant, in microseconds as if it showed UTC.

    On most days of UTC no clock is changed, and one offset says what all of the day shows.
    """
    day = instants_us // _DAY_US
    if not day.size:
        return instants_us
    first = int(day.min())
    if int(day.max()) - first > _DAYS_MAX:
        return _shown_us(instants_us, zone)
    place = day - first
    occurs = np.flatnonzero(np.bincount(place))
    offset_us = np.zeros(int(occurs[-1]) + 1, dtype=np.int64)
    offset_us[occurs] = [_offset_us(zone, first + int(each)) for each in occurs]
    shown = instants_us + offset_us[place]
    if _CHANGES in offset_us:
        changes = offset_us[place] == _CHANGES
        shown[changes] = _shown_us(instants_us[changes], zone)
    return shown


@lru_cache(maxsize=1 << 16)
def _offset_us(zone: str, day: int) -> int:
    """The offset from UTC on that day since 1970, if it is the same at every second of it."""
    seconds = np.arange(0, _DAY_US, _SECOND_US) + day * _DAY_US
    offset_us = _shown_us(seconds, zone) - seconds
    return int(offset_us[0]) if (offset_us == offset_us[0]).all() else _CHANGES


def _shown_us(instants_us: Instants, zone: str) -> Instants:
    at = pl.Series("at", instants_us).cast(INSTANT)
    there = pl.col("at").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return at.to_frame().select(there).to_series().to_physical().to_numpy()


@cache
def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return False
    return True
