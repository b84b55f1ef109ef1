"""SMPP 3.4 as the simulated gateway speaks it."""

from __future__ import annotations

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
    encode_tlvs,
    frame,
    header,
    packed,
)
from duewise.channels.smpp.receipt import RECEIPT_TYPE, STATE_NUMBERS, write_fields
from duewise.channels.smpp.text import NPI_ISDN, UDHI, read_text, source_plan
from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import TON_INTERNATIONAL
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
        return frame(Command.SUBMIT_SM_RESP, sequence, body, status=status)

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
        form = self._settings.receipt_id_form
        return frame(Command.DELIVER_SM, sequence, _receipt_body(item, form))

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


def _receipt_body(receipt: Receipt, form: IdForm) -> bytes:
    submission, spelled = receipt.submission, spell_id(receipt.message_id, form)
    text = write_fields(
        spelled,
        stat=receipt.stat,
        code=receipt.code,
        submitted_at=receipt.submitted_at,
        done_at=receipt.done_at,
    )
    tlvs: dict[int, bytes] = {
        Tag.RECEIPTED_MESSAGE_ID: spelled.encode() + b"\0",
        Tag.MESSAGE_STATE: bytes((STATE_NUMBERS[receipt.stat],)),
    }
    if submission.reference:
        tlvs[Tag.REFERENCE] = submission.reference.encode("latin-1") + b"\0"
    octets = text.encode("ascii")
    # As `encode_short_message` would write it, which takes twice as long.
    return b"".join(
        (
            b"\0",
            _address(submission.destination),
            _address(submission.source),
            _FLAGS,
            bytes((len(octets),)),
            octets,
            encode_tlvs(tlvs),
        )
    )


@lru_cache(maxsize=1_024)
def _address(number: str) -> bytes:
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
