"""One connection to the simulated gateway: bind, submits in, receipts and replies out."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime
from typing import Final

from duewise.channels.gateway.account import Account, Outgoing
from duewise.channels.gateway.hub import Hub
from duewise.channels.smpp import status
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    RESPONSE,
    SEQUENCE_MAX,
    Bind,
    BindResp,
    Command,
    Pdu,
    ShortMessage,
    decode,
    encode,
    frame,
    header,
)
from duewise.channels.wire.framing import Deframer, ProtocolError

BIND_PATIENCE_S: Final = 10.0
RETRY_S: Final = 0.1  # after the other side was too busy to take a receipt
CHUNK_MAX: Final = 32  # PDUs between two writes of the record and of answers
NAME: Final = "duewise-gateway"
_SUBMITTERS = frozenset({Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})
_RECEIVERS = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})


class Link(asyncio.Protocol):
    """What one client sees of the gateway."""

    def __init__(self, hub: Hub, links: set[Link]) -> None:
        self._hub, self._links = hub, links
        self._loop = asyncio.get_running_loop()
        self._deframer = Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX)
        self._account: Account | None = None
        self._bound_as = 0
        self._out: list[bytes] = []
        self._answers: list[bytes] = []
        self._unanswered = 0
        self._in_flight: dict[int, Outgoing] = {}
        self._sequence = 0
        self._is_paused = False
        self._tokens, self._tokens_at = math.inf, self._loop.time()  # the first burst is free
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._links) >= self._hub.settings.links_max:
            transport.abort()
            return
        self._links.add(self)
        self._loop.call_later(BIND_PATIENCE_S, self._check_bound)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._links.discard(self)
        self._transport = None
        if self._account is None:
            return
        if self in self._account.receivers:
            self._account.receivers.remove(self)
        unacked = list(self._in_flight.values())
        self._in_flight.clear()
        self._account.put_back(unacked)
        for receiver in tuple(self._account.receivers):
            receiver.pull()

    def drop(self) -> None:
        """Lose the link: nothing more goes out, answers that are due included."""
        self._out.clear()
        self._answers.clear()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._deframer.feed(data)
        except ProtocolError:
            self._write(frame(Command.GENERIC_NACK, 0, status=0x02))
            self._end_of_chunk()
            if self._transport is not None:
                self._transport.close()
            return
        for start in range(0, len(frames), CHUNK_MAX):
            now = self._hub.clock.now()
            for octets in frames[start : start + CHUNK_MAX]:
                if self._transport is None:
                    return
                self._receive(octets, now=now)
            self._end_of_chunk()

    def pull(self) -> None:
        """Take from the account what the receipt window has room for."""
        account, room = self._account, self._hub.settings.receipt_window
        if account is None or self._transport is None or self._is_paused:
            return
        while len(self._in_flight) < room and (item := account.take()) is not None:
            self._sequence = self._sequence % SEQUENCE_MAX + 1
            self._in_flight[self._sequence] = item
            self._write(frame(Command.DELIVER_SM, self._sequence, item.body))
        self._flush()

    def _receive(self, octets: bytes, *, now: datetime) -> None:
        try:
            pdu = decode(octets)
        except ProtocolError:
            command, _, sequence = header(octets)
            if not command & RESPONSE:
                self._write(frame(Command.GENERIC_NACK, sequence, status=status.INVALID_COMMAND))
            return
        match pdu.command:
            case Command.SUBMIT_SM if isinstance(pdu.body, ShortMessage):
                self._submit(pdu.sequence, pdu.body, now=now)
            case Command.BIND_TRANSCEIVER | Command.BIND_TRANSMITTER | Command.BIND_RECEIVER if (
                isinstance(pdu.body, Bind)
            ):
                self._bind(pdu, pdu.body)
            case Command.DELIVER_SM_RESP | Command.GENERIC_NACK:
                self._delivered(pdu)
            case Command.ENQUIRE_LINK:
                self._write(frame(Command.ENQUIRE_LINK_RESP, pdu.sequence))
            case Command.UNBIND:
                self._write(frame(Command.UNBIND_RESP, pdu.sequence))
                self._end_of_chunk()
                if self._transport is not None:
                    self._transport.close()
            case command if not command & RESPONSE:
                self._write(
                    frame(Command.GENERIC_NACK, pdu.sequence, status=status.INVALID_COMMAND)
                )

    def _bind(self, pdu: Pdu, bind: Bind) -> None:
        """Sections 4.1.1 to 4.1.6."""
        answer = pdu.command | RESPONSE
        refusal = status.ALREADY_BOUND if self._account is not None else self._check(bind)
        if refusal:
            self._write(encode(Pdu(answer, refusal, pdu.sequence, BindResp())))
            return
        account = self._account = self._hub.accounts[bind.system_id]
        self._bound_as = pdu.command
        self._write(encode(Pdu(answer, status.OK, pdu.sequence, BindResp(NAME))))
        if self._bound_as in _RECEIVERS:
            account.receivers.append(self)
            self._loop.call_soon(self.pull)

    def _check(self, bind: Bind) -> int:
        password = self._hub.settings.accounts.get(bind.system_id)
        if password is None:
            return status.INVALID_SYSTEM_ID
        return status.OK if bind.password == password else status.INVALID_PASSWORD

    def _check_bound(self) -> None:
        if self._account is None and self._transport is not None:
            self._transport.close()

    def _submit(self, sequence: int, message: ShortMessage, *, now: datetime) -> None:
        if self._account is None or self._bound_as not in _SUBMITTERS:
            self._answer(sequence, status.INVALID_BIND_STATE, "")
            return
        if refusal := self._limits():
            self._hub.refuse(message, refusal, now=now)
            self._answer(sequence, refusal, "")
            return
        taken = self._hub.take(self._account, message, now=now)
        if taken.loses_link:
            self._hub.log.flush()
            self.drop()
        else:
            self._answer(sequence, taken.status, taken.message_id)

    def _limits(self) -> int:
        """Window and throttle of this link: 0, or the status of a submit too many."""
        if self._unanswered >= self._hub.settings.window:
            return status.QUEUE_FULL
        rate = self._hub.throttle_per_s
        if rate is None:
            return status.OK
        now = self._loop.time()
        self._tokens = min(max(rate, 1.0), self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        if self._tokens < 1:
            return status.THROTTLED
        self._tokens -= 1
        return status.OK

    def _delivered(self, pdu: Pdu) -> None:
        item = self._in_flight.pop(pdu.sequence, None)
        if item is None or self._account is None:
            return
        if pdu.command == Command.DELIVER_SM_RESP and pdu.status == status.OK:
            self._account.settle()
            return
        self._account.put_back([item])
        if not self._is_paused:
            self._is_paused = True
            self._loop.call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._is_paused = False
        self.pull()

    def _answer(self, sequence: int, status_code: int, message_id: str) -> None:
        self._unanswered += 1
        body = b"" if status_code else message_id.encode("ascii") + b"\0"
        self._answers.append(frame(Command.SUBMIT_SM_RESP, sequence, body, status=status_code))

    def _end_of_chunk(self) -> None:
        """The record first, then early receipts, then the answers, then what else waits."""
        self._hub.log.flush()
        if self._account is not None and self._account.waiting:
            for receiver in tuple(self._account.receivers):
                receiver.pull()
        if self._hub.response_s and self._answers:
            self._loop.call_later(self._hub.response_s, self._send_answers, self._answers)
            self._answers = []
        else:
            self._send_answers(self._answers)
            self._answers = []
        self._flush()

    def _send_answers(self, answers: list[bytes]) -> None:
        self._unanswered -= len(answers)
        self._out.extend(answers)
        self._flush()

    def _write(self, octets: bytes) -> None:
        self._out.append(octets)

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
        self._out.clear()
