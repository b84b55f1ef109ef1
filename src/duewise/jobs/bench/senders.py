"""Senders that are processes of their own: ready beforehand, and let go together."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, TypeAlias

from duewise.channels.base import Channel
from duewise.errors import DuewiseError
from duewise.garbage import spare_collector
from duewise.jobs.chunk import DeliverySettings
from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_line
from duewise.jobs.session import Connect
from duewise.jobs.tenant import Tenant
from duewise.jobs.worker_environment import for_workers
from duewise.times import Clock

LINGER_S: Final = 30.0
_READY: Final = "ready"


class Outfit(NamedTuple):
    """What a sender works with; the channel is that to a gateway at a port."""

    tenant: Tenant
    clock: Clock
    connect: Connect
    channel_at: Callable[[int], Channel]


Opened: TypeAlias = Callable[[], Outfit]  # for another process: it can be pickled


class Done(NamedTuple):
    """What a sender did, and the processor's seconds that it took."""

    counts: Counter[str]
    spent_s: float


async def send_on(outfit: Outfit, channel: Channel) -> Done:
    """Send all that is due, and take in what comes back."""
    spare_collector()
    before = os.times()
    counts = await run_line(
        channel,
        connect=outfit.connect,
        tenant=outfit.tenant,
        clock=outfit.clock,
        settings=DeliverySettings(),
        run=Run(stop=asyncio.Event(), linger_s=LINGER_S),
    )
    after = os.times()
    return Done(counts, after.user + after.system - before.user - before.system)


@asynccontextmanager
async def senders(
    opened: Opened, count: int, *, port: int
) -> AsyncIterator[Callable[[], Awaitable[list[Done]]]]:
    """So many processes, ready to send to the gateway at a port; the call lets them go.

    Raises DuewiseError where one ends early.
    """
    spawn = multiprocessing.get_context("spawn")
    crew: list[tuple[BaseProcess, Connection]] = []
    with for_workers(count):
        for _ in range(count):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_work, args=(opened, port, theirs), daemon=True)
            process.start()
            theirs.close()
            crew.append((process, ours))
    lines = [line for _, line in crew]

    async def go() -> list[Done]:
        for line in lines:
            line.send(None)
        return await _told(lines)

    try:
        await _told(lines)
        yield go
    finally:
        for sender, line in crew:
            line.close()
            sender.terminate()
            await asyncio.to_thread(sender.join)


async def _told(lines: list[Connection]) -> list[Any]:
    try:
        return list(await asyncio.gather(*(asyncio.to_thread(line.recv) for line in lines)))
    except EOFError:
        raise DuewiseError("a sender of the benchmark ended before it had sent all") from None


def _work(opened: Opened, port: int, line: Connection) -> None:
    outfit = opened()
    channel = outfit.channel_at(port)
    line.send(_READY)
    line.recv()
    line.send(asyncio.run(send_on(outfit, channel)))
