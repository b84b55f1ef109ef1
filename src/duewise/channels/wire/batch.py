"""What became of several submits, and the moment when all of it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from duewise.channels.base import SendResult

Outcome: TypeAlias = SendResult | str  # a text: accepted, under that id


class Batch:
    """Outcomes by place; None where there is none yet. One of them may span several sessions."""

    __slots__ = ("_all_known", "_missing", "_on_written", "_unwritten", "outcomes")

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []
        self._missing = self._unwritten = 0
        self._on_written: Callable[[], object] | None = None
        self._all_known: asyncio.Future[None] | None = None

    def expect(self, count: int) -> int:
        """That many more outcomes to come; the place of the first of them."""
        start = len(self.outcomes)
        self.outcomes += [None] * count
        self._missing += count
        self._unwritten += count
        return start

    def written(self, count: int) -> None:
        """That many of them are about to be written, or never will be."""
        self._unwritten -= count
        if not self._unwritten and self._on_written is not None:
            self._on_written()

    def when_written(self, tell: Callable[[], object]) -> None:
        """Call once none of what is expected now waits to be written; at once, if so."""
        self._on_written = tell
        self.written(0)

    def known(self, count: int) -> None:
        """That many outcomes have been put into their places."""
        self._missing -= count
        if not self._missing and self._all_known is not None and not self._all_known.done():
            self._all_known.set_result(None)

    async def wait(self) -> Sequence[Outcome]:
        """All outcomes, by place."""
        if self._missing:
            self._all_known = asyncio.get_running_loop().create_future()
            await self._all_known
        return [outcome for outcome in self.outcomes if outcome is not None]
