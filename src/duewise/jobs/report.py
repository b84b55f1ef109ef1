"""The report of a lender's days: what was sent or stopped and why, what it did, what it cost.

The effect is intention to treat. Its population are the borrowers to whom an optional step before
or on the due date applied, whatever came of it later; their arm is the hold-out draw on the first
such day; their outcome, the instalments due since. Steps after the due date are left out: who
reaches them has been late already, and lateness is what differs by arm.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import known_payments, ledger
from duewise.book.product import Products
from duewise.jobs.explain import load_words, meaning, reason_meaning
from duewise.jobs.journeys import journeys
from duewise.jobs.operations import feed_complete_until, payments_of, rows
from duewise.measure.outcome import Effect, effects, late_outcomes, sample_ratio
from duewise.measure.report import Cost, Count, DayCount, Report, StepCount
from duewise.measure.stats import Estimate, Inconclusive, Reason, cost_per_prevented
from duewise.money import Money
from duewise.outbox.envelope import Balance, State, balance
from duewise.store import journal
from duewise.store.sql import queries
from duewise.strategy.reading import WHOLE_BP
from duewise.times import local_date

if TYPE_CHECKING:
    from psycopg import Connection

    from duewise.jobs.tenant import Tenant
    from duewise.store.book import Book

EFFECT_STAGES = ("pre_due", "due_day")
_SQL = queries("report")


def read_report(conn: Connection[Any], book: Book, tenant: Tenant, *, now: datetime) -> Report:
    """Everything so far, read from the records and the book."""
    zone = tenant.strategy.timezone
    (totals,) = rows(conn, _SQL["planned"], {})
    first = totals["first_day"] or now.date()
    last = totals["last_day"] or now.date()
    by_state = {State(r["state"]): r["envelopes"] for r in rows(conn, _SQL["states"], {})}
    submitted = rows(conn, _SQL["submitted"], {})[0]["submitted"]
    assignments = _assignments(tenant, first, last)
    ratio = sample_ratio(assignments, hold_out_share=tenant.strategy.hold_out_bp / WHOLE_BP)
    outcomes, borrowers, loans = _outcomes(
        conn, book, tenant.products, assignments, last=last, now=now, zone=zone
    )
    found = effects(outcomes, assignments, mismatch=ratio)
    return Report(
        lender=tenant.sender.name,
        first_date=first,
        last_date=last,
        zone=zone,
        made_at=now,
        borrowers=borrowers,
        loans=loans,
        balance=balance(by_state, planned=totals["planned"], submitted=submitted),
        blocked=_blocked(conn, tenant),
        held=_by_reason(conn, "holds", "holds"),
        given_up=_by_reason(conn, "given_up", "envelopes"),
        not_contacted=_not_contacted(tenant, first, last),
        opt_outs=rows(conn, _SQL["opt_outs"], {})[0]["opt_outs"],
        replies=_replies(conn),
        effects=found,
        sample_ratio=ratio,
        cost=_cost(conn, tenant, found),
        steps=_steps(conn, tenant, first, last),
        hours={r["hour"]: r["sent"] for r in rows(conn, _SQL["by_hour"], {"zone": zone})},
        days=_days(conn, zone),
        journeys=journeys(conn, tenant),
    )


def summary(report: Report) -> dict[str, Any]:
    """The report's figures as one flat JSON object."""
    late_1d = next((effect for effect in report.effects if effect.outcome == "late_1d"), None)
    return {
        **_balance(report.balance),
        "replies": sum(count.count for count in report.replies),
        "opt_outs": report.opt_outs,
        "treated_late_1d": _rate(late_1d, "treated"),
        "hold_out_late_1d": _rate(late_1d, "hold_out"),
        "effects": {effect.outcome: _said(effect.estimate) for effect in report.effects},
        "parts": report.cost.parts,
        "cost": str(report.cost.total),
        "ties": report.balance.ties,
    }


def _balance(found: Balance) -> dict[str, int]:
    names = [field.name for field in fields(found)]
    return {name: getattr(found, name) for name in names}


def _rate(effect: Effect | None, arm: str) -> float | None:
    tally = getattr(effect, arm) if effect else None
    return round(tally.sum / tally.n, 6) if tally and tally.n else None


def _said(estimate: Estimate | Inconclusive) -> dict[str, Any]:
    if isinstance(estimate, Inconclusive):
        return {"inconclusive": estimate.reason.value}
    return {"point": estimate.point, "low": estimate.low, "high": estimate.high}


def _assignments(tenant: Tenant, first: date, last: date) -> pl.DataFrame:
    """borrower_id, arm, assigned_date: a row for each day an optional early step applied."""
    required = [step.name for step in tenant.strategy.steps if step.required]
    found = journal.read(tenant.workspace, since=first, until=last + timedelta(days=1))
    if "step" not in found.collect_schema():
        schema = {"borrower_id": pl.String, "arm": pl.String, "assigned_date": pl.Date}
        return pl.DataFrame(schema=schema)
    return (
        found.filter(pl.col("stage").is_in(EFFECT_STAGES) & ~pl.col("step").is_in(required))
        .select(
            "borrower_id",
            arm=pl.when("hold_out").then(pl.lit("hold_out")).otherwise(pl.lit("treated")),
            assigned_date="as_of",
        )
        .group_by("borrower_id", "arm")
        .agg(pl.col("assigned_date").min())
        .collect()
    )


