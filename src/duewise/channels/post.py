"""SMS by a provider's HTTP interface: one bounded request, and which of three answers it was.

A request that failed before a connection stood has never left. From then on it may have gone out,
and only the provider's own words say that it has not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, cast

import aiohttp
from yarl import URL

from duewise.channels.base import (
    EXPIRED,
    Accepted,
    Arrivals,
    Capabilities,
    Message,
    Refused,
    SendResult,
    Unknown,
    nobody,
    normalise_provider_id,
)
from duewise.channels.heard import (
    BUSY,
    FORGED,
    NOT_HERE,
    Call,
    Denied,
    Fetch,
    Heard,
    Hearing,
    stored,
)
from duewise.errors import BadInput
from duewise.times import Clock

ANSWER_BYTES_MAX: Final = 65_536
INBOUND_MAX: Final = 10_000
FETCHES_MAX: Final = 2  # of one call: a certificate, and what confirms a subscription
RETRY_AFTER_S_MAX: Final = 3_600
NEVER_LEFT: Final = Refused("unreachable", is_permanent=False, retry_after_s=5)
NOT_OPEN: Final = Refused("not_open", is_permanent=False, retry_after_s=1)
REDIRECT: Final = 300
CLIENT_ERROR: Final = 400
TOO_MANY_REQUESTS: Final = 429
REQUEST_TIMEOUT: Final = 408
SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A signed POST below the account's endpoint. Numbers, texts and secrets stay out of `repr`.

    `query` is percent-encoded already, octet for octet as it was signed.
    """

    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said: HTTP status and a JSON object."""

    status: int
    words: Mapping[str, Any] = field(repr=False)


class Vendor(Protocol):
    """What a provider adds: how a message is asked for, and what an answer means."""

    @property
    def name(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def requests_max(self) -> int: ...
    @property
    def capabilities(self) -> Capabilities: ...
    def request(self, message: Message, *, at: datetime) -> Request | Refused: ...
    def meaning(self, answer: Answer) -> SendResult: ...


class CalledVendor(Protocol):
    """What a provider adds that calls us: whom to believe, and what a call tells."""

    def hear(self, call: Call, *, at: datetime) -> Hearing: ...
    def learn(self, url: str, octets: bytes) -> None: ...


class TokenSource(Protocol):
    """Where an account's token comes from (`token`); the vendor has it when `get` is over."""

    async def get(self, session: aiohttp.ClientSession) -> str | Refused: ...
    def is_over(self, token: str, result: SendResult) -> bool: ...


