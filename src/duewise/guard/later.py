"""When a deferred message may go: the earliest instant that every window and cap would let it pass.

An answer can change only at a local midnight, at the start of a window, or when a counted event
drops out of a span of hours. So the waiting rows walk from one such instant to the next, all at
once, and leave when their windows and caps hold; derived facts move along with the clock.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from duewise.frames import INSTANT
from duewise.guard.cap import room_again_at
from duewise.guard.compiler import CompiledRulebook, any_of, lay_out
from duewise.guard.rule import Cap, Window
from duewise.guard.zones import Zones, zones_in

HORIZON_DAYS = 62
STEPS_MAX = 1_000


def next_allowed_at(
    waiting: pl.DataFrame, events: pl.DataFrame, book: CompiledRulebook
) -> pl.DataFrame:
    """Row and next_allowed_at of the fact frame's rows; a row that cannot pass in time is absent.

    A row that lacks a fact which a window or cap needs never passes, and is not walked.
    """
    clocks = book.clocks
    fires = any_of(each.fires for each in clocks.rules)
    lost = any_of(each.applies & each.holds.is_null() for each in clocks.rules)
    found = [pl.DataFrame(schema={"row": pl.UInt32, "next_allowed_at": INSTANT})]
    until = pl.col("now") + timedelta(days=HORIZON_DAYS)
    walking = waiting.select("row", "borrower_id", *clocks.facts, until=until)
    for _ in range(STEPS_MAX):
        if walking.is_empty():
            break
        laid = lay_out(walking, events, clocks)
        state = laid.select(fires.alias("fires"), lost.alias("lost"))
        free = walking.filter(~state["fires"])
        found.append(free.select("row", pl.col("now").alias("next_allowed_at")))
        stays = state["fires"] & ~state["lost"]
        step = _next_step(laid.filter(stays), events, clocks)
        walking = walking.filter(stays).with_columns(now=step)
        walking = walking.filter(pl.col("now") <= pl.col("until"))
    return pl.concat(found)


def _next_step(laid: pl.DataFrame, events: pl.DataFrame, clocks: CompiledRulebook) -> pl.Series:
    bodies = [each.rule.body for each in clocks.rules]
    starts = {0} | {body.start_us for body in bodies if isinstance(body, Window)}
    zones, home = Zones(zones_in(laid)), clocks.rulebook.tz_default
    steps: list[pl.Expr] = [
        pl.when(zones.has(zone)).then(_next_in(zone, start))
        for zone in zones.names
        for start in sorted(starts)
    ]
    if home:
        steps.append(_next_in(home, 0))
    step = pl.min_horizontal(pl.lit(None, dtype=INSTANT), *map(_ahead, steps))
    # Clocks are slow to read and few: many rows share an instant and its zones.
    same = ["now", *(f"zone:{zone}" for zone in zones.names)]
    table = laid.select(same).unique().with_columns(step=step)
    laid = laid.join(table, on=same, how="left", maintain_order="left")
    for cap in (body for body in bodies if isinstance(body, Cap) and body.unit == "hours"):
        again = room_again_at(laid, events, cap)
        laid = laid.join(again, on="row", how="left", maintain_order="left")
        laid = laid.with_columns(step=pl.min_horizontal("step", "out_at")).drop("out_at")
    return laid["step"]


def _ahead(step: pl.Expr) -> pl.Expr:
    return pl.when(step > pl.col("now")).then(step)


def _next_in(zone: str, start_us: int) -> pl.Expr:
    """The next instant at which the zone's clock shows that time of day."""
    local = pl.col("now").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    today = local.dt.truncate("1d") + pl.duration(microseconds=start_us)
    ahead = pl.when(today > local).then(today).otherwise(today + timedelta(days=1))
    aware = ahead.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")
