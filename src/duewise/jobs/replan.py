"""After news of a payment or a promise: what was held is planned again, or cancelled."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import Connection

from duewise.engine.partition import plan_partition
from duewise.engine.share_out import with_arms
from duewise.frames import Schema
from duewise.jobs.ingest import HELD_BY_PAYMENT
from duewise.jobs.operations import rows
from duewise.jobs.plan_day import context_for, tables_of
from duewise.jobs.promises import HELD_BY_PROMISE
from duewise.jobs.release import Composed, compose_and_rule, envelope_facts
from duewise.jobs.tenant import Tenant
from duewise.jobs.verdicts import Verdicts, add_verdicts, verdict_of
from duewise.outbox.envelope import State
from duewise.store.sql import queries

if TYPE_CHECKING:
    from duewise.store.book import Book

HELD_MAX = 20_000
# What has held an envelope, and what its end is then said to come after.
NEWS = {HELD_BY_PAYMENT: "after_payment", HELD_BY_PROMISE: "after_promise"}
_SQL = queries("planning")
_ARM: Schema = {"borrower_id": pl.String, "arm": pl.String}


def has_held(conn: Connection[Any], *, now: datetime) -> bool:
    """Whether anything waits to be planned again."""
    return bool(_held(conn, now=now, borrower_ids=None, limit=1))


def replan_held(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    *,
    now: datetime,
    borrower_ids: list[str] | None = None,
) -> Counter[str]:
    """Plan again what payments and promises have held, of these borrowers or of all; counts."""
    counts: Counter[str] = Counter()
    held = _held(conn, now=now, borrower_ids=borrower_ids, limit=HELD_MAX)
    for as_of in sorted({row["as_of"] for row in held}):
        same_day = [row for row in held if row["as_of"] == as_of]
        borrowers = sorted({row["borrower_id"] for row in same_day})
        context = context_for(conn, tenant, book, as_of=as_of, now=now)
        tables = tables_of(conn, book.read_borrowers(borrowers), tenant, now=now)
        found = plan_partition(tables, context=context)
        arms = pl.DataFrame(
            [(row["borrower_id"], row["arm"]) for row in same_day], _ARM, orient="row"
        )
        plan = with_arms(found.rows, found.others, arms)  # an envelope keeps the arm it was given
        proposals = plan.filter(pl.col("key").is_in([row["key"] for row in same_day]))
        composed = compose_and_rule(conn, proposals, tenant=tenant, now=now)
        counts += _replace(conn, same_day, composed, plan, tenant=tenant, now=now)
    return counts


def _held(
    conn: Connection[Any], *, now: datetime, borrower_ids: list[str] | None, limit: int
) -> list[dict[str, Any]]:
    values = {
        "reasons": [*NEWS],
        "now": now,
        "borrower_ids": borrower_ids,
        "limit": limit,
    }
    return rows(conn, _SQL["held_for_replan"], values)


def _replace(
    conn: Connection[Any],
    held: list[dict[str, Any]],
    composed: list[Composed],
    plan: pl.DataFrame,
    *,
    tenant: Tenant,
    now: datetime,
) -> Counter[str]:
    ruled = {each.row["key"]: each for each in composed}
    wanted = {key for key, each in ruled.items() if each.ruling.move.state is State.READY}
    why = dict(plan.select("borrower_id", "reason").iter_rows())
    renewed = [(row["envelope_id"], ruled[row["key"]]) for row in held if row["key"] in wanted]
    dropped = [row for row in held if row["key"] not in wanted]
    judged = [row for row in held if row["key"] in ruled]
    with conn.transaction():
        conn.execute(_SQL["lock_held"], {"envelope_ids": [row["envelope_id"] for row in held]})
        verdicts = [verdict_of(ruled[row["key"]].ruling, row["envelope_id"]) for row in judged]
        add_verdicts(conn, Verdicts("release", now, tenant.rulebook.content_hash, verdicts))
        conn.execute(_SQL["renew"], _renewal(renewed, tenant=tenant, now=now))
        ends = [_end(ruled.get(row["key"]), why.get(row["borrower_id"])) for row in dropped]
        conn.execute(
            _SQL["drop_held"],
            {
                "now": now,
                "envelope_ids": [row["envelope_id"] for row in dropped],
                "states": [state.value for state, _ in ends],
                "reasons": [
                    f"{NEWS[row['reason']]}: {reason}"
                    for row, (_, reason) in zip(dropped, ends, strict=True)
                ],
            },
        )
    return Counter(renewed=len(renewed), cancelled=len(dropped))


def _end(again: Composed | None, reason: str | None) -> tuple[State, str]:
    """State and reason of what is not renewed: forbidden now, or not wanted any more."""
    if again is None:
        return State.CANCELLED, reason or "no_longer_applies"
    is_blocked = again.ruling.move.state is State.BLOCKED
    return State.BLOCKED if is_blocked else State.CANCELLED, again.ruling.move.reason


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
        "not_before": [
            each.ruling.move.not_before or each.row["not_before"] for _, each in renewed
        ],
        "valid_until": [row["valid_until"] for row in each_row],
    }
