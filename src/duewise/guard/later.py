"""When a deferred message may go: the earliest instant that every window and cap would let it pass.

A closed window does not open before the clock shows its start, a full cap has no room before
midnight or before an event drops out of its span of hours, and derived facts move at midnight. Only
these instants are asked, for all waiting rows at once, and of those at which windows and caps hold
the first is taken: for the next day, and if a row finds none, for ever longer spans after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.compute as pc

from duewise.frames import INSTANT
from duewise.guard.cap import drop_outs
from duewise.guard.columns import Columns, Numbers, Places, rows_of
from duewise.guard.compiler import CompiledRulebook, any_of, lay_out
from duewise.guard.truth import Bools, places, unpacked
from duewise.guard.zones import zones_of

Instants: TypeAlias = npt.NDArray[np.int64]
HORIZON_DAYS = 35
_FIRST_SPAN_H = 26  # a day, though clocks be put back, and the opening after it
_HOUR_US = 3_600_000_000
_SPAN_MAX_US = 7 * 24 * _HOUR_US
_HORIZON_US = HORIZON_DAYS * 24 * _HOUR_US
_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = np.iinfo(np.int64).max
_NOT_AN_INSTANT = np.iinfo(np.int64).min


def next_allowed_at(
    columns: Columns, waiting: Places, events: pl.DataFrame, book: CompiledRulebook
) -> pl.Series:
    """An instant for each of these rows of the batch; null for one that cannot pass in time.

    Of each of them a window or a cap fires at `now`, and no fact that these need is missing.
    """
    clocks, events = book.clocks, _own(events, columns.series("borrower_id"), waiting)
    place = np.arange(len(waiting))
    found = np.full(len(waiting), _NEVER, dtype=np.int64)
    for since_us, until_us in _spans():
        place = place[found[place] == _NEVER]
        if not place.size:
            break
        still = columns.taken(waiting[place])
        row, at_us = _instants_ahead(still, events, clocks, since_us=since_us, until_us=until_us)
        then = columns.taken(waiting[place[row]])
        then.put("now", Numbers(at_us, then.all))
        is_free = ~_fires(then, events, clocks)
        np.minimum.at(found, place[row[is_free]], at_us[is_free])
    instants = np.where(found == _NEVER, _NOT_AN_INSTANT, found).view("M8[us]")
    return pl.Series(instants).cast(INSTANT)


def _own(events: pl.DataFrame, borrowers: pl.Series | None, waiting: Places) -> pl.DataFrame:
    """The contacts of these borrowers."""
    if borrowers is None:
        return events.clear()
    asking = borrowers[rows_of(waiting)].to_arrow()
    is_own = pc.is_in(events["borrower_id"].to_arrow(), asking)
    return events[rows_of(np.flatnonzero(is_own.to_numpy(zero_copy_only=False)))]


def _fires(columns: Columns, events: pl.DataFrame, clocks: CompiledRulebook) -> Bools:
    """Of each message, at its instant, whether any of the windows and caps fires."""
    lay_out(columns, events, clocks)
    fired = (rule.fires(columns) for rule in clocks.rules)
    return unpacked(any_of(fired, columns.height), columns.height)


def _spans() -> Iterator[tuple[int, int]]:
    """Microseconds after `now`: from which (not in it) to which; ever longer up to a week."""
    since_us, span_us = 0, _FIRST_SPAN_H * _HOUR_US
    while since_us < _HORIZON_US:
        until_us = min(since_us + span_us, _HORIZON_US)
        yield since_us, until_us
        since_us, span_us = until_us, min(2 * span_us, _SPAN_MAX_US)


def _instants_ahead(
    columns: Columns,
    events: pl.DataFrame,
    clocks: CompiledRulebook,
    *,
    since_us: int,
    until_us: int,
) -> tuple[Instants, Instants]:
    """Rows, and instants in the span at which what fires there could fall silent."""
    now_us = columns.numbers("now").values
    home, starts = clocks.rulebook.tz_default, {window.start_us for window in clocks.windows}
    clocked = [
        (places(has, columns.height), zone, starts if home else {0, *starts})
        for zone, has in zones_of(columns, home).of.items()
    ]
    if home:
        clocked.append((np.arange(columns.height), home, {0}))
    found = []
    for rows, zone, of_day in clocked:
        since, until = now_us[rows] + since_us, now_us[rows] + until_us
        instants = _starts(zone, of_day, since, until)
        first = np.searchsorted(instants, since, side="right")
        count = np.searchsorted(instants, until, side="right") - first
        begin = np.cumsum(count) - count
        which = np.arange(count.sum()) + np.repeat(first - begin, count)
        found.append((np.repeat(rows, count), instants[which]))
    for cap in (cap for cap in clocks.caps if cap.unit == "hours"):
        row, out_us = drop_outs(columns, events, cap)
        after_us = out_us - now_us[row]
        is_near = (after_us > since_us) & (after_us <= until_us)
        found.append((row[is_near], out_us[is_near]))
    row, at_us = (np.concatenate(each) for each in zip(*found, strict=True))
    return row, at_us


def _starts(zone: str, starts: Iterable[int], since: Instants, until: Instants) -> Instants:
    """Every instant at which the zone's clock shows one of these times, from first to last."""
    if not since.size:
        return since
    found: set[datetime] = set()
    first, last = (_EPOCH + int(us) * _MICROSECOND for us in (since.min(), until.max()))
    for start_us in starts:
        at = next_start(first, zone, start_us)
        while at <= last:
            found.add(at)
            at = next_start(at, zone, start_us)
    return np.array([(at - _EPOCH) // _MICROSECOND for at in sorted(found)], dtype=np.int64)


@lru_cache(maxsize=1 << 16)
def next_start(now: datetime, zone: str, start_us: int) -> datetime:
    """The next instant after `now` at which the zone's clock shows, or skips, that time of day.

    >>> eight_us = 8 * 3_600 * 1_000_000
    >>> next_start(datetime(2026, 8, 12, 3, tzinfo=UTC), "Asia/Shanghai", eight_us).isoformat()
    '2026-08-13T00:00:00+00:00'
    """
    clock = ZoneInfo(zone)
    today = datetime.combine(now.astimezone(clock).date(), time()) + start_us * _MICROSECOND
    shown = (today + timedelta(days=days) for days in (0, 1))
    return min(at for day in shown for at in _instants(day, clock) if at > now)


def _instants(shown: datetime, clock: ZoneInfo) -> tuple[datetime, datetime]:
    """When the clock shows that time first and last; when it is put forward over it, that instant.

    By PEP 495 a skipped time is read with the offset before the change, or after it: the change
    lies between the two readings.
    """
    first, last = (shown.replace(tzinfo=clock, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= last:
        return first, last
    while first - last > _SECOND:
        middle = last + (first - last) // _SECOND // 2 * _SECOND
        is_past = middle.astimezone(clock).replace(tzinfo=None) >= shown
        first, last = (middle, last) if is_past else (first, middle)
    return first, first
