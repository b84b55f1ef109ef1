"""The plan of one partition of borrowers: one pure function, the same at any scale.

The same bytes in give the same bytes out: no clock, no I/O, no chance of its own. It runs on one
partition in a test, over all partitions in worker processes, and on one borrower after a payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from duewise.engine.alternatives import other_arms
from duewise.engine.compose import STAND_IN, compose
from duewise.engine.facts import CaseFacts, message_facts
from duewise.engine.given import PlanContext, Tables
from duewise.engine.loans import open_loans
from duewise.engine.share_out import offers
from duewise.engine.versions import decide_by_version
from duewise.frames import INSTANT, Schema, conform, empty
from duewise.guard.judge import judge
from duewise.message.choose import choose_column
from duewise.risk.serve import unread
from duewise.strategy.reason import Decision
from duewise.strategy.tone import tones

__all__ = ["PLAN", "Plan", "PlanContext", "Tables", "open_loans", "plan_partition"]

PLAN: Schema = {
    "plan_id": pl.String,
    "as_of": pl.Date,
    "planned_at": INSTANT,
    "borrower_id": pl.String,
    "borrower_hash": pl.Int64,
    "loan_id": pl.String,
    "decision": pl.String,
    "reason": pl.String,
    "step": pl.String,
    "arm": pl.String,
    "propensity": pl.Float64,
    "hold_out": pl.Boolean,
    "stage": pl.String,
    "channel": pl.String,
    "template": pl.String,
    "tone": pl.String,
    "locale": pl.String,
    "losers": pl.List(pl.String),
    "dpd": pl.Int32,
    "days_past_due": pl.Int32,
    "bucket": pl.String,
    "past_due_minor": pl.Int64,
    "outstanding_minor": pl.Int64,
    "penalty_minor": pl.Int64,
    "amount_minor": pl.Int64,
    "loan_count": pl.Int32,
    "total_minor": pl.Int64,
    "currency": pl.String,
    "due_date": pl.Date,
    "promise": pl.String,
    "promised_date": pl.Date,
    "promised_minor": pl.Int64,
    "grace_until": pl.Date,
    "report_date": pl.Date,
    "broken_promises_90d": pl.Int32,
    "grace_days": pl.Int32,
    "tolerance_minor": pl.Int64,
    "annual_rate": pl.Float64,
    "penalty_multiplier": pl.Float64,
    "probability_of_default": pl.Float64,
    "number_token": pl.String,
    "not_before": INSTANT,
    "valid_until": INSTANT,
    "key": pl.String,
    "parts": pl.Int32,
    "outcome": pl.String,
    "rules": pl.List(pl.String),
    "next_allowed_at": INSTANT,
}


@dataclass(frozen=True)
class Plan:
    """`rows` conforms to `PLAN`: one row per borrower with a loan, sorted by borrower_id.

    `offers` are what its messages would take of the strategy's budgets, before any is cut.
    `unread`: of how many borrowers a model could not read a column of the lender's own. `others`
    are like `rows`: other arms of steps that leave the choice to the budgets.
    """

    rows: pl.DataFrame
    offers: pl.DataFrame
    unread: Mapping[str, int] = field(default_factory=dict)
    others: pl.DataFrame = field(default_factory=lambda: empty(PLAN))


def plan_partition(tables: Tables, *, context: PlanContext) -> Plan:
    """Ledger, score, decision and the guard's first gate for one group of borrowers."""
    loans = open_loans(tables, context=context)
    decided = decide_by_version(loans, tables, context=context)
    judged = _said_and_judged(decided, loans, tables, context)
    others, asked = judged.clear(), judged
    if any(step.by_budget for step in context.strategy.steps):
        arms = other_arms(decided, loans, tables, context)
        found = [_said_and_judged(each, loans, tables, context) for each in arms]
        others = pl.concat([others, *found]).sort("borrower_id", maintain_order=True)
        asked = pl.concat([judged, others]).sort("borrower_id", maintain_order=True)
    return Plan(
        conform(judged, PLAN, name="plan"),
        offers(asked, context.strategy, part_price=context.part_price),
        _unread(tables, context),
        conform(others, PLAN, name="plan"),
    )


