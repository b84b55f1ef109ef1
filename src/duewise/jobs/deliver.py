"""The third gate and the wire: claim, judge on facts read now, mark, send, settle.

Intent is durable before the first byte, in two steps: a claim (nothing written yet: a lost worker
costs nothing) and a mark on the few about to be written (a lost worker leaves a doubt). A claim
lives exactly as long as its worker's database session, held by an advisory lock: no clock decides
whether a worker is alive.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from duewise.channels.base import Accepted, Channel, Message
from duewise.errors import Unreachable
from duewise.jobs.gate import Ruling
from duewise.jobs.routes import take_turn
from duewise.jobs.session import PATIENCE, Connect, Patience, Worker, come_back, recover, worker
from duewise.jobs.settle import never_left, said_of, settle, unsent
from duewise.jobs.tenant import Tenant
from duewise.jobs.verdicts import Verdicts, add_wire_verdicts, verdict_of
from duewise.jobs.wire_gate import Claimed, judge_claimed
from duewise.outbox.envelope import State
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

CLAIM_MAX = 500
CHUNK_MAX = 100  # marked together, so at most this many are in doubt after a kill
CHUNK_S_MAX = 0.5
IDLE_S = 1.0
AWAY_S = 5.0  # before the next claim while the link is away
FAILED_PASSES_MAX = 20  # one after the other, on a database that does answer
_SQL = queries("outbox")


@dataclass(frozen=True)
class DeliverySettings:
    """When a doubt may end. Seconds of the injected clock; None: never sent again by itself.

    `rate_per_s`: parts a second, of all workers of the route together; None: no limit.
    `resend_unknown_after_s` may be set only for a gateway that sends a receipt, carrying our
    reference, for every message it accepted: then a receipt that stays away so long, while we were
    listening all the time, proves that it never did.
    """

    receipt_horizon_s: int = 72 * 3_600
    resend_unknown_after_s: int | None = None
    claim_max: int = CLAIM_MAX
    chunk_max: int = CHUNK_MAX
    rate_per_s: float | None = None
    patience: Patience = PATIENCE

    @property
    def chunk(self) -> int:
        """Messages marked together: on a slow route no more than it takes in half a second.

        >>> DeliverySettings(rate_per_s=30).chunk, DeliverySettings().chunk
        (15, 100)
        """
        if self.rate_per_s is None:
            return self.chunk_max
        return max(1, min(self.chunk_max, int(self.rate_per_s * CHUNK_S_MAX)))


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

    Told to stop it sends no further chunk, and what it had claimed is given back.
    """
    stop = stop or asyncio.Event()
    while True:
        cleared, claimed = await _claim(
            sender, channel, tenant=tenant, now=clock.now(), settings=settings
        )
        is_linked = True
        for start in range(0, len(cleared), settings.chunk):
            if stop.is_set():
                await _give_back(sender, now=clock.now())
                return is_linked
            chunk = cleared[start : start + settings.chunk]
            is_linked &= await _send_chunk(
                sender, channel, chunk, tenant=tenant, clock=clock, settings=settings
            )
        if claimed == 0 or not is_linked or stop.is_set():
            return is_linked


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
    next_due, waiting = await _waiting(sender, channel, now=clock.now(), settings=settings)
    if run.on_pass:
        run.on_pass(sender.done, waiting)
    if sender.owner != owner:
        return 0.0  # the session was lost meanwhile: what it had claimed is to be taken up
    if next_due is None and run.until_empty:
        return None
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
        await sender.conn.execute(_SQL["accepted_without_receipt"], {"now": now, "until": until})
        patience = _patience(channel, settings)
        listening_since = _listening_since(sender, channel)
        if patience and listening_since and now - listening_since >= patience:
            values = {"now": now, "until": now - patience, "channels": channels}
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


def channel_kind(channel: Channel) -> str:
    """The kind of message a route carries."""
    return channel.capabilities.carries


async def _claim(
    sender: Worker, channel: Channel, *, tenant: Tenant, now: datetime, settings: DeliverySettings
) -> tuple[list[Claimed], int]:
    """Claim a batch and judge it on facts read in the same transaction; the ones that may go."""
    values = {
        "now": now,
        "channels": [channel_kind(channel)],
        "route": channel.name,
        "limit": settings.claim_max,
        "owner": sender.owner,
    }
    async with sender.conn.transaction(), sender.conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["claim"], values)
        envelopes = await cursor.fetchall()
        if not envelopes:
            return [], 0
        claimed, rulings = await judge_claimed(cursor, envelopes, tenant=tenant, now=now)
        verdicts = [
            verdict_of(ruling, each.envelope_id)
            for each, ruling in zip(claimed, rulings, strict=True)
        ]
        rulebook_hash = tenant.rulebook.content_hash
        await add_wire_verdicts(cursor, Verdicts("wire", now, rulebook_hash, verdicts))
        cleared = [
            each
            for each, ruling in zip(claimed, rulings, strict=True)
            if ruling.state is State.READY and ruling.not_before is None
        ]
        stopped = [
            (each, ruling)
            for each, ruling in zip(claimed, rulings, strict=True)
            if ruling.state is not State.READY or ruling.not_before is not None
        ]
        await _put_back(cursor, stopped, sender=sender, now=now)
    return cleared, len(envelopes)


