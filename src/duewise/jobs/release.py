"""The second gate: proposals become envelopes, with their text, their verdicts and their state.

Releasing a plan twice changes nothing: an envelope's key names the intent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection, sql

from duewise.engine.compose import compose
from duewise.engine.partition import PLAN
from duewise.errors import BadInput
from duewise.frames import INSTANT
from duewise.jobs.approvals import as_recorded
from duewise.jobs.gate import Known, Ruling, Word, rule_on
from duewise.jobs.operations import (
    addresses_of,
    cases_of,
    contacts_of,
    feed_complete_until,
    paid_since,
)
from duewise.jobs.plan_day import PLAN_COLUMNS, Progress, read_manifest
from duewise.jobs.tenant import Tenant
from duewise.jobs.verdicts import Verdict, Verdicts, add_verdicts, verdict_of
from duewise.jobs.wire_gate import NEVER_HEARD
from duewise.outbox.envelope import State, lane_of
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
    "lane",
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
    plan = _read_rows(folder, manifest)
    journal.append(tenant.workspace, plan)
    proposals = plan.filter(pl.col("decision") == "proposed")
    counts: Counter[str] = Counter()
    known_before = _known_elsewhere(conn, proposals, manifest["plan_id"])
    for start in range(0, proposals.height, ROWS_PER_BLOCK):
        block = proposals.slice(start, ROWS_PER_BLOCK)
        composed = compose_and_rule(conn, block, tenant=tenant, now=now)
        counts += _enqueue(conn, composed, tenant=tenant, now=now)
        if progress:
            progress(min(start + ROWS_PER_BLOCK, proposals.height), proposals.height)
    with conn.transaction():
        conn.execute(
            queries("planning")["add_plan"],
            {name: manifest[name] for name in PLAN_COLUMNS}
            | {"released_at": now, "proposals": manifest["proposals"] - known_before},
        )
    return counts


def _read_rows(folder: Path, manifest: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of a finished plan. Raises BadInput where they are not those of its manifest."""
    path, mend = folder / "plan.parquet", "run `duewise plan` into an empty folder"
    try:
        plan = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInput("the plan cannot be read", source=str(path), mend=mend) from error
    if plan.schema != PLAN or set(plan["plan_id"]) - {manifest["plan_id"]}:
        raise BadInput("these are not the rows of plan.json", source=str(path), mend=mend)
    return plan


def _known_elsewhere(conn: Connection[Any], proposals: pl.DataFrame, plan_id: str) -> int:
    """Intents of these that an earlier plan of the day has had: they are planned once, there."""
    values = {"keys": proposals["key"].to_list(), "plan_id": plan_id}
    row = conn.execute(queries("planning")["known_elsewhere"], values).fetchone()
    return int(row[0]) if row else 0


def compose_and_rule(
    conn: Connection[Any], proposals: pl.DataFrame, *, tenant: Tenant, now: datetime
) -> list[Composed]:
    """Unseal the salutations, write the texts, and judge them on facts re-read now."""
    if proposals.is_empty():
        return []
    with conn.transaction():
        tenant = as_recorded(conn, tenant)
        borrower_ids = proposals["borrower_id"].unique().sort().to_list()
        complete_until = feed_complete_until(conn)
        known = Known(
            addresses=addresses_of(conn, borrower_ids),
            contacts=contacts_of(conn, borrower_ids, now=now),
            cases=cases_of(conn, borrower_ids, now=now),
            ledger_age=now - complete_until if complete_until else NEVER_HEARD,
        )
        called = salutations(conn, borrower_ids, tenant.keyring)
        paid = paid_since(conn, proposals["loan_id"].unique(), proposals["planned_at"].min())
    composed = compose(
        proposals.join(called, on="borrower_id", how="left", maintain_order="left"),
        templates=tenant.templates,
        sender=tenant.sender,
        as_of=proposals["as_of"][0],
    )
    messages = composed.join(paid, on="loan_id", how="left", maintain_order="left").with_columns(
        now=pl.max_horizontal("not_before", pl.lit(now).cast(INSTANT)),
        paid_minor=pl.col("paid_minor").fill_null(0),
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
        rulebook_hash = tenant.rulebook.content_hash
        if added:
            planned_at = added[0][1].row["planned_at"]
            planned = [_plan_verdict(each.row, envelope_id) for envelope_id, each in added]
            add_verdicts(conn, Verdicts("plan", planned_at, rulebook_hash, planned, stored_at=now))
            released = [verdict_of(each.ruling, envelope_id) for envelope_id, each in added]
            add_verdicts(conn, Verdicts("release", now, rulebook_hash, released))
    return Counter(each.ruling.move.state.value for _, each in added)


def _records(composed: Sequence[Composed], *, tenant: Tenant) -> Iterator[tuple[Any, ...]]:
    rows = [each.row for each in composed]
    hashes = {
        name: tenant.templates[name].content_hash for name in {row["template"] for row in rows}
    }
    texts = tenant.keyring.seal_column(
        [row["text"] or "" for row in rows],
        column="text",
        borrower_ids=[row["borrower_id"] for row in rows],
    )
    required = tenant.required_steps
    for each, row, sealed in zip(composed, rows, texts, strict=True):
        ruling = each.ruling
        values = row | {
            "template_hash": hashes[row["template"]],
            "facts": envelope_facts(row, known_at=row["planned_at"]),
            "text_sealed": sealed,
            "sender_id": tenant.sender_id,
            "not_before": ruling.move.not_before or row["not_before"],
            "lane": lane_of(is_required=row["step"] in required, stage=row["stage"]).value,
            "state": ruling.move.state.value,
            "reason": _reason(ruling),
        }
        yield tuple(values[name] for name in _COLUMNS)


def _reason(ruling: Ruling) -> str:
    return (
        "released"
        if ruling.move.state is State.READY and not ruling.move.not_before
        else ruling.move.reason
    )


def _plan_verdict(row: dict[str, Any], envelope_id: int) -> Verdict:
    """What the first gate said when the plan was made, kept with the envelope it led to.

    The facts it saw are the plan's own: they lie in the journal, and are not told twice.
    """
    word = Word(row["outcome"], row["rules"], row["next_allowed_at"])
    return Verdict(envelope_id, row["borrower_id"], word)
