"""What became of several submits, and the moment when all of it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from duewise.channels.base import SendResult

Outcome: TypeAlias = SendResult | str  # a text: accepted, under that id


class Batch:
    """Outcomes by place; None where there is none yet. One of them may span several sessions."""

    __slots__ = ("_all_known", "_missing", "outcomes")

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []
        self._missing = 0
        self._all_known: asyncio.Future[None] | None = None

    def expect(self, count: int) -> int:
        """That many more outcomes to come; the place of the first of them."""
        start = len(self.outcomes)
        self.outcomes += [None] * count
        self._missing += count
        return start

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
