"""Texts and numbers as CMPP writes them, read back into ours."""

from __future__ import annotations

from typing import Final

from duewise.channels.cmpp.pdu import Deliver, Submit
from duewise.channels.wire.text import ALONE, Concatenation, decode_gsm7, take_header
from duewise.message.parts import UCS2, Encoding, Part

ASCII_FORMAT: Final = 0
_CODECS = {ASCII_FORMAT: "ascii", UCS2.data_coding: "utf-16-be", 15: "gb18030"}  # 8.4.3.1, Msg_Fmt


def encoding_of(text: str) -> Encoding | None:
    """UCS-2 for what is no ASCII, for CMPP has no GSM-7; else the smaller that fits."""
    return None if text.isascii() else UCS2


def content_of(part: Part) -> tuple[int, bytes]:
    r"""Msg_Fmt and octets of a part. CMPP has ASCII where SMPP has the septets of GSM-7.

    >>> content_of(Part(b"\x00", 0, b""))
    (0, b'@')
    """
    if part.data_coding == UCS2.data_coding:
        return UCS2.data_coding, part.udh + part.payload
    return ASCII_FORMAT, part.udh + decode_gsm7(part.payload).encode("ascii", "replace")


def read_text(message: Submit | Deliver) -> tuple[str, Concatenation]:
    """The text of a message and its place in a longer one. What cannot be read is replaced."""
    octets, place = message.content, ALONE
    if message.has_header:
        octets, place = take_header(octets)
    return octets.decode(_CODECS.get(message.msg_format, "latin-1"), "replace"), place


def write_number(address: str, *, country_code: str) -> str:
    """A number of E.164 for the carrier of that country.

    >>> [write_number(text, country_code="86") for text in ("+8613800000001", "+14155550100")]
    ['13800000001', '0014155550100']
    """
    digits = address.removeprefix("+")
    national = digits.removeprefix(country_code)
    return f"00{digits}" if national == digits else national
