"""The carrier's wire alone: submits a second to a sink, by window, beside who frames by hand.

The sink is a process of its own that answers each submit and does nothing else. The hand-framed
sender has no timers, no results and no codec: it is the limit that Python's event loop sets.
smpp34 (Rust) is timed where it is installed, from its own encoder to its own answers.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Final

from duewise.channels.base import Accepted, Message, Refused, SendResult
from duewise.channels.smpp.channel import smpp_channel
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.batch import Batch
from duewise.channels.wire.codec import Told
from duewise.channels.wire.session import Session, open_session
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, in_turns, rates
from duewise.times import ManualClock

WINDOWS: Final = (10, 100, 1_000)
AT_ONCE: Final = 200  # submits handed over together
HOST: Final = "127.0.0.1"
TEXT: Final = (
    "【示例消费金融】您本期应还1,234.56元,8月10日到期。请按时还款,"
    "如有困难请致电95123,我们可以一起商量。拒收请回复R"
)
_HEADER: Final = struct.Struct(">IIII")
_SUBMIT, _SUBMIT_RESP, _BIND_RESP = 0x04, 0x8000_0004, 0x8000_0009


def wire(task: Task) -> list[Figure]:
    """Submits a second: the session from packed bodies, the channel from texts."""
    with _sink() as port:
        figures = [_session(task, port, window) for window in WINDOWS]
        return [*figures, _channel(task, port)]


def _session(task: Task, port: int, window: int) -> Figure:
    count, settings = task.sizes.submits, _settings(port, window)
    clock = ManualClock(task.noon)
    bodies = SmppCodec(settings, clock=clock).bodies(_message(0))
    assert not isinstance(bodies, Refused)
    spent: dict[str, float] = {"ours": 0.0, "peer": 0.0}

    def ours() -> None:
        with _spent(spent, "ours"):
            asyncio.run(_through_session(settings, bodies[0], count, clock))

    def peer() -> None:
        with _spent(spent, "peer"):
            asyncio.run(_by_hand(port, bodies[0], window, count))

    seconds = in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    each = {who: s / count / task.sizes.turns * 1e6 for who, s in spent.items()}
    return rates(
        "wire",
        f"submit/s window {window}",
        count,
        seconds,
        peer_name="hand-framed asyncio, the limit",
        note=f"{each['ours']:.1f} µs of processor time each, the limit {each['peer']:.1f}",
    )


@contextmanager
def _spent(spent: dict[str, float], who: str) -> Iterator[None]:
    """Add up this process's seconds of processor time: they say more on a busy machine."""
    began = time.process_time()
    yield
    spent[who] += time.process_time() - began


