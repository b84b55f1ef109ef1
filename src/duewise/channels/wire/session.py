"""One login to a gateway: sequence numbers, window, timers, and what became of every submit.

Every submit handed over is settled exactly once: `Accepted` or `Refused` by the gateway's answer,
`Unknown` if it was written and no answer came in time or the link was lost, `Refused` for now if
the link was gone before. Submits leave in one write as they are handed over, all that is said
beside them in one a turn of the event loop. Timers run on the loop's monotonic time. It knows no
protocol: a codec does. Logging in anew is the channel's business: a session lives once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from duewise.channels.base import Accepted, Refused, Unknown
from duewise.channels.wire.batch import Batch
from duewise.channels.wire.codec import Answer, Codec, Farewell, Heard, Response, Say, Told
from duewise.channels.wire.framing import Deframer, ProtocolError

NEVER_WRITTEN: Final = Refused("link_lost", is_permanent=False, retry_after_s=1)
TICK_MAX_S: Final = 1.0


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
        self,
        codec: Codec,
        settings: LinkSettings,
        on_told: Callable[[Session, Sequence[Told]], None],
    ) -> None:
        self.codec = codec
        self._settings, self._on_told = settings, on_told
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.free = settings.window
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        # By sequence: the batch, and what to subtract for the place in it.
        self._pending: dict[int, tuple[Batch, int]] = {}
        self._seen_at: dict[int, float] = {}  # when a tick first found it pending
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

    def submit(self, bodies: Sequence[bytes], batch: Batch) -> None:
        """Send a submit of each body, in places that were taken; `batch` gets what becomes of them.

        It may get it at once, and always gets it outside of any await.
        """
        count = len(bodies)
        start = batch.expect(count)
        if self.lost.done():
            self._release(count)
            batch.outcomes[start:] = [NEVER_WRITTEN] * count
            batch.known(count)
            return
        first = self._sequence + 1 if self._sequence + count <= self._sequence_max else 1
        self._sequence = first + count - 1
        place = (batch, first - start)
        self._pending.update(dict.fromkeys(range(first, first + count), place))
        self._out.append(self.codec.submits(first, bodies))
        self._flush()

    def say(self, octets: bytes) -> None:
        """Write a frame; nothing happens where the link is gone."""
        if octets and not self.lost.done():
            if not self._out:
                self._loop.call_soon(self._flush)
            self._out.append(octets)

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
        heard = self.codec.hear(frames)
        if heard.sequences:
            self._accept(heard.sequences, heard.provider_ids)
        if heard.told:
            self._on_told(self, heard.told)
        for other in heard.others:
            self._receive(other)

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
        pop, settled, known, known_of = self._pending.pop, 0, 0, Batch()
        for sequence, provider_id in zip(sequences, provider_ids, strict=True):
            pending = pop(sequence, None)
            if pending is None:
                self._answered(Answer(sequence, Accepted((provider_id,))))
                continue
            batch, before = pending
            batch.outcomes[sequence - before] = provider_id
            if batch is not known_of:
                known_of.known(known)
                known_of, known = batch, 0
            known += 1
            settled += 1
        self._release(settled)
        known_of.known(known)

    def _settle(self, answer: Answer) -> None:
        """An answer to what nobody waits for any more, or told twice, changes nothing."""
        pending = self._pending.pop(answer.sequence, None)
        if pending is None:
            self._answered(answer)
            return
        if answer.is_throttled:
            self._slow_until = self._loop.time() + self._settings.throttle_retry_s
        batch, before = pending
        batch.outcomes[answer.sequence - before] = answer.result
        self._release(1)
        batch.known(1)

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

    # -- timers and the end ---------------------------------------------------------------------

    def _tick(self) -> None:
        now, patience_s = self._loop.time(), self._settings.response_timeout_s
        seen_at = self._seen_at
        self._seen_at = {sequence: seen_at.get(sequence, now) for sequence in self._pending}
        for sequence, at in self._seen_at.items():
            if now - at >= patience_s:
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
        while self._pending:
            self._settle(Answer(next(iter(self._pending)), Unknown(reason)))


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
