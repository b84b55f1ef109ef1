"""The third gate and the wire: what is due is judged on facts read now, marked, sent, settled.

Intent is durable before the first byte: one transaction locks a chunk of what is due, judges it and
marks what may go, so that between gate and mark nothing can change. From the mark on a lost worker
leaves a doubt. Its claim lives exactly as long as its database session, held by an advisory lock:
no clock decides whether a worker is alive.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection

from duewise.channels.base import Channel
from duewise.errors import Unreachable
from duewise.jobs.chunk import DeliverySettings, flight
from duewise.jobs.claim import channel_kind, next_chunk
from duewise.jobs.routes import take_turn
from duewise.jobs.session import (
    Connect,
    Patience,
    Worker,
    accept_answered,
    come_back,
    recover,
    worker,
)
from duewise.jobs.tenant import Tenant
from duewise.jobs.ways import slots_of
from duewise.store.sql import queries
from duewise.times import Clock

__all__ = [
    "Connect",
    "DeliverySettings",
    "Patience",
    "Run",
    "Worker",
    "awaits_receipts",
    "deliver",
    "recover",
    "send_due",
    "tidy",
    "worker",
]

IDLE_S = 1.0
AWAY_S = 5.0  # before the next claim while the link is away
# An answered chunk's envelopes are told so, where no receipt is there before.
ACCEPT_AFTER, ACCEPT_EVERY = timedelta(seconds=2), timedelta(seconds=1)
FAILED_PASSES_MAX = 20  # one after the other, on a database that does answer
_SQL = queries("outbox")


@dataclass(frozen=True)
class Run:
    """How long to go on, and who is told. `stop` ends it in order.

    `until_empty`: stop when nothing waits any more. `linger_s`: then wait (real seconds) while
    receipts still come. `before_pass` gets each pass's instant: news of payments come in there.
    `on_pass` gets the counts so far and how many still wait.
    """

    stop: asyncio.Event
    until_empty: bool = True
    linger_s: float = 0.0
    before_pass: Callable[[datetime], Awaitable[None]] | None = None
    on_pass: Callable[[Counter[str], int], None] | None = None


async def send_due(
    sender: Worker,
    channel: Channel,
    *,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
    stop: asyncio.Event | None = None,
) -> bool:
    """Send all that is due at the clock's instant; false if the link went away meanwhile.

    Told to stop it sends no further chunk.
    """
    stop = stop or asyncio.Event()
    accepted_at = clock.now()
    sender.begin_pass()
    async with flight(sender, channel, tenant=tenant, clock=clock, settings=settings) as chunks:
        while chunks.is_linked:
            await chunks.room()
            if stop.is_set() or sender.claims_no_more:
                break
            size = chunks.size
            await _take_turn(sender, channel, size, settings=settings)
            chunk = await next_chunk(chunks, size=size)
            if chunk is None:
                await _take_turn(sender, channel, -size, settings=settings)
                break
            if chunk.crossing:
                chunks.send(chunk.cleared, claim_id=chunk.claim_id, crossing=chunk.crossing)
            by_part = channel.capabilities.counts_parts
            taken = sum(each.parts for each in chunk.cleared) if by_part else len(chunk.cleared)
            await _take_turn(sender, channel, taken - size, settings=settings)
            if clock.now() - accepted_at >= ACCEPT_EVERY:
                accepted_at = clock.now()
                await _accept(sender, until=accepted_at - ACCEPT_AFTER)
                sender.read_to.clear()  # nothing that came in at the head waits longer
    await _accept(sender, until=clock.now())
    return chunks.is_linked


async def _accept(sender: Worker, *, until: datetime) -> None:
    """Tell the envelopes of chunks answered by then, and not overtaken by their receipts."""
    async with sender.conn.transaction():
        await accept_answered(sender.conn, until=until)


async def _take_turn(
    sender: Worker, channel: Channel, parts: int, *, settings: DeliverySettings
) -> None:
    """Wait for the route's next slots; what was taken too much or too little is set right later."""
    if settings.rate_per_s and parts:
        await take_turn(sender.conn, channel.name, seconds=parts / settings.rate_per_s)


async def deliver(
    channel: Channel,
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
    run: Run,
) -> Counter[str]:
    """Send until stopped, or until nothing is waiting any more; counts by final word.

    A database that goes away is waited for. Raises Unreachable if it stays away or goes on failing.
    """
    failures = 0
    async with worker(connect) as sender:
        while not run.stop.is_set():
            try:
                wait_s = await _pass(
                    sender, channel, tenant=tenant, clock=clock, settings=settings, run=run
                )
            except psycopg.OperationalError as error:
                failures += 1
                if failures > FAILED_PASSES_MAX:
                    raise Unreachable(f"the database fails again and again: {error}") from error
                await come_back(sender, settings.patience)
                continue
            failures = 0
            if wait_s is None:
                break
            await clock.sleep(wait_s)
        return sender.done


