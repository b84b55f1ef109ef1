"""The submits of one login between hand-over and outcome: which of them wait, which are out.

Each is settled exactly once. What is out has a sequence number, and there is never more out than
the window holds. No clock, no socket: a session has both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from duewise.channels.base import Refused, Unknown
from duewise.channels.wire.batch import Batch, Outcome

NEVER_WRITTEN: Final = Refused("link_lost", is_permanent=False, retry_after_s=1)
WRITE_MAX: Final = 64  # submits a write: many enough to be cheap, few enough to keep both ends busy


class Window:
    """`free` places of the window, and submits that are `queued` for one."""

    def __init__(self, size: int, *, sequence_max: int) -> None:
        self._size = self.free = size
        self.queued = 0
        self._sequence, self._sequence_max = 0, sequence_max
        self._queue: deque[tuple[Sequence[bytes], Batch, int]] = deque()
        # By sequence: the batch, and what to subtract for the place in it.
        self._out: dict[int, tuple[Batch, int]] = {}
        self._seen_at: dict[int, float] = {}

    def number(self) -> int:
        """The next sequence number. They start again before the last one."""
        self._sequence = self._sequence % self._sequence_max + 1
        return self._sequence

    def add(self, messages: Sequence[Sequence[bytes]], batch: Batch) -> None:
        """Queue the submits of messages, whose outcomes `batch` gets in that order.

        Those of one message go out together, but for a message longer than the window.
        """
        place = batch.expect(sum(map(len, messages)))
        for bodies in messages:
            if len(bodies) <= self._size:
                self._queue.append((bodies, batch, place))
            else:
                alone = ((body,) for body in bodies)
                self._queue.extend((one, batch, place + at) for at, one in enumerate(alone))
            place += len(bodies)
            self.queued += len(bodies)

    def take(self) -> tuple[int, Sequence[bytes]]:
        """The bodies of the next write, and the sequence number of the first; none if no room."""
        queue, out, free, bodies = self._queue, self._out, self.free, list[bytes]()
        if self._sequence > self._sequence_max - WRITE_MAX - self._size:
            self._sequence = 0
        first = sequence = self._sequence + 1
        while queue and len(queue[0][0]) <= free and len(bodies) < WRITE_MAX:
            together, batch, place = queue.popleft()
            placed = (batch, sequence - place)
            for _ in together:
                out[sequence] = placed
                sequence += 1
            free -= len(together)
            bodies += together
            batch.written(len(together))
        self.queued -= len(bodies)
        self.free, self._sequence = free, sequence - 1
        return first, bodies

    def accept(
        self, sequences: Sequence[int], provider_ids: Sequence[str]
    ) -> list[tuple[int, str]]:
        """Settle many that were accepted; those that are not out are given back."""
        pop, strays = self._out.pop, list[tuple[int, str]]()
        known, known_of = 0, Batch()
        for sequence, provider_id in zip(sequences, provider_ids, strict=True):
            placed = pop(sequence, None)
            if placed is None:
                strays.append((sequence, provider_id))
                continue
            batch, before = placed
            batch.outcomes[sequence - before] = provider_id
            if batch is not known_of:
                known_of.known(known)
                known_of, known = batch, 0
            known += 1
        self.free += len(sequences) - len(strays)
        known_of.known(known)
        return strays

    def settle(self, sequence: int, outcome: Outcome) -> bool:
        """Settle one; false if it is not out."""
        placed = self._out.pop(sequence, None)
        if placed is None:
            return False
        batch, before = placed
        batch.outcomes[sequence - before] = outcome
        self.free += 1
        batch.known(1)
        return True

    def overdue(self, *, now: float, patience_s: float) -> list[int]:
        """What was found out so long ago by this very question, asked every now and then."""
        seen_at = self._seen_at
        self._seen_at = {sequence: seen_at.get(sequence, now) for sequence in self._out}
        return [sequence for sequence, at in self._seen_at.items() if now - at >= patience_s]

    def end(self, reason: str) -> None:
        """Settle everything: what is out is unknown, what is queued was never written."""
        for sequence in list(self._out):
            self.settle(sequence, Unknown(reason))
        while self._queue:
            bodies, batch, place = self._queue.popleft()
            batch.outcomes[place : place + len(bodies)] = [NEVER_WRITTEN] * len(bodies)
            self.queued -= len(bodies)
            batch.written(len(bodies))
            batch.known(len(bodies))
