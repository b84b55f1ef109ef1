"""Texts and senders as SMPP writes them, read back into ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from duewise.channels.smpp.pdu import ShortMessage, Tag
from duewise.channels.wire.text import (
    ALONE,
    TON_INTERNATIONAL,
    Concatenation,
    decode_gsm7,
    fill_bits_after,
    pack_septets,
    take_header,
    unpack_septets,
)
from duewise.message.parts import GSM7, Part

UDHI: Final = 0x40  # section 5.2.12: the text begins with a user data header
TON_ALPHANUMERIC, NPI_ISDN = 5, 1
_CODECS = {1: "ascii", 3: "latin-1", 8: "utf-16-be"}  # section 5.2.19


def read_text(message: ShortMessage, *, packs_septets: bool = False) -> tuple[str, Concatenation]:
    """The text of a message and its place in a longer one. What cannot be read is replaced."""
    octets, place, header = message.payload, _sar(message), b""
    if message.esm_class & UDHI and octets:
        header = octets[: 1 + octets[0]]
        octets, place = take_header(octets)
    codec = _CODECS.get(message.data_coding)
    if codec:
        return octets.decode(codec, "replace"), place
    if packs_septets:
        octets = unpack_septets(octets, fill_bits=fill_bits_after(header))
    return decode_gsm7(octets), place


def _sar(message: ShortMessage) -> Concatenation:
    """Sections 5.3.2.22 to 24: a place in a longer text, said by parameters."""
    if Tag.SAR_TOTAL not in message.tlvs:
        return ALONE
    tags = (Tag.SAR_REFERENCE, Tag.SAR_TOTAL, Tag.SAR_NUMBER)
    return Concatenation(*(int.from_bytes(message.tlvs.get(tag, b"")[:2], "big") for tag in tags))


def text_of(parts: Sequence[Part], *, has_header: bool, packs_septets: bool) -> bytes:
    """The octets of some parts as one text, with the first one's header or without."""
    header = parts[0].udh if has_header else b""
    text = b"".join(part.payload for part in parts)
    if packs_septets and parts[0].data_coding == GSM7.data_coding:
        text = pack_septets(text, fill_bits=fill_bits_after(header))
    return header + text


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