def _channel(task: Task, port: int) -> Figure:
    count, settings = task.sizes.submits, _settings(port, 100)
    messages = [_message(number) for number in range(count)]
    clock = ManualClock(task.noon)
    has_peer = find_spec("smpp34") is not None
    seconds = in_turns(
        lambda: asyncio.run(_through_channel(settings, messages, clock)),
        partial(_through_smpp34, port, count) if has_peer else None,
        turns=max(1, task.sizes.turns // 2),
        timer=task.timer,
    )
    return rates(
        "wire",
        "messages/s window 100",
        count,
        seconds,
        peer_name="smpp34 1.5" if has_peer else "",
        note="the channel, from text to answer",
    )


async def _through_session(
    settings: SmppSettings, body: bytes, count: int, clock: ManualClock
) -> None:
    session = await open_session(SmppCodec(settings, clock=clock), settings, _hear_nothing)
    batch = Batch()
    for start in range(0, count, AT_ONCE):
        await session.room()
        session.submit([[body]] * min(AT_ONCE, count - start), batch)
    outcomes = await batch.wait()
    session.abort("measured")
    if not all(type(outcome) is str for outcome in outcomes):
        raise IntegrityBroken("bench wire: not all were accepted")


async def _through_channel(
    settings: SmppSettings, messages: list[Message], clock: ManualClock
) -> None:
    channel = smpp_channel(settings, clock=clock)
    await channel.open()
    results = await channel.send_many(messages)
    await channel.close()
    _check(results, len(messages))


def _check(results: list[SendResult], count: int) -> None:
    accepted = sum(isinstance(result, Accepted) for result in results)
    if accepted != count:
        raise IntegrityBroken(f"bench wire: {accepted} of {count} were accepted")


def _hear_nothing(session: Session, told: Sequence[Told]) -> None:
    """The sink tells nothing."""


class _Hand(asyncio.Protocol):
    """A bind that exists already, a window that is a count, answers that are counted."""

    def __init__(self, body: bytes, window: int, count: int) -> None:
        self._body, self._length = body, len(body) + _HEADER.size
        self._window, self._left, self._awaited, self._sequence = window, count, count, 0
        self._rest = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(self._window)

    def data_received(self, data: bytes) -> None:
        data, at, answers = self._rest + data, 0, 0
        while at + _HEADER.size <= len(data):
            length, _, status, _ = _HEADER.unpack_from(data, at)
            if at + length > len(data):
                break
            assert not status
            at, answers = at + length, answers + 1
        self._rest = data[at:]
        self._awaited -= answers
        if not self._awaited and not self.done.done():
            self.done.set_result(None)
        self._send(answers)

    def _send(self, most: int) -> None:
        count = min(most, self._left)
        self._left -= count
        first, self._sequence = self._sequence + 1, self._sequence + count
        pack, length, body = _HEADER.pack, self._length, self._body
        self._transport.write(
            b"".join(pack(length, _SUBMIT, 0, first + n) + body for n in range(count))
        )


async def _by_hand(port: int, body: bytes, window: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    transport, hand = await loop.create_connection(lambda: _Hand(body, window, count), HOST, port)
    await hand.done
    transport.abort()


class _Sink(asyncio.Protocol):
    """Takes every submit under a number of its own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._rest, self._number = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        data, at, answers = self._rest + data, 0, list[bytes]()
        while at + _HEADER.size <= len(data):
            length, command, _, sequence = _HEADER.unpack_from(data, at)
            if at + length > len(data):
                break
            at += length
            self._number += 1
            name = b"%x\0" % self._number
            size = _HEADER.size + len(name)
            answers.append(_HEADER.pack(size, command | 0x8000_0000, 0, sequence) + name)
        self._rest = data[at:]
        self._transport.write(b"".join(answers))


@contextmanager
def _sink() -> Iterator[int]:
    """A sink in a process of its own, for the block; its port."""
    spawned = multiprocessing.get_context("spawn")
    ours, its = spawned.Pipe()
    process = spawned.Process(target=_run_sink, args=(its.send,), daemon=True)
    process.start()
    try:
        port: int = ours.recv()
        yield port
    finally:
        process.kill()
        process.join()


def _run_sink(tell: Callable[[int], None]) -> None:
    asyncio.run(_serve_sink(tell))


async def _serve_sink(tell: Callable[[int], None]) -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, HOST, 0)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


# In a process of its own, because its native part may crash when the interpreter ends.
_SMPP34: Final = """
import asyncio, json, sys
import smpp34

port, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode("utf-16-be")

async def main():
    smsc = await smpp34.Client("127.0.0.1", port, "duewise", "duewise", window_size=100).connect()
    left = iter(range(count))
    async def submit():
        accepted = 0
        for number in left:
            answer = await smsc.submit_sm(
                f"861{number:010}", text, source_addr="1069000095123", dest_addr_ton=1,
                dest_addr_npi=1, data_coding=8, registered_delivery=1)
            accepted += answer.command_status == 0
        return accepted
    print(json.dumps(sum(await asyncio.gather(*(submit() for _ in range(100))))), flush=True)

asyncio.run(main())
"""


def _through_smpp34(port: int, count: int) -> None:
    command = [sys.executable, "-c", _SMPP34, str(port), str(count), TEXT]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - ours
    if json.loads(done.stdout or b"0") != count:
        raise IntegrityBroken("bench wire: smpp34 did not get an answer to all of them")


def _settings(port: int, window: int) -> SmppSettings:
    return SmppSettings(HOST, port, "duewise", "duewise", "1069000095123", window=window)


def _message(number: int) -> Message:
    return Message(number, f"e{number}", f"+861{number:010}", "", TEXT)
