"""History judged again from its sealed facts: under the rules of its own day, and under today's.

Nothing is read that could have changed since but the texts: each must still have the token that was
sealed, or its verdict is counted as one that cannot be judged again. Verdicts of the first gate are
not judged here: their facts are the plan's own, and the same plan can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from psycopg import Connection

from duewise.guard.evidence import instant_text
from duewise.guard.evidence_facts import facts_frame, history_frame
from duewise.guard.judge import judge
from duewise.guard.rule import Rulebook
from duewise.jobs.operations import rows
from duewise.jobs.tenant import Tenant
from duewise.store.audit import sealed
from duewise.store.seal import CannotUnseal
from duewise.store.sql import queries

GATES = ("release", "wire")
RECORDS_PER_BLOCK = 20_000
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Word:
    """What a verdict says."""

    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: str | None


@dataclass(frozen=True)
class Difference:
    """A verdict that would be another one: as recorded, by the rules of its day, by today's."""

    verdict: int
    envelope: int
    borrower: str
    gate: str
    at: str
    recorded: Word
    then: Word
    now: Word

    @property
    def is_of_the_record(self) -> bool:
        """The rules of the day themselves say other than what was recorded under them."""
        return self.recorded != self.then


@dataclass
class Replayed:
    """Verdicts judged again, those left to their plan, those whose text is no longer on file."""

    judged: int = 0
    planned: int = 0
    without_text: int = 0
    differences: list[Difference] = field(default_factory=list)


def replay(
    conn: Connection[Any], tenant: Tenant, *, since: date, until: date, today: date
) -> Replayed:
    """Judge again what was sealed of the local days `since` to `until`, both included."""
    zone = ZoneInfo(tenant.strategy.timezone)
    from_at = datetime.combine(since, time(), zone)
    until_at = datetime.combine(until + timedelta(days=1), time(), zone)
    replayed = Replayed()
    for block in _blocks(conn, from_at=from_at, until_at=until_at, replayed=replayed):
        texts = _texts(conn, block, tenant)
        known = [
            (record, texts.get(record["verdict"]))
            for record in block
            if record["text"] is None or record["verdict"] in texts
        ]
        replayed.without_text += len(block) - len(known)
        replayed.judged += len(known)
        replayed.differences += _differences(known, tenant.rulebook, today=today)
    return replayed


def _blocks(
    conn: Connection[Any], *, from_at: datetime, until_at: datetime, replayed: Replayed
) -> Iterator[list[Record]]:
    block: list[Record] = []
    span = instant_text(from_at), instant_text(until_at)
    for batch in sealed(conn, from_at=from_at, until_at=until_at):
        records = map(json.loads, batch.records)
        wanted = [record for record in records if span[0] <= record["at"] < span[1]]
        block += (record for record in wanted if record["gate"] in GATES)
        replayed.planned += sum(record["gate"] not in GATES for record in wanted)
        if len(block) >= RECORDS_PER_BLOCK:
            yield block
            block = []
    if block:
        yield block


def _texts(conn: Connection[Any], records: Sequence[Record], tenant: Tenant) -> dict[int, str]:
    """By verdict the text that was judged, where it is still on file."""
    ids = {"envelope_ids": sorted({record["envelope"] for record in records})}
    kept = {row["envelope_id"]: row for row in rows(conn, queries("audit")["texts"], ids)}
    texts: dict[int, str] = {}
    for record in records:
        row = kept.get(record["envelope"])
        text = row and _unsealed(row, tenant)
        if text and tenant.keyring.text_tokens([text]) == [record["text"]]:
            texts[record["verdict"]] = text
    return texts


def _unsealed(row: Mapping[str, Any], tenant: Tenant) -> str | None:
    try:
        return tenant.keyring.unseal(
            row["text_sealed"], column="text", borrower_id=row["borrower_id"]
        )
    except CannotUnseal:
        return None


def _differences(
    known: Sequence[tuple[Record, str | None]], rulebook: Rulebook, *, today: date
) -> list[Difference]:
    if not known:
        return []
    records = [record for record, _ in known]
    facts, history = facts_frame(records, [text for _, text in known]), history_frame(records)
    then = _words(facts, history, rulebook)
    # Without dated rules today's are the same, and need not be asked.
    in_force = rulebook.on(today)
    now = then if in_force == rulebook else _words(facts, history, in_force)
    return [
        Difference(
            record["verdict"],
            record["envelope"],
            record["borrower"],
            record["gate"],
            record["at"],
            recorded,
            by_then,
            by_now,
        )
        for record, by_then, by_now in zip(records, then, now, strict=True)
        if not (recorded := _recorded(record)) == by_then == by_now
    ]


def _words(facts: pl.DataFrame, history: pl.DataFrame, rulebook: Rulebook) -> list[Word]:
    judged = judge(facts, history, rulebook=rulebook)
    return [
        Word(outcome, tuple(rules), instant_text(until) if until else None)
        for outcome, rules, until in judged.select(
            "outcome", "rules", "next_allowed_at"
        ).iter_rows()
    ]


def _recorded(record: Record) -> Word:
    return Word(record["outcome"], tuple(record["rules"]), record["next_allowed_at"])
