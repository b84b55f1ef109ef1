"""How a loan's figures on a day came about: terms, schedule, every event, and what they come to.

Read from the book, and from operations where payments have become known since. `trace` takes the
ledger apart; here its pieces are put in order of time and given their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from duewise.book.accruals import accruals
from duewise.book.align import LoanTables, align, day_number
from duewise.book.columns import COMPONENTS, PENALTY, PRINCIPAL, RATE_UNIT
from duewise.book.ledger import Ledger, known_payments, ledger_of
from duewise.book.product import Product, Products
from duewise.book.schema import PAYMENTS
from duewise.book.trace import Trace, trace
from duewise.errors import BadInput
from duewise.frames import completed, empty
from duewise.jobs.ledger_files import end_of

if TYPE_CHECKING:
    from duewise.store.book import Book

Row = Mapping[str, Any]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class LoanExplanation:
    """`schedule` has a row an instalment, `history` one a thing that happened, in order of time."""

    loan_id: str
    borrower_id: str
    as_of: date
    timezone: str
    currency: str
    terms: Row
    schedule: tuple[Row, ...]
    history: tuple[Row, ...]
    figures: Row


def explain_loan(
    book: Book, products: Products, loan_id: str, *, as_of: date, later: pl.DataFrame | None = None
) -> LoanExplanation:
    """The loan at the end of the day, by the book and the `later` payments (schema.PAYMENTS).

    Raises BadInput for a loan that the book does not hold, or not yet on that day.
    """
    known_at = end_of(as_of, book.timezone)
    tables = _tables(book, loan_id, later, known_at)
    aligned = align(tables, products, known_at=known_at, zone=book.timezone)
    found = ledger_of(aligned, products, as_of=as_of)
    if found.loans.is_empty():
        opened = aligned.loans["opened_date"][0]
        raise BadInput(f"loan {loan_id!r} was opened on {opened}", mend="ask for a later day")
    loan = aligned.loans.row(0, named=True)
    told = trace(aligned.columns, day_number(as_of))
    product = products.of(loan["product"])
    return LoanExplanation(
        loan_id=loan_id,
        borrower_id=loan["borrower_id"],
        as_of=as_of,
        timezone=book.timezone,
        currency=loan["currency"],
        terms=_terms(loan, product),
        schedule=tuple(found.instalments.select(_SCHEDULE).iter_rows(named=True)),
        history=tuple(_history(found, told, tables.payments, loan, book.timezone)),
        figures=_figures(found, told, product),
    )


def _tables(book: Book, loan_id: str, later: pl.DataFrame | None, known_at: datetime) -> LoanTables:
    borrower_id = book.borrower_of(loan_id)
    if borrower_id is None:
        raise BadInput(
            f"there is no loan {loan_id!r} in this book",
            source=str(book.path),
            mend="look it up in the console, or name another --book",
        )
    found = book.read_borrowers([borrower_id])
    is_its = pl.col("loan_id") == loan_id
    news = empty(PAYMENTS) if later is None else completed(later, PAYMENTS).filter(is_its)
    own = completed(found.payments, PAYMENTS).filter(is_its)
    return LoanTables(
        found.loans.filter(is_its),
        found.instalments.filter(is_its),
        known_payments(own, news, known_at=known_at),
        found.pauses.filter(is_its),
        found.extensions.filter(is_its),
    )


# ---- what was agreed ---------------------------------------------------------------------------

_SCHEDULE = (
    "number",
    "due_date",
    "effective_due_date",
    "principal_minor",
    "interest_minor",
    "fee_minor",
    "penalty_minor",
    *(f"{component}_paid_minor" for component in COMPONENTS),
    "waived_minor",
    "settled_date",
    "outstanding_minor",
    "days_past_due",
)


def _terms(loan: Row, product: Product) -> Row:
    units, year = loan["penalty_rate_units"], loan["day_count"]
    rate = Decimal(units) / RATE_UNIT
    fee, caps = product.late_fee, product.caps
    return {
        "product": loan["product"],
        "rules_of": product.name,
        "waterfall": list(product.waterfall.order),
        "by": product.waterfall.by,
        "advance": product.waterfall.advance,
        "annual_rate": loan["annual_rate"],
        "penalty_rate": rate,
        "penalty_rate_a_day": rate / year,
        "penalty_on": product.penalty.on,
        "compound_every_days": product.penalty.compound_every_days,
        "day_count": year,
        "grace_days": loan["grace_days"],
        "grace_stops_clock": product.grace_stops_clock,
        "tolerance_minor": loan["tolerance_minor"],
        "late_fee": None if fee is None else fee.amount,
        "late_fee_share": None if fee is None else fee.share,
        "late_fee_floor": None if fee is None else fee.floor,
        "penalty_multiplier_cap": caps.penalty_multiplier if loan["is_penalty_capped"] else None,
        "all_in_cap": caps.all_in,
        "is_all_in_over": loan["is_all_in_over"],
        "due_roll": loan["due_roll"],
        "calendar": loan["calendar"],
    }


# ---- what happened -----------------------------------------------------------------------------


def _history(
    found: Ledger, told: Trace, payments: pl.DataFrame, loan: Row, zone: str
) -> Iterator[Row]:
    """Accruals, events and money applied on a due date; on one day in this order of their kinds."""
    taken_back = _reversals(payments)
    rows = [
        *_accruals(found, told, loan),
        *_steps(found, told, taken_back),
        *_reversed(payments, taken_back, found.aligned.events, ZoneInfo(zone)),
    ]
    yield from sorted(rows, key=lambda row: (row["date"], row["order"]))


def _accruals(found: Ledger, told: Trace, loan: Row) -> Iterator[Row]:
    numbers = found.aligned.instalments["number"]
    for line in accruals(found.aligned.columns, told.standing):
        exact = Decimal(line.base_minor * line.days * loan["penalty_rate_units"])
        yield {
            "kind": "accrual",
            "date": _date(line.until),
            "order": (0, "", line.place),
            "instalment": numbers[line.place],
            "from_date": _date(line.after + 1),
            "to_date": _date(line.until),
            "days": line.days,
            "paused_days": line.paused_days,
            "base_minor": line.base_minor,
            "capital_minor": line.capital_minor,
            "accrued_minor": (exact / RATE_UNIT / loan["day_count"]).quantize(Decimal("0.0001")),
            "charged_minor": line.charged_minor,
            "other_minor": line.other_minor,
        }


def _steps(found: Ledger, told: Trace, taken_back: Mapping[str, Row]) -> Iterator[Row]:
    events, numbers = found.aligned.events, found.aligned.instalments["number"]
    moved = told.parts.filter((pl.col("paid_minor") != 0) | (pl.col("waived_minor") != 0))
    parts = moved.partition_by("step", as_dict=True)
    for step in told.steps.iter_rows(named=True):
        own = parts.get((step["step"],))
        if step["event"] is None and own is None:
            continue
        pieces = [] if own is None else _pieces(own, numbers)
        standing = {name: value for name, value in step.items() if name not in ("step", "event")}
        if step["event"] is None:
            yield {"kind": "held_money", "order": (1, "", 0), **standing, "parts": pieces}
            continue
        event = events.row(step["event"], named=True)
        yield {
            "kind": event["kind"],
            "order": (2, event["paid_at"].isoformat(), step["step"]),
            "id": event["payment_id"],
            "at": event["paid_at"],
            **_said(event, found, step["event"]),
            "reversed": taken_back.get(event["payment_id"]),
            **standing,
            "parts": pieces,
            "unmatched_minor": _unmatched(event, pieces, step["credit_change_minor"]),
        }


def _pieces(own: pl.DataFrame, numbers: pl.Series) -> list[Row]:
    return [
        {
            "instalment": numbers[row["place"]],
            "component": row["component"],
            "paid_minor": row["paid_minor"],
            "waived_minor": row["waived_minor"],
        }
        for row in own.sort("place", "component").iter_rows(named=True)
    ]


def _said(event: Row, found: Ledger, place: int) -> Row:
    """An event's amount; an extension's instalment and the day it now falls due."""
    if event["kind"] != "extension":
        return {"amount_minor": event["amount_minor"]}
    columns = found.aligned.columns.events
    number = found.aligned.instalments["number"][int(columns.detail[place])]
    return {"instalment": number, "due_date": _date(int(columns.amount[place]))}


def _unmatched(event: Row, pieces: list[Row], credit_change: int) -> int:
    """What of a chargeback or waiver found nothing to take back or let off."""
    if event["kind"] == "chargeback":
        paid = sum(piece["paid_minor"] for piece in pieces)
        return int(event["amount_minor"] + paid + credit_change)
    if event["kind"] == "waiver":
        return int(event["amount_minor"] - sum(piece["waived_minor"] for piece in pieces))
    return 0


def _reversals(payments: pl.DataFrame) -> Mapping[str, Row]:
    """What was taken back of each payment, and by which reversals."""
    voided = (
        payments.filter(pl.col("kind") == "reversal")
        .group_by("reverses", maintain_order=True)
        .agg(pl.col("amount_minor").sum(), ids=pl.col("payment_id"), at=pl.col("paid_at").max())
    )
    return {
        row["reverses"]: {name: row[name] for name in ("amount_minor", "ids", "at")}
        for row in voided.iter_rows(named=True)
    }


def _reversed(
    payments: pl.DataFrame,
    taken_back: Mapping[str, Row],
    standing: pl.DataFrame,
    zone: ZoneInfo,
) -> Iterator[Row]:
    """Payments of which nothing stands: they never were, and are shown for that reason."""
    gone = payments.filter(
        pl.col("payment_id").is_in(list(taken_back))
        & ~pl.col("payment_id").is_in(standing["payment_id"].implode())
    )
    for row in gone.iter_rows(named=True):
        yield {
            "kind": "reversed",
            "date": row["paid_at"].astimezone(zone).date(),
            "order": (2, row["paid_at"].isoformat(), 0),
            "id": row["payment_id"],
            "at": row["paid_at"],
            "amount_minor": row["amount_minor"],
            "reversed": taken_back[row["payment_id"]],
        }


# ---- what it comes to --------------------------------------------------------------------------


def _figures(found: Ledger, told: Trace, product: Product) -> Row:
    """The loan's figures, each with the parts it is made of."""
    loan = found.loans.row(0, named=True)
    left = told.standing.left[-1]
    rows = found.instalments.with_columns(
        _penalty=pl.Series(left[PENALTY]), _principal=pl.Series(left[PRINCIPAL])
    )
    is_due = pl.col("effective_due_date") <= found.as_of
    is_past = pl.col("effective_due_date") < found.as_of
    return {
        **_lateness(loan, rows, found.as_of, product),
        "past_due_minor": loan["past_due_minor"],
        "past_due_of": _of(rows.filter(is_past)) if loan["past_due_minor"] else [],
        "penalty_minor": loan["penalty_minor"],
        "penalty_of": _of(rows, "_penalty"),
        "cost_of_one_more_day_minor": loan["cost_of_one_more_day_minor"],
        "amount_to_clear_minor": loan["amount_to_clear_minor"],
        "amount_to_clear_of": _of(rows.filter(is_due)),
        "outstanding_minor": loan["outstanding_minor"],
        "credit_minor": loan["overpaid_minor"],
        "next_due_date": loan["next_due_date"],
        "next_due_amount_minor": loan["next_due_amount_minor"],
        "charged_off_minor": loan["charged_off_minor"],
        "recovered_minor": loan["recovered_minor"],
        "settlement_amount_minor": loan["settlement_amount_minor"],
        "settlement_of": _settlement(loan, int(rows.filter(~is_due)["_principal"].sum()), product),
    }


