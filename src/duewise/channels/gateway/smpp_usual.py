"""What nearly all frames of SMPP are at the gateway, read and written in one pass.

Whatever is not so is left to `smpp`, which reads and writes all of it, three times slower; a test
holds the two against each other.
"""

from __future__ import annotations

import re
import struct
from codecs import utf_16_be_decode
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Final, NamedTuple

from duewise.channels.gateway.dialect import NEVER, Ending, Receipt, Submission
from duewise.channels.gateway.settings import IdForm
from duewise.channels.smpp.pdu import HEADER_LENGTH, Command, Tag, c_string, packed
from duewise.channels.smpp.receipt import RECEIPT_TYPE, STATE_NUMBERS, write_fields
from duewise.channels.smpp.text import source_plan
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import ALONE, TON_INTERNATIONAL, Concatenation
from duewise.channels.wire.times import read_time
from duewise.message.parts import UCS2

RECEIPT_WANTED: Final = 0x03  # section 5.2.17
SUBSCRIBER_MAX: Final = 21  # with its plus sign, as the digits have a NUL behind them
# Section 4.4.1, up to sm_length: a text in UCS-2, with a header or without.
_SUBMIT: Final = re.compile(
    rb"....\0\0\0\x04\0\0\0\0...."
    rb"([^\0]{0,5}\0..[^\0]{0,20}\0..)([^\0]{0,20})\0"  # up to the destination; it
    rb"([\0\x40]..[^\0]{0,16}\0[^\0]{0,16}\0..\x08.)(.)",
    re.DOTALL,
)
_TAKEN: Final = re.compile(rb"(?:\0\0\0\x11\x80\0\0\x05\0\0\0\0....\0)+", re.DOTALL)
_TAKEN_NUMBER: Final = struct.Struct(">12xIx")
_NUMBERS: Final = struct.Struct(">I8xI")  # length and sequence number of a frame
_REFERENCE: Final = Tag.REFERENCE.to_bytes(2, "big")
_LONG: Final = b"\5\0\3"  # a header of one element: reference, total, number
_LONG_LENGTH: Final = 6
_HEADER: Final = struct.Struct(">IIII")
_DELIVER: Final = int(Command.DELIVER_SM)
# A receipt without its frame's header: section 4.6.1 with the text of appendix B, and the id and
# the state once more as parameters of their own (sections 5.3.2.12 and 5.3.2.35).
_RECEIPT: Final = b"\0%%b%%b%b%%cid:%%b%%b%b\0%%c%%b\0%b\0\1%%c%%b" % (
    bytes((RECEIPT_TYPE, 0, 0)) + b"\0\0" + bytes(4),  # no times; nothing registered or coded
    Tag.RECEIPTED_MESSAGE_ID.to_bytes(2, "big"),
    Tag.MESSAGE_STATE.to_bytes(2, "big"),
)
_submission = partial(tuple.__new__, Submission)  # in a third of the time of its own `__new__`


class _Terms(NamedTuple):
    """What many submits have in common; without `valid_until` `validity` depends on now."""

    has_header: bool
    valid_until: datetime | None
    validity: str
    wants_receipt: bool


def read_taken(octets: bytes) -> tuple[Sequence[int], int]:
    """The sequence numbers of the deliver_sm_resp that say yes, and nothing else, in front."""
    found = _TAKEN.match(octets)
    if found is None:
        return (), 0
    return [sequence for (sequence,) in _TAKEN_NUMBER.iter_unpack(found[0])], found.end()


def read_submit(octets: bytes, *, now: datetime) -> Submission | None:
    """A submit_sm in UCS-2, with at most a header of a long text and a reference of ours.

    None for any other frame.
    """
    found = _SUBMIT.match(octets)
    if found is None:
        return None
    plan, destination, flags, size = found.groups()
    length, sequence = _NUMBERS.unpack_from(octets)
    start = found.end()
    end = start + size[0]
    if not start < end <= length == len(octets):
        return None
    reference = _read_reference(octets[end:]) if end < length else ""
    has_header, absolute, validity, wants_receipt = _terms(flags)
    text = octets[start:end]
    place: Concatenation | None = ALONE
    if has_header:
        text, place = text[_LONG_LENGTH:], _place(text[:_LONG_LENGTH])
    if reference is None or place is None:
        return None
    source, plus = _plan(plan)
    return _submission(
        (
            sequence,
            source,
            plus + destination.decode("latin-1"),
            reference,
            utf_16_be_decode(text, "replace", True)[0],  # noqa: FBT003 - nothing follows
            place,
            UCS2.name,
            absolute or valid_until(validity, now),
            wants_receipt,
            0,
        )
    )


