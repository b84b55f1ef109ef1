"""Promises to pay: kept or broken by the ledger, on any day. Never stored as such, like lateness.

A promise is of the amount that was said. Where none was, it is of what was past due of its loans
when it was made; if nothing was, of the instalment that came next. Without a loan it speaks of all
the borrower's loans.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum

import polars as pl

from duewise.frames import INSTANT, Schema

REMEMBERED_DAYS = 90  # after the promised day
PROMISES: Schema = {
    "promise_id": pl.Int64,
    "borrower_id": pl.String,
    "loan_id": pl.String,
    "made_at": INSTANT,
    "day": pl.Date,
    "amount_minor": pl.Int64,
    "cancelled_at": INSTANT,
    "cancel_reason": pl.String,
}


class PromiseState(StrEnum):
    """What has become of a promise by a day."""

    OPEN = "open"
    KEPT = "kept"
    BROKEN = "broken"
    CANCELLED = "cancelled"


class PromiseReason(StrEnum):
    """Why it stands so. Documented in `docs/reference/reasons.md`."""

    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    NOTHING_OWED = "nothing_owed"
    PAID_BY_DAY = "paid_by_day"
    AMOUNT_PAID = "amount_paid"
    DAY_NOT_OVER = "day_not_over"
    PAYMENTS_NOT_COMPLETE = "payments_not_complete"
    PAID_LATE = "paid_late"
    PAID_IN_PART = "paid_in_part"
    NOTHING_PAID = "nothing_paid"


STATE_OF: Mapping[PromiseReason, PromiseState] = {
    PromiseReason.WITHDRAWN: PromiseState.CANCELLED,
    PromiseReason.REPLACED: PromiseState.CANCELLED,
    PromiseReason.NOTHING_OWED: PromiseState.KEPT,
    PromiseReason.PAID_BY_DAY: PromiseState.KEPT,
    PromiseReason.AMOUNT_PAID: PromiseState.KEPT,
    PromiseReason.DAY_NOT_OVER: PromiseState.OPEN,
    PromiseReason.PAYMENTS_NOT_COMPLETE: PromiseState.OPEN,
    PromiseReason.PAID_LATE: PromiseState.BROKEN,
    PromiseReason.PAID_IN_PART: PromiseState.BROKEN,
    PromiseReason.NOTHING_PAID: PromiseState.BROKEN,
}


def judge_promises(
    promises: pl.DataFrame,
    instalments: pl.DataFrame,
    payments: pl.DataFrame,
    *,
    as_of: date,
    complete_until: date,
    zone: str,
) -> pl.DataFrame:
    """PROMISES with made_on, state, `why`, the day `since` which, and paid_minor by its day.

    `instalments` (borrower_id, loan_id, effective_due_date, settled_date) are the ledger's as of
    the day; `payments` (borrower_id, loan_id, paid_at, amount_minor) those that count. All are
    known up to the local day `complete_until`, not included: before, nothing is broken.
    """
    made = promises.with_columns(made_on=_local("made_at", zone))
    of = (
        made.join(_debt(made, instalments), on="promise_id", how="left", maintain_order="left")
        .join(_paid(made, payments, zone), on="promise_id", how="left", maintain_order="left")
        .with_columns(pl.col("paid_minor").fill_null(0), ended_on=_local("cancelled_at", zone))
    )
    first_on = pl.min_horizontal(pl.when(_IN_TIME).then("settled_on"), "amount_on")
    states = {reason.value: state.value for reason, state in STATE_OF.items()}
    return (
        of.with_columns(why=_why(as_of, complete_until))
        .with_columns(state=pl.col("why").replace_strict(states, return_dtype=pl.String))
        .with_columns(
            since=pl.when(state="cancelled")
            .then("ended_on")
            .when(state="kept")
            .then(pl.coalesce(first_on, "made_on"))
            .when(state="broken")
            .then("day")
            .otherwise("made_on")
        )
        .select(*PROMISES, "made_on", "state", "why", "since", "paid_minor")
    )


_IN_TIME = pl.col("settled_on") <= pl.col("day")


def _why(as_of: date, complete_until: date) -> pl.Expr:
    """The reason, in order of precedence."""
    return (
        pl.when(pl.col("ended_on").is_not_null())
        .then(pl.col("cancel_reason"))
        .when(pl.col("is_settled").is_null())
        .then(pl.lit(PromiseReason.NOTHING_OWED.value))
        .when(_IN_TIME)
        .then(pl.lit(PromiseReason.PAID_BY_DAY.value))
        .when(pl.col("amount_on").is_not_null())
        .then(pl.lit(PromiseReason.AMOUNT_PAID.value))
        .when(pl.col("day") >= as_of)
        .then(pl.lit(PromiseReason.DAY_NOT_OVER.value))
        .when(pl.col("day") >= complete_until)
        .then(pl.lit(PromiseReason.PAYMENTS_NOT_COMPLETE.value))
        .when(pl.col("is_settled"))
        .then(pl.lit(PromiseReason.PAID_LATE.value))
        .when(pl.col("paid_minor") > 0)
        .then(pl.lit(PromiseReason.PAID_IN_PART.value))
        .otherwise(pl.lit(PromiseReason.NOTHING_PAID.value))
    )


def broken_lately(judged: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """borrower_id and broken_promises_90d of those who broke one in the last 90 days."""
    since = as_of - timedelta(days=REMEMBERED_DAYS)
    is_broken = (pl.col("state") == PromiseState.BROKEN.value) & (pl.col("day") >= since)
    return (
        judged.filter(is_broken)
        .group_by("borrower_id")
        .agg(broken_promises_90d=pl.len().cast(pl.Int32))
    )


def latest(judged: pl.DataFrame) -> pl.DataFrame:
    """Of each borrower and loan (null: all) the last promise made that was not cancelled."""
    stands = judged.filter(pl.col("state") != PromiseState.CANCELLED.value)
    return stands.sort("made_at", "promise_id").unique(
        ["borrower_id", "loan_id"], keep="last", maintain_order=True
    )


def _debt(made: pl.DataFrame, instalments: pl.DataFrame) -> pl.DataFrame:
    """What each promise is of: promise_id, is_settled, and settled_on, the day all of it was."""
    when = made.select("promise_id", "borrower_id", "made_on", of="loan_id")
    is_due = pl.col("effective_due_date") <= pl.col("made_on")
    is_next = pl.col("effective_due_date") == pl.col("effective_due_date").min().over("promise_id")
    return (
        _of_loan(when, instalments)
        .filter(
            pl.col("settled_date").is_null() | (pl.col("settled_date") >= pl.col("made_on")),
        )
        .filter(pl.when(is_due.any().over("promise_id")).then(is_due).otherwise(is_next))
        .group_by("promise_id")
        .agg(
            is_settled=pl.col("settled_date").is_not_null().all(),
            settled_on=pl.col("settled_date").max(),
        )
        .with_columns(pl.when("is_settled").then("settled_on"))
    )


def _paid(made: pl.DataFrame, payments: pl.DataFrame, zone: str) -> pl.DataFrame:
    """What was paid from a promise to its day, and amount_on, the day the amount said was reached.

    promise_id, paid_minor, amount_on (null: never, or no amount was said).
    """
    when = made.select("promise_id", "borrower_id", "made_on", "day", of="loan_id")
    when = when.with_columns(said=made["amount_minor"])
    paid = payments.with_columns(paid_on=_local("paid_at", zone))
    in_time = (
        _of_loan(when, paid)
        .filter(pl.col("paid_on").is_between("made_on", "day"))
        .sort("promise_id", "paid_at")
        .with_columns(so_far=pl.col("amount_minor").cum_sum().over("promise_id"))
    )
    return in_time.group_by("promise_id").agg(
        paid_minor=pl.col("amount_minor").sum(),
        amount_on=pl.col("paid_on").filter(pl.col("so_far") >= pl.col("said")).min(),
    )


def _of_loan(when: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Each promise beside the rows of the loan it is of, or of all its borrower's loans."""
    found = when.join(rows, on="borrower_id", how="inner")
    return found.filter(pl.col("of").is_null() | (pl.col("of") == pl.col("loan_id")))


def _local(instant: str, zone: str) -> pl.Expr:
    return pl.col(instant).dt.convert_time_zone(zone).dt.date()
