"""What waits for a person: promises as they stand, and replies that nobody has seen to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import Connection

from duewise.engine.promised import judged_promises
from duewise.errors import BadInput
from duewise.jobs.operations import rows
from duewise.jobs.plan_day import context_for, tables_of
from duewise.jobs.tenant import Tenant
from duewise.store.sql import queries
from duewise.strategy.promise import REMEMBERED_DAYS

if TYPE_CHECKING:
    from duewise.store.book import Book

TO_ANSWER_MAX = 1_000
_SQL = queries("promise")


@dataclass(frozen=True)
class Waiting:
    """A reply that waits for a person; `text` is None where no key opens it."""

    reply_id: int
    at: datetime
    borrower_id: str | None
    intent: str
    action: str
    text: str | None


def promises_told(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    *,
    as_of: date,
    now: datetime,
    borrower_id: str | None = None,
) -> pl.DataFrame:
    """Promises, the latest day first, as the ledger has them (`judge_promises`)."""
    since = as_of - timedelta(days=REMEMBERED_DAYS)
    asked = {"since": since, "borrower_id": borrower_id}
    who = [row[0] for row in conn.execute(_SQL["promising"], asked).fetchall()]
    context = context_for(conn, tenant, book, as_of=as_of, now=now)
    tables = tables_of(conn, book.read_borrowers(who), tenant, now=now)
    known = tables.ledger(tenant.products, as_of=as_of, known_at=now, zone=tenant.strategy.timezone)
    return judged_promises(known, tables, context).sort("day", "promise_id", descending=True)


def waiting_replies(conn: Connection[Any], tenant: Tenant) -> list[Waiting]:
    """The replies a person has to see to, the oldest first, TO_ANSWER_MAX at most."""
    found = rows(conn, _SQL["to_answer"], {"limit": TO_ANSWER_MAX})
    opened = tenant.keyring.unseal_column(
        [row["text_sealed"] for row in found],
        column="text",
        borrower_ids=[row["number_token"] for row in found],
    )
    return [
        Waiting(row["reply_id"], row["at"], row["borrower_id"], row["intent"], row["action"], text)
        for row, text in zip(found, opened, strict=True)
    ]


def see_to(conn: Connection[Any], reply_id: int, *, by: str, now: datetime) -> None:
    """Take a reply off the list. Raises BadInput where it is not on it."""
    values = {"reply_id": reply_id, "by": by, "now": now}
    if conn.execute(_SQL["answered"], values).fetchone() is None:
        raise BadInput(f"reply {reply_id} waits for nobody", mend="see `duewise replies`")
