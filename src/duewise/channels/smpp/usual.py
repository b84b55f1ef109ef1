"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `receipt`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from duewise.channels.base import InboundReceipt, normalise_provider_id
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    MESSAGE_ID_MAX,
    SHORT_MESSAGE_MAX,
    Command,
    decode_tlvs,
    packed,
)
from duewise.channels.smpp.receipt import ReceiptFields, receipt_of
from duewise.channels.smpp.text import NPI_ISDN, source_plan
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import TON_INTERNATIONAL

# Command and status of an answer that says yes; what is behind its header is its submit's id.
ACCEPTED: Final = struct.pack(">II", Command.SUBMIT_SM_RESP, 0)
RECEIPT_REQUESTED: Final = 1  # section 5.2.17: a receipt for success and for failure
_HEADER = struct.Struct(">IIII")
_INTERNATIONAL = bytes((TON_INTERNATIONAL, NPI_ISDN))
# Section 4.6.1 with esm_class 4, and the text of appendix B in printable ASCII.
_RECEIPT = re.compile(
    rb"[^\0]{0,5}\0..[^\0]{0,20}\0..[^\0]{0,20}\0\x04..[^\0]{0,16}\0[^\0]{0,16}\0....(.)"
    rb"id:([!-~]{1,64}) sub:\d+ dlvrd:\d+ submit date:\d+ done date:(\d+) stat:([A-Z]+)"
    rb" err:([0-9A-Za-z]+) text:",
    re.DOTALL,
)


def is_usual_answer(octets: bytes) -> bool:
    """Whether the body of a submit_sm_resp is an id that is not empty, and nothing behind it."""
    last = len(octets) - 1
    return HEADER_LENGTH < last < HEADER_LENGTH + MESSAGE_ID_MAX and (
        octets.find(0, HEADER_LENGTH) == last
    )


def accepted_ids(answers: Sequence[bytes]) -> tuple[Sequence[int], Sequence[str]]:
    """The sequence numbers of such answers and, in their normal form, the ids in them."""
    sequences = struct.unpack(f">{len(answers)}I", b"".join([each[12:16] for each in answers]))
    ids = b"".join([each[HEADER_LENGTH:] for each in answers])
    if ids.replace(b"\0", b"").isalnum() and b"\x000" not in b"\0" + ids:  # as nearly all are
        return sequences, ids[:-1].lower().decode("ascii").split("\0")
    return sequences, [
        normalise_provider_id(each[HEADER_LENGTH:-1].decode("latin-1")) for each in answers
    ]


def read_receipt_frame(
    octets: bytes, *, received_at: datetime, zone: tzinfo
) -> InboundReceipt | None:
    """The receipt in the frame of a deliver_sm; None where it is any other, or none.

    Raises ProtocolError where an optional parameter is cut off.
    """
    found = _RECEIPT.match(octets, HEADER_LENGTH)
    if found is None:
        return None
    size, provider_id, done_date, stat, code = found.groups()
    end = found.start(2) - 3 + size[0]
    if not found.end() <= end <= len(octets):
        return None
    fields = ReceiptFields(provider_id.decode(), stat.decode(), code.decode(), done_date.decode())
    return receipt_of(fields, decode_tlvs(octets, end), received_at=received_at, zone=zone)


@lru_cache(maxsize=64)
def source_of(sender_id: str) -> bytes:
    """The fields of a submit_sm up to its source. Raises ProtocolError."""
    ton, npi, source = source_plan(sender_id)
    return b"\0" + bytes((ton, npi)) + packed(source, 21) + _INTERNATIONAL


def submit_frames(first: int, bodies: Sequence[bytes]) -> bytes:
    """The frames of submit_sm with these bodies, under sequence numbers from `first` on."""
    pack, command = _HEADER.pack, int(Command.SUBMIT_SM)
    return b"".join(
        [
            pack(len(body) + HEADER_LENGTH, command, 0, sequence) + body
            for sequence, body in enumerate(bodies, start=first)
        ]
    )


def submit_head(
    source: bytes, destination: str, *, esm_class: int, validity: bytes, data_coding: int
) -> bytes:
    """The body of a submit_sm (section 4.4.1) that asks for a receipt, up to its sm_length.

    `source` comes from `source_of`, `destination` is E.164 without its plus sign, `validity` is
    packed. Raises ProtocolError.
    """
    return b"%b%b%c\0\0\0%b%c\0%c\0" % (
        source,
        packed(destination, 21),
        esm_class,
        validity,
        RECEIPT_REQUESTED,
        data_coding,
    )


def submit_body(head: bytes, text: bytes, tlvs: bytes) -> bytes:
    """That head with a text, and with optional parameters that are packed. Raises ProtocolError."""
    if len(text) > SHORT_MESSAGE_MAX:
        raise ProtocolError(f"short_message of {len(text)} octets")
    return b"%b%c%b%b" % (head, len(text), text, tlvs)
