"""The open loans of a group of borrowers on a day: what is owed, and what strategies may ask of it.

Borrowers are joined by their place among the group's, a whole number; instalments, of which there
are ten times as many, are never joined by name.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from duewise.book.calendar import rolled_if_known
from duewise.book.ledger import Ledger, asked_for
from duewise.engine.given import PlanContext, Tables
from duewise.engine.habits import habits
from duewise.engine.promised import with_promises
from duewise.frames import completed, empty
from duewise.risk.serve import PROBABILITIES, foresee
from duewise.strategy.conditions import COLUMNS

WHO = "_who"  # the borrower's place among the group's

# What a strategy, a text or a rule may ask of a loan besides its ledger.
_OF_LOAN = ("product", "currency", "annual_rate", "autopay")


def open_loans(tables: Tables, *, context: PlanContext) -> pl.DataFrame:
    """One row per loan with what is owed on the as-of date, and the columns strategies may name."""
    zone = context.strategy.timezone
    known = tables.ledger(context.products, as_of=context.as_of, known_at=context.now, zone=zone)
    given = known.aligned.loans
    who = _places(given["borrower_id"], tables.borrowers["borrower_id"])
    is_open = given["opened_date"] <= context.as_of
    loans = (
        pl.concat([known.loans, given.filter(is_open).select(_OF_LOAN)], how="horizontal")
        .with_columns(who.filter(is_open))
        .filter(pl.col(WHO).is_not_null())
    )
    people = tables.borrowers.drop("borrower_id").hstack(_habits(known, who, tables, context))
    loans = pl.concat([loans, people[loans[WHO]]], how="horizontal")
    loans = _beside(loans, _foreseen(known, tables, context)).with_columns(
        probability_of_default=pl.coalesce("probability_of_default", "_share")
    )
    paused = loans["loan_id"].is_in(_paused(tables.pauses, as_of=context.as_of).implode())
    loans = loans.with_columns(paused.alias("messages_paused"))
    found = _with_strategy_columns(loans, as_of=context.as_of).drop(WHO, "_share")
    found = found.with_columns(_is_put_off(found["oldest_due_date"], context))
    found = with_promises(_with_dates(found, context), known, tables, context)
    return completed(found, COLUMNS)  # a probability that no model in use tells is not known


def _places(names: pl.Series, known: pl.Series) -> pl.Series:
    """For each name its place among the known (WHO), or null; both are in order in a book."""
    runs = names.rle()
    if runs.struct.field("value").equals(known):
        return names.rle_id().alias(WHO)
    places = known.to_frame("name").with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(WHO))
    return names.to_frame("name").join(places, on="name", how="left", maintain_order="left")[WHO]


def _beside(loans: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The loans with the columns found for them by loan_id, null where none are."""
    if found["loan_id"].equals(loans["loan_id"]):
        return loans.hstack(found.drop("loan_id"))
    return loans.join(found, on="loan_id", how="left", maintain_order="left")


def _habits(known: Ledger, who: pl.Series, tables: Tables, context: PlanContext) -> pl.DataFrame:
    """The borrowers' habits, a row for each of the group's."""
    names = tables.borrowers["borrower_id"]
    cases = tables.cases.filter("hardship_pending")["borrower_id"]
    return habits(
        known,
        who.cast(pl.Int64).fill_null(len(names)).to_numpy(),  # nobody's are beyond all others
        _places(cases, names).drop_nulls().to_numpy(),
        people=len(names),
        as_of=context.as_of,
        prior=context.prior,
    )


def _is_put_off(due: pl.Series, context: PlanContext) -> pl.Series:
    """Whether rest days have put off till today, or beyond, what was due (`is_put_off`).

    By the rulebook's clause for due dates, as the guard takes it; False where nobody knows.
    """
    rulebook = context.rulebook
    last = {
        day: rolled_if_known(day, rulebook.roll_default, rulebook.calendar)
        for day in due.drop_nulls().unique()
    }
    put_off = [day for day, until in last.items() if until is not None and until >= context.as_of]
    return due.is_in(put_off).fill_null(value=False).alias("is_put_off")


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


def _with_strategy_columns(loans: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    is_past_due = pl.col("days_past_due") > 0
    days_ahead = (pl.col("next_due_date") - pl.lit(as_of)).dt.total_days()
    major = {"past_due": "past_due_minor", "outstanding": "outstanding_minor"}
    whose, is_owed = loans[WHO].to_numpy(), (loans["outstanding_minor"] > 0).to_numpy()
    open_ones = np.bincount(whose[is_owed], minlength=int(whose.max()) + 1 if len(whose) else 0)
    return loans.with_columns(
        *asked_for(),
        dpd=pl.when(is_past_due)
        .then(pl.col("days_past_due"))
        .otherwise(-days_ahead)
        .cast(pl.Int32),
        days_past_due=pl.col("days_past_due").cast(pl.Int32),
        open_loans=pl.Series(open_ones[whose].astype(np.int32)),
    ).with_columns(
        _major("amount_minor").alias("amount"),
        *(_major(minor).alias(name) for name, minor in major.items()),
    )


def _with_dates(loans: pl.DataFrame, context: PlanContext) -> pl.DataFrame:
    """The loans with grace_until and grace_days_left, once due and while it lasts; report_date."""
    today = pl.lit(context.as_of)
    until = pl.col("due_date") + pl.duration(days=pl.col("grace_days"))
    lasts = (pl.col("grace_days") > 0) & (pl.col("due_date") <= today) & (until >= today)
    day = next_report(context.as_of, context.lender.credit_report_day)
    return loans.with_columns(
        grace_until=pl.when(lasts).then(until), report_date=pl.lit(day, pl.Date)
    ).with_columns(
        grace_days_left=(pl.col("grace_until") - today).dt.total_days().cast(pl.Int32),
    )


def next_report(today: date, day_of_month: int | None) -> date | None:
    """The next day after today on which the lender reports to the credit register.

    >>> next_report(date(2026, 12, 20), 20), next_report(date(2026, 8, 14), None)
    (datetime.date(2027, 1, 20), None)
    """
    if day_of_month is None:
        return None
    this = today.replace(day=day_of_month)
    return (
        this if this > today else (this.replace(day=1) + timedelta(days=32)).replace(day=this.day)
    )


def _major(column: str) -> pl.Expr:
    """Minor units as a decimal of major units; two digits, as the file contracts write money."""
    return (pl.col(column).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))
