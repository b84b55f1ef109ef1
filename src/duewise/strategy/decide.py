"""One decision a day per borrower: a proposal, or the reason for none. Losers are recorded."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from duewise.frames import empty
from duewise.strategy.assign import is_held_out
from duewise.strategy.cascade import SENT
from duewise.strategy.conditions import condition, speaks_of_promise
from duewise.strategy.plan import SERVICE, Strategy
from duewise.strategy.reading import WHOLE_BP
from duewise.strategy.reason import Decision, Reason
from duewise.strategy.timing import PaidByHour
from duewise.strategy.treat import PAID, Told, draw_treatment

__all__ = ["Decision", "Reason", "decide"]


def decide(
    loans: pl.DataFrame,
    addresses: pl.DataFrame,
    contacts: pl.DataFrame,
    *,
    strategy: Strategy,
    as_of: date,
    now: datetime,
    payments: pl.DataFrame | None = None,
    by_hour: PaidByHour | None = None,
    sent: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row per borrower of `loans` (an open-loan frame with `COLUMNS` and the loan's figures).

    Adds decision, reason, step, stage, arm, channel, template, propensity, hold_out, losers,
    not_before, valid_until, link and the address chosen. Sorted by borrower_id. `payments` are
    those known (borrower_id, paid_at); with `by_hour` the hours are learned. `sent` is SENT.
    """
    told = Told(
        addresses,
        empty(PAID) if payments is None else payments,
        by_hour,
        empty(SENT) if sent is None else sent,
    )
    chosen = _arbitrate(_match_steps(loans, strategy)).with_row_index("place")
    chosen = chosen.with_columns(hold_out=is_held_out(strategy, chosen["borrower_hash"]))
    # Most borrowers have no step today; whatever follows is asked of the others alone.
    stepped = chosen.filter(pl.col("step_index").is_not_null())
    treated = draw_treatment(stepped, strategy, told, as_of=as_of, now=now)
    reached = treated.join(
        addresses.select("borrower_id", "channel", "number_token", "opted_out"),
        on=["borrower_id", "channel"],
        how="left",
        maintain_order="left",
    )
    recent = _recent_contacts(contacts, reached, now=now)
    reached = reached.join(recent, on="borrower_id", how="left", maintain_order="left")
    found = reached.select("place", *_OF_TREATMENT)
    rows = chosen.join(found, on="place", how="left", maintain_order="left")
    return _conclude(rows, strategy).drop("place", "step_index")


# What is known of a borrower-day once a step has been taken.
_OF_TREATMENT = (
    *("step", "stage", "arm", "channel", "template", "propensity", "not_before", "valid_until"),
    *("required", "number_token", "opted_out", "contacts_28d", "link", "halt"),
)


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
    if not loans["borrower_id"].is_sorted():  # a book's are
        loans = loans.sort("borrower_id", maintain_order=True)
    whose = loans["borrower_id"].rle_id()
    ranked = (
        loans.select(
            "step_index",
            "stopped",
            "days_past_due",
            "loan_id",
            "step_label",
            whose=whose,
            at=pl.int_range(pl.len(), dtype=pl.UInt32),
        )
        .filter(whose.is_duplicated())
        .sort(
            "whose",
            pl.col("step_index").is_null(),
            ~pl.col("stopped"),
            -pl.col("days_past_due"),
            "step_index",
            "loan_id",
            maintain_order=True,
        )
        .with_columns(is_first=pl.col("whose").is_first_distinct())
    )
    losers = (
        ranked.filter(~pl.col("is_first") & pl.col("step_index").is_not_null())
        .group_by("whose", maintain_order=True)
        .agg(losers=pl.format("{}:{}", "loan_id", "step_label"))
    )
    is_lost = np.zeros(loans.height, np.bool_)
    is_lost[ranked.filter(~pl.col("is_first"))["at"].to_numpy()] = True
    return (
        loans.drop("step_label")
        .with_columns(whose=whose)
        .filter(pl.Series(~is_lost))
        .join(losers, on="whose", how="left", maintain_order="left")
        .drop("whose")
        .with_columns(pl.col("losers").fill_null(pl.lit([], pl.List(pl.String))))
    )


