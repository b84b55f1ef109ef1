"""Texts and senders as SMPP writes them, read back into ours."""

from __future__ import annotations

from typing import Final

from duewise.channels.smpp.pdu import ShortMessage
from duewise.channels.wire.text import (
    ALONE,
    TON_INTERNATIONAL,
    Concatenation,
    decode_gsm7,
    take_header,
)

UDHI: Final = 0x40  # section 5.2.12: the text begins with a user data header
TON_ALPHANUMERIC, NPI_ISDN = 5, 1
_CODECS = {1: "ascii", 3: "latin-1", 8: "utf-16-be"}  # section 5.2.19


def read_text(message: ShortMessage) -> tuple[str, Concatenation]:
    """The text of a message and its place in a longer one. What cannot be read is replaced."""
    octets, place = message.payload, ALONE
    if message.esm_class & UDHI:
        octets, place = take_header(octets)
    codec = _CODECS.get(message.data_coding)
    return (octets.decode(codec, "replace") if codec else decode_gsm7(octets)), place


def source_plan(sender_id: str) -> tuple[int, int, str]:
    """Type of number, numbering plan and digits of a sender id (sections 5.2.5 and 5.2.6).

    >>> source_plan("10690001"), source_plan("+8613800000000"), source_plan("Duewise")
    ((0, 1, '10690001'), (1, 1, '8613800000000'), (5, 0, 'Duewise'))
    """
    if sender_id.startswith("+"):
        return TON_INTERNATIONAL, NPI_ISDN, sender_id[1:]
    if sender_id.isdecimal():
        return 0, NPI_ISDN, sender_id
    return TON_ALPHANUMERIC, 0, sender_id
