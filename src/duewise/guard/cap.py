"""Frequency caps: how many contacts already made each of them counts, all caps in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, eq, gt, or_
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from duewise.frames import INSTANT
from duewise.guard.columns import Columns, labels_that, without_nulls
from duewise.guard.rule import Cap
from duewise.guard.truth import (
    Bits,
    Bools,
    Truth,
    arrow_of,
    full,
    known,
    packed,
    places,
    truth_of_arrow,
    unpacked,
)
from duewise.guard.zones import Zones, local_us

EVENTS: dict[str, pl.DataType] = {
    "borrower_id": pl.String(),
    "at": INSTANT,
    "channel": pl.String(),
    "dir": pl.String(),
    "outcome": pl.String(),
    "stage": pl.String(),
    "actor": pl.String(),
    "number": pl.String(),
    "debt": pl.String(),
    "flags": pl.List(pl.String()),
}
# A number or a debt is looked up within its borrower, so that a verdict does not depend on which
# other borrowers happen to lie in the same partition.
KEYS = {"number": ("to.number", "number"), "debt": ("acct.debt", "debt")}
OWN = "own"
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
Numbers64: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.intp]
Condition: TypeAlias = tuple[str, tuple[str, ...]]
_OURS: Condition = ("actor", (OWN,))


def event_frame(history: pl.DataFrame) -> pl.DataFrame:
    """The contact log in the types of EVENTS; what is absent becomes nulls."""
    if history.is_empty():
        return pl.DataFrame(schema=EVENTS)
    if dict(history.schema) == EVENTS:
        return history
    return history.select(
        (pl.col(name) if name in history.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )


@dataclass(frozen=True, eq=False)
class Met:
    """Messages and the contacts of their borrowers that a cap may count, pair by pair.

    `row` is the message's, `event` the contact's place in `at_us`; `counts` tells of each contact
    whether a cap counts it, whoever asks, and `same` of each pair whether it shares a key.
    """

    row: Places
    event: Places
    at_us: Numbers64
    counts: Mapping[Cap, Bools]
    same: Mapping[str, Bools]

    def pairs_of(self, cap: Cap) -> Bools:
        """The pairs of which the cap counts the contact, at whatever time it was made."""
        counted = self.counts[cap][self.event]
        return counted & self.same[cap.per] if cap.per in KEYS else counted


def counts(
    columns: Columns, events: pl.DataFrame, caps: Sequence[Cap], zones: Zones
) -> dict[Cap, Numbers64]:
    """For each cap, and each row, the contacts it counts at `now`."""
    met = meet(columns, events, caps)
    if met is None:
        return dict.fromkeys(caps, np.zeros(columns.height, dtype=np.int64))
    ago_us = columns.numbers("now").values[met.row] - met.at_us[met.event]
    is_past = ago_us >= 0
    has_days = any(cap.unit != "hours" for cap in caps)
    days_ago = list(_days_ago(met, zones, columns.height)) if has_days else []

    def counted(cap: Cap) -> Numbers64:
        if cap.unit == "hours":
            inside = ago_us < cap.n * _HOUR_US
        else:
            same = (has & (ago >= 0) & (ago < cap.n) for has, ago in days_ago)
            inside = reduce(np.logical_or, same, np.zeros(len(ago_us), dtype=np.bool_))
        return np.bincount(met.row[met.pairs_of(cap) & is_past & inside], minlength=columns.height)

    return {cap: counted(cap) for cap in caps}


def has_room(cap: Cap, count: Numbers64, columns: Columns, zones: Zones) -> Truth:
    """Fewer than `max` contacts counted; not known where a fact that counting needs is not."""
    needed = ("now", "history", KEYS[cap.per][0] if cap.per in KEYS else "borrower_id")
    where = reduce(and_, map(columns.known, needed))
    if zones.home is None and cap.unit != "hours":
        where = where & zones.known
    return known(packed(count < cap.max), where)


def meet(columns: Columns, events: pl.DataFrame, caps: Sequence[Cap]) -> Met | None:
    """The contacts that any row could count, beside the rows; None if there is none.

    A log of years is not joined for a span of days.
    """
    now, asking = columns.numbers("now"), columns.series("borrower_id")
    if events.is_empty() or not now.known.any() or asking is None:
        return None
    first_us = int(now.values[unpacked(now.known, columns.height)].min())
    log = Columns(events)
    at = log.numbers("at")
    conditions = dict.fromkeys(condition for cap in caps for condition in _conditions(cap))
    told = {condition: _told(condition, log) for condition in conditions}
    counts = {
        cap: reduce(
            and_,
            (told[condition] for condition in _conditions(cap)),
            at.compared(gt, first_us - _reach_us(cap)).yes,
        )
        for cap in caps
    }
    counted = places(reduce(or_, counts.values()), events.height)
    if not counted.size:
        return None
    row, event = _pairs(asking, events["borrower_id"].to_arrow().take(arrow_of(counted)))
    keys = dict.fromkeys(cap.per for cap in caps if cap.per in KEYS)
    return Met(
        row,
        event,
        at.values[counted],
        {cap: unpacked(bits, events.height)[counted] for cap, bits in counts.items()},
        {key: _is_shared(key, columns, events, row, counted[event]) for key in keys},
    )


def drop_outs(columns: Columns, events: pl.DataFrame, cap: Cap) -> tuple[Numbers64, Numbers64]:
    """For a cap over hours: places of rows, and instants at which an event drops out of its span.

    Instants are in microseconds. No instant is missing; some may be past, or of no matter.
    """
    met = meet(columns, events, (cap,))
    if met is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    counted = met.pairs_of(cap)
    return (
        met.row[counted].astype(np.int64),
        met.at_us[met.event[counted]] + cap.n * _HOUR_US,
    )


def _reach_us(cap: Cap) -> int:
    """No event so long ago is counted; for days wide enough for any two zones' calendars."""
    return cap.n * _HOUR_US if cap.unit == "hours" else (cap.n + 2) * _DAY_US


