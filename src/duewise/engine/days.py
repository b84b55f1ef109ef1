"""A group of borrowers planned day after day, each day's messages counting as contacts of the next.

For a preview (what the next month holds if nothing is paid) and for a replay (what last month would
have held under another strategy). Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import polars as pl

from duewise.engine.partition import PlanContext, Tables, plan_partition
from duewise.strategy.cascade import sent_of

DAYS_MAX = 366
MAY_GO = ("allow", "redact", "defer")


def plan_days(tables: Tables, *, context: PlanContext, days: int) -> Iterator[pl.DataFrame]:
    """The plan's rows of each of `days` days, the context's first, at the same time of day.

    What may go out goes out at its hour, nobody answers, and the feed of payments is complete each
    day.
    """
    assert 0 < days <= DAYS_MAX, "a preview has an end"
    for ahead in range(days):
        later = timedelta(days=ahead)
        that_day = replace(
            context,
            as_of=context.as_of + later,
            now=context.now + later,
            ledger_complete_until=context.now + later,
        )
        rows = plan_partition(tables, context=that_day).rows
        yield rows
        going = rows.filter((pl.col("decision") == "proposed") & pl.col("outcome").is_in(MAY_GO))
        made = pl.concat([tables.contacts, _contacts(going, tables.contacts)])
        sent = sent_of(going, strategy_hash=context.strategy.content_hash)
        tables = replace(tables, contacts=made, sent=pl.concat([tables.sent, sent]))


def unpaid(tables: Tables, *, context: PlanContext) -> Tables:
    """The same borrowers, if no more is paid from the context's instant on."""
    return replace(tables, payments=tables.payments.filter(pl.col("paid_at") <= context.now))


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