def _outcomes(
    conn: Connection[Any],
    book: Book,
    products: Products,
    assignments: pl.DataFrame,
    *,
    last: date,
    now: datetime,
    zone: str,
) -> tuple[pl.DataFrame, int, int]:
    """Lateness of the assigned borrowers' instalments, and the book's size, part by part."""
    # Past the feed's last word nobody knows who has paid: silence is not lateness.
    known_at = min(now, feed_complete_until(conn) or now)
    assigned = assignments.select("borrower_id").unique()
    first = assignments["assigned_date"].min() or last
    found, borrowers, loans = [], 0, 0
    for number in range(book.partitions):
        part = book.read(number)
        borrowers, loans = borrowers + part.borrowers.height, loans + part.loans.height
        ours = {
            name: rows.join(assigned, on="borrower_id", how="semi", maintain_order="left")
            for name, rows in vars(part).items()
        }
        ids = ours["borrowers"]["borrower_id"].to_list()
        paid = known_payments(ours["payments"], payments_of(conn, ids), known_at=known_at)
        tables = LoanTables(
            ours["loans"], ours["instalments"], paid, ours["pauses"], ours["extensions"]
        )
        owed = ledger(
            tables, products, as_of=local_date(known_at, zone), known_at=known_at, zone=zone
        ).instalments
        late = late_outcomes(owed, paid, known_at=known_at, zone=zone)
        found.append(late.filter(pl.col("due_date").is_between(first, last)))
    return pl.concat(found), borrowers, loans


def _blocked(conn: Connection[Any], tenant: Tenant) -> list[Count]:
    words = load_words("en")
    sources = {rule.id: ", ".join(rule.src) for rule in tenant.rulebook.rules}
    return [
        Count(
            row["rule"],
            row["envelopes"],
            meaning(words, "reason", row["rule"]),
            sources.get(row["rule"], ""),
        )
        for row in rows(conn, _SQL["blocked_by_rule"], {})
    ]


def _by_reason(conn: Connection[Any], statement: str, count: str) -> list[Count]:
    words = load_words("en")
    return [
        Count(row["reason"], row[count], reason_meaning(words, row["reason"]))
        for row in rows(conn, _SQL[statement], {})
    ]


def _replies(conn: Connection[Any]) -> list[Count]:
    words = load_words("en")
    return [
        Count(row["intent"], row["replies"], meaning(words, "intent", row["intent"]))
        for row in rows(conn, _SQL["replies"], {})
    ]


def _not_contacted(tenant: Tenant, first: date, last: date) -> list[Count]:
    """Days of borrowers on which nothing was proposed, by reason; the most frequent first."""
    words = load_words("en")
    found = journal.read(tenant.workspace, since=first, until=last + timedelta(days=1))
    counted = (
        found.filter(pl.col("decision") != "proposed")
        .group_by("reason")
        .agg(days=pl.len())
        .sort("days", "reason", descending=[True, False])
        .collect()
    )
    return [
        Count(reason, days, reason_meaning(words, reason)) for reason, days in counted.iter_rows()
    ]


def _cost(conn: Connection[Any], tenant: Tenant, found: list[Effect]) -> Cost:
    parts = rows(conn, _SQL["parts_submitted"], {})[0]["parts"]
    price = Money(tenant.price_per_part_minor, tenant.currency).major
    late_1d = next((effect.estimate for effect in found if effect.outcome == "late_1d"), None)
    per_prevented = cost_per_prevented(
        float(parts * price), late_1d or Inconclusive(Reason.HORIZON_NOT_REACHED)
    )
    return Cost(parts, Decimal(price), tenant.currency, per_prevented)


def _steps(conn: Connection[Any], tenant: Tenant, first: date, last: date) -> list[StepCount]:
    """One row a step, in the strategy's order."""
    planned = _planned_by_step(tenant, first, last)
    sent = {
        row["step"]: (row["sent"], row["delivered"]) for row in rows(conn, _SQL["sent_by_step"], {})
    }
    return [
        StepCount(
            step.name,
            step.stage,
            *planned.get(step.name, (0, 0, 0, 0, 0)),
            *sent.get(step.name, (0, 0)),
            when=step.when,
        )
        for step in tenant.strategy.steps
    ]


def _planned_by_step(
    tenant: Tenant, first: date, last: date
) -> dict[str, tuple[int, int, int, int, int]]:
    """By step: proposed, held out; of the proposed, allowed, blocked and deferred at once."""
    found = journal.read(tenant.workspace, since=first, until=last + timedelta(days=1))
    if "step" not in found.collect_schema():
        return {}
    outcome, decision = pl.col("outcome"), pl.col("decision")
    counted = (
        found.filter(pl.col("step").is_not_null())
        .group_by("step")
        .agg(
            (decision == "proposed").sum().alias("proposed"),
            (decision == "held_out").sum().alias("held_out"),
            (outcome == "allow").sum().alias("allowed"),
            outcome.is_in(["block", "review", "redact"]).sum().alias("blocked"),
            (outcome == "defer").sum().alias("deferred"),
        )
        .collect()
    )
    return {row[0]: row[1:] for row in counted.iter_rows()}


def _days(conn: Connection[Any], zone: str) -> list[DayCount]:
    paid = {
        row["day"]: row["payments"] for row in rows(conn, _SQL["payments_by_day"], {"zone": zone})
    }
    return [
        DayCount(row["day"], row["planned"], row["sent"], row["delivered"], paid.get(row["day"], 0))
        for row in rows(conn, _SQL["by_day"], {})
    ]