def _recent_contacts(contacts: pl.DataFrame, rows: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """borrower_id and contacts_28d of the borrowers of `rows`."""
    since = now - timedelta(days=28)
    return (
        contacts.filter((pl.col("dir") == "out") & (pl.col("at") > since))
        .join(rows.select("borrower_id"), on="borrower_id", how="semi")
        .group_by("borrower_id")
        .agg(contacts_28d=pl.len().cast(pl.Int32))
    )


def _conclude(rows: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """The decision and its reason."""
    optional = ~pl.col("required").fill_null(value=False)
    decision = (
        pl.when(pl.col("reason") == "")
        .then(pl.lit(Decision.PROPOSED.value))
        .when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(Decision.HELD_OUT.value))
        .otherwise(pl.lit(Decision.NONE.value))
    )
    held_out_share = strategy.hold_out_bp / WHOLE_BP
    return rows.with_columns(reason=_reason(strategy, optional), required=~optional).with_columns(
        decision=decision,
        # For the hold-out the logged action is "no contact", drawn with the hold-out's share.
        propensity=pl.when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(held_out_share))
        .otherwise(pl.col("propensity")),
        arm=pl.when(pl.col("reason") == Reason.HOLD_OUT.value)
        .then(pl.lit(None, pl.String))
        .otherwise(pl.col("arm")),
    )


def _reason(strategy: Strategy, optional: pl.Expr) -> pl.Expr:
    """Why nothing is proposed, in order of precedence; empty where something is."""
    limit = strategy.fatigue_28d
    tired = pl.col("contacts_28d").fill_null(0) >= limit if limit else pl.lit(value=False)
    is_service = (pl.col("stage") == SERVICE).fill_null(value=False)
    return (
        pl.when(pl.col("days_past_due") == 0, pl.col("outstanding_minor") <= 0, ~is_service)
        .then(pl.lit(Reason.NOTHING_OWED.value))
        .when(pl.col("step").is_null() & pl.col("stopped"))
        .then(pl.lit(Reason.MESSAGES_PAUSED.value))
        .when(pl.col("step").is_null())
        .then(pl.lit(Reason.NO_STEP.value))
        .when(optional & pl.col("hold_out"))
        .then(pl.lit(Reason.HOLD_OUT.value))
        .when(pl.col("is_put_off") & (pl.col("days_past_due") > 0) & ~is_service)
        .then(pl.lit(Reason.NOT_OVERDUE_YET.value))
        .when(optional & _is_quiet(strategy))
        .then(pl.lit(Reason.PART_PAYMENT.value))
        .when(optional & _rests_on_promise(strategy))
        .then(pl.lit(Reason.PROMISE_OPEN.value))
        .when(optional & _waits(strategy))
        .then(pl.lit(Reason.SELF_CURE_LIKELY.value))
        .when(pl.col("halt") != "")
        .then(pl.col("halt"))
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


def _is_quiet(strategy: Strategy) -> pl.Expr:
    """Whether a part payment was made so lately that optional messages rest."""
    if strategy.quiet_days is None:
        return pl.lit(value=False)
    lately = pl.col("days_since_part_payment") < strategy.quiet_days
    return lately.fill_null(value=False)


def _rests_on_promise(strategy: Strategy) -> pl.Expr:
    """Whether a promised day is still ahead, and the step does not speak of the promise itself."""
    if strategy.quiet_promise_days is None:
        return pl.lit(value=False)
    speaks = [step.name for step in strategy.steps if speaks_of_promise(step.when)]
    is_ahead = pl.col("promise_span") <= strategy.quiet_promise_days
    return (is_ahead & ~pl.col("step").is_in(speaks)).fill_null(value=False)


def _waits(strategy: Strategy) -> pl.Expr:
    """Whether the borrower's step says to wait; what is not known makes nobody wait."""
    waits = [
        (pl.col("step") == step.name) & condition(step.wait)
        for step in strategy.steps
        if step.wait is not None
    ]
    return pl.any_horizontal(waits).fill_null(value=False) if waits else pl.lit(value=False)
