"""One bind to a gateway: sequence numbers, window, timers, and what became of every submit.

Every submit handed over is settled exactly once: `Accepted` or `Refused` by the gateway's answer,
`Unknown` if it was written and no answer came in time or the link was lost, `Refused` for now if
it never reached the socket. Octets leave in one write per turn of the event loop. Timers run on
the loop's monotonic time. Reconnecting is the channel's business: a session lives once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, TypeAlias

from duewise.channels.base import Accepted, Refused, SendResult, Unknown, normalise_provider_id
from duewise.channels.smpp import status
from duewise.channels.smpp.framing import Deframer
from duewise.channels.smpp.pdu import (
    RESPONSE,
    SEQUENCE_MAX,
    Bind,
    BindResp,
    Command,
    Pdu,
    ProtocolError,
    ShortMessage,
    decode,
    encode,
    frame,
    header,
)
from duewise.channels.smpp.settings import SmppSettings

NEVER_WRITTEN: Final = Refused("link_lost", is_permanent=False, retry_after_s=1)
TICK_MAX_S: Final = 1.0
WRITE_MAX: Final = 32  # PDUs a write: many enough to be cheap, few enough to keep both ends busy

Settle: TypeAlias = Callable[[SendResult], None]


class BindRefused(ProtocolError):
    """The gateway answered the bind with a status other than 0."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"the gateway refused the bind: {status.name(status_code)}")
        self.status = status_code


