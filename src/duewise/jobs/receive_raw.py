"""What callers tell, stored raw before they are answered, and taken in a moment later.

A provider that calls waits for its answer, so all that has been told meanwhile is stored as one
row, sealed, and answered. What it means is found out behind it, by a session of its own; the row
goes with the transaction that took it in. What a killed process has left is taken in at the next
start: to take in anything twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg import AsyncConnection

from duewise.channels.base import Capabilities, Channel, Inbound
from duewise.jobs.raw import (
    UNREADABLE,
    Shelf,
    pack,
    replies_in,
    set_row_aside,
    take_or_set_aside,
    unpack,
)
from duewise.jobs.receive import IDLE_S, next_batch, take_in
from duewise.jobs.session import Connect, Patience, Steady, another
from duewise.jobs.tenant import Tenant
from duewise.store.sql import queries
from duewise.times import Clock

GATHER_S = 0.002  # what is told in this time is stored together
TOGETHER_MAX = 500
WAITING_MAX = 64  # rows that wait to be taken in; beyond it callers wait, too
_SQL = queries("inbound")


@dataclass(frozen=True)
class Desk:
    """Whose calls these are, and how they are read."""

    route: str
    can: Capabilities
    tenant: Tenant
    clock: Clock


@dataclass(frozen=True)
class Raw:
    """A stored row and what it tells."""

    raw_id: int
    told: Sequence[Inbound]


async def receive_raw(
    channel: Channel,
    conn: AsyncConnection[Any],
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    stop: asyncio.Event,
    done: Counter[str],
    patience: Patience,
) -> None:
    """Store what the channel is told until stopped, then take in what still waits.

    `done` counts receipts and replies. `conn` is closed at the end. Raises Unreachable.
    """
    desk = Desk(channel.name, channel.capabilities, tenant, clock)
    storing = Steady(conn, connect, patience)
    try:
        folding = Steady(await another(None, connect, patience), connect, patience)
    except BaseException:
        await conn.close()
        raise
    waiting: asyncio.Queue[Raw] = asyncio.Queue(WAITING_MAX)
    ending = asyncio.Event()
    folder = asyncio.create_task(_take_in_all(desk, waiting, folding, ending))
    try:
        while not stop.is_set() and not folder.done():
            batch = await next_batch(channel.inbound, gather_s=GATHER_S)
            if not batch.told:
                continue
            raw_id = await storing.do(partial(_store, desk=desk, told=batch.told))
            await batch.ack(done)
            putting = asyncio.ensure_future(waiting.put(Raw(raw_id, batch.told)))
            await asyncio.wait({putting, folder}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.set()
        await asyncio.wait({folder})
        await storing.conn.close()
        await folding.conn.close()
    folder.result()


async def _take_in_all(
    desk: Desk, waiting: asyncio.Queue[Raw], folding: Steady, ending: asyncio.Event
) -> None:
    """Take in what was stored, in its order, until told to end and nothing waits any more."""
    for raw in await folding.do(partial(_left, desk=desk)):
        await folding.do(partial(_take_in, desk=desk, raws=[raw]))
    while True:
        raws = await _next(waiting)
        await folding.do(partial(_take_in, desk=desk, raws=raws))
        if not raws and ending.is_set():
            return


async def _next(waiting: asyncio.Queue[Raw]) -> list[Raw]:
    """Rows that wait, a few hundred tellings in all; none if nothing comes for a moment."""
    try:
        raws = [await asyncio.wait_for(waiting.get(), timeout=IDLE_S)]
    except TimeoutError:
        return []
    size = len(raws[0].told)
    while size < TOGETHER_MAX and not waiting.empty():
        raws.append(waiting.get_nowait())
        size += len(raws[-1].told)
    return raws


async def _store(conn: AsyncConnection[Any], *, desk: Desk, told: Sequence[Inbound]) -> int:
    values = {
        "route": desk.route,
        "kind": desk.can.carries,
        "body": pack(told, desk.tenant.keyring, route=desk.route),
        "at": desk.clock.now(),
        "replies": replies_in(told),
        "reason": None,
    }
    row = await (await conn.execute(_SQL["add_raw"], values)).fetchone()
    assert row is not None
    return int(row[0])


async def _take_in(conn: AsyncConnection[Any], *, desk: Desk, raws: Sequence[Raw]) -> None:
    told = [each for raw in raws for each in raw.told]
    raw_ids, now = {"raw_ids": [raw.raw_id for raw in raws]}, desk.clock.now()
    take = partial(take_in, conn, desk.route, tenant=desk.tenant, now=now, can=desk.can)
    shelf = Shelf(desk.route, desk.can.carries, desk.tenant.keyring, now)
    async with conn.transaction():
        if replies_in(told):
            await conn.execute(_SQL["hold_raw"], raw_ids)
        await take_or_set_aside(conn, told, take, shelf=shelf)
        if raws:
            await conn.execute(_SQL["drop_raw"], raw_ids)


async def _left(conn: AsyncConnection[Any], *, desk: Desk) -> list[Raw]:
    """What was stored and answered, and not taken in before its process ended."""
    rows = await (await conn.execute(_SQL["raw_of"], {"route": desk.route})).fetchall()
    left = []
    for raw_id, body in rows:
        try:
            left.append(Raw(raw_id, unpack(body, desk.tenant.keyring, route=desk.route)))
        except UNREADABLE as error:
            await set_row_aside(conn, raw_id, reason=type(error).__name__)
    return left
