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
    pairs = _asking(laid, zones, days).join(marked.hstack(dates), on="borrower_id")
    counted = pairs.select(
        "row",
        *(_inside(cap, column, zones, home).alias(column) for cap, column in caps.items()),
    )
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
        .join(events.filter(counted), on="borrower_id")
        .filter(_same_key(cap) & pl.col("at").is_not_null())
        .select("row", at=pl.col("at") + pl.duration(hours=cap.n))
    )
    return pairs["row"].to_numpy().astype(np.int64), pairs["at"].to_physical().to_numpy()


def _marked(now: pl.Series, events: pl.DataFrame, caps: Mapping[Cap, str]) -> pl.DataFrame:
    """Only events that any row could count, and a Boolean column a cap: whether it counts them.

    A log of years is not joined for a span of days.
    """
    first = now.min()
    if not isinstance(first, datetime) or events.is_empty() or not caps:
        return events.clear()
    keys = [KEYS[per][1] for per in dict.fromkeys(cap.per for cap in caps) if per in KEYS]
    told = {condition: f"told:{condition}" for cap in caps for condition in _conditions(cap)}
    # A condition that many caps share is asked once.
    asked = events.filter(pl.col("at") > first - max(map(_reach, caps))).select(
        *("borrower_id", "at", *keys),
        *(_is_met(condition).alias(column) for condition, column in told.items()),
    )
    counts = {
        column: reduce(
            and_,
            (pl.col(told[condition]) for condition in _conditions(cap)),
            pl.col("at") > first - _reach(cap),
        )
        for cap, column in caps.items()
    }
    marked = asked.select("borrower_id", "at", *keys, **counts)
    return marked.filter(pl.any_horizontal(*caps.values()))


def _reach(cap: Cap) -> timedelta:
    """No event so long ago is counted; for days wide enough for any two zones' calendars."""
    return timedelta(hours=cap.n) if cap.unit == "hours" else timedelta(days=cap.n + 2)


def _asking(laid: pl.DataFrame, zones: Zones, days: tuple[str, ...]) -> pl.DataFrame:
    """What of a message a cap may ask for; facts that no rule asks for are not there."""
    keys = [name for name, _ in KEYS.values() if name in laid.columns]
    return laid.select(
        *("row", "borrower_id", "now", *keys),
        *(zones.has(zone) for zone in zones.names),
        *(clock(zone).dt.date().alias(f"today:{zone}") for zone in days),
    )


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
    """The key has one of the values, or no barred flag is carried; a missing key does not match."""
    key, values = condition
    if key == "not_flags":
        flags = pl.col("flags")
        clean = [~flags.list.contains(flag).fill_null(value=False) for flag in values]
        return reduce(and_, clean, pl.lit(value=True))
    column = pl.col(key).fill_null(OWN) if condition == _OURS else pl.col(key)
    met = column == values[0] if len(values) == 1 else column.is_in(values)
    return met.fill_null(value=False)


def _tally(rows: pl.Series, counted: pl.Series, height: int) -> pl.Series:
    """How often each row number was counted."""
    numbers = rows.filter(counted).to_numpy()
    return pl.Series(counted.name, np.bincount(numbers, minlength=height), dtype=pl.Int64)
