"""What was told, raw: sealed as it was heard, read again, set aside where it cannot be taken in.

What the database cannot hold (a NUL in a name, a name longer than an index takes) must not stop
what came with it, nor end each start. It is kept, sealed, with a reason; `duewise doctor` tells it,
and `duewise inbound` shows it and takes it in anew.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
import structlog
from psycopg import AsyncConnection

from duewise.channels.base import Inbound, InboundReceipt, InboundReply, Kind
from duewise.errors import DuewiseError
from duewise.store.seal import Keyring
from duewise.store.sql import queries

# What lies in the thing told, not in the database's health: to try again would change nothing.
CANNOT_HOLD = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    ValueError,  # no such character, no such day
    ArithmeticError,
)
UNREADABLE = (DuewiseError, ValueError, TypeError)
_SQL = queries("inbound")
_COLUMN = "inbound"
log = structlog.get_logger()

Take = Callable[[Sequence[Inbound]], Awaitable[None]]


class Puts(Protocol):
    """Where what cannot be taken in is put."""

    async def put(
        self, conn: AsyncConnection[Any], told: Sequence[Inbound], *, reason: str
    ) -> None:
        """Keep it, and why, in the transaction that takes in what came with it."""
        ...


@dataclass(frozen=True)
class Shelf:
    """Where what cannot be taken in is set aside: by which route it came, at which instant."""

    route: str
    kind: Kind
    keyring: Keyring
    now: datetime

    async def put(
        self, conn: AsyncConnection[Any], told: Sequence[Inbound], *, reason: str
    ) -> None:
        """A row of its own, sealed."""
        body = pack(told, self.keyring, route=self.route)
        values = {"route": self.route, "kind": self.kind, "body": body, "at": self.now}
        await conn.execute(_SQL["add_raw"], values | {"replies": 0, "reason": reason})
        log.error("inbound.set_aside", route=self.route, reason=reason)


async def take_or_set_aside(
    conn: AsyncConnection[Any], told: Sequence[Inbound], take: Take, *, shelf: Puts
) -> None:
    """Take all in that was told; where not all can be, what can, and the rest is set aside.

    `take` takes in all of what it is given, or nothing of it and raises.
    """
    try:
        await take(told)
    except CANNOT_HOLD as error:
        if not told:
            raise
        async with conn.transaction():
            if len(told) == 1:
                await shelf.put(conn, told, reason=type(error).__name__)
                return
            half = len(told) // 2
            for each in (told[:half], told[half:]):
                await take_or_set_aside(conn, each, take, shelf=shelf)


async def set_row_aside(conn: AsyncConnection[Any], raw_id: int, *, reason: str) -> None:
    """Set a stored row aside that cannot even be read."""
    await conn.execute(_SQL["set_row_aside"], {"raw_id": raw_id, "reason": reason})
    log.error("inbound.set_aside", raw_id=raw_id, reason=reason)


def replies_in(told: Sequence[Inbound]) -> int:
    """How many of them are in a borrower's words."""
    return sum(isinstance(each, InboundReply) for each in told)


def pack(told: Sequence[Inbound], keyring: Keyring, *, route: str) -> bytes:
    """What was told, sealed: replies are in the borrowers' own words, whatever is in them."""
    fields = [_fields(each) for each in told]
    text = json.dumps(fields, separators=(",", ":"))  # in ASCII: half a character is kept, too
    return keyring.seal(text, column=_COLUMN, borrower_id=route)


def unpack(body: bytes, keyring: Keyring, *, route: str) -> list[Inbound]:
    """What was told, again; it was answered long ago. Raises one of UNREADABLE."""
    told = json.loads(keyring.unseal(body, column=_COLUMN, borrower_id=route))
    return [_inbound(fields) for fields in told]


def _fields(inbound: Inbound) -> list[Any]:
    at = inbound.at.isoformat()
    if isinstance(inbound, InboundReceipt):
        said = [inbound.provider_id, inbound.status, inbound.code, inbound.reference]
        return ["receipt", at, *said, inbound.is_address_dead]
    return [
        "reply",
        at,
        inbound.inbound_id,
        inbound.source,
        inbound.destination,
        inbound.text,
        inbound.reference,
    ]


def _inbound(fields: Sequence[Any]) -> Inbound:
    kind, at, *rest = fields
    instant = datetime.fromisoformat(at)
    if kind == "receipt":
        provider_id, status, code, reference, is_dead = rest
        return InboundReceipt(provider_id, status, code, reference, instant, is_dead)
    inbound_id, source, destination, text, reference = rest
    return InboundReply(inbound_id, source, destination, text, instant, reference)
