"""A delivery line: one channel, its sender and its receiver, together until told to stop.

Each kind of message has a line of its own, and none waits for another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

import psycopg
import structlog

from duewise.channels.base import Channel
from duewise.channels.heard import Listener
from duewise.errors import Unreachable
from duewise.jobs.circuit import left_alone
from duewise.jobs.deliver import Connect, DeliverySettings, Run, awaits_receipts, deliver
from duewise.jobs.receive import receive
from duewise.jobs.receive_raw import receive_raw
from duewise.jobs.session import PATIENCE, Patience, another
from duewise.jobs.tenant import Tenant
from duewise.outbox.breaker import PROBE_FIRST_S
from duewise.store.sql import queries
from duewise.times import Clock

LOOK_AGAIN_S = 0.05
_SQL = queries("route")
log = structlog.get_logger()


@asynccontextmanager
async def receiving(
    channel: Channel,
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    done: Counter[str],
    patience: Patience = PATIENCE,
) -> AsyncIterator[asyncio.Task[None]]:
    """Take in receipts and replies of an open channel in the background of the block.

    The database is reached before the block begins. Raises Unreachable if it is not, or if it is
    lost for good.
    """
    stop = asyncio.Event()
    taking = receive_raw if isinstance(channel, Listener) else receive  # whoever calls, waits
    task = asyncio.create_task(
        taking(
            channel,
            await connect(),
            connect=connect,
            tenant=tenant,
            clock=clock,
            stop=stop,
            done=done,
            patience=patience,
        )
    )
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task})
        failure = task.exception()
    if failure is not None:  # the block's own failure, if there was one, tells more
        raise failure


@asynccontextmanager
async def listening(
    channels: Sequence[Channel],
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    done: Counter[str],
) -> AsyncIterator[None]:
    """Open the channels, and take in what they bring, for the block."""
    async with AsyncExitStack() as stack:
        for channel in channels:
            await channel.open()
            stack.push_async_callback(channel.close)
            await stack.enter_async_context(
                receiving(channel, connect=connect, tenant=tenant, clock=clock, done=done)
            )
        yield


async def run_lines(
    lines: Sequence[tuple[Channel, DeliverySettings]],
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    run: Run,
) -> Counter[str]:
    """Run the lines side by side; where one fails, the others end in order first."""
    shares = [(Counter[str](), 0) for _ in lines]
    running = [
        asyncio.create_task(
            run_line(
                channel,
                connect=connect,
                tenant=tenant,
                clock=clock,
                settings=settings,
                run=replace(run, on_pass=partial(_tell, run.on_pass, shares, number)),
            )
        )
        for number, (channel, settings) in enumerate(lines)
    ]
    _, pending = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    if pending:
        run.stop.set()
        await asyncio.wait(pending)
    return sum((each.result() for each in running), Counter())


def _tell(
    on_pass: Callable[[Counter[str], int], None] | None,
    shares: list[tuple[Counter[str], int]],
    number: int,
    done: Counter[str],
    waiting: int,
) -> None:
    """One line's news, told as that of all of them."""
    shares[number] = (done, waiting)
    if on_pass:
        told = sum((each for each, _ in shares), Counter[str]())
        on_pass(told, sum(left for _, left in shares))


async def run_line(
    channel: Channel,
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    settings: DeliverySettings,
    run: Run,
) -> Counter[str]:
    """Open the channel, send and receive, then linger for late receipts.

    Raises Unreachable if the gateway cannot be reached at the start; nothing is claimed then. Where
    another route carries the kind, this one is left alone instead, and tried until the end.
    """
    done: Counter[str] = Counter()
    if not await _opened(channel, connect=connect, clock=clock, settings=settings, run=run):
        return done
    try:
        async with receiving(
            channel,
            connect=connect,
            tenant=tenant,
            clock=clock,
            done=done,
            patience=settings.patience,
        ) as receiver:
            sent = asyncio.create_task(
                deliver(
                    channel,
                    connect=connect,
                    tenant=tenant,
                    clock=clock,
                    settings=settings,
                    run=run,
                )
            )
            await asyncio.wait({sent, receiver}, return_when=asyncio.FIRST_COMPLETED)
            if receiver.done() and not sent.done():
                run.stop.set()
                await sent
                receiver.result()
            done += await sent
            await _linger(
                channel,
                receiver=receiver,
                connect=connect,
                clock=clock,
                settings=settings,
                run=run,
                done=done,
            )
    finally:
        await channel.close()
    return done


async def _opened(
    channel: Channel, *, connect: Connect, clock: Clock, settings: DeliverySettings, run: Run
) -> bool:
    """Open the channel; False if it cannot be, and the others of its kind do without it."""
    while True:
        try:
            await channel.open()
        except Unreachable as error:
            if not await _do_without(channel, connect=connect, clock=clock, settings=settings):
                raise
            log.warning("route.unreachable", route=channel.name, reason=str(error))
        else:
            return True
        if run.until_empty or run.stop.is_set():
            return False
        await clock.sleep(PROBE_FIRST_S)


async def _do_without(
    channel: Channel, *, connect: Connect, clock: Clock, settings: DeliverySettings
) -> bool:
    """Leave the route alone; whether another one of its kind is open."""
    names = [way.name for way in settings.ways.ways if way.name != channel.name]
    if not names:
        return False
    conn = await connect()
    try:
        values = left_alone(channel.name, "unreachable", now=clock.now())
        await conn.execute(_SQL["leave_alone"], values)
        out = await conn.execute(_SQL["out"], {"names": names, "now": clock.now()})
        return out.rowcount < len(names)
    finally:
        await conn.close()


async def _linger(
    channel: Channel,
    *,
    receiver: asyncio.Task[None],
    connect: Connect,
    clock: Clock,
    settings: DeliverySettings,
    run: Run,
    done: Counter[str],
) -> None:
    """Wait while an answered message has no receipt yet; give up after `linger_s` without one.

    The database is asked, not counts compared: what a gateway tells again, or of an earlier run,
    must not pass for the receipts of this one.
    """
    if not channel.capabilities.receipts:
        return
    loop = asyncio.get_running_loop()
    seen, quiet_since = done["receipt"], loop.time()
    conn = await connect()
    try:
        while loop.time() - quiet_since < run.linger_s:
            if run.stop.is_set() or receiver.done():
                return
            try:
                if not await awaits_receipts(conn, channel, now=clock.now()):
                    return
            except psycopg.OperationalError:
                conn = await another(conn, connect, settings.patience)
            if done["receipt"] != seen:
                seen, quiet_since = done["receipt"], loop.time()
            await asyncio.sleep(LOOK_AGAIN_S)
    finally:
        await conn.close()
