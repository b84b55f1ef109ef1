"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `receipt`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from duewise.channels.base import InboundReceipt
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    SHORT_MESSAGE_MAX,
    decode_tlvs,
    packed,
)
from duewise.channels.smpp.receipt import ReceiptFields, receipt_of
from duewise.channels.smpp.text import NPI_ISDN, source_plan
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import TON_INTERNATIONAL

RECEIPT_REQUESTED: Final = 1  # section 5.2.17: a receipt for success and for failure
_INTERNATIONAL = bytes((TON_INTERNATIONAL, NPI_ISDN))
# Section 4.6.1 with esm_class 4, and the text of appendix B in printable ASCII.
_RECEIPT = re.compile(
    rb"[^\0]{0,5}\0..[^\0]{0,20}\0..[^\0]{0,20}\0\x04..[^\0]{0,16}\0[^\0]{0,16}\0....(.)"
    rb"id:([!-~]{1,64}) sub:\d+ dlvrd:\d+ submit date:\d+ done date:(\d+) stat:([A-Z]+)"
    rb" err:([0-9A-Za-z]+) text:",
    re.DOTALL,
)


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
