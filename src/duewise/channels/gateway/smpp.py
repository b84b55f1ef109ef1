"""SMPP 3.4 as the simulated gateway speaks it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

from duewise.channels.gateway.dialect import (
    NEVER,
    Acked,
    Asked,
    Login,
    Outgoing,
    Receipt,
    Reply,
    Said,
    Statuses,
    Submission,
    Submitted,
)
from duewise.channels.gateway.settings import GatewaySettings, IdForm
from duewise.channels.smpp import status
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    RESPONSE,
    SEQUENCE_MAX,
    Bind,
    BindResp,
    Command,
    Pdu,
    Query,
    QueryResp,
    ShortMessage,
    Tag,
    c_string,
    decode,
    encode,
    encode_short_message,
    frame,
    header,
    packed,
)
from duewise.channels.smpp.receipt import RECEIPT_TYPE, STATE_NUMBERS, write_fields
from duewise.channels.smpp.text import NPI_ISDN, UDHI, read_text, source_plan
from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import ALONE, TON_INTERNATIONAL, Concatenation
from duewise.channels.wire.times import absolute_time, read_time
from duewise.message.parts import GSM7, UCS2, Part, split

QUERY_FAILED: Final = 0x67
NAME: Final = "duewise-gateway"
RECEIPT_WANTED: Final = 0x03  # section 5.2.17
STATUSES: Final = Statuses(
    not_bound=status.INVALID_BIND_STATE,
    already_bound=status.ALREADY_BOUND,
    queue_full=status.QUEUE_FULL,
    throttled=status.THROTTLED,
    expired=status.EXPIRY_INVALID,
    names=status.NAMES,
)
_TAKEN: Final = struct.pack(">III", HEADER_LENGTH + 1, Command.DELIVER_SM_RESP, status.OK)
# esm_class, protocol, priority; no times; nothing registered, replaced or coded.
_FLAGS: Final = bytes((RECEIPT_TYPE, 0, 0)) + b"\0\0" + bytes(4)
_HEADER = struct.Struct(">IIII")
_REFERENCE: Final = Tag.REFERENCE.to_bytes(2, "big")
# The id as its own parameter, and the state: sections 5.3.2.12 and 5.3.2.35.
_NAMED: Final = b"%s%%s%%s\0%s\0\1%%c" % (
    Tag.RECEIPTED_MESSAGE_ID.to_bytes(2, "big"),
    Tag.MESSAGE_STATE.to_bytes(2, "big"),
)
_SUBSCRIBER_MAX: Final = 21  # with its plus sign, as the digits have a NUL behind them
_LONG: Final = b"\5\0\3"  # a header of one element: reference, total, number
_LONG_LENGTH: Final = 6
# Section 4.4.1, up to sm_length: a text in UCS-2, with a header or without.
_USUAL: Final = re.compile(
    rb"(.{4})\0\0\0\x04\0\0\0\0(.{4})"
    rb"[^\0]{0,5}\0(.).([^\0]{0,20})\0(.).([^\0]{0,20})\0([\0\x40])..[^\0]{0,16}\0"
    rb"([^\0]{0,16})\0(.).\x08.(.)",
    re.DOTALL,
)
_BINDS = frozenset({Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})


class SmppDialect:
    """A `dialect.Dialect`."""

    shortest: Final = HEADER_LENGTH
    longest: Final = PDU_LENGTH_MAX
    sequence_max: Final = SEQUENCE_MAX
    statuses: Final = STATUSES
    name: Final[Callable[[int], str]] = staticmethod(status.name)

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._bound_as = 0

    def read(self, octets: bytes, *, now: datetime) -> Said:
        if octets[:12] == _TAKEN:
            return Acked(int.from_bytes(octets[12:16], "big"), is_taken=True)
        return _usual(octets, now) or self._read_any(octets, now)

    def _read_any(self, octets: bytes, now: datetime) -> Said:
        try:
            pdu = decode(octets)
        except ProtocolError:
            command, _, sequence = header(octets)
            return Say(b"") if command & RESPONSE else _nack(sequence)
        match pdu.command:
            case Command.SUBMIT_SM if isinstance(pdu.body, ShortMessage):
                return Submitted(pdu.sequence, _submission(pdu.body, now))
            case Command.DELIVER_SM_RESP | Command.GENERIC_NACK:
                is_taken = pdu.command == Command.DELIVER_SM_RESP and pdu.status == status.OK
                return Acked(pdu.sequence, is_taken)
            case command if command in _BINDS and isinstance(pdu.body, Bind):
                return self._login(pdu, pdu.body)
        return _small_talk(pdu)

    def message_id(self, number: int, *, now: datetime) -> str:  # noqa: ARG002 - no time in it
        return f"{number:x}"

    def reply_id(self, number: int) -> str:
        return f"mo-{number:x}"

    def parts(self, text: str, reference: int) -> list[Part]:
        return split(text, reference=reference)

    def login_answer(self, login: Login) -> bytes:
        """Sections 4.1.2 to 4.1.6."""
        body = BindResp() if login.refusal else BindResp(NAME)
        return encode(Pdu(self._bound_as | RESPONSE, login.refusal, login.sequence, body))

    def submit_answer(self, sequence: int, status: int, message_id: str) -> bytes:
        body = b"" if status else message_id.encode("ascii") + b"\0"
        length = HEADER_LENGTH + len(body)
        return _HEADER.pack(length, Command.SUBMIT_SM_RESP, status, sequence) + body

    def state(self, asked: Asked, known: Receipt | None, *, now: datetime) -> bytes:
        """Section 4.8.2; ESME_RQUERYFAIL for a stranger's id."""
        if known is None:
            pdu = Pdu(Command.QUERY_SM_RESP, QUERY_FAILED, asked.sequence, QueryResp(""))
            return encode(pdu)
        is_final = known.done_at <= now
        found = QueryResp(
            asked.message_id,
            absolute_time(known.done_at) if is_final else "",
            STATE_NUMBERS[known.stat if is_final else "ENROUTE"],
            int(known.code) if is_final else 0,
        )
        return encode(Pdu(Command.QUERY_SM_RESP, status.OK, asked.sequence, found))

    def deliver(self, sequence: int, item: Outgoing) -> bytes:
        if isinstance(item, Reply):
            return frame(Command.DELIVER_SM, sequence, self._reply_body(item))
        body = _receipt_body(item, self._settings.receipt_id_form)
        return _HEADER.pack(HEADER_LENGTH + len(body), Command.DELIVER_SM, 0, sequence) + body

    def farewell(self) -> bytes:
        return frame(Command.GENERIC_NACK, 0, status=0x02)

    def _login(self, pdu: Pdu, bind: Bind) -> Login:
        password = self._settings.accounts.get(bind.system_id)
        refusal = status.OK
        if password is None:
            refusal = status.INVALID_SYSTEM_ID
        elif password != bind.password:
            refusal = status.INVALID_PASSWORD
        self._bound_as = pdu.command
        return Login(
            bind.system_id,
            refusal,
            pdu.sequence,
            sends=pdu.command != Command.BIND_RECEIVER,
            hears=pdu.command != Command.BIND_TRANSMITTER,
        )

    def _reply_body(self, reply: Reply) -> bytes:
        ton, npi, digits = source_plan(reply.source)
        part = reply.part
        return encode_short_message(
            ShortMessage(
                digits,
                reply.destination,
                part.udh + part.payload,
                part.data_coding,
                UDHI if part.udh else 0,
                tlvs={Tag.REFERENCE: self.reply_id(reply.number).encode() + b"\0"},
                source_ton=ton,
                source_npi=npi,
                dest_npi=NPI_ISDN,
            )
        )


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


