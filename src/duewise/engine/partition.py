"""The plan of one partition of borrowers: one pure function, the same at any scale.

The same bytes in give the same bytes out: no clock, no I/O, no chance of its own. It runs on one
partition in a test, over all partitions in worker processes, and on one borrower after a payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import Ledger, asked_for, ledger
from duewise.book.product import Products
from duewise.book.schema import EXTENSIONS, FEATURES, PAUSES
from duewise.engine.compose import STAND_IN, compose
from duewise.engine.facts import CaseFacts, LenderFacts, message_facts
from duewise.engine.share_out import offers
from duewise.frames import INSTANT, Schema, conform, empty
from duewise.guard.judge import judge
from duewise.guard.rule import Rulebook
from duewise.message.choose import choose_column
from duewise.message.template import Sender, Template
from duewise.money import Money
from duewise.risk.model import Prior, probability_of_default
from duewise.risk.serve import PROBABILITIES, Served, ServedHazard, foresee, unread
from duewise.strategy.decide import Decision, decide
from duewise.strategy.plan import Strategy
from duewise.strategy.timing import PaidByHour, hour_weights
from duewise.strategy.tone import Rung, shipped_ladder, signs, tones

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
    "amount_minor": pl.Int64,
    "loan_count": pl.Int32,
    "total_minor": pl.Int64,
    "currency": pl.String,
    "due_date": pl.Date,
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
class Tables:
    """The rows of one group of borrowers: the book's, and what operations know of them."""

    borrowers: pl.DataFrame
    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    addresses: pl.DataFrame
    contacts: pl.DataFrame
    cases: pl.DataFrame
    pauses: pl.DataFrame = field(default_factory=lambda: empty(PAUSES))
    extensions: pl.DataFrame = field(default_factory=lambda: empty(EXTENSIONS))
    features: pl.DataFrame = field(default_factory=lambda: empty(FEATURES))

    def ledger(self, products: Products, *, as_of: date, known_at: datetime, zone: str) -> Ledger:
        """What these borrowers' loans owe as of a day, by what was known at an instant."""
        rows = LoanTables(self.loans, self.instalments, self.payments, self.pauses, self.extensions)
        return ledger(rows, products, as_of=as_of, known_at=known_at, zone=zone)


@dataclass(frozen=True)
class PlanContext:
    """Everything a plan depends on besides its tables. Frozen, and picklable for workers.

    `ledger_complete_until` is the instant up to which all payments are known; the guard counts the
    ledger's age from it. Without a model of late_1 the risk is the shrunk share of `prior`.
    `paid_by_hour` are the whole book's payments, where hours are learned.
    """

    plan_id: str
    as_of: date
    now: datetime
    strategy: Strategy
    templates: Mapping[str, Template]
    sender: Sender
    rulebook: Rulebook
    lender: LenderFacts
    products: Products
    ledger_complete_until: datetime
    prior: Prior = field(default_factory=Prior)
    ladder: tuple[Rung, ...] = field(default_factory=shipped_ladder)
    paid_by_hour: PaidByHour | None = None
    part_price: Money = field(default_factory=lambda: Money(0, "CNY"))
    models: tuple[Served, ...] = ()
    hazard: ServedHazard | None = None


@dataclass(frozen=True)
class Plan:
    """`rows` conforms to `PLAN`: one row per borrower with a loan, sorted by borrower_id.

    `offers` are what its messages would take of the strategy's budgets, before any is cut.
    `unread`: of how many borrowers a model could not read a column of the lender's own.
    """

    rows: pl.DataFrame
    offers: pl.DataFrame
    unread: Mapping[str, int] = field(default_factory=dict)


def plan_partition(tables: Tables, *, context: PlanContext) -> Plan:
    """Ledger, score, decision and the guard's first gate for one group of borrowers."""
    loans = open_loans(tables, context=context)
    decided = decide(
        loans,
        tables.addresses,
        tables.contacts,
        strategy=context.strategy,
        as_of=context.as_of,
        now=context.now,
    )
    said = {name: template.tone for name, template in context.templates.items()}
    rows = _in_words(_together(decided, loans), context=context).with_columns(
        plan_id=pl.lit(context.plan_id),
        as_of=pl.lit(context.as_of),
        planned_at=pl.lit(context.now).cast(INSTANT),
        tone=pl.col("template").replace_strict(said, default=None, return_dtype=pl.String),
        key=pl.when(pl.col("decision") == Decision.PROPOSED.value).then(
            pl.format("{}|{}|{}", "borrower_id", "step", pl.lit(context.as_of.isoformat()))
        ),
    )
    judged = _first_gate(rows, tables, context=context)
    judged = judged.sort("borrower_id")
    asked = offers(judged, context.strategy, part_price=context.part_price)
    return Plan(conform(judged, PLAN, name="plan"), asked, _unread(tables, context))


