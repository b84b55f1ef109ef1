"""What the borrowers of a group have promised, beside each of their loans."""

from __future__ import annotations

import numpy as np
import polars as pl

from duewise.book.ledger import Ledger
from duewise.engine.given import PlanContext, Tables
from duewise.frames import Schema
from duewise.strategy.promise import PromiseState, broken_lately, judge_promises, latest
from duewise.times import local_date

DUE = "due"  # an open promise, on its day
PROMISED: Schema = {
    "promise": pl.String,
    "promise_age": pl.Int32,
    "promise_span": pl.Int32,
    "promised_date": pl.Date,
    "promised_minor": pl.Int64,
}


def with_promises(
    loans: pl.DataFrame, known: Ledger, tables: Tables, context: PlanContext
) -> pl.DataFrame:
    """The loans with broken_promises_90d and PROMISED, null where nothing was promised.

    `promise` is open, due (on the promised day), kept or broken; `promise_age` days ago it was
    made, due, kept or broken. `promise_span`, of one that is still ahead, is how many days it was
    made before its day. `promised_minor` is what it is of, of a kept one what was paid.
    """
    if tables.promises.is_empty():
        nothing = {name: pl.lit(None, kind) for name, kind in PROMISED.items()}
        return loans.with_columns(**nothing, broken_promises_90d=pl.lit(0, pl.Int32))
    judged = judged_promises(known, tables, context)
    found = _beside(loans, latest(judged))
    broken = broken_lately(judged, as_of=context.as_of)
    is_open, today = pl.col("state") == PromiseState.OPEN.value, pl.lit(context.as_of)
    left = pl.min_horizontal(pl.col("said") - pl.col("paid_minor"), "amount_minor")
    told = found.select(
        promise=pl.when(is_open & (pl.col("day") == today)).then(pl.lit(DUE)).otherwise("state"),
        promise_age=(
            today - pl.when(is_open & (pl.col("day") == today)).then("day").otherwise("since")
        )
        .dt.total_days()
        .cast(pl.Int32),
        promise_span=pl.when(is_open & (pl.col("day") > today))
        .then((pl.col("day") - pl.col("made_on")).dt.total_days())
        .cast(pl.Int32),
        promised_date="day",
        promised_minor=pl.when(pl.col("state") == PromiseState.KEPT.value)
        .then("paid_minor")
        .when(pl.col("state").is_not_null())
        .then(pl.coalesce(left, "amount_minor")),
    )
    return (
        loans.hstack(told)
        .join(broken, on="borrower_id", how="left", maintain_order="left")
        .with_columns(pl.col("broken_promises_90d").fill_null(0))
    )


def judged_promises(known: Ledger, tables: Tables, context: PlanContext) -> pl.DataFrame:
    """The group's promises known by now, as they stand on the day (`judge_promises`)."""
    zone, who = context.strategy.timezone, tables.promises["borrower_id"].unique()
    loans = known.aligned.loans
    per_loan = np.diff(known.aligned.columns.loans.instalment_start)
    loan = pl.Series(np.repeat(np.arange(loans.height), per_loan))
    theirs = loans["borrower_id"].is_in(who.implode()).gather(loan)
    instalments = known.payment_days.filter(theirs).hstack(
        loans.select("loan_id", "borrower_id")[loan.filter(theirs)]
    )
    payments = tables.payments.filter(
        (pl.col("kind") == "payment")
        & (pl.col("paid_at") <= context.now)
        & pl.col("borrower_id").is_in(who.implode())
        & ~pl.col("payment_id").is_in(tables.payments["reverses"].drop_nulls().implode())
    )
    is_known = pl.col("cancelled_at") <= context.now
    promises = tables.promises.filter(pl.col("made_at") <= context.now).with_columns(
        pl.when(is_known).then("cancelled_at"), pl.when(is_known).then("cancel_reason")
    )
    return judge_promises(
        promises,
        instalments,
        payments,
        as_of=context.as_of,
        complete_until=local_date(context.ledger_complete_until, zone),
        zone=zone,
    )


def _beside(loans: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """The loans' amount_minor beside the promise of each: its own, or all its borrower's."""
    last = last.rename({"amount_minor": "said"})
    keys = ["borrower_id", "loan_id"]
    asked = loans.select(*keys, "amount_minor")
    own = asked.join(last, on=keys, how="left", maintain_order="left")
    of_all = asked.join(
        last.filter(pl.col("loan_id").is_null()).drop("loan_id"),
        on="borrower_id",
        how="left",
        maintain_order="left",
    )
    is_later = (of_all["made_at"] > own["made_at"]).fill_null(value=False)
    takes_all = own["promise_id"].is_null() | is_later
    names = [name for name in own.columns if name not in (*keys, "amount_minor")]
    return asked.with_columns(own[name].zip_with(~takes_all, of_all[name]) for name in names)
