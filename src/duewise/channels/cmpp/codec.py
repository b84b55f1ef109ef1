"""CMPP 2.0 and 3.0 for a session: what we say in it, and what a gateway's frame means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache, partial
from typing import Final

from duewise.channels.base import Accepted, InboundReceipt, Message, Refused, Unknown
from duewise.channels.cmpp import status
from duewise.channels.cmpp.ident import gateway_proof, source_proof, timestamp
from duewise.channels.cmpp.pdu import (
    FRAME_MAX,
    HEADER_LENGTH,
    LAYOUTS,
    RESPONSE,
    V2,
    V3,
    Command,
    Connect,
    ConnectResp,
    Deliver,
    MsgResult,
    Pdu,
    Submit,
    decode,
    encode,
    frame,
    header,
    pack_submit_head,
)
from duewise.channels.cmpp.report import done_at, read_report, status_of
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.cmpp.text import content_of, encoding_of, read_text, write_number
from duewise.channels.cmpp.usual import (
    ACCEPTED,
    DELIVER,
    accepted_alike,
    receipt_in,
    submit_bodies,
    submit_frames,
    told_in,
)
from duewise.channels.wire.codec import (
    AcceptedAll,
    Answer,
    Farewell,
    Heard,
    HeardAll,
    LoginRefused,
    ReplyPart,
    Response,
    Say,
    in_order,
)
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.parts import INVALID_MESSAGE, parts_of
from duewise.channels.wire.text import read_address
from duewise.channels.wire.times import absolute_time
from duewise.times import Clock

RECEIPT_REQUESTED: Final = 1
SEQUENCE_MAX: Final = 0xFFFF_FFFF
HEADS_MAX: Final = 1_024
_BAD_STRUCTURE: Final = 1


class CmppCodec:
    """A `wire.codec.Codec`. `version` is what was asked for until the gateway has answered."""

    shortest: Final = HEADER_LENGTH
    longest: Final = FRAME_MAX
    sequence_max: Final = SEQUENCE_MAX

    def __init__(self, settings: CmppSettings, *, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.version = V3 if settings.version == "3.0" else V2
        self._proof = b""
        self._head = lru_cache(HEADS_MAX)(self._submit_head)

    def login(self, sequence: int) -> bytes:
        settings = self._settings
        stamp = timestamp(self._clock.now().astimezone(settings.zone))
        self._proof = source_proof(settings.source_addr, settings.password, stamp)
        asked = Connect(settings.source_addr, self._proof, self.version, stamp)
        return encode(Pdu(Command.CONNECT, sequence, asked), self.version)

    def check_login(self, answer: Answer | Response) -> None:
        body = answer.body if isinstance(answer, Response) else None
        if not isinstance(body, ConnectResp):
            raise LoginRefused("no answer to CMPP_CONNECT", "check the port: is this CMPP?")
        if body.status:
            raise LoginRefused(status.connect_name(body.status), _login_mend(body.status))
        if V2 <= body.version < V3:
            self.version = V2  # section 8.4.1.2: the highest that the gateway speaks
        octets = body.status.to_bytes(1 if self.version == V2 else 4, "big")
        expected = gateway_proof(octets, self._proof, self._settings.password)
        if self._settings.proves_itself and body.authenticator != expected:
            raise LoginRefused("the gateway does not know the secret", "check host and secret")

    def logout(self, sequence: int) -> bytes:
        return frame(Command.TERMINATE, sequence)

    def enquiry(self, sequence: int) -> bytes:
        return frame(Command.ACTIVE_TEST, sequence)

    def submits(self, first: int, bodies: Sequence[bytes]) -> bytes:
        return submit_frames(first, bodies)

    def bodies(self, message: Message) -> Sequence[bytes] | Refused:
        """The bodies of a message's CMPP_SUBMITs, in part order; or why there are none."""
        settings = self._settings
        encoding = encoding_of(message.text)
        parts = parts_of(message, parts_max=settings.parts_max, encoding=encoding)
        if isinstance(parts, Refused):
            return parts
        number = write_number(message.address, country_code=settings.country_code)
        valid = _validity(message.valid_until, settings.zone) if message.valid_until else ""
        texts = [content_of(part) for part in parts]
        try:
            head = self._head(
                message.sender_id or settings.sender_id,
                texts[0][0],
                valid,
                has_header=bool(parts[0].udh),
                version=self.version,
            )
            return submit_bodies(head, number, [content for _, content in texts], self.version)
        except ProtocolError:
            return INVALID_MESSAGE

    def _submit_head(
        self, sender_id: str, msg_format: int, valid_time: str, *, has_header: bool, version: int
    ) -> bytes:
        """All that the texts of a day share, packed once. Raises ProtocolError."""
        settings = self._settings
        said = Submit(
            sender_id,
            (),
            msg_format=msg_format,
            has_header=has_header,
            registered_delivery=RECEIPT_REQUESTED,
            valid_time=valid_time,
            service_id=settings.service_id,
            msg_source=settings.source_addr,
            fee_type=settings.fee_type,
            fee_code=settings.fee_code,
        )
        return pack_submit_head(said, LAYOUTS[version])

    def read(self, octets: bytes) -> Heard:
        try:
            pdu = decode(octets, self.version)
            match pdu.body:
                case MsgResult() if pdu.command == Command.SUBMIT_RESP:
                    return self._answer(pdu.sequence, pdu.body)
                case Deliver():
                    return told_in(self._said(pdu.body), [octets], self.version)
        except ProtocolError:
            return self._unreadable(octets)
        return _small_talk(pdu)

    def accepted(self, octets: bytes) -> AcceptedAll:
        return accepted_alike(octets, self.version)

    def hear(self, frames: Sequence[bytes]) -> HeardAll:
        """As `read`. What nearly all frames are is read at once: a yes, and a report."""
        accepted, delivers, others = list[bytes](), list[bytes](), list[Heard]()
        yes, ok = ACCEPTED[self.version]
        for octets in frames:
            if octets[:8] == yes and octets.endswith(ok):
                accepted.append(octets)
            elif octets[4:8] == DELIVER:
                delivers.append(octets)
            else:
                others.append(self.read(octets))
        now, zone, version = self._clock.now(), self._settings.zone, self.version
        reports = [receipt_in(each, version, received_at=now, zone=zone) for each in delivers]
        told = in_order(delivers, reports, partial(told_in, version=version), self.read, others)
        yeses = accepted_alike(b"".join(accepted), version)
        return HeardAll(yeses.sequences, yeses.provider_ids, told, others)

    def query(self, provider_id: str, sender_id: str) -> None:
        """CMPP_QUERY counts the messages of a day; it tells nothing of one."""

    def read_state(self, answer: Answer | Response) -> None:
        """As `query`."""

    def _answer(self, sequence: int, body: MsgResult) -> Answer:
        if body.result == status.OK:
            return Answer(sequence, Accepted((str(body.msg_id),)))
        wait_s = self._settings.throttle_retry_s
        refused = status.refusal(body.result, retry_after_s=wait_s)
        return Answer(sequence, refused, body.result == status.THROTTLED)

    def _said(self, message: Deliver) -> Sequence[InboundReceipt] | ReplyPart | None:
        if not message.is_report:
            return self._reply(message)
        receipt = self._receipt(message.content)
        return None if receipt is None else [receipt]

    def _receipt(self, content: bytes) -> InboundReceipt | None:
        report = read_report(content)
        found = status_of(report.stat)
        if found is None:
            return None
        at = done_at(report.done_time, self._settings.zone) or self._clock.now()
        return InboundReceipt(str(report.msg_id), found, report.stat, "", at)

    def _reply(self, message: Deliver) -> ReplyPart:
        text, place = read_text(message)
        source = read_address(0, message.source, country_code=self._settings.country_code)
        return ReplyPart(source, message.destination, text, place, str(message.msg_id))

    def _unreadable(self, octets: bytes) -> Heard:
        """The frame is whole but its body is not: the link lives on.

        An answer that cannot be read leaves its submit unknown; a deliver is refused.
        """
        command, sequence = header(octets)
        if command == Command.SUBMIT_RESP:
            return Answer(sequence, Unknown("the gateway's answer could not be read"))
        if command == Command.DELIVER:
            refused = Pdu(Command.DELIVER_RESP, sequence, MsgResult(0, _BAD_STRUCTURE))
            return Say(encode(refused, self.version))
        return Say(b"")


def _small_talk(pdu: Pdu) -> Heard:
    match pdu.command:
        case Command.ACTIVE_TEST:
            return Say(frame(Command.ACTIVE_TEST_RESP, pdu.sequence, b"\0"))
        case Command.TERMINATE:
            return Farewell(frame(Command.TERMINATE_RESP, pdu.sequence))
        case command if command & RESPONSE:
            return Response(pdu.sequence, pdu.body)
    return Say(b"")  # CMPP has no word for "not spoken here"


def _login_mend(code: int) -> str:
    match code:
        case 2 | 3:
            return "check source address and secret, and that the clocks agree"
        case 4:
            return "ask for version 2.0"
        case _:
            return "ask the carrier"


@lru_cache(maxsize=1_024)
def _validity(valid_until: datetime, zone: tzinfo) -> str:
    return absolute_time(valid_until, zone=zone)
