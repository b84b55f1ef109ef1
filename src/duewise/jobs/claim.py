"""What is due, judged on facts read now and marked for the wire, a chunk in one transaction.

The transaction locks the chunk, so that between gate and mark nothing can change. Each lane's queue
is read on from where the pass has come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from duewise.channels.base import Channel
from duewise.jobs.chunk import Flight
from duewise.jobs.crossing import Crossing
from duewise.jobs.gate import Ruling
from duewise.jobs.heed import heed_replies
from duewise.jobs.session import Worker
from duewise.jobs.verdicts import Verdicts, add_wire_verdicts, verdict_of
from duewise.jobs.ways import NO_SLOTS, turn_of
from duewise.jobs.wire_gate import Claimed, Columns, judge_due
from duewise.outbox.envelope import Lane, State
from duewise.store import arrays
from duewise.store.sql import queries

BEFORE_ALL: Final = ("-infinity", 0)
_SQL = queries("outbox")


def channel_kind(channel: Channel) -> str:
    """The kind of message a route carries."""
    return channel.capabilities.carries


@dataclass
class Chunk:
    """What of the envelopes that were due may go, and is marked for it: as far as that has come."""

    claim_id: int = 0
    cleared: Sequence[Claimed] = ()
    crossing: Crossing | None = None


async def next_chunk(chunks: Flight, *, size: int) -> Chunk | None:
    """The next chunk: judged and marked in one transaction; None where nothing is due."""
    chunk = Chunk()
    await heed_replies(chunks.sender.conn, tenant=chunks.tenant, now=chunks.clock.now())
    try:
        return chunk if await _judge_and_mark(chunks, chunk, size) else None
    except BaseException as error:
        if chunk.cleared and isinstance(error, psycopg.OperationalError):
            await chunks.take_back(chunk.cleared)  # nobody knows whether the commit was done
        if chunk.crossing:
            await chunks.crossings.end(chunk.crossing)
        raise


async def _judge_and_mark(chunks: Flight, chunk: Chunk, size: int) -> bool:
    """Whether anything is due. `chunk` gets what is about to be marked before it is."""
    sender, channel, tenant = chunks.sender, chunks.channel, chunks.tenant
    now = chunks.clock.now()
    values: dict[str, Any] = {
        "now": now,
        "channels": [channel_kind(channel)],
        "route": channel.name,
        "limit": size,
        "owner": sender.owner,
    }
    async with sender.conn.transaction(), sender.conn.cursor(binary=True) as cursor:
        turn = await turn_of(
            sender, channel.name, channel_kind(channel), chunks.settings.ways, now=now
        )
        if turn.slots == NO_SLOTS:
            return False
        values |= {"slots": turn.slots, "is_probe": turn.is_probe} | places_of(sender.read_to)
        values["limit"] = 1 if turn.is_probe else values["limit"]
        await cursor.execute(_SQL["due"], values)
        names = [column.name for column in cursor.description or ()]
        rows = await cursor.fetchall()
        if not rows:
            return False
        due = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        sender.read_to |= _ends_of(due)
        claimed, rulings = await judge_due(
            sender.conn, due, tenant=tenant.by(channel.capabilities), now=now
        )
        verdicts = [
            verdict_of(ruling, each.envelope_id)
            for each, ruling in zip(claimed, rulings, strict=True)
        ]
        both = list(zip(claimed, rulings, strict=True))
        stopped = [(each, ruling) for each, ruling in both if not _may_go(ruling)]
        chunk.cleared = [each for each, ruling in both if _may_go(ruling)]
        values["sent_in"] = await add_wire_verdicts(
            cursor,
            Verdicts("wire", now, tenant.rulebook.content_hash, verdicts),
            new=_never_sent(due) & {each.envelope_id for each in chunk.cleared},
        )
        await _put_back(cursor, stopped, sender=sender, now=now)
        if chunk.cleared:
            ids = sorted(each.envelope_id for each in chunk.cleared)
            values["envelope_ids"] = arrays.numbers(ids)
            chunk.crossing = await chunks.crossings.begin(sender.owner)
            async with sender.conn.pipeline():
                await sender.conn.execute(_SQL["mark_wired"], values)
                added = await sender.conn.execute(_SQL["add_claim"], values)
                ((chunk.claim_id,),) = await added.fetchall()
    return True


def places_of(read_to: Mapping[int, tuple[datetime, int]]) -> dict[str, str]:
    """From where each lane's queue is read on."""
    ats, ids = zip(*(read_to.get(lane, BEFORE_ALL) for lane in Lane), strict=True)
    return {
        "lanes": arrays.numbers(map(int, Lane)),
        "after_at": arrays.texts(list(map(str, ats))),
        "after_id": arrays.numbers(ids),
    }


def _ends_of(due: Columns) -> dict[int, tuple[datetime, int]]:
    """Of each lane the last place in its queue of those that were read.

    >>> noon = datetime(2026, 8, 14, 12)
    >>> _ends_of({"lane": [1, 0, 1], "not_before": [noon] * 3, "envelope_id": [7, 9, 8]})[1][1]
    8
    """
    places = zip(due["lane"], due["not_before"], due["envelope_id"], strict=True)
    return {lane: (at, envelope_id) for lane, at, envelope_id in sorted(places)}


def _never_sent(due: Columns) -> set[int]:
    """Of the envelopes that are due those that were never marked for the wire."""
    pairs = zip(due["envelope_id"], due["sent_in"], strict=True)
    return {envelope_id for envelope_id, sent_in in pairs if sent_in is None}


def _may_go(ruling: Ruling) -> bool:
    return ruling.move.state is State.READY and ruling.move.not_before is None


async def _put_back(
    cursor: psycopg.AsyncCursor[Any],
    stopped: Sequence[tuple[Claimed, Ruling]],
    *,
    sender: Worker,
    now: datetime,
) -> None:
    if not stopped:
        return
    sender.done.update(str(ruling.move.state) for _, ruling in stopped)
    await cursor.execute(
        _SQL["put_back"],
        {
            "now": now,
            "envelope_ids": [each.envelope_id for each, _ in stopped],
            "states": [ruling.move.state.value for _, ruling in stopped],
            "reasons": [ruling.move.reason for _, ruling in stopped],
            "not_before": [ruling.move.not_before for _, ruling in stopped],
        },
    )
