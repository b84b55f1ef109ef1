"""Is the invented lender like real ones: moments of a run, and what they should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.book.product import shipped_products
from duewise.frames import INSTANT
from duewise.sim.borrowers import TIMEZONE
from duewise.sim.lender import DELIVERED, Lender, live_day
from duewise.sim.replies import TEXTS

REMINDER_HOUR = 10
CURE_DAYS, CURE_DAYS_MAX = 7, 30


@dataclass(frozen=True)
class Target:
    """The range a moment must lie in, and where it is from."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        """Whether the value lies in the range, its ends included."""
        return self.low <= value <= self.high


TARGETS = {
    # Above the sheet's 12.2 % of manual payers and Lexin's day-1 flow, at the sheet's upper end
    # (S28: 20 % a month), so that a demo of two weeks has something to show.
    "late_share": Target(0.17, 0.20, "S28 Gathergood et al. 2021; level by judgement"),
    "cured_7d_share": Target(0.60, 0.70, "judgement; Lexin day 1 to day 7"),
    "cured_30d_share": Target(0.93, 0.96, "judgement; platforms say 86-90 %"),
    "past_due_share": Target(0.04, 0.08, "Lexin, stock 1+ days past due: 4.92 and 8.08 %"),
    "reminder_effect": Target(-0.25, -0.15, "S2 AFM and Riverty 2024: -20 % or more"),
    "opt_out_share": Target(0.002, 0.004, "S43 vendor report 0.2 %, S25"),
    "reply_share": Target(0.02, 0.03, "judgement"),
}


@dataclass(frozen=True)
class Run:
    """A stretch of a lender's life: what was delivered, paid (history included) and replied."""

    lender: Lender
    start: date
    days: int
    delivered: pl.DataFrame
    payments: pl.DataFrame
    replies: pl.DataFrame


def live(lender: Lender, *, days: int, seed: int, reminder_days: int | None = None) -> Run:
    """Live `days` days; with `reminder_days`, everybody is reminded once, so long before each due.

    The lender's standing moves on: give a `twin()` to keep it.
    """
    start = lender.standing.today
    empty = pl.DataFrame(schema=dict(DELIVERED))
    delivered, payments, replies = [empty], [lender.payments], []
    for number in range(days):
        day = start + timedelta(days=number)
        events = live_day(lender, day=day, delivered=pl.concat(delivered[-4:]), seed=seed)
        payments.append(events.payments)
        replies.append(events.replies)
        if reminder_days is not None:
            delivered.append(_reminders(lender, day, day + timedelta(days=reminder_days)))
    return Run(lender, start, days, *(pl.concat(part) for part in (delivered, payments, replies)))


def _reminders(lender: Lender, day: date, due: date) -> pl.DataFrame:
    """A gentle reminder to each loan with an instalment due on `due`, delivered on `day`."""
    at = pl.lit(day).cast(pl.Datetime("us")) + pl.duration(hours=REMINDER_HOUR)
    return lender.instalments.filter(pl.col("due_date") == due).select(
        "borrower_id",
        "loan_id",
        at.dt.replace_time_zone(TIMEZONE).cast(INSTANT).alias("at"),
        pl.lit("pre_due").alias("stage"),
        pl.lit("gentle").alias("tone"),
        pl.lit(REMINDER_HOUR, pl.Int32).alias("hour"),
    )


def settled(instalments: pl.DataFrame, payments: pl.DataFrame) -> pl.DataFrame:
    """The instalments with `days_to_pay`: local days from due date to full payment; null if none.

    Payments settle a loan's instalments oldest first; there are no reversals here.
    """
    owed = pl.sum_horizontal("^(principal|interest|fee)_minor$")
    asked = instalments.sort("loan_id", "number").with_columns(
        through=owed.cum_sum().over("loan_id")
    )
    paid = payments.sort("loan_id", "paid_at").select(
        "loan_id", "paid_at", through=pl.col("amount_minor").cum_sum().over("loan_id")
    )
    on = pl.col("paid_at").dt.convert_time_zone(TIMEZONE).dt.date()
    return (
        asked.sort("through")
        .join_asof(
            paid.sort("through"),
            on="through",
            by="loan_id",
            strategy="forward",
            check_sortedness=False,
        )
        .with_columns(days_to_pay=(on - pl.col("due_date")).dt.total_days())
        .sort("loan_id", "number")
    )


def moments(run: Run, control: Run | None = None) -> dict[str, float]:
    """The moments of a run, by the names of TARGETS; against a control, the effect as well.

    Counted are instalments that fell due early enough to be seen for 30 days, and late enough to
    have been reminded in time. `late_share`: unpaid when the due date ended; `cured_*`: of these;
    `reminder_effect`: relative change of `late_share` against the control; `opt_out_share`: of
    messages. Raises AssertionError where a run is too short to have any.
    """
    first = run.start + timedelta(days=5)
    last = run.start + timedelta(days=run.days - CURE_DAYS_MAX - 1)
    assert first <= last, f"a run of {run.days} days is too short to see {CURE_DAYS_MAX} days"
    seen = settled(run.lender.instalments, run.payments).filter(
        pl.col("due_date").is_between(first, last)
    )
    late = seen.filter((pl.col("days_to_pay") > 0) | pl.col("days_to_pay").is_null())
    found = {
        "late_share": late.height / seen.height,
        "cured_7d_share": late.filter(pl.col("days_to_pay") <= CURE_DAYS).height / late.height,
        "cured_30d_share": late.filter(pl.col("days_to_pay") <= CURE_DAYS_MAX).height / late.height,
        "past_due_share": _past_due_share(run),
    }
    if run.delivered.height:
        texts = run.replies["text"].is_in(TEXTS["opt_out"])
        opt_outs = int(texts.sum())
        found["opt_out_share"] = opt_outs / run.delivered.height
        found["reply_share"] = run.replies.height / run.delivered.height
    if control is not None:
        found["reminder_effect"] = found["late_share"] / moments(control)["late_share"] - 1
    return found


def _past_due_share(run: Run) -> float:
    """Share of the unfinished loans that are past due when the run ends."""
    as_of = run.start + timedelta(days=run.days)
    known_at = run.lender.instalments.select(pl.lit(as_of).cast(INSTANT)).item(0, 0)
    tables = LoanTables(run.lender.loans, run.lender.instalments, run.payments)
    found = ledger(tables, shipped_products(), as_of=as_of, known_at=known_at, zone=TIMEZONE)
    loans = found.loans.filter(pl.col("outstanding_minor") > 0)
    return loans.filter(pl.col("days_past_due") > 0).height / loans.height
