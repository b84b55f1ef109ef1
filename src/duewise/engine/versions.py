"""Decisions under the versions of a strategy: who entered a sticky step keeps its version's word.

For the same step and due date. The loan that speaks is the one that speaks today, under whichever
version: an older one never silences a loan that is longer past due.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from duewise.engine.given import PlanContext, Tables
from duewise.strategy.decide import decide
from duewise.strategy.plan import Strategy

_ENTERED = ["borrower_id", "step", "due_date"]


def decide_by_version(loans: pl.DataFrame, tables: Tables, *, context: PlanContext) -> pl.DataFrame:
    """`decide` for the loans, each borrower under the version he is on."""
    decided = decide_under(context.strategy, loans, tables, context)
    if not context.earlier or tables.sent.is_empty():
        return decided
    first = tables.sent.sort("at").unique(_ENTERED, keep="first", maintain_order=True)
    for version in context.earlier:
        steps = tuple(step for step in version.steps if step.sticky)
        entered = first.filter(
            (pl.col("strategy_hash") == version.content_hash)
            & pl.col("step").is_in([step.name for step in steps])
        )
        theirs = loans.join(entered, on="borrower_id", how="semi")
        if theirs.height:
            kept = decide_under(replace(version, steps=steps), theirs, tables, context)
            decided = _kept(decided, kept.join(entered, on=_ENTERED, how="semi"))
    return decided


def decide_under(
    strategy: Strategy, loans: pl.DataFrame, tables: Tables, context: PlanContext
) -> pl.DataFrame:
    """`decide` by one version of the strategy for all."""
    return decide(
        loans,
        tables.addresses,
        tables.contacts,
        strategy=strategy,
        as_of=context.as_of,
        now=context.now,
        payments=tables.payments.filter(pl.col("paid_at") <= context.now),
        by_hour=context.paid_by_hour,
        sent=tables.sent,
    )


def _kept(decided: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The decisions, with those of an earlier version where the same loan speaks, or none did."""
    today = decided.select("borrower_id", _loan="loan_id", _step="step")
    speaks = pl.col("_step").is_null() | (pl.col("_loan") == pl.col("loan_id"))
    mine = earlier.join(today, on="borrower_id", how="left").filter(speaks).select(decided.columns)
    others = decided.join(mine, on="borrower_id", how="anti")
    return pl.concat([others, mine]).sort("borrower_id")
