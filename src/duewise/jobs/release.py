"""The second gate: proposals become envelopes, with their text, their verdicts and their state.

Releasing a plan twice changes nothing: an envelope's key names the intent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection, sql

from duewise.engine.compose import compose
from duewise.frames import INSTANT
from duewise.jobs.gate import Known, Ruling, rule_on, verdict_values
from duewise.jobs.operations import addresses_of, cases_of, contacts_of, feed_complete_until
from duewise.jobs.plan_day import Progress, read_manifest
from duewise.jobs.tenant import Tenant
from duewise.jobs.wire_gate import NEVER_HEARD
from duewise.outbox.envelope import State
from duewise.store import journal
from duewise.store.people import salutations
from duewise.store.sql import queries

ROWS_PER_BLOCK = 20_000
# The ledger's figures that stay with the envelope.
_FACTS = (
    "days_past_due",
    "dpd",
    "bucket",
    "past_due_minor",
    "outstanding_minor",
    "grace_days",
    "tolerance_minor",
    "annual_rate",
    "penalty_multiplier",
    "probability_of_default",
)
_COLUMNS = [
    "key",
    "plan_id",
    "as_of",
    "borrower_id",
    "loan_id",
    "step",
    "arm",
    "propensity",
    "stage",
    "channel",
    "template",
    "template_hash",
    "amount_minor",
    "currency",
    "due_date",
    "facts",
    "text_sealed",
    "parts",
    "sender_id",
    "number_token",
    "not_before",
    "valid_until",
    "state",
    "reason",
]


@dataclass(frozen=True)
class Composed:
    """A proposal with its text and the ruling of the second gate."""

    row: dict[str, Any]
    ruling: Ruling


def release_plan(
    conn: Connection[Any],
    folder: Path,
    tenant: Tenant,
    *,
    now: datetime,
    progress: Progress | None = None,
) -> Counter[str]:
    """Release a finished plan; counts of new envelopes by state."""
    manifest = read_manifest(folder)
    plan = pl.read_parquet(folder / "plan.parquet")
    journal.append(tenant.workspace, plan)
    proposals = plan.filter(pl.col("decision") == "proposed")
    counts: Counter[str] = Counter()
    for start in range(0, proposals.height, ROWS_PER_BLOCK):
        block = proposals.slice(start, ROWS_PER_BLOCK)
        composed = compose_and_rule(conn, block, tenant=tenant, now=now)
        counts += _enqueue(conn, composed, tenant=tenant, now=now)
        if progress:
            progress(min(start + ROWS_PER_BLOCK, proposals.height), proposals.height)
    with conn.transaction():
        conn.execute(
            queries("planning")["add_plan"],
            {name: manifest[name] for name in _PLAN_COLUMNS} | {"released_at": now},
        )
    return counts


_PLAN_COLUMNS = (
    "plan_id",
    "as_of",
    "planned_at",
    "strategy",
    "strategy_hash",
    "rulebook_hash",
    "template_hash",
    "borrowers",
    "proposals",
    "held_out",
)


def compose_and_rule(
    conn: Connection[Any], proposals: pl.DataFrame, *, tenant: Tenant, now: datetime
) -> list[Composed]:
    """Unseal the salutations, write the texts, and judge them on facts re-read now."""
    if proposals.is_empty():
        return []
    with conn.transaction():
        borrower_ids = proposals["borrower_id"].unique().sort().to_list()
        complete_until = feed_complete_until(conn)
        known = Known(
            addresses=addresses_of(conn, borrower_ids),
            contacts=contacts_of(conn, borrower_ids, now=now),
            cases=cases_of(conn, borrower_ids),
            ledger_age=now - complete_until if complete_until else NEVER_HEARD,
        )
        called = salutations(conn, borrower_ids, tenant.keyring)
    composed = compose(
        proposals.join(called, on="borrower_id", how="left", maintain_order="left"),
        templates=tenant.templates,
        sender=tenant.sender,
        as_of=proposals["as_of"][0],
    )
    messages = composed.with_columns(
        now=pl.max_horizontal("not_before", pl.lit(now).cast(INSTANT)),
        paid_minor=pl.lit(0, pl.Int64),
    )
    rulings = rule_on(messages, known, tenant=tenant)
    return [
        Composed(row, ruling)
        for row, ruling in zip(messages.iter_rows(named=True), rulings, strict=True)
    ]


def envelope_facts(row: dict[str, Any], *, known_at: datetime) -> str:
    """The ledger's figures a message was written on, as the envelope keeps them (JSON)."""
    facts = {name: row[name] for name in _FACTS} | {"known_at": known_at.isoformat()}
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def _enqueue(
    conn: Connection[Any], composed: Sequence[Composed], *, tenant: Tenant, now: datetime
) -> Counter[str]:
    by_key = {each.row["key"]: each for each in composed}
    with conn.transaction(), conn.cursor() as cursor:
        columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
        cursor.execute(
            sql.SQL(
                "CREATE TEMP TABLE envelope_in ON COMMIT DROP"
                " AS SELECT {} FROM envelope WITH NO DATA"
            ).format(columns)
        )
        with cursor.copy(sql.SQL("COPY envelope_in ({}) FROM STDIN").format(columns)) as copy:
            for record in _records(composed, tenant=tenant):
                copy.write_row(record)
        cursor.execute(queries("planning")["add_envelopes"], {"now": now})
        added = [(envelope_id, by_key[key]) for envelope_id, key in cursor.fetchall()]
        ids = [envelope_id for envelope_id, _ in added]
        cursor.execute(
            queries("outbox")["add_verdicts"],
            _plan_verdicts([each.row for _, each in added], ids, tenant=tenant),
        )
        rulings = [each.ruling for _, each in added]
        cursor.execute(
            queries("outbox")["add_verdicts"],
            verdict_values(rulings, ids, gate="release", now=now, tenant=tenant),
        )
    return Counter(each.ruling.state.value for _, each in added)


def _records(composed: Sequence[Composed], *, tenant: Tenant) -> Iterator[tuple[Any, ...]]:
    for each in composed:
        row, ruling = each.row, each.ruling
        template = tenant.templates[row["template"]]
        sealed = tenant.keyring.seal(
            row["text"] or "", column="text", borrower_id=row["borrower_id"]
        )
        values = row | {
            "template_hash": template.content_hash,
            "facts": envelope_facts(row, known_at=row["planned_at"]),
            "text_sealed": sealed,
            "sender_id": tenant.sender_id,
            "not_before": ruling.not_before or row["not_before"],
            "state": ruling.state.value,
            "reason": _reason(ruling),
        }
        yield tuple(values[name] for name in _COLUMNS)


def _reason(ruling: Ruling) -> str:
    return "released" if ruling.state is State.READY and not ruling.not_before else ruling.reason


def _plan_verdicts(
    rows: Sequence[dict[str, Any]], envelope_ids: list[int], *, tenant: Tenant
) -> dict[str, Any]:
    """What the first gate said when the plan was made, kept with the envelope it led to."""
    return {
        "gate": "plan",
        "now": rows[0]["planned_at"] if rows else None,
        "rulebook_hash": tenant.rulebook.content_hash,
        "envelope_ids": envelope_ids,
        "outcomes": [row["outcome"] for row in rows],
        "rules": [",".join(row["rules"]) for row in rows],
        "next_allowed_at": [row["next_allowed_at"] for row in rows],
        "facts": ["{}" for _ in rows],
    }