def _small_talk(pdu: Pdu) -> Said:
    match pdu.command:
        case Command.QUERY_SM if isinstance(pdu.body, Query):
            return Asked(pdu.sequence, pdu.body.message_id)
        case Command.ENQUIRE_LINK:
            return Say(frame(Command.ENQUIRE_LINK_RESP, pdu.sequence))
        case Command.UNBIND:
            return Farewell(frame(Command.UNBIND_RESP, pdu.sequence))
        case command if command & RESPONSE:
            return Say(b"")
    return _nack(pdu.sequence)


def _nack(sequence: int) -> Say:
    return Say(frame(Command.GENERIC_NACK, sequence, status=status.INVALID_COMMAND))


def _submission(message: ShortMessage, now: datetime) -> Submission:
    text, place = read_text(message)
    return Submission(
        source=_plus(message.source_ton, message.source),
        destination=_plus(message.dest_ton, message.destination),
        reference=c_string(message.tlvs.get(Tag.REFERENCE, b"")),
        text=text,
        place=place,
        encoding=UCS2.name if message.data_coding == UCS2.data_coding else GSM7.name,
        valid_until=_valid_until(message.validity_period, now),
        wants_receipt=bool(message.registered_delivery & RECEIPT_WANTED),
    )


def _usual(octets: bytes, now: datetime) -> Submitted | None:
    """A submit_sm as nearly all are: UCS-2, at most a header of a long text, a reference of ours.

    None for any other frame: `decode` reads that, and this one just the same, three times slower.
    """
    found = _USUAL.match(octets)
    if found is None:
        return None
    (length, sequence, source_ton, source, ton, destination, flag, validity, wanted, size) = (
        found.groups()
    )
    start = found.end()
    end = start + size[0]
    tail = octets[end:]
    if int.from_bytes(length, "big") != len(octets) or not start < end <= len(octets):
        return None
    reference = b""
    if tail:
        if tail[:2] != _REFERENCE or int.from_bytes(tail[2:4], "big") != len(tail) - 4:
            return None
        reference = tail[4:]
    place = ALONE
    if flag != b"\0":
        if octets[start : start + 3] != _LONG or size[0] < _LONG_LENGTH:
            return None
        place = Concatenation(octets[start + 3], octets[start + 4], octets[start + 5])
        start += _LONG_LENGTH
    return Submitted(
        int.from_bytes(sequence, "big"),
        Submission(
            _plus(source_ton[0], source.decode("latin-1")),
            _plus(ton[0], destination.decode("latin-1")),
            reference.partition(b"\0")[0].decode("latin-1"),
            octets[start:end].decode("utf-16-be", "replace"),
            place,
            UCS2.name,
            _valid_until(validity.decode("latin-1"), now),
            wants_receipt=bool(wanted[0] & RECEIPT_WANTED),
        ),
    )


