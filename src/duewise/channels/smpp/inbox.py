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

from duewise.channels.base import Delivery, Inbound, InboundReply
from duewise.channels.smpp import status
from duewise.channels.smpp.pdu import ShortMessage, Tag, c_string
from duewise.channels.smpp.receipt import is_receipt, read_receipt
from duewise.channels.smpp.session import Session
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.smpp.text import read_address, read_text
from duewise.times import Clock

ASSEMBLY_S: Final = 60.0
ASSEMBLIES_MAX: Final = 1_000


class _Ticket(NamedTuple):
    """The deliver_sm whose answer is owed, and the link it is owed on."""

    session: Session
    sequence: int


class _Part(NamedTuple):
    text: str
    ticket: _Ticket
    message: ShortMessage


_AssemblyKey: TypeAlias = tuple[str, str, int, int]


class Inbox:
    """Reads deliver_sm into `queue`."""

    def __init__(self, settings: SmppSettings, *, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.queue: asyncio.Queue[Delivery] = asyncio.Queue(settings.inbound_max)
        self._assemblies: dict[_AssemblyKey, dict[int, _Part]] = {}
        self._timers: dict[_AssemblyKey, asyncio.TimerHandle] = {}

    def take(self, session: Session, sequence: int, message: ShortMessage) -> None:
        """Queue one deliver_sm; its answer goes out with the delivery's `ack`."""
        ticket = _Ticket(session, sequence)
        if not is_receipt(message):
            self._take_reply(ticket, message)
            return
        receipt = read_receipt(
            message, received_at=self._clock.now(), zone=self._settings.receipt_zone
        )
        if receipt is None:
            session.answer_deliver(sequence)  # on its way: nothing to remember
        else:
            self._put(receipt, [ticket])

    def close(self) -> None:
        """Forget half replies: they were never acknowledged, so they come again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._assemblies.clear()

    def _take_reply(self, ticket: _Ticket, message: ShortMessage) -> None:
        text, place = read_text(message)
        part = _Part(text, ticket, message)
        if place.total <= 1:
            self._put_reply([part])
            return
        key = (message.source, message.destination, place.reference, place.total)
        if key not in self._assemblies:
            if len(self._assemblies) >= ASSEMBLIES_MAX:
                self._finish(next(iter(self._assemblies)))
            self._assemblies[key] = {}
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(ASSEMBLY_S, self._finish, key)
        parts = self._assemblies[key]
        parts[place.number] = part
        if len(parts) == place.total:
            self._finish(key)

    def _finish(self, key: _AssemblyKey) -> None:
        """Queue what is there of a long reply, whole or after its time."""
        self._timers.pop(key).cancel()
        parts = self._assemblies.pop(key)
        self._put_reply([parts[number] for number in sorted(parts)])

    def _put_reply(self, parts: Sequence[_Part]) -> None:
        first = parts[0].message
        at, country_code = self._clock.now(), self._settings.country_code
        source = read_address(first.source_ton, first.source, country_code=country_code)
        text = "".join(part.text for part in parts)
        given = c_string(first.tlvs.get(Tag.REFERENCE, b""))
        reply = InboundReply(
            inbound_id=given or _inbound_id(source, first.destination, f"{at:%Y-%m-%d}", text),
            source=source,
            destination=first.destination,
            text=text,
            at=at,
        )
        self._put(reply, [part.ticket for part in parts])

    def _put(self, inbound: Inbound, tickets: Sequence[_Ticket]) -> None:
        try:
            self.queue.put_nowait(Delivery(inbound, partial(_ack, tickets)))
        except asyncio.QueueFull:
            for ticket in tickets:
                ticket.session.answer_deliver(ticket.sequence, status.RECEIVER_BUSY)


async def _ack(tickets: Sequence[_Ticket]) -> None:
    for ticket in tickets:
        ticket.session.answer_deliver(ticket.sequence)


def _inbound_id(*fields: str) -> str:
    """A name for a reply to which the gateway gave none: the same words on the same day are one.

    A reply told again keeps its name; the same word sent twice in a day counts once, which no
    action of ours minds.
    """
    return hashlib.sha256("\0".join(fields).encode("utf-8", "replace")).hexdigest()[:32]
