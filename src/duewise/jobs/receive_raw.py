"""What callers tell, stored raw before they are answered, and taken in a moment later.

A provider that calls waits for its answer, so all that has been told meanwhile is stored as one
row, sealed, and answered. What it means is found out behind it, by a session of its own; the row
goes with the transaction that took it in. What a killed process has left is taken in at the next
start: to take in anything twice changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from psycopg import AsyncConnection

from duewise.channels.base import Capabilities, Channel, Delivery, InboundReceipt, InboundReply
from duewise.jobs.receive import IDLE_S, next_batch, take_in
from duewise.jobs.session import Connect, Patience, Steady, another
from duewise.jobs.tenant import Tenant
from duewise.store.seal import Keyring
from duewise.store.sql import queries
from duewise.times import Clock

GATHER_S = 0.002  # what is told in this time is stored together
TOGETHER_MAX = 500
WAITING_MAX = 64  # rows that wait to be taken in; beyond it callers wait, too
_SQL = queries("inbound")
_COLUMN = "inbound"


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
    told: Sequence[Delivery]


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
    storing, folding = (
        Steady(conn, connect, patience),
        Steady(await another(None, connect, patience), connect, patience),
    )
    waiting: asyncio.Queue[Raw] = asyncio.Queue(WAITING_MAX)
    ending = asyncio.Event()
    folder = asyncio.create_task(_take_in_all(desk, waiting, folding, ending))
    try:
        while not stop.is_set() and not folder.done():
            batch = await next_batch(channel.inbound, gather_s=GATHER_S)
            if not batch:
                continue
            sealed, at = pack(batch, tenant.keyring, route=desk.route), clock.now()
            raw_id = await storing.do(partial(_store, route=desk.route, body=sealed, at=at))
            done.update(
                "reply" if isinstance(each.inbound, InboundReply) else "receipt" for each in batch
            )
            for delivery in batch:
                await delivery.ack()
            putting = asyncio.ensure_future(waiting.put(Raw(raw_id, batch)))
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


async def _store(conn: AsyncConnection[Any], *, route: str, body: bytes, at: datetime) -> int:
    values = {"route": route, "body": body, "at": at}
    row = await (await conn.execute(_SQL["add_raw"], values)).fetchone()
    assert row is not None
    return int(row[0])


async def _take_in(conn: AsyncConnection[Any], *, desk: Desk, raws: Sequence[Raw]) -> None:
    told = [delivery for raw in raws for delivery in raw.told]
    async with conn.transaction():
        now = desk.clock.now()
        await take_in(conn, desk.route, told, tenant=desk.tenant, now=now, can=desk.can)
        if raws:
            await conn.execute(_SQL["drop_raw"], {"raw_ids": [raw.raw_id for raw in raws]})


async def _left(conn: AsyncConnection[Any], *, desk: Desk) -> list[Raw]:
    """What was stored and answered, and not taken in before its process ended."""
    rows = await (await conn.execute(_SQL["raw_of"], {"route": desk.route})).fetchall()
    keyring = desk.tenant.keyring
    return [Raw(raw_id, unpack(body, keyring, route=desk.route)) for raw_id, body in rows]


def pack(batch: Sequence[Delivery], keyring: Keyring, *, route: str) -> bytes:
    """What was told, sealed: replies are in the borrowers' own words."""
    told = [_fields(each.inbound) for each in batch]
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return keyring.seal(text, column=_COLUMN, borrower_id=route)


def unpack(body: bytes, keyring: Keyring, *, route: str) -> list[Delivery]:
    """What was told, again; it was answered long ago. Raises CannotUnseal."""
    told = json.loads(keyring.unseal(body, column=_COLUMN, borrower_id=route))
    return [Delivery(_inbound(fields), _answered) for fields in told]


def _fields(inbound: InboundReceipt | InboundReply) -> list[Any]:
    at = inbound.at.isoformat()
    if isinstance(inbound, InboundReceipt):
        said = [inbound.provider_id, inbound.status, inbound.code, inbound.reference]
        return ["receipt", at, *said, inbound.is_address_dead]
    return [
        "reply",
        at,
        inbound.inbound_id,
        inbound.source,
        inbound.destination,
        inbound.text,
        inbound.reference,
    ]


def _inbound(fields: Sequence[Any]) -> InboundReceipt | InboundReply:
    kind, at, *rest = fields
    instant = datetime.fromisoformat(at)
    if kind == "receipt":
        provider_id, status, code, reference, is_dead = rest
        return InboundReceipt(provider_id, status, code, reference, instant, is_dead)
    inbound_id, source, destination, text, reference = rest
    return InboundReply(inbound_id, source, destination, text, instant, reference)


async def _answered() -> None:
    """There is nobody any more to be answered."""
