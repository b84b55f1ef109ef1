"""What the gateway tells us: receipts and replies, queued, and acknowledged only by whoever reads.

Nothing is dropped: where the queue is full the gateway is asked to come again, and the parts of a
long reply are joined before it is queued.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from duewise.channels.base import Arrivals, Delivery, InboundReceipt, InboundReply
from duewise.channels.wire.codec import ReplyPart, Told
from duewise.channels.wire.session import Session
from duewise.times import Clock

ASSEMBLY_S: Final = 60.0
ASSEMBLIES_MAX: Final = 1_000


class _Ticket(NamedTuple):
    """An acknowledgement that is owed, and the link it is owed on."""

    session: Session
    told: Told


class _Part(NamedTuple):
    reply: ReplyPart
    ticket: _Ticket


_AssemblyKey: TypeAlias = tuple[str, str, int, int]


class Inbox:
    """Puts into `queue` what sessions are told."""

    def __init__(self, *, inbound_max: int, clock: Clock) -> None:
        self._clock = clock
        self.queue = Arrivals(inbound_max)
        self._assemblies: dict[_AssemblyKey, dict[int, _Part]] = {}
        self._timers: dict[_AssemblyKey, asyncio.TimerHandle] = {}

    def take(self, session: Session, told: Sequence[Told]) -> None:
        """Queue what was told; each answer goes out with its delivery's `ack`."""
        for each in told:
            if each.said is None:
                session.say(each.taken(each.names))
            elif isinstance(each.said, ReplyPart):
                self._take_reply(_Part(each.said, _Ticket(session, each)))
            else:
                self._put_receipts(each.said, _Ticket(session, each))

    def close(self) -> None:
        """Forget half replies: they were never acknowledged, so they come again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._assemblies.clear()

    def _take_reply(self, part: _Part) -> None:
        reply = part.reply
        if reply.place.total <= 1:
            self._put_reply([part])
            return
        key = (reply.source, reply.destination, reply.place.reference, reply.place.total)
        if key not in self._assemblies:
            if len(self._assemblies) >= ASSEMBLIES_MAX:
                self._finish(next(iter(self._assemblies)))
            self._assemblies[key] = {}
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(ASSEMBLY_S, self._finish, key)
        parts = self._assemblies[key]
        parts[reply.place.number] = part
        if len(parts) == reply.place.total:
            self._finish(key)

    def _finish(self, key: _AssemblyKey) -> None:
        """Queue what is there of a long reply, whole or after its time."""
        self._timers.pop(key).cancel()
        parts = self._assemblies.pop(key)
        self._put_reply([parts[number] for number in sorted(parts)])

    def _put_reply(self, parts: Sequence[_Part]) -> None:
        first, at = parts[0].reply, self._clock.now()
        text = "".join(part.reply.text for part in parts)
        name = first.name or _name(first.source, first.destination, f"{at:%Y-%m-%d}", text)
        reply = InboundReply(name, first.source, first.destination, text, at)
        tickets = [part.ticket for part in parts]
        try:
            self.queue.put_nowait(Delivery([reply], partial(_ack, tickets)))
        except asyncio.QueueFull:
            for session, told in tickets:
                session.say(told.busy(told.names))

    def _put_receipts(self, receipts: Sequence[InboundReceipt], ticket: _Ticket) -> None:
        """Queue those that there is room for."""
        session, told = ticket
        taken = receipts[: self.queue.room]
        count = len(taken)
        if taken:
            ours = told._replace(names=told.names[:count])
            self.queue.put_nowait(Delivery(taken, partial(_ack, [_Ticket(session, ours)])))
        session.say(told.busy(told.names[count:]))


async def _ack(tickets: Sequence[_Ticket]) -> None:
    for session, told in tickets:
        session.say(told.taken(told.names))


def _name(*fields: str) -> str:
    """A name for a reply to which the gateway gave none: the same words on the same day are one.

    A reply told again keeps its name; the same word sent twice in a day counts once, which no
    action of ours minds.
    """
    return hashlib.sha256("\0".join(fields).encode("utf-8", "replace")).hexdigest()[:32]
