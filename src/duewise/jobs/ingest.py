"""News of payments: recorded once each, and every unsent envelope of their borrowers held at once.

Two kinds of feed. `events`: the lender pushes payments and says how far its word is complete.
`replay`: the book itself is the feed; what it holds becomes known when the clock passes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from psycopg import Connection

from duewise.book.schema import PAYMENT_KINDS
from duewise.errors import BadInput
from duewise.jobs.crossing import wait_for_crossing
from duewise.jobs.operations import feed_complete_until
from duewise.money import to_minor
from duewise.store.sql import queries

if TYPE_CHECKING:
    from duewise.store.book import Book

PAYMENTS_PER_BLOCK = 10_000
HELD_BY_PAYMENT = "payment_event"


class PaymentIn(Protocol):
    """A payment as we are told it; `amount` in decimal major units, above zero."""

    @property
    def payment_id(self) -> str: ...
    @property
    def loan_id(self) -> str: ...
    @property
    def paid_at(self) -> datetime: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def kind(self) -> str: ...
    @property
    def reverses(self) -> str | None: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class Payment:
    """The plain form of `PaymentIn`."""

    payment_id: str
    loan_id: str
    paid_at: datetime
    amount: Decimal
    kind: str = "payment"
    reverses: str | None = None
    source: str = "book pay"


@dataclass(frozen=True)
class RecordResult:
    """How many payments were new, how many known before, how many envelopes were held."""

    recorded: int
    duplicates: int
    held: int


def record_payments(
    conn: Connection[Any], payments: Sequence[PaymentIn], *, now: datetime
) -> RecordResult:
    """Record payments and hold what is unsent to their borrowers, in one transaction.

    Raises BadInput, and records none, for an unknown loan, an amount not above zero, an unknown
    kind or a reversal that names no payment.
    """
    with conn.transaction():
        accounts = _accounts(conn, [payment.loan_id for payment in payments])
        records = [_record(payment, accounts) for payment in payments]
        return _record_all(conn, records, now=now)


def advance_feed(conn: Connection[Any], book: Book, *, now: datetime) -> RecordResult:
    """Replay: make known what the book says was paid since the feed's last word, up to now.

    At the first word nothing is recorded: up to there the plan reads the book itself.
    """
    with conn.transaction():
        since = feed_complete_until(conn)
        result = RecordResult(0, 0, 0)
        if since is not None and since < now:
            known = book.payments_between(since, now)
            result = _record_all(conn, list(known.iter_rows(named=True)), now=now)
        complete_feed(conn, now)
    return result


def complete_feed(conn: Connection[Any], complete_until: datetime) -> None:
    """All payments up to this instant are known. Never goes back."""
    conn.execute(
        queries("inbound")["set_feed"], {"name": "payments", "complete_until": complete_until}
    )


def add_accounts(conn: Connection[Any], loans: pl.DataFrame) -> None:
    """Keep whose loan each is (loan_id, borrower_id, currency); known ones are overwritten."""
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE account_in (loan_id text, borrower_id text, currency text)"
            " ON COMMIT DROP"
        )
        with cursor.copy("COPY account_in FROM STDIN") as copy:
            for row in loans.select("loan_id", "borrower_id", "currency").iter_rows():
                copy.write_row(row)
        cursor.execute(queries("planning")["add_accounts"])


def _accounts(conn: Connection[Any], loan_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    found = conn.execute(queries("planning")["accounts"], {"loan_ids": list(loan_ids)}).fetchall()
    return {loan_id: (borrower_id, currency) for loan_id, borrower_id, currency in found}


def _record(payment: PaymentIn, accounts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    where = f"payment {payment.payment_id!r}"
    if payment.loan_id not in accounts:
        raise BadInput(f"{where}: unknown loan {payment.loan_id!r}", mend="import its book first")
    if payment.kind not in PAYMENT_KINDS:
        mend = f"use {', '.join(PAYMENT_KINDS)}"
        raise BadInput(f"{where}: unknown kind {payment.kind!r}", mend=mend)
    if payment.kind == "reversal" and payment.reverses is None:
        raise BadInput(f"{where}: a reversal names the payment it reverses", mend="set `reverses`")
    if payment.reverses is not None and payment.kind not in ("reversal", "chargeback"):
        raise BadInput(
            f"{where}: only a reversal or a chargeback names a payment", mend="leave out `reverses`"
        )
    if payment.paid_at.tzinfo is None:
        raise BadInput(f"{where}: paid_at has no offset", mend="write it as 2026-08-14T09:00+08:00")
    borrower_id, currency = accounts[payment.loan_id]
    amount_minor = to_minor(payment.amount, currency)
    if amount_minor <= 0:
        raise BadInput(
            f"{where}: the amount is not above zero", mend="send a reversal to take back"
        )
    return {
        "payment_id": payment.payment_id,
        "loan_id": payment.loan_id,
        "borrower_id": borrower_id,
        "paid_at": payment.paid_at,
        "amount_minor": amount_minor,
        "currency": currency,
        "kind": payment.kind,
        "reverses": payment.reverses,
        "source": payment.source,
    }


def _record_all(
    conn: Connection[Any], records: Sequence[dict[str, Any]], *, now: datetime
) -> RecordResult:
    recorded = held = 0
    for start in range(0, len(records), PAYMENTS_PER_BLOCK):
        block = records[start : start + PAYMENTS_PER_BLOCK]
        added = conn.execute(
            queries("inbound")["add_payments"],
            {
                "now": now,
                "payment_ids": [each["payment_id"] for each in block],
                "loan_ids": [each["loan_id"] for each in block],
                "borrower_ids": [each["borrower_id"] for each in block],
                "paid_ats": [each["paid_at"] for each in block],
                "amounts": [each["amount_minor"] for each in block],
                "currencies": [each["currency"] for each in block],
                "kinds": [each["kind"] for each in block],
                "reverses": [each["reverses"] for each in block],
                "sources": [each["source"] for each in block],
            },
        ).fetchall()
        borrowers = sorted({borrower_id for _, borrower_id in added})
        stopped = conn.execute(
            queries("inbound")["hold_unsent"],
            {"borrower_ids": borrowers, "reason": HELD_BY_PAYMENT, "now": now},
        )
        wait_for_crossing(conn, borrowers)
        recorded, held = recorded + len(added), held + stopped.rowcount
    return RecordResult(recorded, len(records) - recorded, held)