def _settlement(loan: Row, ahead: int, product: Product) -> Row:
    """What ends the loan: what is due, the principal ahead, interest on it, the fee, less credit.

    `interest_minor` is what the product asks of the interest not due yet, less what was paid of
    it; null where the credit is more than all, so that nothing is asked.
    """
    whole, due = loan["settlement_amount_minor"], loan["amount_to_clear_minor"]
    share = Decimal(ahead) * product.settlement.fee
    fee = int(share.quantize(Decimal(1), ROUND_HALF_UP))
    credit = loan["overpaid_minor"]
    return {
        "due_minor": due,
        "principal_minor": ahead,
        "interest_minor": whole - due - ahead - fee + credit if whole else None,
        "interest_rule": product.settlement.interest,
        "fee_minor": fee,
        "credit_minor": credit,
    }


def _lateness(loan: Row, rows: pl.DataFrame, as_of: date, product: Product) -> Row:
    days = loan["days_past_due"]
    found: dict[str, Any] = {"days_past_due": days, "bucket": loan["bucket"]}
    if days:
        worst = rows.sort("days_past_due", descending=True, maintain_order=True).row(0, named=True)
        grace = loan["grace_days"] if product.grace_stops_clock else 0
        since = worst["effective_due_date"]
        found |= {
            "instalment": worst["number"],
            "since_date": since,
            "grace_days_off": grace,
            "paused_days": (as_of - since).days - grace - days,
        }
    return found


def _of(rows: pl.DataFrame, column: str = "outstanding_minor") -> list[Row]:
    chosen = rows.select(instalment="number", amount_minor=column)
    return list(chosen.filter(pl.col("amount_minor") > 0).iter_rows(named=True))


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)
