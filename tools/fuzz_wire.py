"""Broken octets for every parser of the wire: `python tools/fuzz_wire.py [--inputs 100000]`.

Half of the inputs are whole frames with some octets changed, cut off or doubled, half are noise
under a length that is right. Seeded, so a run can be repeated. A parser may answer or say
ProtocolError; a codec must always answer. Prints a table, exit code 1 where one did anything else.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np

from duewise.channels.base import Message, Refused
from duewise.channels.caller import Asked, Caller, House, Limits
from duewise.channels.cmpp import pdu as cmpp
from duewise.channels.cmpp.codec import CmppCodec
from duewise.channels.cmpp.report import Report, read_report, write_report
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.gateway.cmpp import CmppDialect
from duewise.channels.gateway.dialect import Ending, Receipt, Submission
from duewise.channels.gateway.settings import GatewaySettings
from duewise.channels.gateway.smpp import SmppDialect
from duewise.channels.heard import Heard
from duewise.channels.smpp import pdu as smpp
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.channels.wire.text import ALONE
from duewise.channels.wire.times import read_time
from duewise.times import ManualClock

SEED = 20_260_810
NOISE_MAX = 300
HEADER = 16
NOW = datetime(2026, 8, 10, 1, tzinfo=UTC)
CLOCK = ManualClock(NOW)
NOTICE = Message(1, "e1", "+8613800000001", "10690001", "您本期应还1,234.56元" * 4, NOW)
SUBMISSION = Submission(7, "10690001", NOTICE.address, "e1", "T", ALONE, "ucs2", NOW, True)  # noqa: FBT003
RECEIPT = Receipt("77", SUBMISSION, Ending("DELIVRD", "000", NOW, NOW))
SMPP = SmppCodec(SmppSettings("h", 1, "duewise", "duewise"), clock=CLOCK)
_HEAD = b"POST /hooks/main/r?n=1 HTTP/1.1\r\nHost: h\r\nX-Signature: x\r\n"
CALLS = [
    _HEAD + b"Content-Length: 3\r\n\r\na=1",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n",
    2 * (_HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n{"),
]
CMPP2, CMPP3 = (
    CmppCodec(CmppSettings("h", 1, "901234", "duewise", version=version), clock=CLOCK)
    for version in ("2.0", "3.0")
)


def samples(codec: SmppCodec | CmppCodec) -> list[bytes]:
    """Whole frames of that protocol: logins, submits, small talk, a receipt."""
    gateway = GatewaySettings()
    dialect = SmppDialect(gateway) if isinstance(codec, SmppCodec) else CmppDialect(gateway)
    if isinstance(codec, CmppCodec):
        dialect.read(codec.login(1), now=NOW)  # it speaks the version of its peer from here on
    bodies = codec.bodies(NOTICE)
    assert not isinstance(bodies, Refused)
    submits = [codec.submits(2, [body]) for body in bodies]
    told = [dialect.deliver(3, RECEIPT), dialect.submit_answer(2, 0, "77")]
    return [codec.login(1), codec.logout(4), codec.enquiry(5), *submits, *told]


def broken(whole: list[bytes], count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Frames that tell their own length, and hardly anything else is right.

    They are no shorter than a header: what is shorter, framing holds back.
    """
    for number in range(count):
        octets = bytearray(whole[int(rng.integers(len(whole)))])
        if number % 2:
            noise = rng.bytes(int(rng.integers(NOISE_MAX)))
            octets[int(rng.integers(min(HEADER, len(octets)), len(octets) + 1)) :] = noise
        is_frame = int.from_bytes(octets[:4], "big") == len(octets) or number % 2
        for _ in range(int(rng.integers(1, 6))):
            octets[int(rng.integers(4, len(octets)))] = int(rng.integers(256))
        if is_frame:
            octets[:4] = struct.pack(">I", len(octets))
        yield bytes(octets)


