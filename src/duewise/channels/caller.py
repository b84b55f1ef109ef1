"""One connection of a provider that calls: requests in, answers out, in turn and within bounds.

The octets are read by llhttp (httptools). There is no task and no timer of a call: whoever sweeps
looks at the connections' deadlines. An answer that nobody reads stops the reading of more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

import httptools

from duewise.channels.heard import BUSY, Denied, Heard

CALL_BYTES_MAX: Final = 1_048_576  # a body
HEAD_BYTES_MAX: Final = 16_384  # its first line and its headers
LINGER_BYTES_MAX: Final = 4 * CALL_BYTES_MAX  # of what is denied before it was read
UNREADABLE: Final = Denied(400, "not_http")
TOO_LATE: Final = Denied(408, "too_slow")
TOO_LARGE: Final = Denied(413, "too_large")
ENCODED: Final = Denied(415, "encoded")
HEAD_TOO_LARGE: Final = Denied(431, "head_too_large")
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Limits:
    """Real seconds: to read and to store a call, and between two; how much is held at once."""

    call_s: float = 10.0
    idle_s: float = 75.0
    linger_s: float = 2.0
    connections_max: int = 1_000
    held_bytes_max: int = 67_108_864  # bodies of all connections together


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, whole. `target` as it was sent; names of headers in lower case."""

    method: str
    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_last: bool = False


Said: TypeAlias = Heard | Denied
Take: TypeAlias = Callable[[Asked], Said | asyncio.Future[Said]]


@dataclass(eq=False, slots=True)
class House:
    """What all connections share: who takes a request, the limits, and how much is held."""

    take: Take
    limits: Limits
    on_told: Callable[[str, Said], None]  # what is worth a line in the log
    callers: set[Caller] = field(default_factory=set)
    held_bytes: int = 0
    date: bytes = b""


class Caller(asyncio.Protocol):
    """What one caller sees."""

    def __init__(self, house: House) -> None:
        self._house, self._loop = house, asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._asked: deque[Asked] = deque()
        self._owed: tuple[str, bool] | None = None  # target, and whether it is the last
        self._is_over = self._is_reading_paused = self._is_stuck = False
        self._unread = self._size = 0
        self.deadline = 0.0
        self.promise: asyncio.Future[Said] | None = None  # of the latest answer that had to wait
        self._forget()

    # ---- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        limits = self._house.limits
        if len(self._house.callers) >= limits.connections_max:
            transport.abort()
            return
        self._transport = transport
        self._house.callers.add(self)
        self.deadline = self._loop.time() + limits.call_s

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._house.callers.discard(self)
        self._house.held_bytes -= self._size
        self._size = 0
        self._transport = self._owed = None
        self._asked.clear()
        self._is_over = True

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            self._unread += len(data)
            if self._unread > LINGER_BYTES_MAX:
                self.hang_up()
            return
        if not self._is_head_read:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._deny(UNREADABLE)
        except httptools.HttpParserUpgrade:
            pass  # it is answered in HTTP/1.1, and that is all
        if not self._is_head_read and self._head_bytes > HEAD_BYTES_MAX:
            self._deny(HEAD_TOO_LARGE)
        self._go_on()

    def eof_received(self) -> bool:
        return self._owed is not None  # it may still listen

    def pause_writing(self) -> None:
        self._is_stuck = True
        self._pace()

    def resume_writing(self) -> None:
        self._is_stuck = False
        self._go_on()

    # ---- httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.deadline = self._loop.time() + self._house.limits.call_s

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_head_read = True
        said = self._headers
        if said.get("content-encoding", "identity").lower() != "identity":
            self._deny(ENCODED)  # a small call could unfold into a large one
        elif int(said.get("content-length", "0")) > CALL_BYTES_MAX:
            self._deny(TOO_LARGE)
        elif said.get("expect", "").lower() == "100-continue":
            self._write(_GO_ON)

    def on_body(self, body: bytes) -> None:
        if self._is_over:
            return
        self._size += len(body)
        self._house.held_bytes += len(body)
        self._body.append(body)
        if self._size > CALL_BYTES_MAX:
            self._deny(TOO_LARGE)
        elif self._house.held_bytes > self._house.limits.held_bytes_max:
            self._deny(BUSY)

    def on_message_complete(self) -> None:
        if not self._is_over:
            method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
            is_last = not self._parser.should_keep_alive() or self._parser.should_upgrade()
            body = b"".join(self._body)
            self._asked.append(Asked(method, target, self._headers, body, is_last))
        self._forget()

    # ---- in turn -------------------------------------------------------------------------------

    def expire(self) -> None:
        """Its time is over: to be read, to be stored, or to ask once more."""
        if self._is_over or not (self._owed or self._head_bytes):
            self.hang_up()
        else:
            self._deny(BUSY if self._owed else TOO_LATE)

    def hang_up(self) -> None:
        """Nothing more is said or heard."""
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        """Ready to read a request."""
        self._house.held_bytes -= self._size
        self._target, self._size, self._head_bytes = b"", 0, 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_head_read = False

    def _go_on(self) -> None:
        """Take what was asked, one after the other, as far as the answers have come."""
        while self._asked and self._owed is None and not (self._is_over or self._is_stuck):
            asked = self._asked.popleft()
            said = self._house.take(asked)
            if isinstance(said, asyncio.Future):
                self._owed, self.promise = (asked.target, asked.is_last), said
                self.deadline = self._loop.time() + self._house.limits.call_s
                said.add_done_callback(self._told)
            else:
                self._answer(asked.target, said, is_last=asked.is_last)
        self._pace()

    def _told(self, future: asyncio.Future[Said]) -> None:
        owed, self._owed = self._owed, None
        is_failed = future.cancelled() or future.exception() is not None
        said = BUSY if is_failed else future.result()
        if owed is not None:
            self._answer(owed[0], said, is_last=owed[1])
            self._go_on()

    def _pace(self) -> None:
        """Read no more while what was asked waits, or nobody takes the answers."""
        is_full = bool(self._asked) or self._is_stuck
        if self._transport is None or is_full == self._is_reading_paused:
            return
        self._is_reading_paused = is_full
        if is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _answer(self, target: str, said: Said, *, is_last: bool) -> None:
        if isinstance(said, Denied) or said.unreadable:
            self._house.on_told(target, said)
        self._write(_octets(said, self._house.date, is_last=is_last))
        self.deadline = self._loop.time() + self._house.limits.idle_s
        if is_last:
            self._end()

    def _deny(self, denied: Denied) -> None:
        """Say why, and read only to throw away: who still writes could not read it otherwise."""
        if self._is_over:
            return
        self._house.on_told(self._target.decode("latin-1"), denied)
        self._owed = None
        self._asked.clear()
        self._write(_octets(denied, self._house.date, is_last=True))
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._pace()
        self.deadline = self._loop.time() + self._house.limits.linger_s
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)


def _octets(said: Said, date: bytes, *, is_last: bool) -> bytes:
    """An answer in HTTP/1.1 (RFC 9112)."""
    status = said.status if isinstance(said, Denied) else 200 if said.answer else 204
    head = b"HTTP/1.1 %d %s\r\nDate: %s\r\n" % (status, _PHRASES[status].encode(), date)
    if is_last:
        head += b"Connection: close\r\n"
    if isinstance(said, Denied):
        return head + b"Content-Length: 0\r\n\r\n"
    if not said.answer:
        return head + b"\r\n"
    kind = said.content_type.encode()
    length = len(said.answer)
    return b"%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (head, kind, length, said.answer)