async def _pass(
    sender: Worker,
    channel: Channel,
    *,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
    run: Run,
) -> float | None:
    """One round of everything; seconds until the next, or None if there is nothing left to do."""
    owner = sender.owner
    await recover(sender, now=clock.now())
    sender.listening_since = sender.listening_since or clock.now()
    if run.before_pass:
        await _hear(run.before_pass, clock.now())
    await tidy(sender, channel, now=clock.now(), settings=settings)
    is_linked = await send_due(
        sender, channel, tenant=tenant, clock=clock, settings=settings, stop=run.stop
    )
    next_due, waiting, of_kind = await _waiting(sender, channel, now=clock.now(), settings=settings)
    if run.on_pass:
        run.on_pass(sender.done, waiting)
    if sender.owner != owner:
        return 0.0  # the session was lost meanwhile: what it had claimed is to be taken up
    if next_due is None and run.until_empty and not (sender.has_others and of_kind):
        return None  # or another route may yet need us
    ahead_s = (next_due - clock.now()).total_seconds() if next_due else IDLE_S
    return min(max(ahead_s, 0.0 if is_linked else AWAY_S), 60.0)


async def _hear(before_pass: Callable[[datetime], Awaitable[None]], now: datetime) -> None:
    """News of payments first. That their database is away is waited for like our own."""
    try:
        await before_pass(now)
    except Unreachable as error:
        raise psycopg.OperationalError(str(error)) from error


async def tidy(
    sender: Worker, channel: Channel, *, now: datetime, settings: DeliverySettings
) -> None:
    """End what time has ended: validity, the wait for a receipt, a doubt that may end."""
    channels = [channel_kind(channel)]
    async with sender.conn.transaction():
        await sender.conn.execute(_SQL["lapse"], {"now": now})
        until = now - timedelta(seconds=settings.receipt_horizon_s)
        for step in ("accepted_without_receipt", "drop_claims"):
            await sender.conn.execute(_SQL[step], {"now": now, "until": until})
        patience = _patience(channel, settings)
        listening_since = _listening_since(sender, channel)
        if patience and listening_since and now - listening_since >= patience:
            values = {"now": now, "until": now - patience, "channels": channels}
            values |= {"route": channel.name}
            await sender.conn.execute(_SQL["in_doubt_without_receipt"], values)


def _patience(channel: Channel, settings: DeliverySettings) -> timedelta | None:
    """How long a doubt lasts at least; None: for ever."""
    if settings.resend_unknown_after_s is None or not channel.capabilities.echoes_reference:
        return None
    return timedelta(seconds=settings.resend_unknown_after_s)


def _listening_since(sender: Worker, channel: Channel) -> datetime | None:
    """Since when receipts could reach us and be stored: link and database, both without a break."""
    if channel.listening_since is None or sender.listening_since is None:
        return None
    return max(channel.listening_since, sender.listening_since)


async def _waiting(
    sender: Worker, channel: Channel, *, now: datetime, settings: DeliverySettings
) -> tuple[datetime | None, int, int]:
    """When there is something to do again, and for how many: what is ready, what is in doubt.

    And how many are ready of the kind, whichever route's turn they are.
    """
    values: dict[str, Any] = {
        "now": now,
        "channels": [channel_kind(channel)],
        "route": channel.name,
    }
    async with sender.conn.transaction():
        values["slots"] = await slots_of(sender, channel.name, settings.ways, now=now)
        ready = await (await sender.conn.execute(_SQL["next_due"], values)).fetchone()
        doubt = await (await sender.conn.execute(_SQL["doubts"], values)).fetchone()
    assert ready is not None
    assert doubt is not None
    next_due, waiting, of_kind = ready
    doubts, oldest_at = doubt
    patience = _patience(channel, settings)
    if patience and doubts:
        ends_at = max(oldest_at, _listening_since(sender, channel) or now) + patience
        next_due = min(next_due or ends_at, ends_at)
        waiting += doubts
    return next_due, waiting, of_kind


async def awaits_receipts(conn: AsyncConnection[Any], channel: Channel, *, now: datetime) -> bool:
    """Whether a receipt may still come for what this kind of route has sent."""
    values = {"now": now, "channels": [channel_kind(channel)]}
    row = await (await conn.execute(_SQL["awaits_receipts"], values)).fetchone()
    assert row is not None
    if not row[0]:
        await conn.execute(_SQL["await_no_more"], {"now": now})
    return bool(row[0])
