"""Frequency caps: how many contacts already made each of them counts, all caps in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from operator import and_, or_
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import INSTANT
from duewise.guard.rule import Cap
from duewise.guard.zones import Zones, clock, local_times

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
_AS_WRITTEN = pl.QueryOptFlags.none()  # to plan these queries takes longer than to run them
Numbers: TypeAlias = npt.NDArray[np.int64]
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


def with_counts(
    laid: pl.DataFrame,
    events: pl.DataFrame,
    caps: Mapping[Cap, str],
    *,
    zones: Zones,
    home: str | None,
) -> pl.DataFrame:
    """The laid-out facts with a column per cap: the contacts it counts at `now`.

    `caps` names the columns; `home` is the zone whose calendar days count, None for the
    addressee's own.
    """
    days = (home,) if home else zones.names
    marked = _marked(laid["now"], events, caps)
    if marked.is_empty():
        nothing = pl.lit(0, dtype=pl.Int64)
        return laid.with_columns(nothing.alias(column) for column in caps.values())
    shown = local_times(marked["at"], days)
    dates = shown.select(pl.col(zone).dt.date().alias(f"day:{zone}") for zone in days)
    asking, told = _asking(laid, zones, days), marked.hstack(dates)
    inside = (_inside(cap, column, zones, home).alias(column) for cap, column in caps.items())
    pairs = asking.join(told.lazy(), on="borrower_id").select("row", *inside)
    counted = pairs.collect(optimizations=_AS_WRITTEN)
    return laid.hstack(
        [_tally(counted["row"], counted[column], laid.height) for column in caps.values()]
    )


def has_room(cap: Cap, column: str, *, home: str | None) -> pl.Expr:
    """Fewer than `max` contacts counted; null where a fact that counting needs is not known."""
    needed = ["now", "history", KEYS[cap.per][0] if cap.per in KEYS else "borrower_id"]
    known = [pl.col(name).is_not_null() for name in needed]
    if home is None and cap.unit != "hours":
        known.append(Zones(()).all_known)
    return pl.when(pl.all_horizontal(known)).then(pl.col(column) < cap.max)


def drop_outs(laid: pl.DataFrame, events: pl.DataFrame, cap: Cap) -> tuple[Numbers, Numbers]:
    """For a cap over hours: places of rows, and instants at which an event drops out of its span.

    Instants are in microseconds. No instant is missing; some may be past, or of no matter.
    """
    place = pl.int_range(laid.height, dtype=pl.UInt32, eager=True).alias("row")
    counted = reduce(and_, map(_is_met, _conditions(cap)), pl.lit(value=True))
    pairs = (
        _asking(laid.with_columns(place), Zones(()), ())
        .join(events.lazy().filter(counted), on="borrower_id")
        .filter(_same_key(cap) & pl.col("at").is_not_null())
        .select("row", at=pl.col("at") + pl.duration(hours=cap.n))
        .collect()
    )
    return pairs["row"].to_numpy().astype(np.int64), pairs["at"].to_physical().to_numpy()


def _marked(now: pl.Series, events: pl.DataFrame, caps: Mapping[Cap, str]) -> pl.DataFrame:
    """Only events that any row could count, and a Boolean column a cap: whether it counts them.

    A log of years is not joined for a span of days.
    """
    first = now.min()
    if not isinstance(first, datetime) or events.is_empty() or not caps:
        return events.clear()
    since = pl.col("at") - first
    keys, told, counts = _questions(tuple(caps.items()))
    return (
        events.lazy()
        .filter(since > -max(map(_reach, caps)))
        .select("borrower_id", "at", *keys, *told, since.alias("since"))
        .select("borrower_id", "at", *keys, *counts)
        .filter(pl.any_horizontal(*caps.values()))
        .collect(optimizations=_AS_WRITTEN)
    )


@lru_cache(maxsize=256)
def _questions(
    caps: tuple[tuple[Cap, str], ...],
) -> tuple[tuple[str, ...], tuple[pl.Expr, ...], tuple[pl.Expr, ...]]:
    """Keys; every condition, asked once however many caps share it; and whether a cap counts."""
    keys = dict.fromkeys(KEYS[cap.per][1] for cap, _ in caps if cap.per in KEYS)
    told = {condition: f"told:{condition}" for cap, _ in caps for condition in _conditions(cap)}
    counts = (
        reduce(
            and_,
            (pl.col(told[condition]) for condition in _conditions(cap)),
            pl.col("since") > -_reach(cap),
        ).alias(column)
        for cap, column in caps
    )
    met = (_is_met(condition).alias(column) for condition, column in told.items())
    return tuple(keys), tuple(met), tuple(counts)


def _reach(cap: Cap) -> timedelta:
    """No event so long ago is counted; for days wide enough for any two zones' calendars."""
    return timedelta(hours=cap.n) if cap.unit == "hours" else timedelta(days=cap.n + 2)


def _asking(laid: pl.DataFrame, zones: Zones, days: tuple[str, ...]) -> pl.LazyFrame:
    """What of a message a cap may ask for; facts that no rule asks for are not there."""
    keys = [name for name, _ in KEYS.values() if name in laid.columns]
    return laid.lazy().select(
        *("row", "borrower_id", "now", *keys),
        *(zones.has(zone) for zone in zones.names),
        *(clock(zone).dt.date().alias(f"today:{zone}") for zone in days),
    )


@lru_cache(maxsize=1024)
def _inside(cap: Cap, column: str, zones: Zones, home: str | None) -> pl.Expr:
    """Whether the cap counts this event at this row's `now`."""
    if cap.unit == "hours":
        inside = pl.col("at") > pl.col("now") - pl.duration(hours=cap.n)
    elif home:
        inside = _same_days(cap, home)
    else:
        same = (zones.has(zone) & _same_days(cap, zone) for zone in zones.names)
        inside = reduce(or_, same, pl.lit(value=False))
    return pl.col(column) & (pl.col("at") <= pl.col("now")) & _same_key(cap) & inside


def _same_key(cap: Cap) -> pl.Expr:
    if cap.per not in KEYS:
        return pl.lit(value=True)
    fact, key = KEYS[cap.per]
    return pl.col(fact) == pl.col(key)


def _same_days(cap: Cap, zone: str) -> pl.Expr:
    today, day = pl.col(f"today:{zone}"), pl.col(f"day:{zone}")
    return (day <= today) & (day > today - timedelta(days=cap.n))


def _conditions(cap: Cap) -> list[Condition]:
    """What an event must meet to be counted, whoever asks: a key and its values."""
    return [*cap.count, *(() if cap.include_agencies else (_OURS,))]


@lru_cache(maxsize=256)
def _is_met(condition: Condition) -> pl.Expr:
    """The key has one of the values, or no barred flag is carried; null where there is no key."""
    key, values = condition
    if key == "not_flags":
        flags = pl.col("flags")
        clean = [~flags.list.contains(flag).fill_null(value=False) for flag in values]
        return reduce(and_, clean, pl.lit(value=True))
    column = pl.col(key).fill_null(OWN) if condition == _OURS else pl.col(key)
    return column == values[0] if len(values) == 1 else column.is_in(values)


def _tally(rows: pl.Series, counted: pl.Series, height: int) -> pl.Series:
    """How often each row number was counted."""
    numbers = rows.filter(counted).to_numpy()
    return pl.Series(counted.name, np.bincount(numbers, minlength=height), dtype=pl.Int64)
