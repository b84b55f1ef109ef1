"""Verdicts on their way into the database, each with its record, which is sealed later.

Each is a row; those of the wire's gate on envelopes that it lets go for the first time are a block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl
from psycopg import AsyncCursor, Connection, sql

from duewise.frames import INSTANT
from duewise.guard.evidence import RECORDS_MAX, instant_text, verdict_records
from duewise.jobs.gate import Ruling, Seen, Word
from duewise.store import arrays
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
COPY_VERDICTS = sql.SQL("COPY verdict_row ({}) FROM STDIN (FORMAT csv)").format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
)


class Verdict(NamedTuple):
    """The guard's word on an envelope, and what it was given on: see `gate.Word`, `gate.Seen`."""

    envelope_id: int
    borrower_id: str
    word: Word
    seen: Seen = Seen()


_ALLOWED = Word("allow", (), None)


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
    return Verdict(envelope_id, ruling.borrower_id, ruling.word, ruling.seen)


def verdict_lines(verdicts: Verdicts, numbers: Sequence[int]) -> str:
    """The verdicts' rows for `COPY_VERDICTS`, in CSV: COPY need not escape arrays of JSON."""
    each = verdicts.each
    rows = pl.DataFrame(
        {
            "verdict_id": numbers,
            "envelope_id": [verdict.envelope_id for verdict in each],
            "gate": verdicts.gate,
            "at": verdicts.at,
            "outcome": [verdict.word.outcome for verdict in each],
            "rules": [f"{{{','.join(verdict.word.rules)}}}" for verdict in each],
            "next_allowed_at": [verdict.word.next_allowed_at for verdict in each],
            "rulebook_hash": verdicts.rulebook_hash,
            "facts": [verdict.seen.facts for verdict in each],
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


async def add_wire_verdicts(
    cursor: AsyncCursor[Any], verdicts: Verdicts, *, new: Collection[int]
) -> int | None:
    """`add_verdicts` in the claim's transaction; the number of the block, if there is one.

    `new`: the envelopes that may go and never went before. They are to name the block.
    """
    await cursor.execute(_AUDIT["verdict_numbers"], {"n": len(verdicts.each)})
    numbers = [number for (number,) in await cursor.fetchall()]
    numbered = list(zip(numbers, verdicts.each, strict=True))
    let_go = [pair for pair in numbered if pair[1].envelope_id in new and _is_plain(pair[1])]
    if len(let_go) < len(numbered):
        own = [pair for pair in numbered if not (pair[1].envelope_id in new and _is_plain(pair[1]))]
        rows = replace(verdicts, each=[verdict for _, verdict in own])
        async with cursor.copy(COPY_VERDICTS) as copy:
            await copy.write(verdict_lines(rows, [number for number, _ in own]))
    for row in unsealed_rows(verdicts, numbers):
        await cursor.execute(_AUDIT["add_unsealed"], row)
    if not let_go:
        return None
    added = await cursor.execute(_AUDIT["add_verdict_block"], _block_of(verdicts, let_go))
    ((block_id,),) = await added.fetchall()
    return int(block_id)


def _is_plain(verdict: Verdict) -> bool:
    """Whether it says "allow" and nothing else."""
    return verdict.word == _ALLOWED


def _block_of(verdicts: Verdicts, let_go: Sequence[tuple[int, Verdict]]) -> dict[str, Any]:
    """Numbered verdicts as the columns of a block."""
    numbers = [number for number, _ in let_go]
    return {
        "at": verdicts.at,
        "rulebook_hash": verdicts.rulebook_hash,
        "first": min(numbers),
        "last": max(numbers),
        "verdict_ids": arrays.numbers(numbers),
        "envelope_ids": arrays.numbers(verdict.envelope_id for _, verdict in let_go),
        "facts": "\n".join(verdict.seen.facts for _, verdict in let_go),
    }


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
            each.seen.all_facts,
            each.seen.history,
            instant_text(each.word.next_allowed_at) if each.word.next_allowed_at else None,
            each.word.outcome,
            tuple(each.word.rules),
            each.seen.text_token,
            number,
        )
        for each, number in zip(verdicts.each[piece], numbers[piece], strict=True)
    )
    return verdict_records(shared, rows)
