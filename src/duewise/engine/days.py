"""Borrowers planned day after day, each day's messages counting as contacts of the next.

For a preview (what the next month holds if nothing is paid) and for a replay (what last month would
have held under another strategy). Budgets cut here as they cut in a plan. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import polars as pl

from duewise.engine.partition import Plan, PlanContext, Tables, plan_partition
from duewise.engine.share_out import SharedOut, share_out, with_arms, within_budgets
from duewise.strategy.cascade import sent_of

DAYS_MAX = 366
MAY_GO = ("allow", "redact", "defer")

Read = Callable[[], Tables]
Share = Callable[[Sequence[pl.DataFrame]], SharedOut]  # the offers of each group, of one day


@dataclass(frozen=True)
class Day:
    """What one day came to. `offers`: what its messages would take of the budgets, cut or not."""

    rows: pl.DataFrame
    offers: pl.DataFrame
    shared: SharedOut | None


def plan_days(
    reads: Sequence[Read], *, context: PlanContext, days: int, share: Share | None = None
) -> Iterator[Day]:
    """The plan of each of `days` days, the context's first, at the same time of day.

    `reads` give the tables of groups of borrowers, anew for each day; the strategy's budgets are of
    all groups together. `share` shares them out in another way than a plan does. What may go out
    goes out at its hour, nobody answers, and the feed of payments is complete each day.
    """
    assert 0 < days <= DAYS_MAX, "a preview has an end"
    share = share or partial(_as_planned, context=context)
    made: list[list[pl.DataFrame]] = [[] for _ in reads]
    for ahead in range(days):
        that_day = _later(context, timedelta(days=ahead))
        plans = [
            plan_partition(_with(read(), before, context), context=that_day)
            for read, before in zip(reads, made, strict=True)
        ]
        offers = [plan.offers for plan in plans]
        shared = share(offers) if context.strategy.budgets else None
        rows = _within(plans, shared)
        for each, before in zip(rows, made, strict=True):
            goes = (pl.col("decision") == "proposed") & pl.col("outcome").is_in(MAY_GO)
            before.append(each.filter(goes).select(_OF_MESSAGE))
        yield Day(pl.concat(rows), pl.concat(offers), shared)


def unpaid(tables: Tables, *, context: PlanContext) -> Tables:
    """The same borrowers, if no more is paid from the context's instant on."""
    return replace(tables, payments=tables.payments.filter(pl.col("paid_at") <= context.now))


def _as_planned(asked: Sequence[pl.DataFrame], *, context: PlanContext) -> SharedOut:
    return share_out(asked, context.strategy, currency=context.part_price.currency)


def _later(context: PlanContext, by: timedelta) -> PlanContext:
    now = context.now + by
    return replace(context, as_of=context.as_of + by, now=now, ledger_complete_until=now)


_OF_MESSAGE = (
    *("borrower_id", "loan_id", "key", "step", "due_date", "stage", "channel"),
    *("number_token", "not_before", "next_allowed_at"),
)


def _with(tables: Tables, before: Sequence[pl.DataFrame], context: PlanContext) -> Tables:
    """The tables with what the days before have sent."""
    if not before:
        return tables
    going = pl.concat(before)
    sent = sent_of(going, strategy_hash=context.strategy.content_hash)
    return replace(
        tables,
        contacts=pl.concat([tables.contacts, _contacts(going, tables.contacts)]),
        sent=pl.concat([tables.sent, sent]),
    )


def _within(plans: Sequence[Plan], shared: SharedOut | None) -> list[pl.DataFrame]:
    """The plans' rows with the arms that the budgets chose, and without what they cut."""
    if shared is None:
        return [plan.rows for plan in plans]
    chosen = [
        with_arms(plan.rows, plan.others, arms) if plan.others.height else plan.rows
        for plan, arms in zip(plans, shared.arms, strict=True)
    ]
    return list(map(within_budgets, chosen, shared.cut))


def _contacts(going: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """The contacts that a day's messages make."""
    at = pl.max_horizontal("not_before", "next_allowed_at")
    values = {
        "borrower_id": pl.col("borrower_id"),
        "at": at,
        "channel": pl.col("channel"),
        "dir": pl.lit("out"),
        "stage": pl.col("stage"),
        "actor": pl.lit("own"),
        "number": pl.col("number_token"),
        "debt": pl.col("loan_id"),
        "flags": pl.lit([], pl.List(pl.String)),
    }
    return going.select(
        values.get(name, pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in like.schema.items()
    )
