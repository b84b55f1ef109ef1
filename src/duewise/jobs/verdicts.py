"""Verdicts on their way into the database: a row each, and its record, sealed later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncCursor, Connection

from duewise.guard.evidence import RECORDS_MAX, instant_text, verdict_record
from duewise.jobs.gate import Ruling
from duewise.store.audit import pack
from duewise.store.sql import queries

_AUDIT, _OUTBOX = queries("audit"), queries("outbox")


@dataclass(frozen=True)
class Verdict:
    """The guard's word on an envelope, and what it was given on.

    `facts` is what explanations show; `seen` and `history` are all that the gate saw, as canonical
    JSON, and `text_token` stands for the text.
    """

    envelope_id: int
    borrower_id: str
    outcome: str
    rules: Sequence[str]
    next_allowed_at: datetime | None
    facts: str = "{}"
    seen: str = "{}"
    history: str = "[]"
    text_token: str | None = None


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of one gate at one instant under one rulebook.

    What the first gate said is stored only when the plan is released: `stored_at`, if not `at`.
    """

    gate: str
    at: datetime
    rulebook_hash: str
    each: Sequence[Verdict]
    stored_at: datetime | None = None


def verdict_of(ruling: Ruling, envelope_id: int) -> Verdict:
    """A ruling as the verdict on its envelope."""
    return Verdict(
        envelope_id,
        ruling.borrower_id,
        ruling.outcome,
        ruling.rules,
        ruling.next_allowed_at,
        facts=ruling.facts,
        seen=ruling.seen,
        history=ruling.history,
        text_token=ruling.text_token,
    )


def verdict_rows(verdicts: Verdicts, numbers: Sequence[int]) -> dict[str, Any]:
    """The parameters of the statement `add_verdicts`."""
    return {
        "gate": verdicts.gate,
        "now": verdicts.at,
        "rulebook_hash": verdicts.rulebook_hash,
        "verdict_ids": list(numbers),
        "envelope_ids": [each.envelope_id for each in verdicts.each],
        "outcomes": [each.outcome for each in verdicts.each],
        "rules": [",".join(each.rules) for each in verdicts.each],
        "next_allowed_at": [each.next_allowed_at for each in verdicts.each],
        "facts": [each.facts for each in verdicts.each],
    }


def unsealed_rows(verdicts: Verdicts, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The parameters of the statement `add_unsealed`, once for each piece of a batch's size."""
    for start in range(0, len(numbers), RECORDS_MAX):
        piece = slice(start, start + RECORDS_MAX)
        records = [
            _record(verdicts, each, number)
            for each, number in zip(verdicts.each[piece], numbers[piece], strict=True)
        ]
        at = verdicts.stored_at or verdicts.at
        yield {"at": at, "verdict_ids": list(numbers[piece]), "body": pack(records)}


def add_verdicts(conn: Connection[Any], verdicts: Verdicts) -> None:
    """Store verdicts and their records, in the caller's transaction."""
    numbers = verdict_numbers(conn, len(verdicts.each))
    conn.execute(_OUTBOX["add_verdicts"], verdict_rows(verdicts, numbers))
    add_unsealed(conn, verdicts, numbers)


def verdict_numbers(conn: Connection[Any], n: int) -> list[int]:
    """Numbers for so many verdicts."""
    return [number for (number,) in conn.execute(_AUDIT["verdict_numbers"], {"n": n}).fetchall()]


def add_unsealed(conn: Connection[Any], verdicts: Verdicts, numbers: Sequence[int]) -> None:
    """Store the records of verdicts, in the transaction that stores these."""
    for row in unsealed_rows(verdicts, numbers):
        conn.execute(_AUDIT["add_unsealed"], row)


async def add_wire_verdicts(cursor: AsyncCursor[dict[str, Any]], verdicts: Verdicts) -> None:
    """`add_verdicts` in the claim's transaction."""
    await cursor.execute(_AUDIT["verdict_numbers"], {"n": len(verdicts.each)})
    numbers = [row["nextval"] for row in await cursor.fetchall()]
    await cursor.execute(_OUTBOX["add_verdicts"], verdict_rows(verdicts, numbers))
    for row in unsealed_rows(verdicts, numbers):
        await cursor.execute(_AUDIT["add_unsealed"], row)


def _record(verdicts: Verdicts, each: Verdict, number: int) -> bytes:
    until = each.next_allowed_at
    said = {
        "at": instant_text(verdicts.at),
        "borrower": each.borrower_id,
        "envelope": each.envelope_id,
        "gate": verdicts.gate,
        "next_allowed_at": instant_text(until) if until else None,
        "outcome": each.outcome,
        "rulebook": verdicts.rulebook_hash,
        "rules": list(each.rules),
        "text": each.text_token,
        "verdict": number,
    }
    return verdict_record(said, facts=each.seen, history=each.history)
