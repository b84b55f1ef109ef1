"""SMPP 3.4 as the simulated gateway speaks it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from duewise.channels.gateway.dialect import (
    Acked,
    Asked,
    Ending,
    Heard,
    Login,
    Outgoing,
    Reply,
    Said,
    Statuses,
    Submission,
    in_runs,
)
from duewise.channels.gateway.settings import GatewaySettings
from duewise.channels.gateway.smpp_usual import (
    RECEIPT_WANTED,
    deliver_receipt,
    e164,
    read_submit,
    read_taken,
    valid_until,
)
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
)
from duewise.channels.smpp.receipt import STATE_NUMBERS
from duewise.channels.smpp.text import NPI_ISDN, UDHI, read_text, source_plan
from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.times import absolute_time
from duewise.message.parts import GSM7, UCS2, Part, split

QUERY_FAILED: Final = 0x67
NAME: Final = "duewise-gateway"
STATUSES: Final = Statuses(
    not_bound=status.INVALID_BIND_STATE,
    already_bound=status.ALREADY_BOUND,
    queue_full=status.QUEUE_FULL,
    throttled=status.THROTTLED,
    expired=status.EXPIRY_INVALID,
    names=status.NAMES,
)
_TAKEN: Final = struct.pack(">III", HEADER_LENGTH + 1, Command.DELIVER_SM_RESP, status.OK)
_HEADER = struct.Struct(">IIII")
_SUBMIT_RESP: Final = int(Command.SUBMIT_SM_RESP)
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
        if submission := read_submit(octets, now=now):
            return submission
        if octets[:12] == _TAKEN:
            return Acked(int.from_bytes(octets[12:16], "big"), is_taken=True)
        return self._read_any(octets, now)

    def hear(self, frames: Sequence[bytes], *, now: datetime) -> Iterator[Heard]:
        return in_runs(map(partial(self.read, now=now), frames))

    def taken(self, octets: bytes) -> tuple[Sequence[int], int]:
        return read_taken(octets)

    def _read_any(self, octets: bytes, now: datetime) -> Said:
        try:
            pdu = decode(octets)
        except ProtocolError:
            command, _, sequence = header(octets)
            return Say(b"") if command & RESPONSE else _nack(sequence)
        match pdu.command:
            case Command.SUBMIT_SM if isinstance(pdu.body, ShortMessage):
                return _submission(pdu.sequence, pdu.body, now)
            case Command.DELIVER_SM_RESP | Command.GENERIC_NACK:
                is_taken = pdu.command == Command.DELIVER_SM_RESP and pdu.status == status.OK
                return Acked(pdu.sequence, is_taken)
            case command if command in _BINDS and isinstance(pdu.body, Bind):
                return self._login(pdu, pdu.body)
        return _small_talk(pdu)

    def message_ids(self, numbers: Sequence[int], *, now: datetime) -> list[str]:  # noqa: ARG002 - no time in them
        return [f"{number:x}" for number in numbers]

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
        return _HEADER.pack(length, _SUBMIT_RESP, status, sequence) + body

    def state(self, asked: Asked, known: Ending | None, *, now: datetime) -> bytes:
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
        return deliver_receipt(sequence, item, self._settings.receipt_id_form)

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


def _submission(sequence: int, message: ShortMessage, now: datetime) -> Submission:
    text, place = read_text(message)
    return Submission(
        sequence,
        source=e164(message.source_ton, message.source),
        destination=e164(message.dest_ton, message.destination),
        reference=c_string(message.tlvs.get(Tag.REFERENCE, b"")),
        text=text,
        place=place,
        encoding=UCS2.name if message.data_coding == UCS2.data_coding else GSM7.name,
        valid_until=valid_until(message.validity_period, now),
        wants_receipt=bool(message.registered_delivery & RECEIPT_WANTED),
    )
