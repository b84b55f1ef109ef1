"""What waits for a bound account: receipts and replies, kept until they are acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from duewise.channels.gateway.dialect import Outgoing


class Receiver(Protocol):
    """A link that takes receipts and replies."""

    def pull(self) -> None:
        """Take from the account what the link's window has room for."""
        ...


@dataclass
class Account:
    """Everything of one account; links come and go, what waits stays."""

    name: str
    waiting: deque[Outgoing] = field(default_factory=deque)
    receivers: list[Receiver] = field(default_factory=list)
    in_flight: int = 0
    acked: int = 0
    on_change: Callable[[], None] = lambda: None

    @property
    def is_quiet(self) -> bool:
        """Nothing is on its way and nothing could leave now."""
        return not self.in_flight and (not self.waiting or not self.receivers)

    def push(self, items: Sequence[Outgoing]) -> None:
        """Queue, and let the links take."""
        self.waiting.extend(items)
        for receiver in tuple(self.receivers):
            receiver.pull()

    def take(self, most: int) -> list[Outgoing]:
        """The next to go out, in flight from now on."""
        count = max(min(most, len(self.waiting)), 0)
        self.in_flight += count
        return [self.waiting.popleft() for _ in range(count)]

    def settle(self, count: int) -> None:
        """So many were acknowledged and are forgotten."""
        self.in_flight -= count
        self.acked += count
        if not self.in_flight:
            self.on_change()

    def put_back(self, items: Sequence[Outgoing]) -> None:
        """These were not acknowledged: they go out again, first of all."""
        self.in_flight -= len(items)
        self.waiting.extendleft(reversed(items))
        self.on_change()
