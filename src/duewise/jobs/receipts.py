"""Receipts, stored and folded: a block of those that end their messages, a row for any other.

Nearly all come for every part of a message at once, and say "delivered". A block needs no index,
for each envelope that it ended names it; so it costs a fraction of the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import compress
from operator import not_
from typing import Any, TypeAlias

from psycopg import AsyncConnection

from duewise.channels.base import Capabilities, InboundReceipt
from duewise.message.parts import PARTS_MAX
from duewise.outbox.envelope import State, is_allowed
from duewise.outbox.receipt import fold_receipts
from duewise.store import arrays
from duewise.store.sql import queries

_SQL = queries("inbound")
_STATES = {state.value: state for state in State}
_Told: TypeAlias = tuple[int | None, InboundReceipt]  # and the envelope that it is of, if known


async def take_receipts(
    conn: AsyncConnection[Any],
    route: str,
    receipts: Sequence[InboundReceipt],
    can: Capabilities,
    *,
    now: datetime,
) -> None:
    """Store receipts in the caller's transaction, and fold them into their envelopes' states.

    What came before the answer to its submission was stored is matched here, too.
    """
    steps = await _keeping(conn, route, receipts, can, now=now)
    steps.append(("match_receipts", {"route": route}))
    async with conn.pipeline():
        answers = [await conn.execute(_SQL[step], values) for step, values in steps]
    matched = {row[0] for each in answers if each.description for row in await each.fetchall()}
    await _fold(conn, can, matched - {None}, now=now)


async def _keeping(
    conn: AsyncConnection[Any],
    route: str,
    receipts: Sequence[InboundReceipt],
    can: Capabilities,
    *,
    now: datetime,
) -> list[tuple[str, dict[str, Any]]]:
    """How to store receipts, each once: a block of those that end their envelopes, rows of others.

    The envelopes have come to their end already.
    """
    receipts = list({each[:2]: each for each in receipts}.values())  # by id and status
    if not receipts:
        return []
    provider_ids, _, _, references, _, _ = zip(*receipts, strict=True)
    values: dict[str, Any] = {
        "route": route,
        "provider_ids": arrays.texts(provider_ids),
        "references": arrays.texts(references),
    }
    whose = await (await conn.execute(_SQL["whose_receipts"], values, binary=True)).fetchall()
    envelope_ids, are_told, (block_id, *_) = zip(*whose, strict=True)
    told = list(zip(envelope_ids, receipts, strict=True))
    rest = list(compress(told, are_told))
    news = list(compress(told, map(not_, are_told)))
    ended = await _fold_whole(conn, news, can, block_id=block_id, now=now)
    whole = [pair for pair in news if pair[0] in ended]
    rest += [pair for pair in news if pair[0] not in ended]
    steps: list[tuple[str, dict[str, Any]]] = []
    if whole:
        values |= {"block_id": block_id, "now": now} | _block_of(whole)
        steps.append(("add_receipt_block", values))
    if rest:
        steps.append(("add_receipts", {"route": route} | _rows_of(rest)))
    return steps


def _block_of(told: Sequence[_Told]) -> dict[str, str]:
    """Receipts and their envelopes as the columns of a block."""
    envelope_ids, receipts = zip(*told, strict=True)
    provider_ids, _, codes, references, ats, _ = zip(*receipts, strict=True)
    return {
        "envelope_ids": arrays.numbers(envelope_ids),
        "provider_ids": arrays.texts(provider_ids),
        "codes": arrays.texts(_once(codes)),
        "references": arrays.texts(_once(references)),
        "at_us": arrays.microseconds(ats),
    }


def _once(texts: Sequence[str]) -> Sequence[str]:
    """Texts; one where all are alike."""
    return texts if len(set(texts)) > 1 else texts[:1]


def _rows_of(told: Sequence[_Told]) -> dict[str, str]:
    """Receipts and their envelopes, where these are known, as columns of rows."""
    envelope_ids, receipts = zip(*told, strict=True)
    provider_ids, statuses, codes, references, ats, _ = zip(*receipts, strict=True)
    return {
        "envelope_ids": arrays.numbers(envelope_ids),
        "provider_ids": arrays.texts(provider_ids),
        "statuses": arrays.texts(statuses),
        "codes": arrays.texts(codes),
        "references": arrays.texts(references),
        "ats": arrays.instants(ats),
    }


async def _fold_whole(
    conn: AsyncConnection[Any],
    news: Sequence[_Told],
    can: Capabilities,
    *,
    block_id: int,
    now: datetime,
) -> set[int]:
    """The usual end: all parts of a message delivered, told together. Who has come to it.

    `news`: receipts of which nothing was known before, with their envelopes.
    """
    whole: dict[tuple[int, str], list[int]] = {}
    for envelope_id, (parts, code) in _delivered(news).items():
        whole.setdefault((parts if can.counts_parts else 1, code), []).append(envelope_id)
    ended: set[int] = set()
    for (parts, code), envelope_ids in whole.items():
        values = {
            "envelope_ids": arrays.numbers(sorted(envelope_ids)),
            # Where one id stands for the whole message its parts do not matter.
            "parts": [parts] if can.counts_parts else list(range(PARTS_MAX + 1)),
            "reason": f"receipt: {code}",
            "block_id": block_id,
            "now": now,
        }
        found = await conn.execute(_SQL["fold_whole"], values)
        ended |= {row[0] for row in await found.fetchall()}
    return ended


def _delivered(news: Sequence[_Told]) -> dict[int, tuple[int, str]]:
    """Of each envelope with no other news how many parts are delivered, and the last code."""
    told: dict[int, tuple[int, str]] = {}
    other: set[int | None] = {None}
    for envelope_id, each in news:
        if each.status != "delivered":
            other.add(envelope_id)
        elif envelope_id is not None:
            parts, before = told.get(envelope_id, (0, ""))
            told[envelope_id] = (parts + 1, each.code or before)
    return {name: said for name, said in told.items() if name not in other}


async def _fold(
    conn: AsyncConnection[Any], can: Capabilities, matched: Collection[int], *, now: datetime
) -> None:
    """Where the envelopes stand to whom a receipt was matched just now."""
    if not matched:
        return
    values: dict[str, Any] = {"envelope_ids": arrays.numbers(sorted(matched)), "now": now}
    locked = await (await conn.execute(_SQL["lock_envelopes"], values)).fetchall()
    if not all(is_told for is_told, _ in locked):
        await conn.execute(_SQL["adopt_submissions"], values)
    if any(is_queued for _, is_queued in locked):
        for step in ("take_off_queue", "back_in_doubt"):
            await conn.execute(_SQL[step], values)
    rows = await (await conn.execute(_SQL["receipts_of"], values)).fetchall()
    for (state, code), envelope_ids in _proved(rows, can).items():
        values |= {"envelope_ids": arrays.numbers(envelope_ids), "state": state.value}
        await conn.execute(_SQL["fold_receipts"], values | {"reason": f"receipt: {code}"})


def _proved(
    rows: Sequence[tuple[Any, ...]], can: Capabilities
) -> dict[tuple[State, str], list[int]]:
    """The envelopes that move, by the state that their receipts prove and the last code of these.

    `rows`: envelope, state, parts and, of a receipt, provider id, status and code.
    """
    known: dict[int, list[tuple[str, str]]] = {}
    of: dict[int, tuple[State, int, str]] = {}
    for envelope_id, state, parts, provider_id, status, code in rows:
        known.setdefault(envelope_id, []).append((provider_id, status))
        of[envelope_id] = (_STATES[state], parts, code or of.get(envelope_id, ("", 0, ""))[2])
    proved: dict[tuple[State, str], list[int]] = {}
    for envelope_id, receipts in known.items():
        old, parts, code = of[envelope_id]
        state = fold_receipts(parts if can.counts_parts else 1, receipts)
        if state is not None and is_allowed(old, state):
            proved.setdefault((state, code), []).append(envelope_id)
    return proved
