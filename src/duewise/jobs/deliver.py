"""The third gate and the wire: claim, judge on facts read now, mark, send, settle.

Intent is durable before the first byte, in two steps: a claim (nothing written yet: a lost worker
costs nothing) and a mark on the few about to be written (a lost worker leaves a doubt). A claim
lives exactly as long as its worker's database session, held by an advisory lock: no clock decides
whether a worker is alive.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from duewise.channels.base import Accepted, Channel, Message, Refused, SendResult
from duewise.errors import Unreachable
from duewise.jobs.gate import Ruling, verdict_values
from duewise.jobs.tenant import Tenant
from duewise.jobs.wire_gate import Claimed, judge_claimed
from duewise.outbox.envelope import State
from duewise.outbox.retry import Retry, after_refusal
from duewise.store.sql import queries
from duewise.times import Clock

LOCK_CLASS = 0x44_57  # "DW": the class of all workers' advisory locks
CLAIM_MAX = 500
CHUNK_MAX = 100  # marked together, so at most this many are in doubt after a kill
RECONNECT_TRIES_MAX = 120
RECONNECT_WAIT_S = 0.5
IDLE_S = 1.0
_SQL = queries("outbox")

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]


@dataclass(frozen=True)
class DeliverySettings:
    """When a doubt may end. Seconds of the injected clock; None: never sent again by itself.

    `resend_unknown_after_s` may be set only for a gateway that sends a receipt, carrying our
    reference, for every message it accepted: then a receipt that stays away so long, while we were
    listening all the time, proves that it never did.
    """

    receipt_horizon_s: int = 72 * 3_600
    resend_unknown_after_s: int | None = None
    claim_max: int = CLAIM_MAX
    chunk_max: int = CHUNK_MAX


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


@dataclass
class Worker:
    """A session with the database, its number, and what it has done so far."""

    connect: Connect
    conn: AsyncConnection[Any]
    owner: int
    listening_since: datetime | None = None
    done: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def worker(connect: Connect) -> AsyncIterator[Worker]:
    """A worker with a number and the lock that proves it alive."""
    conn = await connect()
    enlisted = Worker(connect, conn, await _enlist(conn))
    try:
        yield enlisted
    finally:
        await enlisted.conn.close()


async def send_due(
    sender: Worker, channel: Channel, *, tenant: Tenant, clock: Clock, settings: DeliverySettings
) -> int:
    """Send all that is due at the clock's instant; how many envelopes were claimed."""
    claimed_total = 0
    while True:
        cleared, claimed = await _claim(
            sender, channel, tenant=tenant, now=clock.now(), settings=settings
        )
        claimed_total += claimed
        for start in range(0, len(cleared), settings.chunk_max):
            chunk = cleared[start : start + settings.chunk_max]
            await _send_chunk(sender, channel, chunk, tenant=tenant, clock=clock)
        if claimed == 0:
            return claimed_total


async def deliver(
    channel: Channel,
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
    run: Run,
) -> Counter[str]:
    """Send until stopped, or until nothing is waiting any more; counts by final word."""
    async with worker(connect) as sender:
        await recover(sender, now=clock.now())
        sender.listening_since = clock.now()
        while not run.stop.is_set():
            if run.before_pass:
                await run.before_pass(clock.now())
            await tidy(sender, channel, now=clock.now(), settings=settings)
            await send_due(sender, channel, tenant=tenant, clock=clock, settings=settings)
            next_due, waiting = await _waiting(sender, channel, now=clock.now(), settings=settings)
            if run.on_pass:
                run.on_pass(sender.done, waiting)
            if next_due is None and run.until_empty:
                break
            ahead = (next_due - clock.now()).total_seconds() if next_due else IDLE_S
            await clock.sleep(min(max(ahead, 0.0), 60.0))
            await recover(sender, now=clock.now())
        return sender.done


