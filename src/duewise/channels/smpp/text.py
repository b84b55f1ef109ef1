"""Texts, numbers and instants as SMPP writes them, read back into ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from duewise.channels.smpp.pdu import ProtocolError, ShortMessage
from duewise.message.parts import ESCAPE, GSM_BASIC, GSM_EXTENSION

UDHI: Final = 0x40  # section 5.2.12: the text begins with a user data header
TON_INTERNATIONAL, TON_ALPHANUMERIC, NPI_ISDN = 1, 5, 1
SUBSCRIBER_DIGITS_MIN: Final = 10  # shorter numbers are services
RELATIVE_DAYS_MAX: Final = 99
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_TIME = re.compile(r"[0-9]{15}[-+R]")
_EXTENDED = {septet: character for character, septet in GSM_EXTENSION.items()}
_CODECS = {1: "ascii", 3: "latin-1", 8: "utf-16-be"}  # section 5.2.19


class Concatenation(NamedTuple):
    """3GPP TS 23.040, 9.2.3.24.1: which part of which long message."""

    reference: int
    total: int
    number: int


ALONE: Final = Concatenation(0, 1, 1)


def read_text(message: ShortMessage) -> tuple[str, Concatenation]:
    """The text of a message and its place in a longer one. What cannot be read is replaced."""
    octets = message.payload
    if message.esm_class & UDHI == 0 or not octets:
        return _decode_text(octets, message.data_coding), ALONE
    length = 1 + octets[0]
    return (
        _decode_text(octets[length:], message.data_coding),
        _concatenation(octets[1:length]),
    )


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


def _decode_text(octets: bytes, data_coding: int) -> str:
    codec = _CODECS.get(data_coding)
    if codec is None:
        return decode_gsm7(octets)
    return octets.decode(codec, "replace")


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


def absolute_time(instant: datetime) -> str:
    """Section 7.1.1: an aware instant in UTC, tenths left at 0.

    >>> absolute_time(datetime(2026, 8, 9, 13, 30, tzinfo=UTC))
    '260809133000000+'
    """
    assert instant.tzinfo is not None, "an instant carries its zone"
    return instant.astimezone(UTC).strftime("%y%m%d%H%M%S000+")


def relative_time(span: timedelta) -> str:
    """Section 7.1.1: a span from now, days and seconds only (99 days at most).

    >>> relative_time(timedelta(days=1, hours=2))
    '000001020000000R'
    """
    seconds = int(span.total_seconds())
    days, rest = divmod(seconds, 86_400)
    if not 0 <= days <= RELATIVE_DAYS_MAX:
        raise ProtocolError("a relative time reaches from 0 to 99 days")
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def read_time(text: str, *, now: datetime) -> datetime | None:
    """Section 7.1.1 read back: absolute or relative to `now`; None for none. ProtocolError else.

    >>> read_time("260809213000032+", now=datetime(2026, 8, 9, tzinfo=UTC)).isoformat()
    '2026-08-09T13:30:00+00:00'
    """
    if not text:
        return None
    if _TIME.fullmatch(text) is None:
        raise ProtocolError("a time has 15 digits and one of +, - and R")
    years, months, days, hours, minutes, seconds = (
        int(text[at : at + 2]) for at in range(0, 12, 2)
    )
    quarters = int(text[13:15])
    if text[15] == "R":
        whole_days = years * 365 + months * 30 + days
        return now + timedelta(days=whole_days, hours=hours, minutes=minutes, seconds=seconds)
    sign = 1 if text[15] == "+" else -1
    try:
        local = datetime(2000 + years, months, days, hours, minutes, seconds, tzinfo=UTC)
    except ValueError as error:
        raise ProtocolError(f"a time: {error}") from None
    return local - sign * timedelta(minutes=15 * quarters)


_FROM_SEPTET = dict(enumerate(GSM_BASIC))