def streams(whole: list[bytes], count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """The same, with lengths that lie."""
    for octets in broken(whole, count, rng):
        lie = struct.pack(">I", int(rng.integers(2 * smpp.PDU_LENGTH_MAX)))
        yield lie + octets[4:] if rng.integers(8) == 0 else octets


def _every_way(codec: SmppCodec | CmppCodec) -> Callable[[bytes], object]:
    """All of a codec's ways to read a frame."""
    return lambda octets: (codec.read(octets), codec.hear([octets]), codec.accepted(octets * 2))


def _both_ways(kind: type[SmppDialect | CmppDialect]) -> Callable[[bytes], object]:
    """The gateway's ways to read a frame."""

    def read(octets: bytes) -> object:
        dialect = kind(GatewaySettings())
        return dialect.read(octets, now=NOW), [*dialect.hear([octets, octets], now=NOW)]

    return read


def parsers() -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """Each parser, and what its inputs are made from."""
    report = write_report(Report(7, "DELIVRD", "2608100100", "2608100101", "13800000001"), cmpp.V3)
    return {
        "smpp decode": (smpp.decode, samples(SMPP)),
        "smpp codec": (_every_way(SMPP), samples(SMPP)),
        "smpp gateway": (_both_ways(SmppDialect), samples(SMPP)),
        "cmpp 2.0 decode": (lambda o: cmpp.decode(o, cmpp.V2), samples(CMPP2)),
        "cmpp 3.0 decode": (lambda o: cmpp.decode(o, cmpp.V3), samples(CMPP3)),
        "cmpp 2.0 codec": (_every_way(CMPP2), samples(CMPP2)),
        "cmpp 3.0 codec": (_every_way(CMPP3), samples(CMPP3)),
        "cmpp gateway": (_both_ways(CmppDialect), samples(CMPP2)),
        "cmpp report": (read_report, [report]),
        "time": (lambda o: read_time(o.decode("latin-1"), now=NOW), [b"260810210000032+"]),
    }


def run(name: str, count: int) -> int:
    """One parser on that many inputs; prints its row, returns how often it did what it must not."""
    parse, whole = parsers()[name]
    rng = np.random.default_rng(SEED)
    answered = refused = failed = 0
    longest_s = 0.0
    for octets in broken(whole, count, rng):
        began = time.perf_counter()
        try:
            parse(octets)
            answered += 1
        except ProtocolError:
            refused += 1
            failed += name.endswith(("codec", "gateway"))
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            failed += 1
            print(f"{name}: {error!r} on {octets.hex()}")
        longest_s = max(longest_s, time.perf_counter() - began)
    print(f"| {name} | {count} | {answered} | {refused} | {failed} | {longest_s * 1e3:.1f} |")
    return failed


def run_framing(count: int) -> int:
    """Lying lengths to the deframer: it never holds more than a frame and a piece."""
    rng, refused, most = np.random.default_rng(SEED), 0, 0
    deframer = Deframer(shortest=smpp.HEADER_LENGTH, longest=smpp.PDU_LENGTH_MAX)
    for octets in streams(samples(SMPP), count, rng):
        try:
            deframer.feed(octets)
        except ProtocolError:
            refused += 1
            deframer = Deframer(shortest=smpp.HEADER_LENGTH, longest=smpp.PDU_LENGTH_MAX)
        most = max(most, deframer.held)
    failed = int(most > smpp.PDU_LENGTH_MAX)
    print(f"| framing, at most {most} octets held | {count} | | {refused} | {failed} | |")
    return failed


class Deaf(asyncio.Transport):
    """Takes what is written and forgets it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody listens."""

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""

    def abort(self) -> None:
        """There is nothing to hang up."""


async def run_hooks(count: int) -> int:
    """Broken calls of providers: each is heard or denied, and nothing of it is held after."""
    said: Counter[str] = Counter()
    house = House(lambda asked: _counted(said, asked), Limits(), lambda *_: None)
    rng, failed = np.random.default_rng(SEED), 0
    for octets in broken(CALLS, count, rng):
        caller = Caller(house)
        caller.connection_made(Deaf())
        try:
            caller.data_received(b"POST" + octets[4:])
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            failed += 1
            print(f"hooks: {error!r} on {octets.hex()}")
        caller.connection_lost(None)
    failed += house.held_bytes != 0 or bool(house.callers)
    print(f"| hooks, {said['heard']} calls heard | {count} | | | {failed} | |")
    return failed


def _counted(said: Counter[str], _asked: Asked) -> Heard:
    said["heard"] += 1
    return Heard()


def main() -> int:
    """Every parser in turn."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--inputs", type=int, default=100_000)
    count: int = arguments.parse_args().inputs
    print("| parser | inputs | answered | ProtocolError | failed | longest, ms |")
    print("|---|---|---|---|---|---|")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failed = sum(run(name, count) for name in parsers()) + run_framing(count)
    failed += asyncio.run(run_hooks(count))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1_024
    print(f"memory grew by {grown} MiB at most")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