async def recover(sender: Worker, *, now: datetime) -> None:
    """Take up what workers left behind whose session has ended."""
    ours = {"owner": sender.owner, "lock_class": LOCK_CLASS}
    async with sender.conn.transaction():
        orphans = await (await sender.conn.execute(_SQL["orphaned_owners"], ours)).fetchall()
        for (owner,) in orphans:
            lost = {"owner": owner, "now": now, "lock_class": LOCK_CLASS}
            await sender.conn.execute(_SQL["recover_unwired"], lost)
            await sender.conn.execute(_SQL["recover_wired"], lost)
    for (owner,) in orphans:
        values = {"owner": owner, "lock_class": LOCK_CLASS}
        await sender.conn.execute(_SQL["release_lock"], values)


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
        listening_since = sender.listening_since
        if patience and listening_since and now - listening_since >= patience:
            values = {"now": now, "until": now - patience, "channels": channels}
            await sender.conn.execute(_SQL["in_doubt_without_receipt"], values)


def _patience(channel: Channel, settings: DeliverySettings) -> timedelta | None:
    """How long a doubt lasts at least; None: for ever."""
    if settings.resend_unknown_after_s is None or not channel.capabilities.echoes_reference:
        return None
    return timedelta(seconds=settings.resend_unknown_after_s)


def channel_kind(channel: Channel) -> str:
    """The kind of message a route carries. Every route of today carries SMS."""
    assert channel.capabilities.parts_max >= 1
    return "sms"


async def _claim(
    sender: Worker, channel: Channel, *, tenant: Tenant, now: datetime, settings: DeliverySettings
) -> tuple[list[Claimed], int]:
    """Claim a batch and judge it on facts read in the same transaction; the ones that may go."""
    values = {
        "now": now,
        "channels": [channel_kind(channel)],
        "limit": settings.claim_max,
        "owner": sender.owner,
    }
    async with sender.conn.transaction(), sender.conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["claim"], values)
        envelopes = await cursor.fetchall()
        if not envelopes:
            return [], 0
        claimed, rulings = await judge_claimed(cursor, envelopes, tenant=tenant, now=now)
        ids = [each.envelope_id for each in claimed]
        await cursor.execute(
            _SQL["add_verdicts"],
            verdict_values(rulings, ids, gate="wire", now=now, tenant=tenant),
        )
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
    sender: Worker, channel: Channel, chunk: Sequence[Claimed], *, tenant: Tenant, clock: Clock
) -> None:
    """Mark, write, settle. What was held or cancelled since its claim is not marked: not sent."""
    marked = await _mark(sender, [each.envelope_id for each in chunk], now=clock.now())
    going = [each for each in chunk if each.envelope_id in marked]
    if not going:
        return
    results = await channel.send_many([_message(each, tenant=tenant) for each in going])
    await _settle(sender, channel.name, list(zip(going, results, strict=True)), now=clock.now())


def _message(claimed: Claimed, *, tenant: Tenant) -> Message:
    return Message(
        envelope_id=claimed.envelope_id,
        reference=str(claimed.envelope_id),
        address=claimed.address,
        sender_id=claimed.sender_id or tenant.sender_id,
        text=claimed.text,
        valid_until=claimed.valid_until,
    )


async def _mark(sender: Worker, envelope_ids: Sequence[int], *, now: datetime) -> set[int]:
    values = {"now": now, "envelope_ids": list(envelope_ids), "owner": sender.owner}
    async with sender.conn.transaction():
        marked = await sender.conn.execute(_SQL["mark_wired"], values)
        return {row[0] for row in await marked.fetchall()}


