"""Frequency caps: how many contacts already made each of them counts, all caps in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache, reduce
from operator import and_, or_

import numpy as np
import polars as pl

from duewise.frames import INSTANT
from duewise.guard.rule import Cap
from duewise.guard.zones import Zones, clock, local_time

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
    near = _near(laid, events, caps)
    if near.is_empty():
        nothing = pl.lit(0, dtype=pl.Int64)
        return laid.with_columns(nothing.alias(column) for column in caps.values())
    days = (home,) if home else zones.names
    marked = near.select(
        *("borrower_id", "at", "number", "debt"),
        *(_is_counted(cap).alias(column) for cap, column in caps.items()),
        *(local_time("at", zone).dt.date().alias(f"day:{zone}") for zone in days),
    )
    pairs = _asking(laid, zones, days).join(marked, on="borrower_id")
    counted = pairs.select(
        "row",
        *(_inside(cap, column, zones, home).alias(column) for cap, column in caps.items()),
    )
    return laid.with_columns(
        _tally(counted["row"], counted[column], laid.height) for column in caps.values()
    )


def has_room(cap: Cap, column: str, *, home: str | None) -> pl.Expr:
    """Fewer than `max` contacts counted; null where a fact that counting needs is not known."""
    needed = ["now", "history", KEYS[cap.per][0] if cap.per in KEYS else "borrower_id"]
    known = [pl.col(name).is_not_null() for name in needed]
    if home is None and cap.unit != "hours":
        known.append(Zones(()).all_known)
    return pl.when(pl.all_horizontal(known)).then(pl.col(column) < cap.max)


def room_again_at(laid: pl.DataFrame, events: pl.DataFrame, cap: Cap) -> pl.DataFrame:
    """For a cap over hours: row, and the next instant after `now` at which an event drops out."""
    out_at = pl.col("at") + pl.duration(hours=cap.n)
    return (
        _asking(laid, Zones(()), ())
        .join(events.filter(_is_counted(cap)), on="borrower_id")
        .with_columns(out_at=out_at)
        .filter((pl.col("out_at") > pl.col("now")) & _same_key(cap))
        .group_by("row")
        .agg(pl.col("out_at").min())
    )


def _near(laid: pl.DataFrame, events: pl.DataFrame, caps: Mapping[Cap, str]) -> pl.DataFrame:
    """Only events that any row could count: a log of years is not joined for a span of days."""
    first = laid["now"].min()
    if first is None or events.is_empty() or not caps:
        return events.clear()
    spans = [timedelta(hours=cap.n) if cap.unit == "hours" else _days(cap) for cap in caps]
    return events.filter(pl.col("at") > pl.lit(first, dtype=INSTANT) - max(spans))


def _days(cap: Cap) -> timedelta:
    return timedelta(days=cap.n + 2)  # wide enough for any two zones' calendars


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


@lru_cache(maxsize=256)
def _is_counted(cap: Cap) -> pl.Expr:
    """Every key of `count` matches, no barred flag is carried; a missing key does not match."""
    wanted = [pl.col(key).is_in(values) for key, values in cap.count if key != "not_flags"]
    barred = next((flags for key, flags in cap.count if key == "not_flags"), ())
    clean = [~pl.col("flags").list.contains(flag).fill_null(value=False) for flag in barred]
    ours = [] if cap.include_agencies else [pl.col("actor").fill_null(OWN) == OWN]
    counted: pl.Expr = reduce(and_, [*wanted, *clean, *ours], pl.lit(value=True))
    return counted.fill_null(value=False)


def _tally(rows: pl.Series, counted: pl.Series, height: int) -> pl.Series:
    """How often each row number was counted."""
    numbers = rows.filter(counted).to_numpy()
    return pl.Series(counted.name, np.bincount(numbers, minlength=height), dtype=pl.Int64)
