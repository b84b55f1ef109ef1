"""A command that runs until it is done, or until a signal asks it to end in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from duewise.garbage import spare_collector
from duewise.times import Clock

T = TypeVar("T")


@dataclass(frozen=True)
class Interruptible:
    """A clock whose waits are over as soon as the work is told to stop."""

    clock: Clock
    stop: asyncio.Event

    def now(self) -> datetime:
        return self.clock.now()

    async def sleep(self, seconds: float) -> None:
        waits = [
            asyncio.ensure_future(self.clock.sleep(seconds)),
            asyncio.ensure_future(self.stop.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def run_until_signal(run: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run until done, sparing of the collector; SIGINT and SIGTERM ask it to end in order."""

    async def listening() -> T:
        stop = asyncio.Event()
        for number in before:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await run(stop)

    spare_collector()
    # The loop takes its handlers away as it closes; what follows must be ended in order, too.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return asyncio.run(listening())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