def _pairs(of_row: pl.Series, of_event: pa.Array) -> tuple[Places, Places]:
    """Each message's row with each event of its borrower: the places of both."""
    asking = of_row.to_arrow().dictionary_encode()
    borrowers = len(asking.dictionary)
    of = without_nulls(asking.indices, borrowers + 1)
    number = without_nulls(pc.index_in(of_event, asking.dictionary, skip_nulls=True), borrowers)
    rows = np.argsort(of, kind="stable")
    bounds = np.searchsorted(of[rows], np.arange(borrowers + 2))
    size = (bounds[1:] - bounds[:-1])[number]
    event = np.repeat(np.arange(len(number)), size)
    start = np.repeat(bounds[number] - np.cumsum(size) + size, size)
    return rows[start + np.arange(len(event))], event


def _is_shared(
    key: str, columns: Columns, events: pl.DataFrame, row: Places, event: Places
) -> Bools:
    """Of each pair, whether the message and the contact have the key in common."""
    fact, column = KEYS[key]
    asking = columns.series(fact)
    if asking is None:
        return np.zeros(len(row), dtype=np.bool_)
    asked = ((asking, row), (events[column], event))
    ours, theirs = (keys.to_arrow().take(arrow_of(at)) for keys, at in asked)
    return unpacked(truth_of_arrow(pc.equal(ours, theirs)).yes, len(row))


def _days_ago(met: Met, zones: Zones, height: int) -> Iterator[tuple[Bools, Numbers64]]:
    """For each zone whose days count: the pairs it is asked for, and how many days lie between."""
    for zone in zones.days:
        day = local_us(met.at_us, zone) // _DAY_US
        today = zones.clocks[zone].day.values
        has = zones.of[zone] if zones.home is None else full(height)
        yield unpacked(has, height)[met.row], today[met.row] - day[met.event]


def _conditions(cap: Cap) -> list[Condition]:
    """What an event must meet to be counted, whoever asks: a key and its values."""
    return [*cap.count, *(() if cap.include_agencies else (_OURS,))]


def _told(condition: Condition, log: Columns) -> Bits:
    """The key has one of the values, or no barred flag is carried."""
    key, values = condition
    if key == "not_flags":
        return log.all & ~log.sets("flags").have_any(values)
    words = log.words(key)
    told = reduce(or_, (words.told(labels_that(eq, words.labels, value)).yes for value in values))
    return told | (log.all & ~words.known) if condition == _OURS else told
