"""A plan's messages in hours that their routes can carry, over all partitions together.

Partitions count what each hour is asked for (`hourly`). Where that is too much somewhere (`fits`),
they tell when each of their messages would leave (`leaving`); one small reduce says who leaves at
another hour (`spread_out`), and each partition is written with that (`at_their_hours`). The first
gate judged a message at the hour it was planned for; the gates to come judge it at its new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.engine.given import PlanContext
from duewise.frames import INSTANT
from duewise.ids import draws
from duewise.outbox.envelope import lane_of
from duewise.strategy.offers import Floats
from duewise.strategy.reason import Decision
from duewise.strategy.spread import Asked, fitted
from duewise.strategy.timing import HOURS, PaidByHour

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)
HOUR_S = 3_600
GOES, WAITS = ("allow", "redact"), "defer"


@dataclass(frozen=True)
class Load:
    """What a day asks of a kind's routes, which carry `parts_per_hour`.

    `moved` messages leave at another hour than planned; for `left_over` no hour had room.
    """

    channel: str
    parts_per_hour: float
    messages: int
    parts: int
    moved: int
    left_over: int


@dataclass(frozen=True)
class SpreadOut:
    """Each limited channel's load; per partition who leaves when (borrower_id, leaves_at)."""

    loads: tuple[Load, ...]
    moved: tuple[pl.DataFrame, ...]


def hourly(rows: pl.DataFrame, context: PlanContext) -> pl.DataFrame:
    """Parts of each limited channel by the hour they would leave in: channel, hour, units."""
    return (
        _going(rows.lazy(), context)
        .group_by("channel", "hour")
        .agg(units=pl.col("parts").fill_null(1).sum().cast(pl.Int64))
        .collect()
    )


def fits(counts: Sequence[pl.DataFrame], context: PlanContext) -> bool:
    """Whether every hour has room for all that is planned for it, by the counts of `hourly`."""
    asked = pl.concat(counts).group_by("channel", "hour").agg(pl.col("units").sum())
    rooms = {channel: _room(context, rate) for channel, rate in context.rates.items()}
    return all(units <= rooms[channel][hour] for channel, hour, units in asked.iter_rows())