class Session(asyncio.Protocol):
    """A bound transceiver. Made by `bind`; `lost` is done once the link is gone."""

    def __init__(
        self, settings: SmppSettings, on_deliver: Callable[[Session, int, ShortMessage], None]
    ) -> None:
        self._settings, self._on_deliver = settings, on_deliver
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._window = asyncio.Semaphore(settings.window)
        self._pending: dict[int, tuple[float, Settle]] = {}  # in order of sequence, so of age
        self._unwritten: list[int] = []
        self._out: list[bytes] = []
        self._deframer = Deframer()
        self._sequence = 0
        self._control: dict[int, asyncio.Future[Pdu]] = {}
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
        return max(0.0, self._slow_until - self._loop.time())

    async def room(self) -> None:
        """Wait for, and take, one place in the window."""
        await self._window.acquire()

    def submit(self, body: bytes, settle: Settle) -> None:
        """Send one submit_sm of that body in the place that `room` gave; `settle` is called once.

        `settle` may be called at once, and is always called outside of any await.
        """
        if self.lost.done():
            self._window.release()
            settle(NEVER_WRITTEN)
            return
        sequence = self._next_sequence()
        self._pending[sequence] = (self._loop.time(), settle)
        self._unwritten.append(sequence)
        self._write(frame(Command.SUBMIT_SM, sequence, body))

    def answer_deliver(self, sequence: int, status_code: int = status.OK) -> None:
        """Answer a deliver_sm; nothing happens where the link it came on is gone."""
        if not self.lost.done():
            self._write(frame(Command.DELIVER_SM_RESP, sequence, b"\0", status=status_code))

    async def bind(self) -> BindResp:
        """Bind as transceiver. Raises BindRefused, ProtocolError, TimeoutError, OSError."""
        asked = Bind(self._settings.system_id, self._settings.password, self._settings.system_type)
        answer = await self._ask(Command.BIND_TRANSCEIVER, asked)
        if answer.status != status.OK or not isinstance(answer.body, BindResp):
            raise BindRefused(answer.status)
        return answer.body

    async def unbind(self) -> None:
        """Say goodbye, wait a moment for the answer, and close whatever comes."""
        if not self.lost.done():
            with contextlib.suppress(TimeoutError, OSError):
                await self._ask(Command.UNBIND, None)
        self.abort("closed by us")

    def abort(self, reason: str) -> None:
        """Drop the link now and settle all that is in flight."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _close(self, reason: str) -> None:
        """As `abort`, but what was written still goes out."""
        if self._transport is not None:
            self._transport.close()
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
        for octets in frames:
            self._receive(octets)

    # -- what the gateway says ------------------------------------------------------------------

    def _receive(self, octets: bytes) -> None:
        try:
            pdu = decode(octets)
        except ProtocolError:
            self._receive_unreadable(octets)
            return
        match pdu.command:
            case Command.SUBMIT_SM_RESP:
                self._settle(pdu.sequence, self._result(pdu.status, str(pdu.body)))
            case Command.DELIVER_SM if isinstance(pdu.body, ShortMessage):
                self._on_deliver(self, pdu.sequence, pdu.body)
            case Command.ENQUIRE_LINK:
                self._write(frame(Command.ENQUIRE_LINK_RESP, pdu.sequence))
            case Command.UNBIND:
                self._write(frame(Command.UNBIND_RESP, pdu.sequence))
                self._flush()
                self._close("unbound by the gateway")
            case Command.GENERIC_NACK:
                self._settle(pdu.sequence, self._result(pdu.status or status.INVALID_COMMAND, ""))
                self._answered(pdu)
            case command if command & RESPONSE:
                self._answered(pdu)
            case _:
                self._refuse_command(pdu.sequence)

    def _receive_unreadable(self, octets: bytes) -> None:
        """The frame is whole but its body is not: the link lives on.

        An answer that cannot be read leaves its submit unknown; a request is refused.
        """
        command, _, sequence = header(octets)
        if command == Command.SUBMIT_SM_RESP:
            self._settle(sequence, Unknown("the gateway's answer could not be read"))
        elif not command & RESPONSE:
            self._refuse_command(sequence)

    def _refuse_command(self, sequence: int) -> None:
        self._write(frame(Command.GENERIC_NACK, sequence, status=status.INVALID_COMMAND))

    def _result(self, status_code: int, message_id: str) -> SendResult:
        if status_code == status.OK:
            return Accepted((normalise_provider_id(message_id),) if message_id else ())
        if status_code in status.SLOW_DOWN:
            self._slow_until = self._loop.time() + self._settings.throttle_retry_s
        return status.refusal(
            status_code,
            temporary=self._settings.temporary_statuses,
            retry_after_s=self._settings.throttle_retry_s,
        )

    def _settle(self, sequence: int, result: SendResult) -> None:
        """An answer to what nobody waits for any more, or told twice, changes nothing."""
        pending = self._pending.pop(sequence, None)
        if pending is not None:
            self._window.release()
            pending[1](result)

    def _answered(self, pdu: Pdu) -> None:
        waiting = self._control.pop(pdu.sequence, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(pdu)

    # -- what we say ----------------------------------------------------------------------------

    async def _ask(self, command: Command, body: Bind | None) -> Pdu:
        sequence = self._next_sequence()
        answer: asyncio.Future[Pdu] = self._loop.create_future()
        self._control[sequence] = answer
        self._write(encode(Pdu(command, 0, sequence, body)))
        try:
            async with asyncio.timeout(self._settings.bind_timeout_s):
                await asyncio.wait((answer, self.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._control.pop(sequence, None)
        if not answer.done():
            raise ConnectionResetError(self.lost.result())
        return answer.result()

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def _write(self, octets: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(octets)
        if len(self._out) >= WRITE_MAX:
            self._flush()

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
            self._settle(sequence, Unknown("no answer in time"))
        if self._enquired_at is not None and now - self._enquired_at >= patience_s:
            self.abort("no answer to enquire_link")
            return
        if self._enquired_at is None and now - self._heard_at >= self._settings.enquire_link_s:
            self._enquired_at = now
            self._write(frame(Command.ENQUIRE_LINK, self._next_sequence()))
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
            self._settle(sequence, NEVER_WRITTEN if never else Unknown(reason))


async def open_session(
    settings: SmppSettings, on_deliver: Callable[[Session, int, ShortMessage], None]
) -> Session:
    """Connect and bind. Raises BindRefused, ProtocolError, TimeoutError or OSError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(settings.bind_timeout_s):
        _, session = await loop.create_connection(
            lambda: Session(settings, on_deliver), settings.host, settings.port, ssl=settings.tls
        )
    try:
        await session.bind()
    except BaseException:
        session.abort("the bind failed")
        raise
    return session
