"""What every channel promises: one call with three answers, and an inbound queue acked by us.

`Unknown` is the third answer: the message may have gone out, so nobody sends it again blindly.
A `Delivery` is acknowledged to the gateway only by `ack`, after our own commit; until then the
gateway keeps it and tells it again.
"""

from __future__ import annotations

import asyncio
import re
import string
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias


class Message(NamedTuple):
    """One outbound message, ready for the wire.

    `address` is E.164 with its plus sign, or a device's token, an openid, a mailbox; `reference` is
    ours, comes back where a gateway echoes it; after `valid_until` the carrier must not deliver any
    more. `title` is an email's subject, or what a locked phone shows.
    """

    envelope_id: int
    reference: str
    address: str
    sender_id: str
    text: str
    valid_until: datetime | None = None
    title: str = ""

    def is_over(self, at: datetime) -> bool:
        """Whether its time is over: nobody may send it any more."""
        return self.valid_until is not None and self.valid_until <= at


@dataclass(frozen=True, slots=True)
class Accepted:
    """The gateway took every part; its ids in part order, in their normal form."""

    provider_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway has not taken it, for certain; if not permanent, worth another try.

    `is_address_dead`: it said so of the address, so that nothing else need be sent there.
    `is_of_account`: it refuses our account, whatever the message; another account may send it.
    """

    code: str
    is_permanent: bool
    retry_after_s: int | None = None
    is_address_dead: bool = False
    is_of_account: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have gone out: some part of it was written and its answer never came."""

    reason: str


SendResult: TypeAlias = Accepted | Refused | Unknown
# By the channel itself, before a byte is written: the message's time is over.
EXPIRED: Final = Refused("expired", is_permanent=True)
Kind: TypeAlias = Literal["sms", "push", "wechat", "email"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; jobs ask here instead of asking which channel it is.

    `carries` is the kind of message. `counts_parts`: each part of a long text has an id and a
    receipt of its own; otherwise one id stands for the whole message. `holds_validity`: whoever
    takes a message is told when its validity ends, and hands nothing to a handset after that.
    """

    parts_max: int
    receipts: bool
    replies: bool
    idempotent: bool
    echoes_reference: bool
    carries: Kind = "sms"
    counts_parts: bool = True
    holds_validity: bool = False


ReceiptStatus: TypeAlias = Literal["delivered", "failed", "expired", "unknown"]


class InboundReceipt(NamedTuple):
    """The gateway's later and last word on one part. `provider_id` is in its normal form.

    `is_address_dead`: it said of the address that nothing is received there any more.
    """

    provider_id: str
    status: ReceiptStatus
    code: str
    reference: str
    at: datetime
    is_address_dead: bool = False


@dataclass(frozen=True, slots=True)
class InboundReply:
    """What came back from a handset. The same `inbound_id` is the same reply told again.

    `reference` is ours, of the message that it answers, where that is known.
    """

    inbound_id: str
    source: str
    destination: str
    text: str
    at: datetime
    reference: str = ""


Inbound: TypeAlias = InboundReceipt | InboundReply


class Delivery(NamedTuple):
    """What came together, at least one, and the acknowledgement of all of it.

    It is owed after our commit, never before. Acknowledging on a link that has gone is no error:
    the gateway tells it again.
    """

    inbound: Sequence[Inbound]
    ack: Callable[[], Awaitable[None]]


class Arrivals(asyncio.Queue[Delivery]):
    """Deliveries in the order in which they came. Its size is that of what they bring."""

    _count = 0

    def qsize(self) -> int:
        return self._count

    @property
    def room(self) -> int:
        """How much more may come."""
        return max(0, self.maxsize - self._count) if self.maxsize else sys.maxsize

    def _put(self, item: Delivery) -> None:
        super()._put(item)
        self._count += len(item.inbound)

    def _get(self) -> Delivery:
        item = super()._get()
        self._count -= len(item.inbound)
        return item


def nobody() -> None:
    """Is told in vain."""


class Channel(Protocol):
    """A way out, and back. `open` raises `errors.Unreachable`; `send` never raises for the wire."""

    @property
    def name(self) -> str:
        """The route's name, as the operations tables hold it."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this channel can do."""
        ...

    @property
    def inbound(self) -> Arrivals:
        """Receipts and replies, in the order in which they came."""
        ...

    @property
    def listening_since(self) -> datetime | None:
        """Since when, without a break, receipts have been heard; None while the link is away."""
        ...

    async def open(self) -> None:
        """Connect. Raises `errors.Unreachable` with what to do about it."""
        ...

    async def close(self) -> None:
        """Say goodbye and let go of the link; what is in flight becomes `Unknown`."""
        ...

    async def send(self, message: Message, *, key: str) -> SendResult:
        """Send one message; `key` names the intent where a provider can use it."""
        ...

    async def send_many(
        self, messages: Sequence[Message], *, written: Callable[[], None] = nobody
    ) -> list[SendResult]:
        """Send several, pipelined; the results in the order of the messages.

        `written` is called, where that can be told, once the last of them has left us and is waited
        for; else the results tell.
        """
        ...


_ZEROS_AHEAD = re.compile(r"^[\s0]+")


def normalise_provider_id(provider_id: str) -> str:
    """The form in which a gateway's message ids are compared: trimmed, lower case, no zeros ahead.

    Applied to the ids of `Accepted` and of `InboundReceipt` alike, for gateways pad, shorten and
    shift case between the two.

    >>> [normalise_provider_id(text) for text in ("00A7f", " a7F", "0", "000", "0 7")]
    ['a7f', 'a7f', '0', '0', '7']
    """
    trimmed = provider_id.strip().lower()
    if not trimmed.startswith("0"):  # as nearly all are
        return trimmed
    return _ZEROS_AHEAD.sub("", trimmed) or trimmed[-1:]


def provider_id_candidates(provider_id: str) -> tuple[str, ...]:
    """Other normal forms of the same id, to be tried in order when the id itself finds nothing.

    Some gateways answer in hexadecimal and receipt in decimal, or the reverse (SMPP 3.4 leaves
    the id's form to the vendor). A candidate may hit a stranger's id, so it counts only where
    exactly one submission matches.

    >>> provider_id_candidates("255"), provider_id_candidates("ff"), provider_id_candidates("m-7")
    (('ff', '597'), ('255',), ())
    """
    normal = normalise_provider_id(provider_id)
    if not normal or not set(normal) <= set(string.hexdigits):
        return ()
    forms = [f"{int(normal):x}"] if normal.isdecimal() else []
    forms.append(str(int(normal, 16)))
    return tuple(form for form in dict.fromkeys(forms) if form != normal)
