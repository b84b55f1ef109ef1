"""A delivery receipt: the text of appendix B and the optional parameters that say the same.

Where both are there the parameters win, for they are not free text. A receipt is known by its
esm_class or by its parameters, never by its text alone: a borrower can write any text.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from duewise.channels.base import InboundReceipt, ReceiptStatus, normalise_provider_id
from duewise.channels.smpp.pdu import QueryResp, ShortMessage, Tag, Tlvs, c_string
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.times import read_time

MESSAGE_TYPE: Final = 0x3C  # section 5.2.12: the bits of esm_class that say what a deliver_sm is
RECEIPT_TYPE: Final = 0x04
INTERMEDIATE_TYPE: Final = 0x20
NETWORK_ERROR_LENGTH: Final = 3
_RECEIPT_TYPES: Final = frozenset({RECEIPT_TYPE, INTERMEDIATE_TYPE})

_FINAL: Final[dict[str, ReceiptStatus]] = {
    "DELIVRD": "delivered",
    "EXPIRED": "expired",
    "DELETED": "failed",
    "UNDELIV": "failed",
    "REJECTD": "failed",
    "UNKNOWN": "unknown",
}
_NOT_FINAL: Final = frozenset({"ENROUTE", "ACCEPTD"})
_STATES: Final = {  # section 5.2.28, message_state
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}
STATE_NUMBERS: Final = {name: number for number, name in _STATES.items()}
_FIELD = re.compile(r"\b(id|stat|err|done date)\s*:\s*([^\s:]{1,64})", re.IGNORECASE)
_USUAL = re.compile(  # appendix B to the letter, as nearly everybody writes it
    r"id:(\S{1,64}) sub:\d+ dlvrd:\d+ submit date:\d+ done date:(\d+) stat:(\w+) err:(\w+)"
)
_TEXT = re.compile(r"\btext\s*:", re.IGNORECASE)
_DONE_DATE = re.compile(r"\d{10}(\d\d)?")


class ReceiptFields(NamedTuple):
    """The four fields of a receipt's text that we use; empty where absent."""

    provider_id: str = ""
    stat: str = ""
    code: str = ""
    done_date: str = ""


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm speaks of a message of ours instead of bringing a text."""
    return (
        message.esm_class & MESSAGE_TYPE in _RECEIPT_TYPES
        or Tag.RECEIPTED_MESSAGE_ID in message.tlvs
    )


def read_receipt(
    message: ShortMessage, *, received_at: datetime, zone: tzinfo
) -> InboundReceipt | None:
    """The receipt in a deliver_sm; None where it says only that the message is on its way.

    `zone` is the one in which the gateway writes its done date. A state nobody defined reads as
    "unknown" with the gateway's own word as its code.
    """
    if message.esm_class & MESSAGE_TYPE == INTERMEDIATE_TYPE:
        return None
    fields = read_fields(message.payload.decode("latin-1"))
    return receipt_of(fields, message.tlvs, received_at=received_at, zone=zone)


def receipt_of(
    fields: ReceiptFields, tlvs: Tlvs, *, received_at: datetime, zone: tzinfo
) -> InboundReceipt | None:
    """A receipt from the fields of its text and its parameters; None if it is not the last word."""
    state = tlvs.get(Tag.MESSAGE_STATE, b"")
    stat = _STATES.get(state[0], "UNKNOWN") if state else fields.stat.upper()
    if stat in _NOT_FINAL:
        return None
    receipted = tlvs.get(Tag.RECEIPTED_MESSAGE_ID)
    provider_id = c_string(receipted) if receipted is not None else fields.provider_id
    code = fields.code or _network_code(tlvs.get(Tag.NETWORK_ERROR_CODE, b""))
    return InboundReceipt(
        provider_id=normalise_provider_id(provider_id),
        status=_FINAL.get(stat, "unknown"),
        code=code if stat in _FINAL else stat or code,
        reference=c_string(tlvs.get(Tag.REFERENCE, b"")),
        at=_done_at(fields.done_date, zone) or received_at,
    )


def read_state(answer: QueryResp, *, received_at: datetime) -> InboundReceipt | None:
    """What a query_sm_resp (section 4.8.2) says, as a receipt would; None while it is on its way.

    >>> read_state(QueryResp("00A7", "", 2), received_at=datetime(2026, 8, 9)).status
    'delivered'
    """
    stat = _STATES.get(answer.state, "UNKNOWN")
    if stat in _NOT_FINAL:
        return None
    try:
        at = read_time(answer.final_date, now=received_at) or received_at
    except ProtocolError:
        at = received_at
    provider_id = normalise_provider_id(answer.message_id)
    return InboundReceipt(provider_id, _FINAL[stat], f"{answer.error:03}", "", at)


def read_fields(text: str) -> ReceiptFields:
    """The fields of appendix B, in any case and order; the text at the end is not looked into.

    >>> read_fields("id:007f sub:001 dlvrd:001 done date:2608091330 stat:DELIVRD err:000 text:id:1")
    ReceiptFields(provider_id='007f', stat='DELIVRD', code='000', done_date='2608091330')
    """
    if usual := _USUAL.match(text):
        provider_id, done_date, stat, code = usual.groups()
        return ReceiptFields(provider_id, stat, code, done_date)
    head = _TEXT.split(text, maxsplit=1)[0]
    found = {key.lower(): value for key, value in reversed(_FIELD.findall(head))}
    return ReceiptFields(
        found.get("id", ""),
        found.get("stat", ""),
        found.get("err", ""),
        found.get("done date", ""),
    )


def write_fields(
    provider_id: str, *, stat: str, code: str, submitted_at: datetime, done_at: datetime
) -> str:
    """A receipt's text in the form of appendix B, with seconds in its dates."""
    dlvrd = int(stat == "DELIVRD")
    return (
        f"id:{provider_id} sub:001 dlvrd:00{dlvrd} submit date:{_stamp(submitted_at)} "
        f"done date:{_stamp(done_at)} stat:{stat} err:{code} text:"
    )


@lru_cache(maxsize=1_024)
def _stamp(instant: datetime) -> str:
    return f"{instant:%y%m%d%H%M%S}"


def _network_code(octets: bytes) -> str:
    """Section 5.3.2.31: one octet of network type, two of error."""
    return f"{int.from_bytes(octets[1:], 'big'):03}" if len(octets) == NETWORK_ERROR_LENGTH else ""


@lru_cache(maxsize=1_024)
def _done_at(text: str, zone: tzinfo) -> datetime | None:
    """The done date, to the minute or the second; None where there is none that can be read."""
    if not _DONE_DATE.fullmatch(text):
        return None
    numbers = [int(text[at : at + 2]) for at in range(0, len(text), 2)]
    year, month, day, hour, minute, second = (*numbers, 0)[:6]
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
