"""Texts and numbers as every carrier's wire has them: septets, headers of long texts, addresses."""

from __future__ import annotations

from typing import Final, NamedTuple

from duewise.message.parts import ESCAPE, GSM_BASIC, GSM_EXTENSION

TON_INTERNATIONAL: Final = 1
SUBSCRIBER_DIGITS_MIN: Final = 10  # shorter numbers are services
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_EXTENDED = {septet: character for character, septet in GSM_EXTENSION.items()}


class Concatenation(NamedTuple):
    """3GPP TS 23.040, 9.2.3.24.1: which part of which long message."""

    reference: int
    total: int
    number: int


ALONE: Final = Concatenation(0, 1, 1)


def take_header(octets: bytes) -> tuple[bytes, Concatenation]:
    """A text that begins with a user data header, without it; and what the header says.

    >>> take_header(bytes.fromhex("050003070201") + b"R")
    (b'R', Concatenation(reference=7, total=2, number=1))
    """
    if not octets:
        return octets, ALONE
    length = 1 + octets[0]
    return octets[length:], _concatenation(octets[1:length])


def decode_gsm7(septets: bytes) -> str:
    """GSM-7, one septet an octet (data_coding 0 as most gateways send it).

    >>> decode_gsm7(bytes([0x54, 0x00, 0x1B, 0x3C]))
    'T@['
    """
    if ESCAPE not in septets and septets.isascii():
        return septets.decode("latin-1").translate(_FROM_SEPTET)
    characters: list[str] = []
    is_escaped = False
    for septet in septets:
        if septet == ESCAPE and not is_escaped:
            is_escaped = True
            continue
        if septet >= len(GSM_BASIC):
            characters.append(REPLACEMENT)
        elif is_escaped:
            characters.append(_EXTENDED.get(septet, GSM_BASIC[septet]))
        else:
            characters.append(GSM_BASIC[septet])
        is_escaped = False
    return "".join(characters)


def pack_septets(septets: bytes, *, fill_bits: int = 0) -> bytes:
    """Septets as 3GPP TS 23.038 (6.1.2.1.1) packs them, eight in seven octets.

    `fill_bits` zero bits come first, where a header must end on the border of a septet.

    >>> pack_septets(b"hellohello").hex()
    'e8329bfd4697d9ec37'
    """
    bits = 0
    for place, septet in enumerate(septets):
        bits |= septet << (7 * place + fill_bits)
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack_septets(octets: bytes, *, fill_bits: int = 0) -> bytes:
    """Packed septets, one an octet.

    Where seven bits are left over they are a septet unless they are zero, which is filling.

    >>> unpack_septets(bytes.fromhex("e8329bfd4697d9ec37"))
    b'hellohello'
    """
    bits = int.from_bytes(octets, "little") >> fill_bits
    count = (8 * len(octets) - fill_bits) // 7
    septets = bytes(bits >> (7 * place) & 0x7F for place in range(count))
    has_filling = count and (8 * len(octets) - fill_bits) % 7 == 0 and not septets[-1]
    return septets[:-1] if has_filling else septets


def fill_bits_after(header: bytes) -> int:
    """How many bits lie between a user data header and the first septet (TS 23.040, 9.2.3.24).

    >>> fill_bits_after(bytes(6)), fill_bits_after(bytes(7)), fill_bits_after(b"")
    (1, 0, 0)
    """
    return -8 * len(header) % 7


def _concatenation(elements: bytes) -> Concatenation:
    """The first concatenation element of a user data header, 8 or 16 bit reference."""
    at = 0
    while at + 2 <= len(elements):
        kind, length = elements[at], elements[at + 1]
        match kind, tuple(elements[at + 2 : at + 2 + length]):
            case 0x00, (reference, total, number):
                return Concatenation(reference, total, number)
            case 0x08, (high, low, total, number):
                return Concatenation(high << 8 | low, total, number)
        at += 2 + length
    return ALONE


def read_address(ton: int, digits: str, *, country_code: str) -> str:
    """An address in E.164 where it is a subscriber's number, else as it came.

    >>> [read_address(0, text, country_code="86") for text in ("8613800000000", "13800000000")]
    ['+8613800000000', '+8613800000000']
    >>> read_address(0, "10690001", country_code="86")
    '10690001'
    """
    bare = digits.lstrip("+")
    if not bare.isdecimal():
        return digits
    if ton == TON_INTERNATIONAL or digits != bare:
        return f"+{bare}"
    if bare.startswith("00"):
        return f"+{bare[2:]}"
    is_subscriber = len(bare) >= SUBSCRIBER_DIGITS_MIN and not bare.startswith("10")
    if bare.startswith(country_code) and len(bare) >= len(country_code) + SUBSCRIBER_DIGITS_MIN:
        return f"+{bare}"
    return f"+{country_code}{bare.lstrip('0')}" if is_subscriber else digits


_FROM_SEPTET = dict(enumerate(GSM_BASIC))