def _receipt_body(receipt: Receipt, form: IdForm) -> bytes:
    """As `encode_short_message` would write it, which takes three times as long."""
    message_id, submission, stat, code, submitted_at, done_at = receipt
    name = (message_id if form == "same" else spell_id(message_id, form)).encode()
    text = b"id:%s%s" % (name, _behind_id(stat, code, submitted_at, done_at))
    tlvs = _NAMED % ((len(name) + 1).to_bytes(2, "big"), name, STATE_NUMBERS[stat])
    if submission.reference:
        reference = submission.reference.encode("latin-1")
        length = (len(reference) + 1).to_bytes(2, "big")
        tlvs += b"%s%s%s\0" % (_REFERENCE, length, reference)
    return b"\0%s%s%s%c%s%s" % (
        _address(submission.destination),
        _address(submission.source),
        _FLAGS,
        len(text),
        text,
        tlvs,
    )


@lru_cache(maxsize=1_024)
def _behind_id(stat: str, code: str, submitted_at: datetime, done_at: datetime) -> bytes:
    """A receipt's text after the id."""
    text = write_fields("", stat=stat, code=code, submitted_at=submitted_at, done_at=done_at)
    return text.removeprefix("id:").encode("ascii")


def _address(number: str) -> bytes:
    if number.startswith("+") and len(number) <= _SUBSCRIBER_MAX:  # each is another one
        return b"\1\1%s\0" % number[1:].encode("latin-1")
    return _other_address(number)


@lru_cache(maxsize=1_024)
def _other_address(number: str) -> bytes:
    ton, npi, digits = source_plan(number)
    return bytes((ton, npi)) + packed(digits, 21)


@lru_cache(maxsize=1_024)
def _valid_until(validity_period: str, now: datetime) -> datetime:
    """The end of validity; over already where it cannot be read."""
    try:
        return read_time(validity_period, now=now) or NEVER
    except ProtocolError:
        return now


def _plus(ton: int, digits: str) -> str:
    return f"+{digits}" if ton == TON_INTERNATIONAL else digits
