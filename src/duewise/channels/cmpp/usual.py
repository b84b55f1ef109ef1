"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `report`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import cache, lru_cache, partial
from typing import Final, NamedTuple

from duewise.channels.base import InboundReceipt, ReceiptStatus
from duewise.channels.cmpp import status
from duewise.channels.cmpp.pdu import (
    HEADER_LENGTH,
    LAYOUTS,
    V2,
    V3,
    Command,
    pack_number,
    pack_text,
)
from duewise.channels.cmpp.report import done_at, field_text, status_of
from duewise.channels.wire.codec import NONE_ACCEPTED, AcceptedAll, Answers, ReplyPart, Told
from duewise.channels.wire.framing import all_alike, between

DELIVER: Final = struct.pack(">I", Command.DELIVER)
# Section 8.4.3.2: what answers begin with, what they end with where all is well (Result 0), and
# between them Sequence_Id and Msg_Id.
ACCEPTED: Final = {
    version: (struct.pack(">II", HEADER_LENGTH + 8 + size, Command.SUBMIT_RESP), bytes(size))
    for version, size in ((V2, 1), (V3, 4))
}
# Sections 8.4.5.1 and 8.4.5.2: all that matters of a deliver with a report of the same version,
# which is as long as any other: Registered_Delivery, Msg_Length, and of the report Msg_Id, Stat and
# Done_time. And its Sequence_Id and Msg_Id, which its answer has, too.
_REPORTS = {
    V2: struct.Struct(">12x8x21x10x3x21xBBQ7s10x10s21x4x8x"),
    V3: struct.Struct(">12x8x21x10x3x33xBBQ7s10x10s32x4x20x"),
}
_NAME = slice(8, 20)
_LENGTHS = {V2: 60, V3: 71}
_ANSWERS = {V2: struct.Struct(">8sIQ1s"), V3: struct.Struct(">8sIQ4s")}
_HEADER = struct.Struct(">III")
_PARTS_AT = 8  # after Msg_Id: Pk_total and Pk_number, an octet each


def submit_bodies(head: bytes, number: str, contents: Sequence[bytes], version: int) -> list[bytes]:
    """The bodies of CMPP_SUBMIT (section 8.4.3.1) of a text's parts to one number.

    `head` comes from `pdu.pack_submit_head`; what it says of parts does not matter. Raises
    ProtocolError.
    """
    layout, total = LAYOUTS[version], len(contents)
    before = head[:_PARTS_AT]
    after = head[_PARTS_AT + 2 :] + pack_number(number, layout) + layout.number_type
    return [
        b"%b%c%c%b%b" % (before, total, place, after, pack_text(content, "", layout))
        for place, content in enumerate(contents, start=1)
    ]


def submit_frames(first: int, bodies: Sequence[bytes]) -> bytes:
    """The frames of CMPP_SUBMIT with these bodies, under sequence numbers from `first` on."""
    pack, command = _HEADER.pack, int(Command.SUBMIT)
    return b"".join(
        [
            pack(len(body) + HEADER_LENGTH, command, sequence) + body
            for sequence, body in enumerate(bodies, start=first)
        ]
    )


def accepted_alike(octets: bytes, version: int) -> AcceptedAll:
    """The answers in whole frames that all say yes."""
    head, ok = ACCEPTED[version]
    fields = all_alike(octets, head=head, shape=_ANSWERS[version])
    if any(result != ok for _, _, _, result in fields):
        return NONE_ACCEPTED
    length = len(fields) * _ANSWERS[version].size
    ids = [str(msg_id) for _, _, msg_id, _ in fields]
    return AcceptedAll([sequence for _, sequence, _, _ in fields], ids, length)


def receipt_in(
    octets: bytes, version: int, *, received_at: datetime, zone: tzinfo
) -> InboundReceipt | None:
    """The receipt in the frame of a CMPP_DELIVER; None where it is any other."""
    shape = _REPORTS[version]
    if len(octets) != shape.size:
        return None
    is_report, length, msg_id, stat, done_time = shape.unpack(octets)
    word = _word(stat, done_time, zone) if is_report and length == _LENGTHS[version] else None
    if word is None:
        return None
    return InboundReceipt(str(msg_id), word.status, word.code, "", word.at or received_at)


def told_in(
    said: Sequence[InboundReceipt] | ReplyPart | None, frames: Sequence[bytes], version: int
) -> Told:
    """What these frames of CMPP_DELIVER say, and their answers (sections 8.4.5.1 and 8.4.5.2)."""
    return Told(said, [octets[_NAME] for octets in frames], *_answers(version))


@cache
def _answers(version: int) -> tuple[Answers, Answers]:
    size = len(ACCEPTED[version][1])
    head = struct.pack(">II", HEADER_LENGTH + 8 + size, Command.DELIVER_RESP)
    taken, busy = (
        partial(between, head, code.to_bytes(size, "big")) for code in (status.OK, status.THROTTLED)
    )
    return taken, busy


class _Word(NamedTuple):
    """What many reports have in common: how it ended, and when; `at` None: it does not say."""

    status: ReceiptStatus
    code: str
    at: datetime | None


@lru_cache(maxsize=4_096)
def _word(stat: bytes, done_time: bytes, zone: tzinfo) -> _Word | None:
    """The end of the message; None where it has none yet."""
    code = field_text(stat)
    found = status_of(code)
    return found and _Word(found, code, done_at(field_text(done_time), zone))
