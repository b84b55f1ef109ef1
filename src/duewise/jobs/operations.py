"""What operations know of borrowers, read into frames: the other half of a plan's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString

import polars as pl
from psycopg import Connection
from psycopg.rows import dict_row

from duewise.book.schema import PAYMENTS
from duewise.frames import INSTANT, Schema, completed, conform, empty
from duewise.store.sql import queries
from duewise.strategy.cascade import SENT
from duewise.strategy.promise import PROMISES, REMEMBERED_DAYS

CONTACT_DAYS = 28

ADDRESSES: Schema = {
    "borrower_id": pl.String,
    "channel": pl.String,
    "number_token": pl.String,
    "number_state": pl.String,
    "role": pl.String,
    "wrong_party": pl.Boolean,
    "opted_out": pl.Boolean,
    "timezone": pl.String,
}
CONTACTS: Schema = {
    "borrower_id": pl.String,
    "at": INSTANT,
    "channel": pl.String,
    "dir": pl.String,
    "outcome": pl.String,
    "stage": pl.String,
    "actor": pl.String,
    "number": pl.String,
    "debt": pl.String,
    "flags": pl.List(pl.String),
}
CASES: Schema = {
    "borrower_id": pl.String,
    "dispute_open": pl.Boolean,
    "hardship_pending": pl.Boolean,
    "deceased": pl.Boolean,
    "incapacity": pl.Boolean,
    "bankruptcy": pl.String,
    "plan": pl.String,
    "plan_kept": pl.Boolean,
    "blackout": pl.Boolean,
}
# How an open case of the desk shows among the guard's facts.
_CASE_FACTS: Mapping[str, tuple[str, object]] = {
    "dispute": ("dispute_open", True),
    "hardship": ("hardship_pending", True),
    "deceased": ("deceased", True),
    "incapacity": ("incapacity", True),
    "bankruptcy": ("bankruptcy", "accepted"),
    "plan": ("plan", "active"),
    "blackout": ("blackout", True),
}
_NO_CASE: Mapping[str, object] = {
    "dispute_open": False,
    "hardship_pending": False,
    "deceased": False,
    "incapacity": False,
    "bankruptcy": "none",
    "plan": "none",
    "plan_kept": True,
    "blackout": False,
}
CASE_KINDS = tuple(kind for kind in _CASE_FACTS if kind != "blackout")
_BORROWERS_PER_QUERY = 50_000


def rows(
    conn: Connection[Any], query: LiteralString, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The rows of a statement as mappings."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def addresses_of(conn: Connection[Any], borrower_ids: Sequence[str]) -> pl.DataFrame:
    """`ADDRESSES` of these borrowers: one row a channel on which they can be reached."""
    return _in_blocks(conn, queries("planning")["addresses"], borrower_ids, ADDRESSES)


def contacts_of(
    conn: Connection[Any],
    borrower_ids: Sequence[str],
    *,
    now: datetime,
    except_ids: Sequence[int] = (),
) -> pl.DataFrame:
    """`CONTACTS` of these borrowers in the last 28 days, but for the envelopes excepted."""
    values = {
        "now": now,
        "since": now - timedelta(days=CONTACT_DAYS),
        "except_ids": list(except_ids),
    }
    found = [
        row
        for block in _blocks(borrower_ids)
        for row in rows(conn, queries("outbox")["contact_log"], {"borrower_ids": block, **values})
    ]
    return contact_frame(found)


def sent_of(conn: Connection[Any], borrower_ids: Sequence[str], *, now: datetime) -> pl.DataFrame:
    """`SENT` of these borrowers in the last 28 days: the steps' messages, what became of each."""
    since = now - timedelta(days=CONTACT_DAYS)
    query = queries("planning")["sent_steps"]
    return _in_blocks(conn, query, borrower_ids, SENT, since=since, now=now)


def promises_of(
    conn: Connection[Any], borrower_ids: Sequence[str], *, now: datetime
) -> pl.DataFrame:
    """`PROMISES` of these borrowers known by now, but for those whose day is long over."""
    # A day more than is counted: the last one may be another date there than here.
    since = (now - timedelta(days=REMEMBERED_DAYS + 1)).date()
    return _in_blocks(
        conn, queries("promise")["of_borrowers"], borrower_ids, PROMISES, since=since, now=now
    )


def contact_frame(log: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """`CONTACTS` from rows of the contact log."""
    return pl.DataFrame(list(log), schema=dict(CONTACTS)) if log else empty(CONTACTS)


def cases_of(conn: Connection[Any], borrower_ids: Sequence[str], *, now: datetime) -> pl.DataFrame:
    """`CASES` of those among these borrowers who have an open case, or live under a blackout."""
    found = [
        row
        for block in _blocks(borrower_ids)
        for row in rows(conn, queries("outbox")["open_cases"], {"borrower_ids": block, "now": now})
    ]
    return case_frame(found) if found else empty(CASES)


def case_frame(open_cases: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """`CASES` from rows of borrower_id and kind."""
    cases: dict[str, dict[str, object]] = {}
    for row in open_cases:
        fact, value = _CASE_FACTS[row["kind"]]
        cases.setdefault(row["borrower_id"], dict(_NO_CASE))[fact] = value
    return pl.DataFrame(
        [{"borrower_id": borrower, **cases[borrower]} for borrower in sorted(cases)],
        schema=dict(CASES),
    )


def payments_of(
    conn: Connection[Any], borrower_ids: Sequence[str], *, known_at: datetime | None = None
) -> pl.DataFrame:
    """Payment events learned since the book's snapshot, in the book's `payments` form.

    With `known_at` those that were known at that instant: what comes later finds the plan released
    and stops its messages, and must not count twice.
    """
    schema: Schema = {
        "payment_id": pl.String,
        "loan_id": pl.String,
        "borrower_id": pl.String,
        "paid_at": INSTANT,
        "amount_minor": pl.Int64,
        "kind": pl.String,
        "reverses": pl.String,
        "source": pl.String,
    }
    found = _in_blocks(
        conn, queries("planning")["payments"], borrower_ids, schema, known_at=known_at
    )
    return conform(completed(found, PAYMENTS), PAYMENTS, name="payments")


def paid_since(conn: Connection[Any], loan_ids: pl.Series, since: object) -> pl.DataFrame:
    """loan_id, paid_minor: what became known as paid after an instant, reversals taken off."""
    values = {"loan_ids": loan_ids.to_list(), "since": since}
    found = conn.execute(queries("planning")["paid_since"], values).fetchall()
    schema = {"loan_id": pl.String, "paid_minor": pl.Int64}
    return pl.DataFrame(found, schema=schema, orient="row")


def feed_complete_until(conn: Connection[Any]) -> datetime | None:
    """Up to which instant all payments are known; None before the first word of the feed."""
    row = conn.execute(queries("outbox")["feed_complete_until"]).fetchone()
    return row[0] if row else None


def _in_blocks(
    conn: Connection[Any],
    query: LiteralString,
    borrower_ids: Sequence[str],
    schema: Schema,
    **values: object,
) -> pl.DataFrame:
    found: list[tuple[Any, ...]] = []
    for block in _blocks(borrower_ids):
        found += conn.execute(query, {"borrower_ids": block, **values}).fetchall()
    if not found:
        return empty(schema)
    return pl.DataFrame(found, schema=dict(schema), orient="row")


def _blocks(borrower_ids: Sequence[str]) -> list[list[str]]:
    return [
        list(borrower_ids[start : start + _BORROWERS_PER_QUERY])
        for start in range(0, len(borrower_ids), _BORROWERS_PER_QUERY)
    ]
