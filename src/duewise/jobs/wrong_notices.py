"""Which notices were wrong, by all that is known now: a day at a time, a partition at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import Connection

from duewise.book.align import LoanTables
from duewise.book.ledger import asked_for, known_payments, ledger
from duewise.book.product import Products
from duewise.book.schema import PAYMENTS
from duewise.book.wrong import SAID, as_notices, before_leaving, news_since, wrong_notices
from duewise.frames import INSTANT, Schema, completed
from duewise.ids import partition_of, stable_hash
from duewise.jobs.operations import payments_of, rows
from duewise.store.sql import queries

if TYPE_CHECKING:
    from duewise.store.book import Book

_NEWS: Schema = {
    "payment_id": pl.String,
    "loan_id": pl.String,
    "paid_at": INSTANT,
    "known_at": INSTANT,
    "amount_minor": pl.Int64,
    "kind": pl.String,
    "reverses": pl.String,
}


def find_wrong_notices(
    conn: Connection[Any],
    book: Book,
    products: Products,
    *,
    now: datetime,
    since: date | None = None,
    until: date | None = None,
    loan_id: str | None = None,
) -> Iterator[dict[str, Any]]:
    """The wrong notices of the days [since, until): columns of wrong_notices, and `news`.

    In memory at once: one day's notices, and the rows of their loans in one partition.
    """
    asked = {"since": since, "until": until, "loan_id": loan_id, "now": now}
    statements = queries("planning")
    for (as_of,) in conn.execute(statements["days_with_notices"], asked).fetchall():
        found = conn.execute(statements["notices_of_day"], asked | {"as_of": as_of}).fetchall()
        said = pl.DataFrame(found, schema=dict(SAID), orient="row")
        number = [partition_of(stable_hash(each), book.partitions) for each in said["borrower_id"]]
        for part in said.with_columns(_part=pl.Series(number, dtype=pl.Int64)).partition_by(
            "_part", include_key=False
        ):
            yield from _of_part(conn, book, products, part, as_of=as_of, now=now)


def _of_part(
    conn: Connection[Any],
    book: Book,
    products: Products,
    said: pl.DataFrame,
    *,
    as_of: date,
    now: datetime,
) -> Iterator[dict[str, Any]]:
    borrowers = said["borrower_id"].unique().sort().to_list()
    found, zone = book.read_borrowers(borrowers), book.timezone
    later = payments_of(conn, borrowers, known_at=now)
    payments = known_payments(completed(found.payments, PAYMENTS), later, known_at=now)
    tables = LoanTables(
        as_notices(said, found.loans),
        as_notices(said, found.instalments),
        before_leaving(said, payments, zone=zone),
        as_notices(said, found.pauses),
        before_leaving(said, found.extensions, zone=zone, at="agreed_at"),
    )
    told = ledger(tables, products, as_of=as_of, known_at=now, zone=zone)
    wrong = wrong_notices(said, told.loans.with_columns(asked_for()))
    if not wrong.is_empty():
        news = _news(conn, wrong, payments, now=now)
        by_notice = news_since(wrong, news, zone=zone).partition_by(
            "envelope_id", as_dict=True, include_key=False
        )
        for row in wrong.iter_rows(named=True):
            own = by_notice.get((row["envelope_id"],))
            yield row | {"news": [] if own is None else own.to_dicts()}


def _news(
    conn: Connection[Any], wrong: pl.DataFrame, payments: pl.DataFrame, *, now: datetime
) -> pl.DataFrame:
    """What was heard of the loans; of a reversal, when the payment was made that it takes back."""
    values = {"loan_ids": wrong["loan_id"].unique().to_list(), "now": now}
    heard = rows(conn, queries("planning")["payment_news"], values)
    made = payments.select(reverses="payment_id", reversed_at="paid_at")
    return pl.DataFrame(heard, schema=dict(_NEWS)).join(
        made, on="reverses", how="left", maintain_order="left"
    )
