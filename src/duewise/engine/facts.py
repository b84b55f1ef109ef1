"""The facts of a message, one row each, as the guard's rules name them; the same at every gate.

What a gate re-reads (addresses, cases, payments, ledger age) comes in as arguments; what follows
from the template or the tenant's settings is looked up. Nothing is guessed: a fact that is not
given stays null, and the rules fail closed on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import polars as pl

from duewise.guard.facts import FACTS
from duewise.message.choose import PENALTY
from duewise.message.lint import template_facts
from duewise.message.template import Sender, Template

REPORTED = "credit_will_be_reported"


@dataclass(frozen=True)
class LenderFacts:
    """What the tenant's settings say: licence class, class of the sending number, filings.

    `holds_validity`: the kinds of message whose route lets nothing reach a handset after the end of
    validity that it is told; before a route is chosen, those of which every route does.
    """

    licence: str
    port: str
    is_signature_registered: bool
    is_outsourced: bool = False
    is_collector: bool = False
    credit_report_day: int | None = None  # of each month; None: nobody is reported
    holds_validity: tuple[str, ...] = ()


_FLAGS = ("dispute_open", "hardship_pending", "deceased", "incapacity", "plan_kept", "blackout")
_NO_CASE = [
    *(pl.Series(f"case.{name}", [False]) for name in _FLAGS),
    *(pl.Series(f"case.{name}", ["none"]) for name in ("bankruptcy", "plan")),
]


@dataclass(frozen=True)
class CaseFacts:
    """The case desk's rows; a borrower without a row has no case, which is a known fact."""

    rows: pl.DataFrame

    def columns(self, messages: pl.DataFrame) -> pl.DataFrame:
        if self.rows.is_empty():
            return pl.DataFrame([column.new_from_index(0, messages.height) for column in _NO_CASE])
        joined = messages.select("borrower_id").join(
            self.rows, on="borrower_id", how="left", maintain_order="left"
        )
        return joined.select(
            *(pl.col(name).fill_null(value=False).alias(f"case.{name}") for name in _FLAGS),
            pl.col("bankruptcy").fill_null("none").alias("case.bankruptcy"),
            pl.col("plan").fill_null("none").alias("case.plan"),
        )


def message_facts(
    messages: pl.DataFrame,
    *,
    addresses: pl.DataFrame,
    cases: CaseFacts,
    templates: Mapping[str, Template],
    sender: Sender,
    lender: LenderFacts,
    ledger_age: timedelta,
) -> pl.DataFrame:
    """One row of facts per message, in their order, with `key` and `borrower_id`.

    `messages` needs key, borrower_id, loan_id, number_token, stage, channel, template, text,
    amount_minor, paid_minor, due_date, grace_days, tolerance_minor, annual_rate,
    penalty_multiplier, valid_until and `now` (the instant of hand-off to the carrier).
    """
    return pl.concat(
        [
            messages.select("key", "borrower_id", "now"),
            _message_columns(messages, lender),
            _account_columns(messages, lender, ledger_age),
            _contact_columns(messages, addresses),
            cases.columns(messages),
            _template_columns(messages, templates, sender),
        ],
        how="horizontal",
    )


def _message_columns(messages: pl.DataFrame, lender: LenderFacts) -> pl.DataFrame:
    """What is said, and over which line."""
    reported = [] if lender.credit_report_day is None else [REPORTED]
    return messages.select(
        pl.col("stage").alias("msg.stage"),
        pl.col("channel").alias("msg.channel"),
        pl.col("text").alias("msg.text"),
        pl.col("amount_minor").alias("msg.amount"),
        # Told when it ends, and able to hold to it: both, or a text may land in the night.
        (
            pl.col("channel").is_in(lender.holds_validity) & (pl.col("now") < pl.col("valid_until"))
        ).alias("msg.validity_ctl"),
        pl.lit(lender.port).alias("msg.port"),
        pl.lit(lender.is_signature_registered).alias("msg.sig_registered"),
        pl.lit(value=True).alias("msg.corporate_sender"),
        pl.lit(lender.is_collector).alias("actor.fdcpa_collector"),
        pl.lit(lender.is_outsourced).alias("case.outsourced"),
        # True of itself are a penalty clause in the contract, and that whoever is late is reported.
        pl.when(pl.col("penalty_multiplier") > 0)
        .then(pl.lit([PENALTY, *reported]))
        .otherwise(pl.lit(reported, pl.List(pl.String)))
        .alias("case.true_claims"),
        # The record of the decision is written in the transaction that lets the message go.
        pl.lit(value=True).alias("rec.decision_logged"),
    )


def _account_columns(
    messages: pl.DataFrame, lender: LenderFacts, ledger_age: timedelta
) -> pl.DataFrame:
    """What is owed, since when, at what price, and how old that knowledge is."""
    return messages.select(
        pl.col("loan_id").alias("acct.debt"),
        pl.col("due_date").alias("acct.due_date"),
        pl.lit("default").alias("acct.due_roll"),
        pl.col("grace_days").alias("acct.grace_days"),
        pl.col("tolerance_minor").alias("acct.tolerance"),
        pl.col("amount_minor").alias("acct.amount_due"),
        pl.col("paid_minor").alias("acct.paid"),
        pl.lit(value=False).alias("acct.pay_pending"),
        pl.lit(ledger_age.total_seconds()).alias("acct.ledger_age_s"),
        pl.col("penalty_multiplier").alias("acct.penalty_mult"),
        (pl.col("annual_rate") * 100).round(6).alias("acct.apr_total"),
        pl.lit(lender.licence).alias("acct.lender_class"),
    )


def _contact_columns(messages: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """Who is addressed, and what the contact register knows of the number."""
    reached = _reached(messages.select("borrower_id", "channel"), addresses)
    return reached.select(
        messages["number_token"].alias("to.number"),
        pl.col("role").alias("to.role"),
        pl.concat_list("timezone").alias("to.tz"),
        pl.col("number_state").alias("to.number_state"),
        pl.col("wrong_party").alias("to.wrong_party"),
        pl.when(pl.col("opted_out"))
        .then(pl.concat_list("channel"))
        .otherwise(pl.lit([], pl.List(pl.String)))
        .alias("consent.channel_optout"),
    )


def _reached(messages: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """The address of each message. At the wire they come in one order, and need not be joined."""
    if addresses.select(messages.columns).equals(messages):
        return addresses
    return messages.join(addresses, on=messages.columns, how="left", maintain_order="left")


def _template_columns(
    messages: pl.DataFrame, templates: Mapping[str, Template], sender: Sender
) -> pl.DataFrame:
    """The facts that are constant per template, joined by its name."""
    names = messages["template"].unique().sort().to_list()
    table = _table(tuple(names), tuple(templates[name] for name in names), sender)
    if table.height == 1:
        given = table.drop("template").get_columns()
        return pl.DataFrame([column.new_from_index(0, messages.height) for column in given])
    return (
        messages.select("template")
        .join(table, on="template", how="left", maintain_order="left")
        .drop("template")
    )


@lru_cache(maxsize=256)
def _table(names: tuple[str, ...], templates: tuple[Template, ...], sender: Sender) -> pl.DataFrame:
    """A row a template, its columns the name and its facts; batch after batch has the same few."""
    facts = [template_facts(template, sender) for template in templates]
    columns = sorted({fact for known in facts for fact in known})
    return pl.DataFrame(
        {"template": names, **{fact: [known.get(fact) for known in facts] for fact in columns}},
        schema={"template": pl.String, **{fact: FACTS[fact].dtype for fact in columns}},
    )