async def _give_back(sender: Worker, *, now: datetime) -> None:
    """What this worker has claimed and not marked may be claimed by another."""
    await sender.conn.execute(_SQL["give_back"], {"owner": sender.owner, "now": now})


async def _put_back(
    cursor: psycopg.AsyncCursor[Any],
    stopped: Sequence[tuple[Claimed, Ruling]],
    *,
    sender: Worker,
    now: datetime,
) -> None:
    if not stopped:
        return
    sender.done.update(str(ruling.state) for _, ruling in stopped)
    await cursor.execute(
        _SQL["put_back"],
        {
            "now": now,
            "owner": sender.owner,
            "envelope_ids": [each.envelope_id for each, _ in stopped],
            "states": [ruling.state.value for _, ruling in stopped],
            "reasons": [ruling.reason for _, ruling in stopped],
            "not_before": [ruling.not_before for _, ruling in stopped],
        },
    )


async def _send_chunk(
    sender: Worker,
    channel: Channel,
    chunk: Sequence[Claimed],
    *,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
) -> bool:
    """Wait for its turn, mark, write, settle; false if the link was away.

    What was held or cancelled since its claim, or is no longer valid, is not marked nor sent.
    """
    patience = settings.patience
    try:
        if settings.rate_per_s:
            by_part = channel.capabilities.counts_parts
            parts = sum(each.parts for each in chunk) if by_part else len(chunk)
            await take_turn(sender.conn, channel.name, seconds=parts / settings.rate_per_s)
        marked = await _mark(sender, channel.name, chunk, now=clock.now())
    except psycopg.OperationalError:
        # Nobody knows whether the mark was stored, but we know that nothing was written.
        said = [unsent(each, "database_lost_before_wire") for each in chunk]
        await settle(sender, channel.name, said, [], now=clock.now(), patience=patience)
        return True
    going = [each for each in chunk if each.envelope_id in marked]
    if not going:
        return True
    results = await channel.send_many([_message(each, tenant=tenant) for each in going])
    now = clock.now()
    submissions = [
        (each.envelope_id, provider_id, part)
        for each, result in zip(going, results, strict=True)
        if isinstance(result, Accepted)
        for part, provider_id in enumerate(result.provider_ids, start=1)
    ]
    said = [said_of(each, result, now=now) for each, result in zip(going, results, strict=True)]
    await settle(sender, channel.name, said, submissions, now=now, patience=patience)
    return not any(map(never_left, results))


def _message(claimed: Claimed, *, tenant: Tenant) -> Message:
    return Message(
        envelope_id=claimed.envelope_id,
        reference=str(claimed.envelope_id),
        address=claimed.address,
        sender_id=claimed.sender_id or tenant.sender_id,
        text=claimed.text,
        valid_until=claimed.valid_until,
        title=claimed.title,
    )


async def _mark(sender: Worker, route: str, chunk: Sequence[Claimed], *, now: datetime) -> set[int]:
    values = {
        "now": now,
        "route": route,
        "envelope_ids": [each.envelope_id for each in chunk],
        "owner": sender.owner,
    }
    async with sender.conn.transaction():
        await sender.conn.execute(_SQL["lapse_claimed"], values)
        marked = await sender.conn.execute(_SQL["mark_wired"], values)
        return {row[0] for row in await marked.fetchall()}


async def _waiting(
    sender: Worker, channel: Channel, *, now: datetime, settings: DeliverySettings
) -> tuple[datetime | None, int]:
    """When there is something to do again, and for how many: what is ready, what is in doubt."""
    values: Mapping[str, Any] = {
        "now": now,
        "channels": [channel_kind(channel)],
        "route": channel.name,
    }
    async with sender.conn.transaction():
        ready = await (await sender.conn.execute(_SQL["next_due"], values)).fetchone()
        doubt = await (await sender.conn.execute(_SQL["doubts"], values)).fetchone()
    assert ready is not None
    assert doubt is not None
    next_due, waiting = ready
    doubts, oldest_at = doubt
    patience = _patience(channel, settings)
    if patience and doubts:
        ends_at = max(oldest_at, _listening_since(sender, channel) or now) + patience
        next_due = min(next_due or ends_at, ends_at)
        waiting += doubts
    return next_due, waiting


async def awaits_receipts(conn: AsyncConnection[Any], channel: Channel, *, now: datetime) -> bool:
    """Whether a receipt may still come for what this kind of route has sent."""
    values = {"now": now, "channels": [channel_kind(channel)]}
    row = await (await conn.execute(_SQL["awaits_receipts"], values)).fetchone()
    assert row is not None
    return bool(row[0])
