"""CMPP 2.0 and 3.0 as the simulated gateway speaks them: as the one its peer asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from duewise.channels.cmpp import status
from duewise.channels.cmpp.ident import (
    LOW_BITS,
    MsgId,
    gateway_proof,
    pack_msg_id,
    source_proof,
)
from duewise.channels.cmpp.pdu import (
    FRAME_MAX,
    HEADER_LENGTH,
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
)
from duewise.channels.cmpp.report import Report, write_report
from duewise.channels.cmpp.settings import BEIJING
from duewise.channels.cmpp.text import content_of, encoding_of, read_text, write_number
from duewise.channels.gateway.dialect import (
    NEVER,
    Acked,
    Asked,
    Ending,
    Heard,
    Login,
    Outgoing,
    Receipt,
    Reply,
    Said,
    Statuses,
    Submission,
    in_runs,
)
from duewise.channels.gateway.settings import GatewaySettings
from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import read_address
from duewise.channels.wire.times import read_time
from duewise.message.parts import UCS2, Part, split

COUNTRY: Final = "86"
SEQUENCE_MAX: Final = 0xFFFF_FFFF
BAD_STRUCTURE, BAD_SOURCE, BAD_PROOF, VERSION_TOO_HIGH = 1, 2, 3, 4
STATUSES: Final = Statuses(
    not_bound=9,
    already_bound=5,
    queue_full=status.THROTTLED,
    throttled=status.THROTTLED,
    expired=9,
    names=status.NAMES,
)


class CmppDialect:
    """A `dialect.Dialect`."""

    shortest: Final = HEADER_LENGTH
    longest: Final = FRAME_MAX
    sequence_max: Final = SEQUENCE_MAX
    statuses: Final = STATUSES
    name: Final[Callable[[int], str]] = staticmethod(status.name)

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._version = V2
        self._proof = b""
        self._password = ""

    def read(self, octets: bytes, *, now: datetime) -> Said:
        try:
            pdu = decode(octets, self._version)
        except ProtocolError:
            return self._unreadable(octets)
        match pdu.body:
            case Submit():
                return _submission(pdu.sequence, pdu.body, now)
            case MsgResult() if pdu.command == Command.DELIVER_RESP:
                return Acked(pdu.sequence, pdu.body.result == status.OK)
            case Connect():
                return self._login(pdu.sequence, pdu.body)
        return _small_talk(pdu)

    def hear(self, frames: Sequence[bytes], *, now: datetime) -> Iterator[Heard]:
        return in_runs(self.read(octets, now=now) for octets in frames)

    def taken(self, octets: bytes) -> tuple[Sequence[int], int]:  # noqa: ARG002 - read with the rest
        return (), 0

    def message_ids(self, numbers: Sequence[int], *, now: datetime) -> list[str]:
        """The time in front as the specification wants it, the number in the 38 bits behind."""
        local = now.astimezone(BEIJING)
        time = (local.month, local.day, local.hour, local.minute, local.second)
        front = pack_msg_id(MsgId(*time, gateway=0, number=0))
        return [str(front | number & ((1 << LOW_BITS) - 1)) for number in numbers]

    def reply_id(self, number: int) -> str:
        return str(number)

    def parts(self, text: str, reference: int) -> list[Part]:
        return split(text, reference=reference, encoding=encoding_of(text))

    def login_answer(self, login: Login) -> bytes:
        width = 1 if self._version == V2 else 4
        proof = gateway_proof(login.refusal.to_bytes(width, "big"), self._proof, self._password)
        body = ConnectResp(login.refusal, proof, self._version)
        return encode(Pdu(Command.CONNECT_RESP, login.sequence, body), self._version)

    def submit_answer(self, sequence: int, status: int, message_id: str) -> bytes:
        body = MsgResult(int(message_id or 0), status)
        return encode(Pdu(Command.SUBMIT_RESP, sequence, body), self._version)

    def state(self, asked: Asked, known: Ending | None, *, now: datetime) -> bytes:  # noqa: ARG002
        """CMPP asks for nothing of one message."""
        return b""

    def deliver(self, sequence: int, item: Outgoing) -> bytes:
        body = _reply(item) if isinstance(item, Reply) else self._receipt(item)
        return encode(Pdu(Command.DELIVER, sequence, body), self._version)

    def farewell(self) -> bytes:
        return frame(Command.TERMINATE, 0)

    def _login(self, sequence: int, asked: Connect) -> Login:
        """Section 8.4.1: the proof is made anew from the secret that we know."""
        password = self._settings.accounts.get(asked.source_addr)
        refusal = status.OK
        if asked.version > V3:
            refusal = VERSION_TOO_HIGH
        elif password is None:
            refusal = BAD_SOURCE
        elif asked.authenticator != source_proof(asked.source_addr, password, asked.timestamp):
            refusal = BAD_PROOF
        self._version = V3 if asked.version >= V3 else V2
        self._proof, self._password = asked.authenticator, password or ""
        return Login(asked.source_addr, refusal, sequence, sends=True, hears=True)

    def _receipt(self, receipt: Receipt) -> Deliver:
        submission, ending = receipt.submission, receipt.ending
        number = write_number(submission.destination, country_code=COUNTRY)
        stat = f"MK:0{ending.code}" if ending.stat == "UNDELIV" else ending.stat
        times = (_minute(ending.submitted_at), _minute(ending.done_at))
        report = Report(int(receipt.message_id), stat, *times, number)
        return Deliver(
            msg_id=report.msg_id,
            destination=submission.source,
            source=number,
            content=write_report(report, self._version),
            is_report=True,
        )

    def _unreadable(self, octets: bytes) -> Said:
        command, sequence = header(octets)
        if command == Command.SUBMIT:
            return Say(self.submit_answer(sequence, BAD_STRUCTURE, ""))
        return Say(b"")


def _small_talk(pdu: Pdu) -> Said:
    match pdu.command:
        case Command.ACTIVE_TEST:
            return Say(frame(Command.ACTIVE_TEST_RESP, pdu.sequence, b"\0"))
        case Command.TERMINATE:
            return Farewell(frame(Command.TERMINATE_RESP, pdu.sequence))
    return Say(b"")


def _submission(sequence: int, message: Submit, now: datetime) -> Submission:
    text, place = read_text(message)
    return Submission(
        sequence,
        source=message.source,
        destination=read_address(0, message.destinations[0], country_code=COUNTRY),
        reference="",
        text=text,
        place=place,
        encoding=UCS2.name if message.msg_format == UCS2.data_coding else "ascii",
        valid_until=_valid_until(message.valid_time, now),
        wants_receipt=message.registered_delivery == 1,
        refusal=0 if len(message.destinations) == 1 else BAD_STRUCTURE,
    )


def _reply(reply: Reply) -> Deliver:
    msg_format, content = content_of(reply.part)
    return Deliver(
        msg_id=reply.number + reply.place - 1,
        destination=reply.destination,
        source=write_number(reply.source, country_code=COUNTRY),
        content=content,
        msg_format=msg_format,
        has_header=bool(reply.part.udh),
    )


@lru_cache(maxsize=1_024)
def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(BEIJING):%y%m%d%H%M}"


@lru_cache(maxsize=1_024)
def _valid_until(valid_time: str, now: datetime) -> datetime:
    """The end of validity; over already where it cannot be read."""
    try:
        return read_time(valid_time, now=now) or NEVER
    except ProtocolError:
        return now