def leaving(rows: pl.LazyFrame, context: PlanContext) -> pl.LazyFrame:
    """The messages of a partition that leave today on channels with a rate, `hour` and all."""
    start, hours = pl.lit(_midnight(context)).cast(INSTANT), pl.lit(HOUR_S)
    earliest = int((context.now - _midnight(context)).total_seconds() // HOUR_S)
    is_free = pl.col("outcome").is_in(GOES) & ~pl.col("key").str.contains(r"\+\d+\|[^|]*$")
    return (
        _going(rows, context)
        .join(_opens(context), on=["step", "arm"], how="left", maintain_order="left")
        .with_columns(
            closes=(pl.col("valid_until") - start).dt.total_seconds() // hours,
            is_free=is_free & pl.col("opens").is_not_null(),
        )
        .select(
            *("borrower_id", "borrower_hash", "channel", "hour"),
            opens=pl.when("is_free")
            .then(pl.min_horizontal(pl.max_horizontal("opens", pl.lit(earliest)), "hour"))
            .otherwise("hour"),
            closes=pl.when("is_free").then("closes").otherwise(pl.col("hour") + 1),
            lane=_lane(context),
            units=pl.col("parts").fill_null(1).cast(pl.Int64),
        )
    )


def spread_out(parts: Sequence[pl.DataFrame], context: PlanContext) -> SpreadOut:
    """The messages of all partitions in hours that have room. `parts` are of `leaving`."""
    every = pl.concat(
        part.with_columns(part=pl.lit(number, pl.Int32)) for number, part in enumerate(parts)
    )
    found = [
        _channel(every.filter(channel=channel), channel, context)
        for channel in sorted(context.rates)
    ]
    moved = pl.concat(each for _, each in found)
    by_part = moved.partition_by("part", as_dict=True, include_key=False)
    nothing = moved.clear().drop("part")
    return SpreadOut(
        tuple(load for load, _ in found),
        tuple(by_part.get((number,), nothing) for number in range(len(parts))),
    )


def at_their_hours(rows: Rows, moved: Rows) -> Rows:
    """A partition's plan, who was moved at his new hour."""
    return (
        rows.join(moved, on="borrower_id", how="left", maintain_order="left")
        .with_columns(not_before=pl.coalesce("leaves_at", "not_before"))
        .drop("leaves_at")
    )


def in_words(load: Load) -> str:
    """What a day asks of a channel's routes.

    >>> in_words(Load("sms", 36_000.0, 90_000, 120_000, 21_000, 0))
    'sms: 120,000 parts, 36,000 an hour at most: 21,000 of 90,000 messages moved to another hour'
    >>> in_words(Load("sms", 3_600.0, 90_000, 120_000, 21_000, 46_000)).partition(": ")[2]
    '120,000 parts, 3,600 an hour at most: 46,000 of 90,000 messages fit into no hour today'
    """
    said = f"{load.channel}: {load.parts:,} parts, {load.parts_per_hour:,.10g} an hour at most"
    whole = f"of {load.messages:,} messages"
    if load.left_over:
        return f"{said}: {load.left_over:,} {whole} fit into no hour today"
    return f"{said}: {load.moved:,} {whole} moved to another hour"


def _going(rows: pl.LazyFrame, context: PlanContext) -> pl.LazyFrame:
    """The messages that would leave today on channels with a rate, with their `hour`."""
    start = pl.lit(_midnight(context)).cast(INSTANT)
    at = pl.max_horizontal("not_before", "next_allowed_at")
    return (
        rows.filter(
            pl.col("decision") == Decision.PROPOSED.value,
            pl.col("outcome").is_in([*GOES, WAITS]),
            pl.col("channel").is_in(list(context.rates)),
        )
        .with_columns(hour=(at - start).dt.total_seconds() // pl.lit(HOUR_S))
        .filter(pl.col("hour").is_between(0, HOURS - 1))
    )


def _channel(
    messages: pl.DataFrame, channel: str, context: PlanContext
) -> tuple[Load, pl.DataFrame]:
    """A channel's load, and who of it moves (borrower_id, part, leaves_at)."""
    draw = draws(f"spread:{context.strategy.name}", messages["borrower_hash"]).to_numpy()
    columns = {name: messages[name].to_numpy() for name in _COLUMNS}
    asked = Asked(**columns, draw=draw)
    placed = fitted(asked, _room(context, context.rates[channel]), _liked(context.paid_by_hour))
    moves = placed.hour != asked.hour
    goes = messages.filter(pl.Series(moves))
    within = draws(f"minute:{context.strategy.name}", goes["borrower_hash"])
    start = pl.lit(_midnight(context)).cast(INSTANT)
    seconds = pl.Series((placed.hour[moves] + within.to_numpy()) * HOUR_S).cast(pl.Int64)
    at = (start + pl.duration(seconds=pl.lit(seconds))).dt.truncate("1m")
    moved = goes.select(
        "borrower_id",
        "part",
        leaves_at=pl.max_horizontal(at, pl.lit(context.now)).cast(INSTANT),
    )
    load = Load(
        channel,
        context.rates[channel] * HOUR_S,
        messages.height,
        int(messages["units"].sum()),
        moved.height,
        int((~placed.has_room).sum()),
    )
    return load, moved


_COLUMNS = ("hour", "opens", "closes", "lane", "units")


def _room(context: PlanContext, rate_per_s: float) -> Floats:
    """Parts that each hour of the day can carry; what is over carries nothing."""
    begun = (context.now - _midnight(context)).total_seconds()
    ends = (np.arange(HOURS) + 1) * HOUR_S
    room: Floats = np.clip(ends - max(begun, 0), 0, HOUR_S) * rate_per_s
    return room


def _liked(paid: PaidByHour | None) -> Floats:
    """How well the book responds by hour; all alike where that is not learned."""
    counts: Floats = np.sum([(0,) * HOURS, *(paid or {}).values()], axis=0).astype(np.float64)
    return counts


def _lane(context: PlanContext) -> pl.Expr:
    """The lane of each message: by its step, and by its stage."""
    is_required = pl.col("step").is_in(
        [step.name for step in context.strategy.steps if step.required]
    )
    stages = list(dict.fromkeys(step.stage for step in context.strategy.steps))
    lane = pl.lit(lane_of(is_required=False, stage="").value)
    for stage in stages:
        of_stage = lane_of(is_required=False, stage=stage).value
        lane = pl.when(pl.col("stage") == stage).then(of_stage).otherwise(lane)
    required = lane_of(is_required=True, stage="").value
    return pl.when(is_required).then(required).otherwise(lane).cast(pl.Int64)


def _opens(context: PlanContext) -> pl.LazyFrame:
    """The hour at which each arm's window opens: step, arm, opens."""
    rows = [
        (step.name, arm.name, arm.hours[0]) for step in context.strategy.steps for arm in step.arms
    ]
    schema = {"step": pl.String, "arm": pl.String, "opens": pl.Int64}
    return pl.LazyFrame(rows, schema=schema, orient="row")


def _midnight(context: PlanContext) -> datetime:
    """When the planned day begins where the strategy is."""
    zone = ZoneInfo(context.strategy.timezone)
    return datetime.combine(context.as_of, time(), zone).astimezone(UTC)
