"""What is done with whoever met a step: which arm, which link of its cascade, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.frames import INSTANT, Schema
from duewise.strategy.assign import draw_arm, hour_draw
from duewise.strategy.cascade import Bools, reachable_link, whereabouts
from duewise.strategy.offers import Floats
from duewise.strategy.plan import CHANNELS, Strategy
from duewise.strategy.reading import WHOLE_BP
from duewise.strategy.reason import Reason
from duewise.strategy.timing import PaidByHour, hour_weights, place

PAID: Schema = {"borrower_id": pl.String, "paid_at": INSTANT}


@dataclass(frozen=True)
class Told:
    """What is known of the borrowers besides their loans."""

    addresses: pl.DataFrame
    payments: pl.DataFrame
    by_hour: PaidByHour | None
    sent: pl.DataFrame


def draw_treatment(
    rows: pl.DataFrame, strategy: Strategy, told: Told, *, as_of: date, now: datetime
) -> pl.DataFrame:
    """Step, arm, propensity, link and hour for rows that matched a step."""
    arms = _arms(strategy, as_of=as_of)
    step = rows["step_index"].to_numpy()
    first = np.cumsum([0, *(len(each.arms) for each in strategy.steps)])
    arm, even = np.zeros(rows.height, np.int64), np.zeros(rows.height)
    for index, each in enumerate(strategy.steps):
        mine = np.flatnonzero(step == index)
        if len(mine):
            who = rows["borrower_hash"].gather(mine)
            arm[mine] = first[index] + draw_arm(strategy, each, who).to_numpy()
            even[mine] = hour_draw(strategy, each, who).to_numpy()
    drawn = _followed(rows, arms[arm], strategy, told, as_of=as_of)
    by_hour, zone = told.by_hour, strategy.timezone
    learned = None if by_hour is None else hour_weights(rows, told.payments, by_hour, zone=zone)
    spread = pl.Series("spread", even if learned is None else _placed(learned, drawn, even))
    seconds = (pl.col("valid_until") - pl.col("opens")).dt.total_seconds()
    planned = pl.col("opens") + pl.duration(seconds=(seconds * pl.col("spread")).cast(pl.Int64))
    earliest = pl.max_horizontal(
        planned.dt.truncate("1m"), pl.lit(now).cast(INSTANT), pl.col("ready_at")
    )
    timed = drawn.with_columns(spread).with_columns(not_before=earliest)
    return pl.concat([rows, timed], how="horizontal")


def _followed(
    rows: pl.DataFrame, drawn: pl.DataFrame, strategy: Strategy, told: Told, *, as_of: date
) -> pl.DataFrame:
    """The drawn arms, or what follows them: with `link`, `ready_at` and, in `halt`, why not now."""
    if not any(step.then for step in strategy.steps):
        nothing = {
            "link": pl.lit(0, pl.Int32),
            "halt": pl.lit(""),
            "ready_at": pl.lit(None, INSTANT),
        }
        return drawn.with_columns(**nothing)
    asked = rows.select("borrower_id", "due_date").with_columns(drawn["step"])
    where = whereabouts(
        asked,
        told.sent,
        told.payments,
        thens={step.name: step.then for step in strategy.steps},
        stops={step.name: step.stop for step in strategy.steps if step.then},
    )
    has_more = drawn["step"].is_in([step.name for step in strategy.steps if step.then])
    ways = _ways(rows, drawn, strategy, told)
    link = reachable_link(where["next"].to_numpy(), ways) * has_more.to_numpy()
    after = drawn.select("step").with_columns(link=pl.Series(link.astype(np.int32)))
    after = after.join(_links(strategy, as_of=as_of), on=["step", "link"], how="left")
    later = [pl.coalesce(after[name], name).alias(name) for name in _OF_LINK]
    is_late = where["ready_at"] >= pl.coalesce(after["valid_until"], drawn["valid_until"])
    return drawn.with_columns(*later, after["link"], where["ready_at"]).with_columns(
        ready_at=pl.when(has_more).then("ready_at"),
        halt=pl.when(~has_more)
        .then(pl.lit(""))
        .when(where["is_stopped"])
        .then(pl.lit(Reason.CASCADE_STOPPED.value))
        .when(where["is_over"])
        .then(pl.lit(Reason.CASCADE_OVER.value))
        .when(is_late.fill_null(value=False))
        .then(pl.lit(Reason.CASCADE_WAITING.value))
        .otherwise(pl.lit("")),
    )


def _ways(rows: pl.DataFrame, drawn: pl.DataFrame, strategy: Strategy, told: Told) -> Bools:
    """(rows, links): whether the borrower can be reached by the link's channel."""
    usable = told.addresses.filter(pl.col("number_token").is_not_null() & ~pl.col("opted_out"))
    reached = {
        channel: rows["borrower_id"].is_in(usable.filter(channel=channel)["borrower_id"].implode())
        for channel in CHANNELS
    }
    ways = np.zeros((rows.height, 1 + max(len(step.then) for step in strategy.steps)), np.bool_)
    for channel, who in reached.items():
        ways[:, 0] |= ((drawn["channel"] == channel) & who).to_numpy()
    for step in strategy.steps:
        mine = (drawn["step"] == step.name).to_numpy()
        for number, link in enumerate(step.then, start=1):
            ways[mine, number] = reached[link.channel].to_numpy()[mine]
    return ways