def deliver_receipt(sequence: int, receipt: Receipt, form: IdForm) -> bytes:
    """The frame of a receipt."""
    message_id, submission, ending = receipt
    name = (message_id if form == "same" else spell_id(message_id, form)).encode()
    reference = submission.reference
    words = _words(ending)
    body = _RECEIPT % (
        _address(submission.destination),
        _address(submission.source),
        len(name) + len(words) + 3,
        name,
        words,
        len(name) + 1,
        name,
        STATE_NUMBERS[ending.stat],
        _parameter(reference) if reference else b"",
    )
    return _HEADER.pack(HEADER_LENGTH + len(body), _DELIVER, 0, sequence) + body


def spell_id(message_id: str, form: IdForm) -> str:
    """The message id as this gateway's receipts write it.

    >>> [spell_id("ff", form) for form in ("same", "upper", "padded", "decimal")]
    ['ff', 'FF', '0000ff', '255']
    """
    match form:
        case "upper":
            return message_id.upper()
        case "padded":
            return f"0000{message_id}"
        case "decimal":
            return str(int(message_id, 16))
        case _:
            return message_id


@lru_cache(maxsize=1_024)
def valid_until(validity_period: str, now: datetime) -> datetime:
    """The end of validity; over already where it cannot be read."""
    try:
        return read_time(validity_period, now=now) or NEVER
    except ProtocolError:
        return now


def e164(ton: int, digits: str) -> str:
    """A number with its plus sign, if it is an international one."""
    return f"+{digits}" if ton == TON_INTERNATIONAL else digits


@lru_cache(maxsize=1_024)
def _plan(octets: bytes) -> tuple[str, str]:
    """The source, and what goes before the destination: from all fields before the latter."""
    at = octets.index(0) + 1  # behind service_type
    source = octets[at + 2 : -3].decode("latin-1")
    return e164(octets[at], source), e164(octets[-2], "")


@lru_cache(maxsize=1_024)
def _terms(octets: bytes) -> _Terms:
    """What the fields from esm_class to sm_default_msg_id say."""
    validity = octets[3:-5].partition(b"\0")[2].decode("latin-1")
    until = None if validity.endswith("R") else _read_absolute(validity)
    return _Terms(octets[0] != 0, until, validity, bool(octets[-4] & RECEIPT_WANTED))


def _read_absolute(validity: str) -> datetime | None:
    try:
        return read_time(validity, now=NEVER) or NEVER
    except ProtocolError:
        return None


@lru_cache(maxsize=4_096)
def _place(header: bytes) -> Concatenation | None:
    """The place in a long text; None for any other header."""
    if len(header) < _LONG_LENGTH or not header.startswith(_LONG):
        return None
    return Concatenation(*header[3:])


def _read_reference(octets: bytes) -> str | None:
    """Our reference, if that is the only optional parameter; else None."""
    if octets[:2] != _REFERENCE or int.from_bytes(octets[2:4], "big") != len(octets) - 4:
        return None
    return c_string(octets[4:])


def _address(number: str) -> bytes:
    if number.startswith("+") and len(number) <= SUBSCRIBER_MAX:  # each is another one
        return b"\1\1%b\0" % number[1:].encode("latin-1")
    return _other_address(number)


@lru_cache(maxsize=1_024)
def _other_address(number: str) -> bytes:
    ton, npi, digits = source_plan(number)
    return bytes((ton, npi)) + packed(digits, 21)


@lru_cache(maxsize=1_024)
def _words(ending: Ending) -> bytes:
    """A receipt's text after the id."""
    return write_fields("", **ending._asdict()).removeprefix("id:").encode("ascii")


def _parameter(reference: str) -> bytes:
    octets = reference.encode("latin-1") + b"\0"
    return b"%b%b%b" % (_REFERENCE, len(octets).to_bytes(2, "big"), octets)