class PostChannel:
    """A `base.Channel` over one provider's account; requests run side by side up to a limit."""

    def __init__(self, vendor: Vendor, *, clock: Clock, tokens: TokenSource | None = None) -> None:
        self._vendor, self._clock, self._tokens = vendor, clock, tokens
        self._url = endpoint(vendor.endpoint)
        self._inbound = Arrivals(INBOUND_MAX)
        self._session: aiohttp.ClientSession | None = None
        self._fetching: set[asyncio.Future[Heard | Denied]] = set()

    @property
    def name(self) -> str:
        return self._vendor.name

    @property
    def capabilities(self) -> Capabilities:
        return self._vendor.capabilities

    @property
    def inbound(self) -> Arrivals:
        return self._inbound

    @property
    def listening_since(self) -> datetime | None:
        """Never: who calls whom says nothing of what was lost on the way."""
        return None

    async def open(self) -> None:
        """Get ready. There is no login: whether the account is good, the first answer says."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._vendor.requests_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._vendor.timeout_s),
            auto_decompress=False,  # a small answer could unfold into a large one
            headers={"Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Let go of the connections; what is in flight becomes `Unknown`."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, message: Message, *, key: str) -> SendResult:  # noqa: ARG002 - no keys here
        """Send one message, once: only what a token that is over kept out is tried again."""
        if self._session is None:
            return NOT_OPEN
        if self._tokens is None:
            return await self._asked(self._session, message)
        token = await self._tokens.get(self._session)
        if isinstance(token, Refused):
            return token
        result = await self._asked(self._session, message)
        if not self._tokens.is_over(token, result):
            return result
        again = await self._tokens.get(self._session)
        return again if isinstance(again, Refused) else await self._asked(self._session, message)

    async def _asked(self, session: aiohttp.ClientSession, message: Message) -> SendResult:
        at = self._clock.now()
        if message.is_over(at):
            return EXPIRED  # also where the provider takes no end of validity
        request = self._vendor.request(message, at=at)
        if isinstance(request, Refused):
            return request
        answer = await exchange(session, self._url, request)
        return self._vendor.meaning(answer) if isinstance(answer, Answer) else answer

    def hear(self, call: Call) -> Heard | Denied | asyncio.Future[Heard | Denied]:
        """Hear a call of the provider; the answer comes once what it told is stored."""
        heard = self._heard(call)
        if isinstance(heard, Fetch):
            fetching = asyncio.ensure_future(self._heard_with(call, heard))
            self._fetching.add(fetching)
            fetching.add_done_callback(self._fetching.discard)
            return fetching
        return stored(heard, self._inbound) if isinstance(heard, Heard) else heard

    async def _heard_with(self, call: Call, heard: Hearing) -> Heard | Denied:
        """What a call tells for which something must be fetched first."""
        for _ in range(FETCHES_MAX):
            if not isinstance(heard, Fetch):
                break
            octets = await fetch(self._session, heard.url) if self._session else None
            if octets is None:
                return BUSY
            self._called.learn(heard.url, octets)
            heard = self._heard(call)
        if isinstance(heard, Fetch):
            return FORGED
        told = stored(heard, self._inbound) if isinstance(heard, Heard) else heard
        return await told if isinstance(told, asyncio.Future) else told

    def _heard(self, call: Call) -> Hearing:
        if not hasattr(self._vendor, "hear"):
            return NOT_HERE
        return self._called.hear(call, at=self._clock.now())

    @property
    def _called(self) -> CalledVendor:
        return cast(CalledVendor, self._vendor)

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        written: Callable[[], None] = nobody,  # noqa: ARG002 - the answers tell
    ) -> list[SendResult]:
        """Send several side by side, the results in the order of the messages."""
        room = asyncio.Semaphore(self._vendor.requests_max)

        async def one(message: Message) -> SendResult:
            async with room:  # so that nobody's time runs out while waiting for a connection
                return await self.send(message, key="")

        return list(await asyncio.gather(*map(one, messages)))


def endpoint(text: str) -> URL:
    """An account's endpoint; unencrypted only to this machine.

    >>> endpoint("https://sms.example.com/").host
    'sms.example.com'
    >>> endpoint("http://sms.example.com/")
    Traceback (most recent call last):
    duewise.errors.BadInput: not an endpoint: 'http://sms.example.com/'. Mend: give it as https://
    """
    url = URL(text)
    if url.host is None or (url.scheme != "https" and url.host != "127.0.0.1"):
        raise BadInput(f"not an endpoint: {text!r}", mend="give it as https://")
    return url


async def exchange(
    session: aiohttp.ClientSession, url: URL, request: Request
) -> Answer | Refused | Unknown:
    """One request and its answer, or what is known without one. Never raises for the wire."""
    target = URL(f"{url}?{request.query}", encoded=True) if request.query else url
    try:
        async with session.post(
            target, data=request.body, headers=request.headers, allow_redirects=False
        ) as response:
            octets = await _read(response)
            return _answer(response.status, response.headers, octets)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        return NEVER_LEFT
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        return Unknown(type(error).__name__)  # its words may hold the number


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes | None:
    """A small document of a provider; None if it cannot be had. Nobody is followed elsewhere."""
    try:
        async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
            return await _read(response) if response.status < REDIRECT else None
    except (aiohttp.ClientError, OSError):
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None if it is longer than any answer should be."""
    octets = bytearray()
    async for chunk in response.content.iter_chunked(8_192):
        octets += chunk
        if len(octets) > ANSWER_BYTES_MAX:
            response.close()
            return None
    return bytes(octets)


def _answer(
    status: int, headers: Mapping[str, str], octets: bytes | None
) -> Answer | Refused | Unknown:
    """What status and body allow to say before the provider's own codes are read."""
    if status >= SERVER_ERROR or status == REQUEST_TIMEOUT:
        return Unknown(f"http_{status}")
    if status == TOO_MANY_REQUESTS:
        return Refused("http_429", is_permanent=False, retry_after_s=_retry_after_s(headers))
    words = None if octets is None else _object(octets)
    is_redirect = REDIRECT <= status < CLIENT_ERROR
    if words is not None and not is_redirect:
        return Answer(status, words)
    if status < REDIRECT:  # taken, and the answer cannot be read
        return Unknown("answer_unreadable")
    return Refused(f"http_{status}", is_permanent=True)


def _object(octets: bytes) -> Mapping[str, Any] | None:
    try:
        words = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, dict) else None


def _retry_after_s(headers: Mapping[str, str]) -> int:
    """Seconds of `Retry-After` (RFC 9110, 10.2.3), capped; a date there counts as one second."""
    text = headers.get("Retry-After", "")
    is_number = text.isascii() and text.isdecimal() and len(text) < 10  # noqa: PLR2004 - a sane length
    return min(max(int(text), 1), RETRY_AFTER_S_MAX) if is_number else 1


def seconds_left(message: Message, *, at: datetime, longest: int) -> int:
    """Whole seconds, up to `longest`, for which a message may still be delivered at `at`."""
    if message.valid_until is None:
        return longest
    return min(int((message.valid_until - at).total_seconds()), longest)


def accepted(answer: Answer, provider_id: object) -> Accepted | Unknown:
    """An answer that claims success: only with a status that says the same, and with an id."""
    if answer.status >= CLIENT_ERROR:
        return Unknown("contradictory")
    if not isinstance(provider_id, str) or not provider_id.strip():
        return Unknown("no_id")
    return Accepted((normalise_provider_id(provider_id),))
