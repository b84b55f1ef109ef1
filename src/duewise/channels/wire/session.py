"""One login to a gateway: sequence numbers, window, timers, and what became of every submit.

Every submit handed over is settled exactly once: `Accepted` or `Refused` by the gateway's answer,
`Unknown` if it was written and no answer came in time or the link was lost, `Refused` for now if
it never reached the socket. Octets leave in one write per turn of the event loop. Timers run on
the loop's monotonic time. It knows no protocol: a codec does. Logging in anew is the channel's
business: a session lives once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from duewise.channels.base import Refused, SendResult, Unknown
from duewise.channels.wire.codec import Answer, Codec, Farewell, Heard, Response, Say, Told
from duewise.channels.wire.framing import Deframer, ProtocolError

NEVER_WRITTEN: Final = Refused("link_lost", is_permanent=False, retry_after_s=1)
TICK_MAX_S: Final = 1.0
WRITE_MAX: Final = 32  # PDUs a write: many enough to be cheap, few enough to keep both ends busy

Settle: TypeAlias = Callable[[SendResult], None]


class LinkSettings(Protocol):
    """What a session needs to know of an account. Times in seconds of the monotonic clock."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tls(self) -> ssl.SSLContext | None: ...
    @property
    def window(self) -> int: ...
    @property
    def bind_timeout_s(self) -> float: ...
    @property
    def response_timeout_s(self) -> float: ...
    @property
    def enquire_link_s(self) -> float: ...
    @property
    def throttle_retry_s(self) -> int: ...


