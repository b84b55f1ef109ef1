"""What a provider calls us about: its receipts and replies over HTTP, as values.

A call is believed by the vendor's signature, or by a secret in its path where the vendor signs
nothing. The same call again changes nothing: what it tells is kept once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable
from urllib.parse import parse_qsl

from duewise.channels.base import Arrivals, Delivery, Inbound
from duewise.errors import BadInput

ITEMS_MAX: Final = 1_000
SECRET_LENGTH_MIN: Final = 16
BEIJING: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Call:
    """One call, whole and of bounded size. `url` is the address as the provider was told it.

    `rest` is what follows the account's name in the path, `query` the decoded query; the names of
    `headers` are in lower case.
    """

    method: str
    url: str = field(repr=False)
    rest: str = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """A call that is believed: what it tells, and what the provider wants to hear once stored.

    `unreadable` counts what else was in it: told again it would be no better.
    """

    inbound: tuple[Inbound, ...] = ()
    answer: bytes = b""
    content_type: str = "text/plain"
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Denied:
    """A call that is not taken, as an HTTP status and a word for the log."""

    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """What must be had first, a certificate say: fetched, learned, and the call is heard anew."""

    url: str


Hearing: TypeAlias = Heard | Denied | Fetch
FORGED: Final = Denied(403, "not_signed")
UNREADABLE: Final = Denied(400, "unreadable")
TOO_MANY: Final = Denied(413, "too_many_items")
NOT_HERE: Final = Denied(404, "not_here")
BUSY: Final = Denied(503, "busy")


@runtime_checkable
class Listener(Protocol):
    """A channel that is called: it answers when what it heard is stored, and not before."""

    @property
    def name(self) -> str: ...

    def hear(self, call: Call) -> Heard | Denied | asyncio.Future[Heard | Denied]:
        """Hear one call: an answer, or one that comes once the call is stored."""
        ...


def stored(heard: Heard, arrivals: Arrivals) -> Heard | Denied | asyncio.Future[Heard | Denied]:
    """Queue what was heard, whole or not at all; the answer comes with its acknowledgement."""
    if not heard.inbound:
        return heard
    if len(heard.inbound) > arrivals.room:
        return BUSY
    owed: asyncio.Future[Heard | Denied] = asyncio.get_running_loop().create_future()

    async def ack() -> None:
        if not owed.done():
            owed.set_result(heard)

    arrivals.put_nowait(Delivery(heard.inbound, ack))
    return owed


def hook_url(public_url: str, account: str) -> str:
    """Where the calls of an account go.

    >>> hook_url("https://hooks.example.com/", "main")
    'https://hooks.example.com/hooks/main'
    """
    return f"{public_url.rstrip('/')}/hooks/{account}"


def hook_secret(secret: str | None) -> str | None:
    """The secret in the path of an account's calls. Raises BadInput for one that can be guessed."""
    if secret is not None and len(secret) < SECRET_LENGTH_MIN:
        raise BadInput(
            "the hook's secret is too short", mend=f"take {SECRET_LENGTH_MIN} letters or more"
        )
    return secret


def knows_secret(call: Call, secret: str | None) -> bool:
    """Whether the call's path ends in the account's secret; without one nobody is believed."""
    return secret is not None and hmac.compare_digest(call.rest.encode(), secret.encode())


def json_objects(body: bytes) -> Sequence[Mapping[str, Any]] | Denied:
    """An array of JSON objects, or one alone."""
    try:
        words = json.loads(body)
    except (ValueError, RecursionError):
        return UNREADABLE
    items = words if isinstance(words, list) else [words]
    if len(items) > ITEMS_MAX:
        return TOO_MANY
    return items if all(isinstance(item, dict) for item in items) else UNREADABLE


def heard_of(
    items: Sequence[Mapping[str, Any]] | Denied,
    read: Callable[[Mapping[str, Any]], Inbound | None],
    *,
    answer: bytes,
) -> Heard | Denied:
    """What the items of a call tell, those left out that cannot be read; unless none can."""
    if isinstance(items, Denied):
        return items
    told = [inbound for item in items if (inbound := read(item)) is not None]
    if items and not told:
        return UNREADABLE
    return Heard(tuple(told), answer, "application/json", unreadable=len(items) - len(told))


def form_fields(text: str, *, most: int) -> list[tuple[str, str]]:
    """The fields of a form or a query, in their order. Raises ValueError for more than `most`.

    As `parse_qsl` reads it, which takes three times as long where nothing is escaped.

    >>> form_fields("a=1&b=&a=x%20y", most=3)
    [('a', '1'), ('b', ''), ('a', 'x y')]
    """
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=most)
    fields = text.split("&")
    if len(fields) > most:
        raise ValueError("too many fields")
    parted = [each.partition("=") for each in fields if each]
    return [(name, value) for name, _, value in parted]


def beijing_time(text: object, *, otherwise: datetime) -> datetime:
    """`2026-08-10 09:00:00` as Chinese providers write it; their wall clock is Beijing's.

    >>> now = datetime(2026, 8, 10, 1, 5, tzinfo=UTC)
    >>> beijing_time("2026-08-10 09:00:00", otherwise=now).isoformat()
    '2026-08-10T01:00:00+00:00'
    >>> beijing_time("soon", otherwise=now) == now
    True
    """
    try:
        instant = datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        return otherwise
    return instant.astimezone(UTC)


def name_of(*fields: object) -> str:
    """A name for a reply to which the provider gave none: the same fields are the same reply."""
    return hashlib.sha256("\0".join(map(str, fields)).encode()).hexdigest()[:32]