_OF_LINK = ("channel", "template", "opens_at", "closes_at", "opens", "valid_until")


def _links(strategy: Strategy, *, as_of: date) -> pl.DataFrame:
    """A row for each link of each step's cascade but the first: step, link, _OF_LINK."""
    zone = ZoneInfo(strategy.timezone)
    rows = [
        {"step": step.name, "link": number, "channel": link.channel, "template": link.template}
        | _window(link.hours, as_of, zone)
        for step in strategy.steps
        for number, link in enumerate(step.then, start=1)
    ]
    schema = {name: _ARMS[name] for name in ("step", *_OF_LINK)}
    return pl.DataFrame(rows, schema={"link": pl.Int32, **schema})


def _arms(strategy: Strategy, *, as_of: date) -> pl.DataFrame:
    """A row for each arm of each step, in order."""
    zone = ZoneInfo(strategy.timezone)
    optional = 1 - strategy.hold_out_bp / WHOLE_BP
    rows = [
        {
            "step": step.name,
            "stage": step.stage,
            "arm": arm.name,
            "channel": arm.channel,
            "template": arm.template,
            "propensity": arm.share_bp / WHOLE_BP * (1.0 if step.required else optional),
            "required": step.required,
        }
        | _window(arm.hours, as_of, zone)
        for step in strategy.steps
        for arm in step.arms
    ]
    return pl.DataFrame(rows, schema=_ARMS)


_ARMS: Schema = {
    **dict.fromkeys(("step", "stage", "arm", "channel", "template"), pl.String),
    "propensity": pl.Float64,
    **dict.fromkeys(("opens_at", "closes_at"), pl.Int64),
    **dict.fromkeys(("opens", "valid_until"), INSTANT),
    "required": pl.Boolean,
}


def _window(hours: tuple[int, int], as_of: date, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "opens_at": hours[0],
        "closes_at": hours[1],
        "opens": _at(as_of, hours[0], zone),
        "valid_until": _at(as_of, hours[1], zone),
    }


def _placed(learned: pl.Series, drawn: pl.DataFrame, even: Floats) -> Floats:
    """Where in its window each message leaves, by the hours learned."""
    opens, closes = drawn["opens_at"].to_numpy(), drawn["closes_at"].to_numpy()
    return place(learned.to_numpy(), opens, closes, even)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The instant of a local hour; hour 24 is the next midnight."""
    return datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), zone)