def _said_and_judged(
    decided: pl.DataFrame, loans: pl.DataFrame, tables: Tables, context: PlanContext
) -> pl.DataFrame:
    """The decisions in words, with their keys and the first gate's findings."""
    nth = pl.when(pl.col("link") > 0).then(pl.format("+{}", "link")).otherwise(pl.lit(""))
    rows = _in_words(_together(decided, loans), context=context).with_columns(
        plan_id=pl.lit(context.plan_id),
        as_of=pl.lit(context.as_of),
        planned_at=pl.lit(context.now).cast(INSTANT),
        key=pl.when(pl.col("decision") == Decision.PROPOSED.value).then(
            pl.format("{}|{}{}|{}", "borrower_id", "step", nth, pl.lit(context.as_of.isoformat()))
        ),
    )
    return _first_gate(rows, tables, context=context)


def _unread(tables: Tables, context: PlanContext) -> dict[str, int]:
    if tables.features.is_empty() or not (context.models or context.hazard):
        return {}
    from duewise.risk.features import given_on

    own = given_on(tables.features, context.as_of)
    return unread(context.models, own, hazard=context.hazard)


def _together(decided: pl.DataFrame, loans: pl.DataFrame) -> pl.DataFrame:
    """The rows with loan_count and total_minor: the loans one notice may speak of together.

    They are past due as is the loan that speaks, none of them longer, or they fall due with it.
    """
    is_late = pl.col("days_past_due") > 0
    on = {"_late": is_late, "_due": pl.when(~is_late).then("due_date")}
    keys = ["borrower_id", "currency", "autopay", "messages_paused", *on]
    sums = (
        loans.filter(pl.col("open_loans") > 1, pl.col("amount_minor") > 0)
        .group_by([*keys[:4], *(each.alias(name) for name, each in on.items())])
        .agg(
            loan_count=pl.len().cast(pl.Int32),
            total_minor=pl.col("amount_minor").sum(),
            _oldest=pl.col("days_past_due").max(),
        )
    )
    place = pl.int_range(pl.len(), dtype=pl.UInt32).alias("_place")
    several = (
        decided.select("days_past_due", "open_loans", "due_date", place, *keys[:4])
        .filter(pl.col("open_loans") > 1)
        .with_columns(**on)
        .join(sums, on=keys, how="inner", nulls_equal=True)
        .filter(pl.col("days_past_due") == pl.col("_oldest"))
    )
    return (
        decided.with_columns(place)
        .join(
            several.select("_place", "loan_count", "total_minor"),
            on="_place",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            loan_count=pl.col("loan_count").fill_null(1),
            total_minor=pl.coalesce("total_minor", "amount_minor"),
        )
        .drop("_place")
    )


def _in_words(decided: pl.DataFrame, *, context: PlanContext) -> pl.DataFrame:
    """The text each borrower gets: in the ladder's tone where the step leaves it open."""
    is_meant = pl.col("template").is_not_null()
    spoken = decided.filter(is_meant).with_columns(
        is_several=pl.col("loan_count") > 1,
        has_penalty=(pl.col("penalty_multiplier") > 0).fill_null(value=False),
    )
    spoken = spoken.with_columns(tones(spoken, context.ladder)["tone"])
    said = {name: template.tone for name, template in context.templates.items()}
    words = choose_column(spoken, context.templates).to_frame("template")
    words = words.with_columns(
        tone=pl.col("template").replace_strict(said, default=None, return_dtype=pl.String)
    )
    place = is_meant.cum_sum().cast(pl.UInt32) - 1
    at = decided.select(pl.when(is_meant).then(place)).to_series()
    return decided.drop("template").hstack(words.select(pl.all().gather(at)))


def _first_gate(rows: pl.DataFrame, tables: Tables, *, context: PlanContext) -> pl.DataFrame:
    """The guard's findings on the proposals; the other rows keep them null."""
    is_proposed = pl.col("decision") == Decision.PROPOSED.value
    proposals = rows.filter(is_proposed).with_columns(salutation=pl.lit(STAND_IN))
    composed = compose(
        proposals, templates=context.templates, sender=context.sender, as_of=context.as_of
    )
    facts = message_facts(
        composed.with_columns(now=pl.col("not_before"), paid_minor=pl.lit(0, pl.Int64)),
        addresses=tables.addresses,
        cases=CaseFacts(tables.cases),
        templates=context.templates,
        sender=context.sender,
        lender=context.lender,
        ledger_age=context.now - context.ledger_complete_until,
    )
    findings = judge(facts, tables.contacts, rulebook=context.rulebook).select(
        "key", "outcome", "rules", "next_allowed_at"
    )
    judged = composed.select("key", "parts").join(findings, on="key", maintain_order="left")
    return rows.join(judged, on="key", how="left", maintain_order="left").with_columns(
        pl.col("rules").fill_null(pl.lit([], pl.List(pl.String)))
    )
