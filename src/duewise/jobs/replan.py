"""After news of a payment: what was held is planned again on the new facts, or cancelled."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import Connection

from duewise.engine.partition import plan_partition
from duewise.jobs.ingest import HELD_BY_PAYMENT
from duewise.jobs.operations import rows
from duewise.jobs.plan_day import context_for, tables_of
from duewise.jobs.release import Composed, compose_and_rule, envelope_facts
from duewise.jobs.tenant import Tenant
from duewise.outbox.envelope import State
from duewise.store.sql import queries

if TYPE_CHECKING:
    from duewise.store.book import Book

HELD_MAX = 20_000
_SQL = queries("planning")


def replan_held(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    *,
    now: datetime,
    borrower_ids: list[str] | None = None,
) -> Counter[str]:
    """Plan again what payments have held (of these borrowers, or of all); counts by outcome."""
    counts: Counter[str] = Counter()
    held = rows(
        conn,
        _SQL["held_for_replan"],
        {
            "reasons": [HELD_BY_PAYMENT],
            "now": now,
            "borrower_ids": borrower_ids,
            "limit": HELD_MAX,
        },
    )
    for as_of in sorted({row["as_of"] for row in held}):
        same_day = [row for row in held if row["as_of"] == as_of]
        borrowers = sorted({row["borrower_id"] for row in same_day})
        context = context_for(conn, tenant, book_hash=book.content_hash, as_of=as_of, now=now)
        tables = tables_of(conn, book.read_borrowers(borrowers), now=now)
        plan = plan_partition(tables, context=context).rows
        proposals = plan.filter(pl.col("key").is_in([row["key"] for row in same_day]))
        composed = compose_and_rule(conn, proposals, tenant=tenant, now=now)
        counts += _replace(conn, same_day, composed, plan, tenant=tenant, now=now)
    return counts


def _replace(
    conn: Connection[Any],
    held: list[dict[str, Any]],
    composed: list[Composed],
    plan: pl.DataFrame,
    *,
    tenant: Tenant,
    now: datetime,
) -> Counter[str]:
    wanted = {each.row["key"]: each for each in composed if each.ruling.state is State.READY}
    figures = dict(plan.select("borrower_id", "reason").iter_rows())
    renewed = [(row["envelope_id"], wanted[row["key"]]) for row in held if row["key"] in wanted]
    dropped = [row for row in held if row["key"] not in wanted]
    with conn.transaction():
        conn.execute(_SQL["renew"], _renewal(renewed, tenant=tenant, now=now))
        conn.execute(
            _SQL["cancel_held"],
            {
                "now": now,
                "envelope_ids": [row["envelope_id"] for row in dropped],
                "reasons": [
                    f"after_payment: {figures.get(row['borrower_id']) or 'no_longer_applies'}"
                    for row in dropped
                ],
            },
        )
    return Counter(renewed=len(renewed), cancelled=len(dropped))


def _renewal(
    renewed: list[tuple[int, Composed]], *, tenant: Tenant, now: datetime
) -> dict[str, Any]:
    each_row = [each.row for _, each in renewed]
    return {
        "now": now,
        "envelope_ids": [envelope_id for envelope_id, _ in renewed],
        "amounts": [row["amount_minor"] for row in each_row],
        "due_dates": [row["due_date"] for row in each_row],
        "facts": [envelope_facts(row, known_at=now) for row in each_row],
        "texts": [
            tenant.keyring.seal(row["text"], column="text", borrower_id=row["borrower_id"])
            for row in each_row
        ],
        "parts": [row["parts"] for row in each_row],
        "stages": [row["stage"] for row in each_row],
        "templates": [row["template"] for row in each_row],
        "template_hashes": [tenant.templates[row["template"]].content_hash for row in each_row],
        "loan_ids": [row["loan_id"] for row in each_row],
        "plan_ids": [row["plan_id"] for row in each_row],
        "not_before": [each.ruling.not_before or each.row["not_before"] for _, each in renewed],
        "valid_until": [row["valid_until"] for row in each_row],
    }
