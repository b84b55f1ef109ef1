"""A delivery line: one channel, its sender and its receiver, together until told to stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from duewise.channels.base import Channel
from duewise.jobs.deliver import Connect, DeliverySettings, Run, awaits_receipts, deliver
from duewise.jobs.receive import receive
from duewise.jobs.session import PATIENCE, Patience, another
from duewise.jobs.tenant import Tenant
from duewise.times import Clock

LOOK_AGAIN_S = 0.05


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
    """Take in receipts and replies of an open channel in the background of the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(
        receive(
            channel,
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

    Raises Unreachable if the gateway cannot be reached at the start; nothing is claimed then.
    """
    await channel.open()
    done: Counter[str] = Counter()
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