async def _settle(
    sender: Worker, route: str, answers: Sequence[tuple[Claimed, SendResult]], *, now: datetime
) -> None:
    """Store what the gateway answered; if the database is away, keep it and try again."""
    said = [_verdict_of(each, result, now=now) for each, result in answers]
    submissions = [
        (each.envelope_id, provider_id, part)
        for each, result in answers
        if isinstance(result, Accepted)
        for part, provider_id in enumerate(result.provider_ids, start=1)
    ]
    for _ in range(RECONNECT_TRIES_MAX):
        try:
            await _store_answers(sender, route, said, submissions, now=now)
        except psycopg.OperationalError:
            await asyncio.sleep(RECONNECT_WAIT_S)
            await _reconnect(sender)
        else:
            sender.done.update(state for _, state, _, _ in said)
            sender.done["parts"] += len(submissions)
            return
    raise Unreachable(
        f"the database does not answer; {len(said)} answers of the gateway could not be stored. "
        "They are on record as in doubt and resolve by their receipts. Mend: start it, send again"
    )


async def _store_answers(
    sender: Worker,
    route: str,
    said: Sequence[tuple[int, str, str, datetime | None]],
    submissions: Sequence[tuple[int, str, int]],
    *,
    now: datetime,
) -> None:
    async with sender.conn.transaction(), sender.conn.cursor() as cursor:
        await cursor.execute(
            _SQL["add_submissions"],
            {
                "route": route,
                "now": now,
                "envelope_ids": [envelope_id for envelope_id, _, _ in submissions],
                "provider_ids": [provider_id for _, provider_id, _ in submissions],
                "parts": [part for _, _, part in submissions],
            },
        )
        await cursor.execute(
            _SQL["settle"],
            {
                "now": now,
                "envelope_ids": [each[0] for each in said],
                "states": [each[1] for each in said],
                "reasons": [each[2] for each in said],
                "not_before": [each[3] for each in said],
            },
        )


def _verdict_of(
    claimed: Claimed, result: SendResult, *, now: datetime
) -> tuple[int, str, str, datetime | None]:
    """Envelope, state, reason and (for another try) not before."""
    match result:
        case Accepted():
            return claimed.envelope_id, State.ACCEPTED.value, "accepted_by_gateway", None
        case Refused(is_permanent=True):
            return claimed.envelope_id, State.FAILED.value, f"refused: {result.code}", None
        case Refused():
            next_step = after_refusal(
                attempt=claimed.attempt,
                now=now,
                valid_until=claimed.valid_until,
                retry_after_s=result.retry_after_s,
                code=result.code,
            )
            if isinstance(next_step, Retry):
                reason = f"refused_for_now: {result.code}"
                return claimed.envelope_id, State.READY.value, reason, next_step.not_before
            return claimed.envelope_id, State.FAILED.value, next_step.reason, None
        case _:
            return claimed.envelope_id, State.UNKNOWN.value, f"in_doubt: {result.reason}", None


async def _reconnect(sender: Worker) -> None:
    """A new session; the old number's lock is gone, so take a new one for claims to come."""
    try:
        await sender.conn.close()
        conn = await sender.connect()
        owner = await _enlist(conn)
    except (psycopg.OperationalError, Unreachable):
        return
    sender.conn, sender.owner = conn, owner


async def _enlist(conn: AsyncConnection[Any]) -> int:
    row = await (await conn.execute(_SQL["enlist"], {"lock_class": LOCK_CLASS})).fetchone()
    assert row is not None
    return int(row[0])


async def _waiting(
    sender: Worker, channel: Channel, *, now: datetime, settings: DeliverySettings
) -> tuple[datetime | None, int]:
    """When there is something to do again, and for how many: what is ready, what is in doubt."""
    values: Mapping[str, Any] = {"now": now, "channels": [channel_kind(channel)]}
    async with sender.conn.transaction():
        ready = await (await sender.conn.execute(_SQL["next_due"], values)).fetchone()
        doubt = await (await sender.conn.execute(_SQL["doubts"], values)).fetchone()
    assert ready is not None
    assert doubt is not None
    next_due, waiting = ready
    doubts, oldest_at = doubt
    patience = _patience(channel, settings)
    if patience and doubts:
        ends_at = max(oldest_at, sender.listening_since or now) + patience
        next_due = min(next_due or ends_at, ends_at)
        waiting += doubts
    return next_due, waiting
