"""SMPP 3.4 for a session: what we say in it, and what a gateway's frame means."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Final

from duewise.channels.base import (
    Accepted,
    InboundReceipt,
    Message,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
)
from duewise.channels.smpp import status
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    RESPONSE,
    SEQUENCE_MAX,
    Bind,
    Command,
    Pdu,
    Query,
    QueryResp,
    ShortMessage,
    Tag,
    c_string,
    decode,
    encode,
    encode_tlv,
    encode_tlvs,
    frame,
    header,
    packed,
)
from duewise.channels.smpp.receipt import is_receipt, read_receipt, read_state
from duewise.channels.smpp.settings import LongTexts, SmppSettings
from duewise.channels.smpp.text import UDHI, read_text, source_plan, text_of
from duewise.channels.smpp.usual import (
    ACCEPTED,
    DELIVER,
    accepted_alike,
    accepted_ids,
    is_usual_answer,
    read_receipts,
    source_of,
    submit_body,
    submit_frames,
    submit_head,
)
from duewise.channels.wire.codec import (
    AcceptedAll,
    Answer,
    Answers,
    Farewell,
    Heard,
    HeardAll,
    LoginRefused,
    ReplyPart,
    Response,
    Say,
    Told,
    in_order,
)
from duewise.channels.wire.framing import ProtocolError, between
from duewise.channels.wire.parts import INVALID_MESSAGE, parts_of
from duewise.channels.wire.text import read_address
from duewise.channels.wire.times import absolute_time
from duewise.message.parts import Part
from duewise.times import Clock

_NAME = slice(12, 16)  # section 3.2: the sequence number, which an answer has, too


class SmppCodec:
    """A `wire.codec.Codec`; `bind_as` is one of the three bind commands."""

    shortest: Final = HEADER_LENGTH
    longest: Final = PDU_LENGTH_MAX
    sequence_max: Final = SEQUENCE_MAX

    def __init__(
        self,
        settings: SmppSettings,
        *,
        clock: Clock,
        bind_as: Command = Command.BIND_TRANSCEIVER,
    ) -> None:
        self._settings, self._clock, self._bind_as = settings, clock, bind_as

    def login(self, sequence: int) -> bytes:
        settings = self._settings
        bind = Bind(settings.system_id, settings.password, settings.system_type)
        return encode(Pdu(self._bind_as, status.OK, sequence, bind))

    def check_login(self, answer: Answer | Response) -> None:
        code = status.INVALID_COMMAND
        if isinstance(answer, Response) and isinstance(answer.body, Pdu):
            code = answer.body.status
        if code != status.OK:
            raise LoginRefused(status.name(code), _bind_mend(code))

    def logout(self, sequence: int) -> bytes:
        return frame(Command.UNBIND, sequence)

    def enquiry(self, sequence: int) -> bytes:
        return frame(Command.ENQUIRE_LINK, sequence)

    def submits(self, first: int, bodies: Sequence[bytes]) -> bytes:
        return submit_frames(first, bodies)

    def bodies(self, message: Message) -> Sequence[bytes] | Refused:
        """The submit_sm bodies of a message, in part order; or why there are none."""
        settings = self._settings
        parts = parts_of(message, parts_max=settings.parts_max)
        if isinstance(parts, Refused):
            return parts
        try:
            return self._bodies(message, parts)
        except ProtocolError:
            return INVALID_MESSAGE

    def _bodies(self, message: Message, parts: Sequence[Part]) -> list[bytes]:
        settings, first = self._settings, parts[0]
        joined = settings.long_texts if len(parts) > 1 else "udh"
        shared = b""
        if settings.echoes_reference and message.reference:
            reference = message.reference.encode("ascii", "replace") + b"\0"
            shared = encode_tlv(Tag.REFERENCE, reference)
        if joined == "udh" and not settings.packs_septets:  # as nearly everybody does
            texts = [(part.udh + part.payload, shared) for part in parts]
        else:
            texts = list(self._texts(message, parts, joined, shared))
        head = submit_head(
            source_of(message.sender_id or settings.sender_id),
            message.address[1:],
            esm_class=UDHI if joined == "udh" and first.udh else 0,
            validity=_validity(message.valid_until) if message.valid_until else b"\0",
            data_coding=first.data_coding,
        )
        return [submit_body(head, text, tlvs) for text, tlvs in texts]

    def _texts(
        self, message: Message, parts: Sequence[Part], joined: LongTexts, shared: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        """Text and parameters of a submit a part; or of one for all, where a text travels whole."""
        packs, has_header = self._settings.packs_septets, joined == "udh" and bool(parts[0].udh)
        if joined == "payload":
            text = text_of(parts, has_header=False, packs_septets=packs)
            yield b"", shared + encode_tlvs({Tag.MESSAGE_PAYLOAD: text})
            return
        for number, part in enumerate(parts, start=1):
            text, tlvs = text_of([part], has_header=has_header, packs_septets=packs), shared
            if joined == "sar":
                tlvs += encode_tlvs(_sar(message.envelope_id, len(parts), number))
            yield text, tlvs

    def read(self, octets: bytes) -> Heard:
        try:
            pdu = decode(octets)
        except ProtocolError:
            return _unreadable(octets)
        match pdu.command:
            case Command.SUBMIT_SM_RESP:
                return self._answer(pdu.sequence, pdu.status, str(pdu.body))
            case Command.DELIVER_SM | Command.DATA_SM if isinstance(pdu.body, ShortMessage):
                return self._told(pdu.command, octets[_NAME], pdu.body)
            case Command.GENERIC_NACK:
                return self._answer(pdu.sequence, pdu.status or status.INVALID_COMMAND, "")
        return _small_talk(pdu)

    def accepted(self, octets: bytes) -> AcceptedAll:
        return accepted_alike(octets)

    def hear(self, frames: Sequence[bytes]) -> HeardAll:
        """As `read`. What nearly all frames are is read at once: an id alone, and a receipt."""
        accepted, delivers, others = list[bytes](), list[bytes](), list[Heard]()
        for octets in frames:
            if octets[4:12] == ACCEPTED and is_usual_answer(octets):
                accepted.append(octets)
            elif octets[4:8] == DELIVER:
                delivers.append(octets)
            else:
                others.append(self.read(octets))
        return HeardAll(*accepted_ids(accepted), self._told_all(delivers, others), others)

    def _told_all(self, delivers: Sequence[bytes], others: list[Heard]) -> list[Told]:
        now, zone = self._clock.now(), self._settings.receipt_zone
        receipts = read_receipts(delivers, received_at=now, zone=zone)
        return in_order(delivers, receipts, _together, self.read, others)

    def query(self, provider_id: str, sender_id: str) -> Callable[[int], bytes]:
        ton, npi, source = source_plan(sender_id or self._settings.sender_id)
        asked = Query(provider_id, ton, npi, source)
        return lambda sequence: encode(Pdu(Command.QUERY_SM, status.OK, sequence, asked))

    def read_state(self, answer: Answer | Response) -> InboundReceipt | None:
        pdu = answer.body if isinstance(answer, Response) else None
        if not isinstance(pdu, Pdu) or pdu.status or not isinstance(pdu.body, QueryResp):
            return None
        return read_state(pdu.body, received_at=self._clock.now())

    def _answer(self, sequence: int, code: int, message_id: str) -> Answer:
        if code == status.OK:
            ids = (normalise_provider_id(message_id),) if message_id else ()
            return Answer(sequence, Accepted(ids))
        settings = self._settings
        result: SendResult = status.refusal(
            code,
            temporary=settings.temporary_statuses,
            retry_after_s=settings.throttle_retry_s,
        )
        return Answer(sequence, result, code in status.SLOW_DOWN)

    def _told(self, command: int, name: bytes, message: ShortMessage) -> Told:
        return Told(self._said(message), [name], *_answers(command))

    def _said(self, message: ShortMessage) -> Sequence[InboundReceipt] | ReplyPart | None:
        settings = self._settings
        if is_receipt(message):
            now = self._clock.now()
            receipt = read_receipt(message, received_at=now, zone=settings.receipt_zone)
            return None if receipt is None else [receipt]
        text, place = read_text(message, packs_septets=settings.packs_septets)
        source = read_address(
            message.source_ton, message.source, country_code=settings.country_code
        )
        name = c_string(message.tlvs.get(Tag.REFERENCE, b""))
        return ReplyPart(source, message.destination, text, place, name)


def _together(receipts: Sequence[InboundReceipt], frames: Sequence[bytes]) -> Told:
    names = [octets[_NAME] for octets in frames]
    return Told(receipts, names, *_answers(int(Command.DELIVER_SM)))


@cache
def _answers(command: int) -> tuple[Answers, Answers]:
    """To that command: that it is taken, and that it is to come again."""
    heads = (
        struct.pack(">III", HEADER_LENGTH + 1, command | RESPONSE, code)
        for code in (status.OK, status.RECEIVER_BUSY)
    )
    taken, busy = (partial(between, head, b"\0") for head in heads)
    return taken, busy


def _sar(reference: int, total: int, number: int) -> dict[int, bytes]:
    return {
        Tag.SAR_REFERENCE: (reference & 0xFFFF).to_bytes(2, "big"),
        Tag.SAR_TOTAL: bytes((total,)),
        Tag.SAR_NUMBER: bytes((number,)),
    }


def _small_talk(pdu: Pdu) -> Heard:
    match pdu.command:
        case Command.UNBIND:
            return Farewell(frame(Command.UNBIND_RESP, pdu.sequence))
        case Command.ENQUIRE_LINK:
            return Say(frame(Command.ENQUIRE_LINK_RESP, pdu.sequence))
        case command if command & RESPONSE:
            return Response(pdu.sequence, pdu)
    return _nack(pdu.sequence)


def _unreadable(octets: bytes) -> Heard:
    """The frame is whole but its body is not: the link lives on.

    An answer that cannot be read leaves its submit unknown; a request is refused.
    """
    command, _, sequence = header(octets)
    if command == Command.SUBMIT_SM_RESP:
        return Answer(sequence, Unknown("the gateway's answer could not be read"))
    return Say(b"") if command & RESPONSE else _nack(sequence)


def _nack(sequence: int) -> Say:
    return Say(frame(Command.GENERIC_NACK, sequence, status=status.INVALID_COMMAND))


def _bind_mend(code: int) -> str:
    match code:
        case status.INVALID_PASSWORD | status.INVALID_SYSTEM_ID | status.BIND_FAILED:
            return "check system id and password"
        case status.ALREADY_BOUND:
            return "another sender is bound to this account; stop it or ask for more binds"
        case _:
            return "ask the carrier"


@lru_cache(maxsize=1_024)
def _validity(valid_until: datetime) -> bytes:
    return packed(absolute_time(valid_until), 17)
