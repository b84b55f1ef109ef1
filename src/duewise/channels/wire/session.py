"""One login to a gateway: window, timers, and what became of every submit.

Every submit handed over is settled exactly once: accepted or `Refused` by the gateway's answer,
`Unknown` if it was written and no answer came in time or the link was lost, `Refused` for now if
it never was. Submits leave as soon as there is room in the window, many in one write; all that is
said beside them leaves in one write per turn of the event loop. Timers run on the loop's monotonic
time. It knows no protocol: a codec does. Logging in anew is the channel's business: a session lives
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from duewise.channels.base import Accepted, Unknown
from duewise.channels.wire.batch import Batch
from duewise.channels.wire.codec import Answer, Codec, Farewell, Heard, Response, Say, Told
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.channels.wire.window import Window

TICK_MAX_S: Final = 1.0
READ_MAX: Final = 65_536  # octets a read
QUEUED_MAX: Final = 256  # submits that wait for the window, before `room` makes their sender wait


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


class Session(asyncio.BufferedProtocol):
    """A link that is logged in. Made by `open_session`; `lost` is done once the link is gone."""

    def __init__(
        self,
        codec: Codec,
        settings: LinkSettings,
        on_told: Callable[[Session, Sequence[Told]], None],
    ) -> None:
        self.codec = codec
        self._settings, self._on_told = settings, on_told
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._window = Window(settings.window, sequence_max=codec.sequence_max)
        self._waiting: list[asyncio.Future[None]] = []
        self._out: list[bytes] = []
        self._buffer = memoryview(bytearray(READ_MAX))
        self._deframer = Deframer(shortest=codec.shortest, longest=codec.longest)
        self._asked: dict[int, asyncio.Future[Answer | Response]] = {}
        self._enquired_at: float | None = None
        self._heard_at = self._loop.time()
        self._pause: asyncio.TimerHandle | None = None
        self._tick_s = min(
            TICK_MAX_S, settings.response_timeout_s / 10, settings.enquire_link_s / 4
        )
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_lost(self) -> bool:
        return self.lost.done()

    @property
    def free(self) -> int:
        """Places of the window that nobody waits for; below 0 where more are waited for."""
        return self._window.free - self._window.queued

    @property
    def is_flushed(self) -> bool:
        """Whether all that was written has gone to the operating system, or the link is gone.

        Never so of a link with TLS: what is encrypted may wait where asyncio counts no octets.
        """
        if self._transport is None:
            return True
        return self._settings.tls is None and not self._transport.get_write_buffer_size()

    # -- what we say ----------------------------------------------------------------------------

    async def room(self) -> None:
        """Wait until not too many submits wait already, or the link is gone."""
        while self._window.queued > QUEUED_MAX and not self.lost.done():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def submit(self, messages: Sequence[Sequence[bytes]], batch: Batch) -> None:
        """Send the submits of messages as the window allows; `batch` gets what becomes of each.

        It may get it at once, and always gets it outside of any await. The submits of a message
        leave in one write, for a loss between two would leave half of it with the borrower; only
        where the window is smaller than the message they must go one by one.
        """
        self._window.add(messages, batch)
        if self.lost.done():
            self._window.end("link lost")
        else:
            self._send_queued()

    def say(self, octets: bytes) -> None:
        """Write a frame; nothing happens where the link is gone."""
        if octets and not self.lost.done():
            if not self._out:
                self._loop.call_soon(self._flush)
            self._out.append(octets)

    async def ask(self, frame: Callable[[int], bytes]) -> Answer | Response:
        """Say what is not a submit and wait for its answer. Raises TimeoutError, OSError."""
        sequence = self._window.number()
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

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """What one read has brought."""
        self._heard_at, self._enquired_at = self._loop.time(), None
        if not self._deframer.held:
            accepted = self.codec.accepted(data)
            if accepted.length:
                self._accept(accepted.sequences, accepted.provider_ids)
                data = data[accepted.length :]
        try:
            frames = self._deframer.feed(data)
        except ProtocolError as error:
            self.abort(f"unreadable octets: {error}")
            return
        heard = self.codec.hear(frames)
        if heard.sequences:
            self._accept(heard.sequences, heard.provider_ids)
        if heard.told:
            self._on_told(self, heard.told)
        for other in heard.others:
            self._receive(other)
        self._send_queued()

    # -- what the gateway says ------------------------------------------------------------------

    def _receive(self, heard: Heard) -> None:
        match heard:
            case Answer():
                self._settle(heard)
            case Told():
                self._on_told(self, [heard])
            case Say():
                self.say(heard.octets)
            case Farewell():
                self.say(heard.octets)
                self._flush()
                if self._transport is not None:
                    self._transport.close()  # what was written still goes out
                self._end("unbound by the gateway")
            case Response():
                self._answered(heard)

    def _accept(self, sequences: Sequence[int], provider_ids: Sequence[str]) -> None:
        """`_settle` for many that were accepted."""
        for sequence, provider_id in self._window.accept(sequences, provider_ids):
            self._answered(Answer(sequence, Accepted((provider_id,))))

    def _settle(self, answer: Answer) -> None:
        """An answer to what nobody waits for any more, or told twice, changes nothing."""
        if answer.is_throttled and self._pause is None:
            self._pause = self._loop.call_later(self._settings.throttle_retry_s, self._go_on)
        if not self._window.settle(answer.sequence, answer.result):
            self._answered(answer)

    def _answered(self, heard: Answer | Response) -> None:
        waiting = self._asked.pop(heard.sequence, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(heard)

    def _go_on(self) -> None:
        self._pause = None
        self._send_queued()

    def _send_queued(self) -> None:
        """Write what the window has room for, unless the gateway wants to be left alone."""
        while self._window.queued and self._pause is None and not self.lost.done():
            first, bodies = self._window.take()
            if not bodies:
                break
            self._out.append(self.codec.submits(first, bodies))
            self._flush()
        if self._waiting and self._window.queued <= QUEUED_MAX // 2:
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def _flush(self) -> None:
        if self._transport is None or self.lost.done() or not self._out:
            return
        self._transport.write(b"".join(self._out))
        self._out.clear()

    # -- timers and the end ---------------------------------------------------------------------

    def _tick(self) -> None:
        now, patience_s = self._loop.time(), self._settings.response_timeout_s
        for sequence in self._window.overdue(now=now, patience_s=patience_s):
            self._window.settle(sequence, Unknown("no answer in time"))
        self._send_queued()
        if self._enquired_at is not None and now - self._enquired_at >= patience_s:
            self.abort("no answer to enquire_link")
            return
        if self._enquired_at is None and now - self._heard_at >= self._settings.enquire_link_s:
            self._enquired_at = now
            self.say(self.codec.enquiry(self._window.number()))
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self._window.end(reason)
        self._wake()


async def open_session(
    codec: Codec, settings: LinkSettings, on_told: Callable[[Session, Sequence[Told]], None]
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