class Session(asyncio.Protocol):
    """A link that is logged in. Made by `open_session`; `lost` is done once the link is gone."""

    def __init__(
        self, codec: Codec, settings: LinkSettings, on_told: Callable[[Session, Told], None]
    ) -> None:
        self.codec = codec
        self._settings, self._on_told = settings, on_told
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.free = settings.window
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._pending: dict[int, tuple[float, Settle]] = {}  # in order of sequence, so of age
        self._unwritten: list[int] = []
        self._out: list[bytes] = []
        self._deframer = Deframer(shortest=codec.shortest, longest=codec.longest)
        self._sequence, self._sequence_max = 0, codec.sequence_max
        self._asked: dict[int, asyncio.Future[Answer | Response]] = {}
        self._enquired_at: float | None = None
        self._heard_at = self._loop.time()
        self._slow_until = 0.0
        self._tick_s = min(
            TICK_MAX_S, settings.response_timeout_s / 10, settings.enquire_link_s / 4
        )
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_lost(self) -> bool:
        return self.lost.done()

    @property
    def pause_s(self) -> float:
        """How long the gateway wants to be left alone after it throttled us; 0 if it did not."""
        return self._slow_until and max(0.0, self._slow_until - self._loop.time())

    # -- what we say ----------------------------------------------------------------------------

    def take(self, places: int = 1) -> bool:
        """Take that many places of the window at once, if they are free and nobody waits."""
        if self.free < places or self._waiting:
            return False
        self.free -= places
        return True

    async def room(self, places: int = 1) -> None:
        """Wait for, and take, that many places of the window, in order of asking."""
        if self.take(places):
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((places, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release(places)
            raise

    def submit(self, body: bytes, settle: Settle) -> None:
        """Send one submit of that body in a place that was taken; `settle` is called once.

        `settle` may be called at once, and is always called outside of any await.
        """
        if self.lost.done():
            self._release(1)
            settle(NEVER_WRITTEN)
            return
        self._sequence = sequence = self._sequence % self._sequence_max + 1
        self._pending[sequence] = (self._loop.time(), settle)
        self._unwritten.append(sequence)
        self._write(self.codec.submit(sequence, body))

    def say(self, octets: bytes) -> None:
        """Write a frame; nothing happens where the link is gone."""
        if octets and not self.lost.done():
            self._write(octets)

    def _write(self, octets: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(octets)
        if len(self._out) >= WRITE_MAX:
            self._flush()

    async def ask(self, frame: Callable[[int], bytes]) -> Answer | Response:
        """Say what is not a submit and wait for its answer. Raises TimeoutError, OSError."""
        sequence = self._next_sequence()
        answer: asyncio.Future[Answer | Response] = self._loop.create_future()
        self._asked[sequence] = answer
        try:
            self.say(frame(sequence))
            async with asyncio.timeout(self._settings.bind_timeout_s):
                await asyncio.wait((answer, self.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._asked.pop(sequence, None)
        if not answer.done():
            raise ConnectionResetError(self.lost.result())
        return answer.result()

    async def login(self) -> None:
        """Raises LoginRefused, ProtocolError, TimeoutError, OSError."""
        self.codec.check_login(await self.ask(self.codec.login))

    async def logout(self) -> None:
        """Say goodbye, wait a moment for the answer, and close whatever comes."""
        if not self.lost.done():
            with contextlib.suppress(TimeoutError, OSError):
                await self.ask(self.codec.logout)
        self.abort("closed by us")

    def abort(self, reason: str) -> None:
        """Drop the link now and settle all that is in flight."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport  # asyncio has set TCP_NODELAY on it
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"link lost: {exc}" if exc else "link closed by the gateway")

    def data_received(self, data: bytes) -> None:
        self._heard_at, self._enquired_at = self._loop.time(), None
        try:
            frames = self._deframer.feed(data)
        except ProtocolError as error:
            self.abort(f"unreadable octets: {error}")
            return
        read = self.codec.read
        for octets in frames:
            heard = read(octets)
            if type(heard) is Answer:
                self._settle(heard)
            else:
                self._receive(heard)

    # -- what the gateway says ------------------------------------------------------------------

    def _receive(self, heard: Heard) -> None:
        match heard:
            case Told():
                self._on_told(self, heard)
            case Say():
                self.say(heard.octets)
            case Farewell():
                self.say(heard.octets)
                self._flush()
                if self._transport is not None:
                    self._transport.close()  # what was written still goes out
                self._end("unbound by the gateway")
            case Response() | Answer():
                self._answered(heard)

    def _settle(self, answer: Answer) -> None:
        """An answer to what nobody waits for any more, or told twice, changes nothing."""
        pending = self._pending.pop(answer.sequence, None)
        if pending is None:
            self._answered(answer)
            return
        if answer.is_throttled:
            self._slow_until = self._loop.time() + self._settings.throttle_retry_s
        self.free += 1
        if self._waiting:
            self._release(0)
        pending[1](answer.result)

    def _answered(self, heard: Answer | Response) -> None:
        waiting = self._asked.pop(heard.sequence, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(heard)

    def _release(self, places: int) -> None:
        self.free += places
        while self._waiting and (self._waiting[0][1].done() or self.free >= self._waiting[0][0]):
            wanted, waiter = self._waiting.popleft()
            if not waiter.done():
                self.free -= wanted
                waiter.set_result(None)

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % self._sequence_max + 1
        return self._sequence

    def _flush(self) -> None:
        if self._transport is None or self.lost.done() or not self._out:
            return
        self._transport.write(b"".join(self._out))
        self._out.clear()
        self._unwritten.clear()

    # -- timers and the end ---------------------------------------------------------------------

    def _tick(self) -> None:
        now, patience_s = self._loop.time(), self._settings.response_timeout_s
        overdue = []
        for sequence, (sent_at, _) in self._pending.items():
            if now - sent_at < patience_s:
                break  # the rest is younger
            overdue.append(sequence)
        for sequence in overdue:
            self._settle(Answer(sequence, Unknown("no answer in time")))
        if self._enquired_at is not None and now - self._enquired_at >= patience_s:
            self.abort("no answer to enquire_link")
            return
        if self._enquired_at is None and now - self._heard_at >= self._settings.enquire_link_s:
            self._enquired_at = now
            self.say(self.codec.enquiry(self._next_sequence()))
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        unwritten = set(self._unwritten)
        while self._pending:
            sequence = next(iter(self._pending))
            never = sequence in unwritten
            self._settle(Answer(sequence, NEVER_WRITTEN if never else Unknown(reason)))


async def open_session(
    codec: Codec, settings: LinkSettings, on_told: Callable[[Session, Told], None]
) -> Session:
    """Connect and log in. Raises LoginRefused, ProtocolError, TimeoutError or OSError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(settings.bind_timeout_s):
        _, session = await loop.create_connection(
            lambda: Session(codec, settings, on_told),
            settings.host,
            settings.port,
            ssl=settings.tls,
        )
    try:
        await session.login()
    except BaseException:
        session.abort("the bind failed")
        raise
    return session
