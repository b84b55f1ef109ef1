"""One decision a day per borrower: a proposal, or the reason for none. Losers are recorded."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.frames import INSTANT
from duewise.strategy.assign import draw_arm, hour_draw, is_held_out
from duewise.strategy.conditions import condition
from duewise.strategy.plan import Step, Strategy
from duewise.strategy.reading import WHOLE_BP
from duewise.strategy.timing import place


class Decision(StrEnum):
    """What became of a borrower-day."""

    PROPOSED = "proposed"
    HELD_OUT = "held_out"
    NONE = "none"


class Reason(StrEnum):
    """Why a borrower is not contacted. Documented in `docs/reference/reasons.md`, key by key."""

    NO_STEP = "no_step"
    NOTHING_OWED = "nothing_owed"
    MESSAGES_PAUSED = "messages_paused"
    HOLD_OUT = "hold_out"
    NO_ADDRESS = "no_address"
    CHANNEL_OPTED_OUT = "channel_opted_out"
    FATIGUE = "fatigue"
    WINDOW_OVER = "window_over"
    OVER_BUDGET = "over_budget"


def decide(
    loans: pl.DataFrame,
    addresses: pl.DataFrame,
    contacts: pl.DataFrame,
    *,
    strategy: Strategy,
    as_of: date,
    now: datetime,
) -> pl.DataFrame:
    """One row per borrower of `loans` (an open-loan frame with `COLUMNS` and the loan's figures).

    Adds decision, reason, step, stage, arm, channel, template, propensity, hold_out, losers,
    not_before, valid_until and the address chosen. Sorted by borrower_id.
    """
    chosen = _arbitrate(_match_steps(loans, strategy))
    chosen = chosen.with_columns(hold_out=is_held_out(strategy, chosen["borrower_hash"]))
    drawn = _draw_treatment(chosen, strategy, as_of=as_of, now=now)
    reached = drawn.join(
        addresses.select("borrower_id", "channel", "number_token", "opted_out"),
        on=["borrower_id", "channel"],
        how="left",
        maintain_order="left",
    )
    recent = _recent_contacts(contacts, now=now)
    reached = reached.join(recent, on="borrower_id", how="left", maintain_order="left")
    return _conclude(reached, strategy).sort("borrower_id")


def _match_steps(loans: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Per loan the index of the first step whose condition holds; null where none does.

    A loan whose messages are paused keeps its required steps; `stopped` says that it had another.
    """
    if not strategy.steps:
        return loans.with_columns(
            step_index=pl.lit(None, pl.Int32),
            step_label=pl.lit(None, pl.String),
            stopped=pl.lit(value=False),
        )
    meets = [condition(step.when) for step in strategy.steps]
    may = [pl.lit(step.required) | ~pl.col("messages_paused") for step in strategy.steps]
    applies = [
        pl.when(holds & allowed).then(pl.lit(index, pl.Int32))
        for index, (holds, allowed) in enumerate(zip(meets, may, strict=True))
    ]
    labels = {index: step.name for index, step in enumerate(strategy.steps)}
    return loans.with_columns(
        step_index=pl.coalesce(applies), stopped=pl.any_horizontal(meets)
    ).with_columns(
        step_label=pl.col("step_index").replace_strict(labels, default=None, return_dtype=pl.String)
    )


def _arbitrate(loans: pl.DataFrame) -> pl.DataFrame:
    """One loan speaks for the borrower: one with a step first, then the most days past due."""
    ordered = loans.sort(
        "borrower_id",
        pl.col("step_index").is_null(),
        ~pl.col("stopped"),
        -pl.col("days_past_due"),
        "step_index",
        "loan_id",
        maintain_order=True,
    )
    marked = ordered.with_columns(
        is_first=pl.col("borrower_id") != pl.col("borrower_id").shift(1).fill_null("")
    )
    losers = (
        marked.filter(~pl.col("is_first") & pl.col("step_index").is_not_null())
        .group_by("borrower_id", maintain_order=True)
        .agg(losers=pl.format("{}:{}", "loan_id", "step_label"))
    )
    return (
        marked.filter("is_first")
        .drop("is_first", "step_label")
        .join(losers, on="borrower_id", how="left", maintain_order="left")
        .with_columns(pl.col("losers").fill_null(pl.lit([], pl.List(pl.String))))
    )


def _draw_treatment(
    chosen: pl.DataFrame, strategy: Strategy, *, as_of: date, now: datetime
) -> pl.DataFrame:
    """Step, arm, propensity and hour for the rows that matched a step."""
    blocks = [chosen.filter(pl.col("step_index").is_null()).with_columns(_untreated())]
    for index, step in enumerate(strategy.steps):
        rows = chosen.filter(pl.col("step_index") == index)
        if rows.height:
            blocks.append(_treat(rows, strategy, step, as_of=as_of, now=now))
    return pl.concat(blocks).drop("step_index")


def _untreated() -> list[pl.Expr]:
    text = ("step", "stage", "arm", "channel", "template")
    return [
        *(pl.lit(None, pl.String).alias(name) for name in text),
        pl.lit(None, pl.Float64).alias("propensity"),
        pl.lit(None, INSTANT).alias("not_before"),
        pl.lit(None, INSTANT).alias("valid_until"),
        pl.lit(value=False).alias("required"),
    ]


def _treat(
    rows: pl.DataFrame, strategy: Strategy, step: Step, *, as_of: date, now: datetime
) -> pl.DataFrame:
    arm = draw_arm(strategy, step, rows["borrower_hash"]).alias("arm_index")
    spread = _spread(rows, strategy, step, arm)
    zone = ZoneInfo(strategy.timezone)
    opens = [_at(as_of, a.hours[0], zone) for a in step.arms]
    closes = [_at(as_of, a.hours[1], zone) for a in step.arms]
    arms = pl.DataFrame(
        {
            "arm_index": range(len(step.arms)),
            "arm": [a.name for a in step.arms],
            "channel": [a.channel for a in step.arms],
            "template": [a.template for a in step.arms],
            "share": [a.share_bp / WHOLE_BP for a in step.arms],
            "opens": opens,
            "valid_until": closes,
        },
        schema_overrides={"arm_index": pl.Int32, "opens": INSTANT, "valid_until": INSTANT},
    )
    kept = 1.0 if step.required else 1 - strategy.hold_out_bp / WHOLE_BP
    seconds = (pl.col("valid_until") - pl.col("opens")).dt.total_seconds()
    planned = pl.col("opens") + pl.duration(seconds=(seconds * pl.col("spread")).cast(pl.Int64))
    return (
        rows.with_columns(arm, spread.alias("spread"))
        .join(arms, on="arm_index", how="left", maintain_order="left")
        .with_columns(
            step=pl.lit(step.name),
            stage=pl.lit(step.stage),
            propensity=pl.col("share") * kept,
            not_before=pl.max_horizontal(planned.dt.truncate("1m"), pl.lit(now).cast(INSTANT)),
            required=pl.lit(step.required),
        )
        .select(
            *rows.columns,
            "step",
            "stage",
            "arm",
            "channel",
            "template",
            "propensity",
            "not_before",
            "valid_until",
            "required",
        )
    )


def _spread(rows: pl.DataFrame, strategy: Strategy, step: Step, arm: pl.Series) -> pl.Series:
    """Where in the drawn arm's window each message leaves: evenly, or by the hours learned."""
    even = hour_draw(strategy, step, rows["borrower_hash"])
    if "hour_weights" not in rows.columns:
        return even
    hours = np.array([each.hours for each in step.arms])[arm.to_numpy()]
    weights = rows["hour_weights"].to_numpy()
    return pl.Series(place(weights, hours[:, 0], hours[:, 1], even.to_numpy()))


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The instant of a local hour; hour 24 is the next midnight."""
    return datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), zone)


def _recent_contacts(contacts: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    since = now - timedelta(days=28)
    return (
        contacts.filter((pl.col("dir") == "out") & (pl.col("at") > since))
        .group_by("borrower_id")
        .agg(contacts_28d=pl.len().cast(pl.Int32))
    )


def _conclude(rows: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """The decision and its reason, in order of precedence."""
    limit = strategy.fatigue_28d
    tired = pl.col("contacts_28d").fill_null(0) >= limit if limit else pl.lit(value=False)
    optional = ~pl.col("required")
    reason = (
        pl.when(pl.col("days_past_due") == 0, pl.col("outstanding_minor") <= 0)
        .then(pl.lit(Reason.NOTHING_OWED.value))
        .when(pl.col("step").is_null() & pl.col("stopped"))
        .then(pl.lit(Reason.MESSAGES_PAUSED.value))
        .when(pl.col("step").is_null())
        .then(pl.lit(Reason.NO_STEP.value))
        .when(optional & pl.col("hold_out"))
        .then(pl.lit(Reason.HOLD_OUT.value))
        .when(pl.col("number_token").is_null())
        .then(pl.lit(Reason.NO_ADDRESS.value))
        .when(pl.col("opted_out"))
        .then(pl.lit(Reason.CHANNEL_OPTED_OUT.value))
        .when(optional & tired)
        .then(pl.lit(Reason.FATIGUE.value))
        .when(pl.col("not_before") >= pl.col("valid_until"))
        .then(pl.lit(Reason.WINDOW_OVER.value))
        .otherwise(pl.lit(""))
    )
    decision = (
        pl.when(pl.col("reason") == "")
        .then(pl.lit(Decision.PROPOSED.value))
        .when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(Decision.HELD_OUT.value))
        .otherwise(pl.lit(Decision.NONE.value))
    )
    held_out_share = strategy.hold_out_bp / WHOLE_BP
    return rows.with_columns(reason=reason).with_columns(
        decision=decision,
        # For the hold-out the logged action is "no contact", drawn with the hold-out's share.
        propensity=pl.when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(held_out_share))
        .otherwise(pl.col("propensity")),
        arm=pl.when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(None, pl.String))
        .otherwise(pl.col("arm")),
    )
