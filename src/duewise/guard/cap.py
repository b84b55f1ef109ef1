"""Frequency caps: whether the contacts already made leave room for one more."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from operator import and_, or_

import polars as pl

from duewise.frames import INSTANT
from duewise.guard.rule import Cap
from duewise.guard.zones import Zones, local_date

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
KEYS = {
    "debtor": {"borrower_id": "borrower_id"},
    "number": {"borrower_id": "borrower_id", "to.number": "number"},
    "debt": {"borrower_id": "borrower_id", "acct.debt": "debt"},
}
OWN = "own"


def event_frame(history: pl.DataFrame) -> pl.DataFrame:
    """The contact log in the types of EVENTS; what is absent becomes nulls."""
    if history.is_empty():
        return pl.DataFrame(schema=EVENTS)
    return history.select(
        (pl.col(name) if name in history.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )


def has_room(
    facts: pl.DataFrame, events: pl.DataFrame, cap: Cap, *, zones: Zones, tz_default: str | None
) -> pl.Series:
    """Per row: fewer than `max` events counted; null where a needed fact is not known."""
    keys = KEYS[cap.per]
    needed = ["now", "history", *keys]
    known = reduce(and_, (pl.col(name).is_not_null() for name in needed))
    if tz_default is None and cap.unit != "hours":
        known &= zones.all_known
    counts = _counts(facts.filter(known), events.filter(_is_counted(cap)), cap, zones, tz_default)
    return (
        facts.select("row", known=known)
        .join(counts, on="row", how="left", maintain_order="left")
        .select(pl.when("known").then(pl.col("n").fill_null(0) < cap.max))
        .to_series()
    )


def room_again_at(facts: pl.DataFrame, events: pl.DataFrame, cap: Cap) -> pl.DataFrame:
    """For a cap over hours: row, and the next instant after `now` at which an event drops out."""
    out_at = pl.col("at") + pl.duration(hours=cap.n)
    return (
        _pairs(facts, events.filter(_is_counted(cap)), cap)
        .with_columns(out_at=out_at)
        .filter(pl.col("out_at") > pl.col("now"))
        .group_by("row")
        .agg(pl.col("out_at").min())
    )


def _counts(
    facts: pl.DataFrame, events: pl.DataFrame, cap: Cap, zones: Zones, tz_default: str | None
) -> pl.DataFrame:
    pairs = _pairs(facts, _near(facts, events, cap), cap)
    if cap.unit == "hours":
        inside = pl.col("at") > pl.col("now") - pl.duration(hours=cap.n)
    elif tz_default:
        inside = _same_days(cap, tz_default)
    else:
        inside = reduce(
            or_,
            (zones.has(zone) & _same_days(cap, zone) for zone in zones.names),
            pl.lit(value=False),
        )
    return pairs.filter((pl.col("at") <= pl.col("now")) & inside).group_by("row").agg(n=pl.len())


def _pairs(facts: pl.DataFrame, events: pl.DataFrame, cap: Cap) -> pl.DataFrame:
    keys = KEYS[cap.per]
    zones = [name for name in facts.columns if name.startswith("zone:")]
    return facts.select("row", "now", *keys, *zones).join(
        events.select("at", *keys.values()), left_on=list(keys), right_on=list(keys.values())
    )


def _near(facts: pl.DataFrame, events: pl.DataFrame, cap: Cap) -> pl.DataFrame:
    """Only events that any row could count: a log of years is not joined for a span of days."""
    first = facts["now"].min()
    if first is None:
        return events.clear()
    span = pl.duration(hours=cap.n) if cap.unit == "hours" else pl.duration(days=cap.n + 2)
    return events.filter(pl.col("at") > pl.lit(first, dtype=INSTANT) - span)


def _same_days(cap: Cap, zone: str) -> pl.Expr:
    today, day = local_date("now", zone), local_date("at", zone)
    return (day <= today) & (day > today - timedelta(days=cap.n))


def _is_counted(cap: Cap) -> pl.Expr:
    """Every key of `count` matches, no barred flag is carried; a missing key does not match."""
    wanted = [pl.col(key).is_in(values) for key, values in cap.count if key != "not_flags"]
    barred = next((flags for key, flags in cap.count if key == "not_flags"), ())
    clean = [~pl.col("flags").list.contains(flag).fill_null(value=False) for flag in barred]
    ours = [] if cap.include_agencies else [pl.col("actor").fill_null(OWN) == OWN]
    counted: pl.Expr = reduce(and_, [*wanted, *clean, *ours], pl.lit(value=True))
    return counted.fill_null(value=False)
