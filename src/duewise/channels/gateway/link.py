"""One connection to the simulated gateway: login, submits in, receipts and replies out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from duewise.channels.gateway.account import Account
from duewise.channels.gateway.dialect import (
    Acked,
    Asked,
    Dialect,
    Login,
    Outgoing,
    Said,
    Submission,
)
from duewise.channels.gateway.hub import Answer, Hub
from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.framing import Deframer, ProtocolError

BIND_PATIENCE_S: Final = 10.0
RETRY_S: Final = 0.1  # after the other side was too busy to take a receipt
UNREAD_MAX: Final = 1 << 20  # octets that the client has not read yet
READ_MAX: Final = 65_536  # octets a read
CHUNK_MAX: Final = 128  # PDUs between two writes of the record and of answers


class Link(asyncio.BufferedProtocol):
    """What one client sees of the gateway.

    It reads no further while the client does not read: whoever floods it is held up himself.
    """

    def __init__(self, hub: Hub, links: set[Link], dialect: Dialect) -> None:
        self._hub, self._links, self._dialect = hub, links, dialect
        self._loop = asyncio.get_running_loop()
        self._deframer = Deframer(shortest=dialect.shortest, longest=dialect.longest)
        self._account: Account | None = None
        self._sends = False
        self._buffer = memoryview(bytearray(READ_MAX))
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
        transport.set_write_buffer_limits(high=UNREAD_MAX)
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

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """What one read has brought."""
        if not self._deframer.held:
            taken, length = self._dialect.taken(data)
            if taken:
                self._forget(taken)
                data = data[length:]
        try:
            frames = self._deframer.feed(data)
        except ProtocolError:
            self._write(self._dialect.farewell())
            self._end_of_chunk()
            if self._transport is not None:
                self._transport.close()
            return
        if not frames:
            self._end_of_chunk()
        for start in range(0, len(frames), CHUNK_MAX):
            now = self._hub.clock.now()
            for run in self._dialect.hear(frames[start : start + CHUNK_MAX], now=now):
                if run.taken:
                    self._forget(run.taken)
                if run.submits:
                    self._submit(run.submits, now=now)
                if self._transport is None:
                    return
                if run.other is not None:
                    self._hear(run.other, now=now)
            self._end_of_chunk()

    def pull(self) -> None:
        """Take from the account what the receipt window has room for."""
        account, room = self._account, self._hub.settings.receipt_window
        if account is None or self._transport is None or self._is_paused:
            return
        in_flight, deliver, sequence = self._in_flight, self._dialect.deliver, self._sequence
        for item in account.take(room - len(in_flight)):
            sequence = sequence % self._dialect.sequence_max + 1
            in_flight[sequence] = item
            self._out.append(deliver(sequence, item))
        self._sequence = sequence
        self._flush()

    def _hear(self, said: Said, *, now: datetime) -> None:
        """What is said now and then."""
        match said:
            case Login():
                self._login(said)
            case Acked():
                self._tell_again(said.sequence)
            case Submission() if self._account is not None and self._sends:
                self._answer([said], [self._hub.refuse(said, said.refusal, now=now)])
            case Submission():
                self._answer([said], [(self._dialect.statuses.not_bound, "")])
            case Asked() if self._account is not None:
                known = self._hub.known(said.message_id)
                self._write(self._dialect.state(said, known, now=now))
            case Say():
                self._write(said.octets)
            case Farewell():
                self._write(said.octets)
                self._end_of_chunk()
                if self._transport is not None:
                    self._transport.close()

    def _login(self, login: Login) -> None:
        if self._account is not None:
            login = login._replace(refusal=self._dialect.statuses.already_bound)
        self._write(self._dialect.login_answer(login))
        if login.refusal:
            return
        account = self._account = self._hub.accounts[login.account]
        self._sends = login.sends
        if login.hears:
            account.receivers.append(self)
            self._loop.call_soon(self.pull)

    def _check_bound(self) -> None:
        if self._account is None and self._transport is not None:
            self._transport.close()

    def _submit(self, submits: Sequence[Submission], *, now: datetime) -> None:
        """Hand over as many as window and throttle let through, and refuse the others."""
        if self._account is None or not self._sends:
            not_bound = (self._dialect.statuses.not_bound, "")
            self._answer(submits, [not_bound] * len(submits))
            return
        refusals = self._refusals(len(submits))
        room = len(submits) - len(refusals)
        answers, loses_link = self._hub.take(self._account, submits[:room], now=now)
        if loses_link:
            self._hub.log.flush()
            self.drop()
            return
        answers += [
            self._hub.refuse(submission, refusal, now=now)
            for submission, refusal in zip(submits[room:], refusals, strict=True)
        ]
        self._answer(submits, answers)

    def _refusals(self, count: int) -> list[int]:
        """Of so many submits the statuses of the last, which are too many for this link."""
        statuses = self._dialect.statuses
        free = max(min(count, self._hub.settings.window - self._unanswered), 0)
        taken = self._paced(free)
        return [statuses.throttled] * (free - taken) + [statuses.queue_full] * (count - free)

    def _paced(self, count: int) -> int:
        """How many of so many submits the throttle of this link lets through."""
        rate = self._hub.throttle_per_s
        if rate is None:
            return count
        now = self._loop.time()
        self._tokens = min(max(rate, 1.0), self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        taken = min(count, int(self._tokens))
        self._tokens -= taken
        return taken

    def _forget(self, sequences: Sequence[int]) -> None:
        """These were acknowledged as taken."""
        items = [self._in_flight.pop(sequence, None) for sequence in sequences]
        if self._account is not None:
            self._account.settle(len(items) - items.count(None))

    def _tell_again(self, sequence: int) -> None:
        """The other side is too busy, or does not know what it was told."""
        item = self._in_flight.pop(sequence, None)
        if item is None or self._account is None:
            return
        self._account.put_back([item])
        if not self._is_paused:
            self._is_paused = True
            self._loop.call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._is_paused = False
        self.pull()

    def _answer(self, submits: Sequence[Submission], answers: Sequence[Answer]) -> None:
        answer = self._dialect.submit_answer
        self._unanswered += len(answers)
        self._answers += [
            answer(submission.sequence, *given)
            for submission, given in zip(submits, answers, strict=True)
        ]

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
        if octets:
            self._out.append(octets)

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
        self._out.clear()
