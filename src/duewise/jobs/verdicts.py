"""Verdicts on their way into the database: a row each, and its record, sealed later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl
from psycopg import AsyncCursor, Connection, sql

from duewise.frames import INSTANT
from duewise.guard.evidence import RECORDS_MAX, instant_text, verdict_records
from duewise.jobs.gate import Ruling
from duewise.store.audit import pack
from duewise.store.sql import queries

_AUDIT = queries("audit")
_COLUMNS = (
    "verdict_id",
    "envelope_id",
    "gate",
    "at",
    "outcome",
    "rules",
    "next_allowed_at",
    "rulebook_hash",
    "facts",
)
COPY_VERDICTS = sql.SQL("COPY verdict ({}) FROM STDIN (FORMAT csv)").format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
)


class Verdict(NamedTuple):
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


def verdict_lines(verdicts: Verdicts, numbers: Sequence[int]) -> str:
    """The verdicts' rows for `COPY_VERDICTS`, in CSV: COPY need not escape arrays of JSON."""
    each = verdicts.each
    rows = pl.DataFrame(
        {
            "verdict_id": numbers,
            "envelope_id": [verdict.envelope_id for verdict in each],
            "gate": verdicts.gate,
            "at": verdicts.at,
            "outcome": [verdict.outcome for verdict in each],
            "rules": [f"{{{','.join(verdict.rules)}}}" for verdict in each],
            "next_allowed_at": [verdict.next_allowed_at for verdict in each],
            "rulebook_hash": verdicts.rulebook_hash,
            "facts": [verdict.facts for verdict in each],
        },
        schema_overrides={"next_allowed_at": INSTANT},
    )
    assert tuple(rows.columns) == _COLUMNS
    return rows.write_csv(include_header=False)


def unsealed_rows(verdicts: Verdicts, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The parameters of the statement `add_unsealed`, once for each piece of a batch's size."""
    for start in range(0, len(numbers), RECORDS_MAX):
        piece = slice(start, start + RECORDS_MAX)
        records = _records(verdicts, piece, numbers)
        at = verdicts.stored_at or verdicts.at
        yield {"at": at, "verdict_ids": list(numbers[piece]), "body": pack(records)}


def add_verdicts(conn: Connection[Any], verdicts: Verdicts) -> None:
    """Store verdicts and their records, in the caller's transaction."""
    found = conn.execute(_AUDIT["verdict_numbers"], {"n": len(verdicts.each)}).fetchall()
    numbers = [number for (number,) in found]
    with conn.cursor() as cursor, cursor.copy(COPY_VERDICTS) as copy:
        copy.write(verdict_lines(verdicts, numbers))
    for row in unsealed_rows(verdicts, numbers):
        conn.execute(_AUDIT["add_unsealed"], row)


async def add_wire_verdicts(cursor: AsyncCursor[Any], verdicts: Verdicts) -> None:
    """`add_verdicts` in the claim's transaction."""
    await cursor.execute(_AUDIT["verdict_numbers"], {"n": len(verdicts.each)})
    numbers = [number for (number,) in await cursor.fetchall()]
    async with cursor.copy(COPY_VERDICTS) as copy:
        await copy.write(verdict_lines(verdicts, numbers))
    for row in unsealed_rows(verdicts, numbers):
        await cursor.execute(_AUDIT["add_unsealed"], row)


def _records(verdicts: Verdicts, piece: slice, numbers: Sequence[int]) -> list[bytes]:
    """The records of some of the verdicts, as they are sealed."""
    shared = {
        "at": instant_text(verdicts.at),
        "gate": verdicts.gate,
        "rulebook": verdicts.rulebook_hash,
    }
    rows = (
        (
            each.borrower_id,
            each.envelope_id,
            each.seen,
            each.history,
            instant_text(each.next_allowed_at) if each.next_allowed_at else None,
            each.outcome,
            tuple(each.rules),
            each.text_token,
            number,
        )
        for each, number in zip(verdicts.each[piece], numbers[piece], strict=True)
    )
    return verdict_records(shared, rows)