def open_loans(tables: Tables, *, context: PlanContext) -> pl.DataFrame:
    """One row per loan with what is owed on the as-of date, and the columns strategies may name."""
    zone = context.strategy.timezone
    known = tables.ledger(context.products, as_of=context.as_of, known_at=context.now, zone=zone)
    shares = probability_of_default(known.instalments, as_of=context.as_of, prior=context.prior)
    loans = (
        known.loans.join(
            tables.loans.select(_OF_LOAN), on="loan_id", how="inner", maintain_order="left"
        )
        .join(tables.borrowers, on="borrower_id", how="inner", maintain_order="left")
        .join(shares, on="borrower_id", how="left", maintain_order="left")
        .join(_foreseen(known, tables, context), on="loan_id", how="left", maintain_order="left")
        .with_columns(
            probability_of_default=pl.coalesce(
                "probability_of_default_right", "probability_of_default"
            )
        )
        .join(
            signs(known.instalments, tables.cases, as_of=context.as_of),
            on="borrower_id",
            how="left",
            maintain_order="left",
        )
    )
    paused = loans["loan_id"].is_in(_paused(tables.pauses, as_of=context.as_of).implode())
    loans = loans.with_columns(paused.alias("messages_paused"))
    loans = _with_strategy_columns(loans, as_of=context.as_of)
    if context.paid_by_hour is None:
        return loans
    paid = tables.payments.filter(pl.col("paid_at") <= context.now)
    return loans.with_columns(hour_weights(loans, paid, context.paid_by_hour, zone=zone))


def _paused(pauses: pl.DataFrame, *, as_of: date) -> pl.Series:
    """The loans about which only required messages may go that day; `until_date` is exclusive."""
    stands = (pl.col("from_date") <= as_of) & (pl.col("until_date") > as_of)
    return pauses.filter((pl.col("what") == "messages") & stands)["loan_id"]


def _foreseen(known: Ledger, tables: Tables, context: PlanContext) -> pl.DataFrame:
    """PROBABILITIES by the models; contacts are left out, as they are in the rows of a fit."""
    if not context.models and context.hazard is None:
        return empty(PROBABILITIES)
    from duewise.risk.features import features_of

    rows = features_of(known, tables.payments, known_at=context.now, given=tables.features)
    if context.hazard is None:
        return foresee(context.models, rows)
    from duewise.risk.cured import lapsed, of_lapsed

    lapses = of_lapsed(rows, lapsed(known))
    return foresee(context.models, rows, hazard=context.hazard, lapses=lapses)


def _unread(tables: Tables, context: PlanContext) -> dict[str, int]:
    if tables.features.is_empty() or not (context.models or context.hazard):
        return {}
    from duewise.risk.features import given_on

    own = given_on(tables.features, context.as_of)
    return unread(context.models, own, hazard=context.hazard)


# What a strategy, a text or a rule may ask of a loan besides its ledger.
_OF_LOAN = ("loan_id", "product", "currency", "annual_rate", "autopay")


def _with_strategy_columns(loans: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    is_past_due = pl.col("days_past_due") > 0
    days_ahead = (pl.col("next_due_date") - pl.lit(as_of)).dt.total_days()
    major = {"past_due": "past_due_minor", "outstanding": "outstanding_minor"}
    return loans.with_columns(
        *asked_for(),
        dpd=pl.when(is_past_due)
        .then(pl.col("days_past_due"))
        .otherwise(-days_ahead)
        .cast(pl.Int32),
        days_past_due=pl.col("days_past_due").cast(pl.Int32),
        # Nobody records these two yet; unknown, they make no rung of the ladder hold.
        part_payments_28d=pl.lit(None, pl.Int32),
        broken_promises_90d=pl.lit(None, pl.Int32),
        open_loans=(pl.col("outstanding_minor") > 0).sum().over("borrower_id").cast(pl.Int32),
    ).with_columns(
        _major("amount_minor").alias("amount"),
        *(_major(minor).alias(name) for name, minor in major.items()),
    )


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
    joined = decided.with_columns(**on).join(
        sums, on=keys, how="left", maintain_order="left", nulls_equal=True
    )
    is_oldest = (pl.col("days_past_due") == pl.col("_oldest")).fill_null(value=False)
    return joined.with_columns(
        loan_count=pl.when(is_oldest).then("loan_count").otherwise(1),
        total_minor=pl.when(is_oldest).then("total_minor").otherwise("amount_minor"),
    ).drop("_oldest", *on)


def _in_words(decided: pl.DataFrame, *, context: PlanContext) -> pl.DataFrame:
    """The text each borrower gets: in the ladder's tone where the step leaves it open."""
    spoken = decided.with_columns(
        tone=tones(decided, context.ladder)["tone"], is_several=pl.col("loan_count") > 1
    )
    return decided.with_columns(template=choose_column(spoken, context.templates))


def _major(column: str) -> pl.Expr:
    """Minor units as a decimal of major units; two digits, as the file contracts write money."""
    return (pl.col(column).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))


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
