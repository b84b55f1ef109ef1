"""The random histories as a book's frames, with a product of its own for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
from tests.histories import History
from tests.oracle import Event, Terms

from duewise.book.align import LoanTables
from duewise.book.columns import RATE_UNIT, SHARE_UNIT
from duewise.book.product import (
    Caps,
    LateFee,
    Penalty,
    Product,
    Products,
    Settlement,
    Waterfall,
    shipped_products,
)
from duewise.book.schema import EXTENSIONS, INSTALMENTS, LOANS, PAUSES, PAYMENTS
from duewise.frames import Schema, completed, conform

ZONE = ZoneInfo("Asia/Shanghai")
FAR_AHEAD = datetime(2040, 1, 1, tzinfo=UTC)


def day_of(number: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)


def products(histories: Sequence[History]) -> Products:
    """A product of its own for each history."""
    plain = shipped_products()
    return replace(
        plain,
        by_name={**plain.by_name, **{f"P{n}": _product(h.terms) for n, h in enumerate(histories)}},
    )


def _product(terms: Terms) -> Product:
    def major(minor: int) -> Decimal:
        return Decimal(minor) / 100

    has_fee = terms.late_fee is not None or terms.late_fee_share is not None
    return Product(
        name="one of many",
        waterfall=Waterfall(terms.order, terms.by, terms.advance),
        penalty=Penalty(terms.on, Decimal(terms.rate) / RATE_UNIT, None, terms.compound_every_days),
        late_fee=LateFee(
            None if terms.late_fee is None else major(terms.late_fee),
            None if terms.late_fee_share is None else Decimal(terms.late_fee_share) / SHARE_UNIT,
            major(terms.late_fee_floor),
        )
        if has_fee
        else None,
        caps=Caps(None, None if terms.all_in is None else Decimal(terms.all_in) / RATE_UNIT),
        settlement=Settlement(
            terms.settlement_interest, Decimal(terms.settlement_fee) / SHARE_UNIT
        ),
        grace_days=terms.grace_days,
        grace_stops_clock=terms.grace_stops_clock,
        tolerance=major(terms.tolerance),
        day_count=terms.day_count,
    )


def tables(
    histories: Sequence[History],
    *,
    reversed_payment: tuple[int, int] | None = None,
    shuffle: int | None = None,
) -> LoanTables:
    """The histories as a book's frames; effective due dates are the due dates."""
    payments = [
        _payment(k, n, event)
        for k, each in enumerate(histories)
        for n, event in enumerate(each.events)
        if event.kind != "extension"
    ]
    if reversed_payment:
        day, amount = reversed_payment
        made = _payment(0, 999, Event(day, "payment", amount))
        payments += [
            made,
            made | {"payment_id": "undone", "kind": "reversal", "reverses": made["payment_id"]},
        ]
    found = LoanTables(
        _frame([_loan(k, each) for k, each in enumerate(histories)], LOANS),
        _frame([row for k, each in enumerate(histories) for row in _rows(k, each)], INSTALMENTS),
        _frame(payments, PAYMENTS),
        _frame([row for k, each in enumerate(histories) for row in _breaks(k, each)], PAUSES),
        _frame([row for k, each in enumerate(histories) for row in _longer(k, each)], EXTENSIONS),
    )
    if shuffle is None:
        return found
    return replace(
        found,
        instalments=found.instalments.sample(fraction=1, shuffle=True, seed=shuffle),
        payments=found.payments.sample(fraction=1, shuffle=True, seed=shuffle),
    )


def flat(each: History) -> History:
    """The same history where every due date is the effective one: nothing rolls in the frames."""
    return replace(each, schedule=tuple((row[1], *row[1:]) for row in each.schedule))


def _frame(rows: list[dict[str, object]], schema: Schema) -> pl.DataFrame:
    given = pl.DataFrame(rows, schema_overrides=dict(schema), infer_schema_length=None)
    return conform(completed(given, schema), schema, name="a table")


def _loan(k: int, each: History) -> dict[str, object]:
    return {
        "loan_id": f"L{k:05}",
        "borrower_id": "Li",
        "product": f"P{k}",
        "currency": "CNY",
        "principal_minor": 1,
        "opened_date": day_of(each.terms.opened),
        "annual_rate": 0.2,
    }


def _rows(k: int, each: History) -> list[dict[str, object]]:
    return [
        {
            "loan_id": f"L{k:05}",
            "borrower_id": "Li",
            "number": number,
            "due_date": day_of(due),
            "principal_minor": principal,
            "interest_minor": interest,
            "fee_minor": fee,
        }
        for number, (due, _, principal, interest, fee) in enumerate(each.schedule, start=1)
    ]


def _at(day: int, n: int) -> datetime:
    """An instant of a local day; what stands later in a history happens later on the day."""
    return (datetime.combine(day_of(day), time(), ZONE) + timedelta(minutes=n)).astimezone(UTC)


def _payment(k: int, n: int, event: Event) -> dict[str, object]:
    return {
        "payment_id": f"{k}-{n:03}",
        "loan_id": f"L{k:05}",
        "borrower_id": "Li",
        "paid_at": _at(event.day, n),
        "amount_minor": event.amount,
        "kind": event.kind,
        "reverses": None,
        "component": event.what,
        "source": "file",
    }


def _breaks(k: int, each: History) -> list[dict[str, object]]:
    return [
        {
            "loan_id": f"L{k:05}",
            "borrower_id": "Li",
            "from_date": day_of(pause.since),
            "until_date": day_of(pause.until),
            "what": pause.what,
        }
        for pause in each.pauses
    ]


def _longer(k: int, each: History) -> list[dict[str, object]]:
    return [
        {
            "loan_id": f"L{k:05}",
            "borrower_id": "Li",
            "number": int(event.what) + 1,
            "agreed_at": _at(event.day, n),
            "due_date": day_of(event.amount),
        }
        for n, event in enumerate(each.events)
        if event.kind == "extension" and event.what is not None
    ]
