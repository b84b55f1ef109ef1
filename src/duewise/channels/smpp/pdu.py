"""The octets of SMPP 3.4: what we and the gateway say, packed and unpacked by hand.

Section numbers are those of "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2.

| section | command | number | body; of a C-octet string its longest |
|---|---|---|---|
| 3.2 | header | | command_length 4, command_id 4, command_status 4, sequence_number 4 |
| 4.1 | bind_receiver, _transmitter, _transceiver | 1, 2, 9 | 16, 65, 13, 3 octets, 41 |
| 4.2, 4.11 | unbind, enquire_link | 6, 15 (hex) | |
| 4.3 | generic_nack | 80000000 (hex) | |
| 4.4, 4.6 | submit_sm, deliver_sm | 4, 5 | 6, addresses 21, times 17, text 254, parameters |
| 4.7 | data_sm | 103 (hex) | 6, addresses 65, 3 octets, parameters |
| 4.8 | query_sm | 3 | message_id 65, source 21; answered by 65, 17, 2 octets |
| 4.9 | cancel_sm | 8 | 6, message_id 65, addresses 21 |
| 3.2.4 | optional parameter | | tag 2, length 2, value |

Every length is bounded by the specification's field sizes, with one exception: passwords may be
longer than its eight characters, because gateways issue longer ones. Whatever octets come in, the
only way out besides a value is `ProtocolError`.

Long because a protocol is read best on one page: what a body holds, how it is written and read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from duewise.channels.wire.framing import ProtocolError

HEADER_LENGTH: Final = 16
PDU_LENGTH_MAX: Final = 70_000  # a message_payload of 64 KiB and everything around it
SHORT_MESSAGE_MAX: Final = 254
MESSAGE_ID_MAX: Final = 65  # its NUL included
ADDRESS_MAX: Final = 65  # of data_sm, its NUL included
RESPONSE: Final = 0x8000_0000  # the bit that turns a request's command into its answer's
SEQUENCE_MAX: Final = 0x7FFF_FFFF


class Command(IntEnum):
    """Section 5.1.2.1: the commands we speak."""

    GENERIC_NACK = 0x8000_0000
    BIND_RECEIVER = 0x01
    BIND_RECEIVER_RESP = 0x8000_0001
    BIND_TRANSMITTER = 0x02
    BIND_TRANSMITTER_RESP = 0x8000_0002
    QUERY_SM = 0x03
    QUERY_SM_RESP = 0x8000_0003
    SUBMIT_SM = 0x04
    SUBMIT_SM_RESP = 0x8000_0004
    DELIVER_SM = 0x05
    DELIVER_SM_RESP = 0x8000_0005
    UNBIND = 0x06
    UNBIND_RESP = 0x8000_0006
    CANCEL_SM = 0x08
    CANCEL_SM_RESP = 0x8000_0008
    BIND_TRANSCEIVER = 0x09
    BIND_TRANSCEIVER_RESP = 0x8000_0009
    ENQUIRE_LINK = 0x15
    ENQUIRE_LINK_RESP = 0x8000_0015
    DATA_SM = 0x0103
    DATA_SM_RESP = 0x8000_0103


class Tag(IntEnum):
    """Section 5.3.2: the optional parameters we read or write."""

    SAR_REFERENCE = 0x020C
    SAR_TOTAL = 0x020E
    SAR_NUMBER = 0x020F
    RECEIPTED_MESSAGE_ID = 0x001E
    MESSAGE_PAYLOAD = 0x0424
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_STATE = 0x0427
    REFERENCE = 0x1401  # vendor range: our own reference, a C-octet string


Tlvs: TypeAlias = Mapping[int, bytes]
NO_TLVS: Final[Tlvs] = MappingProxyType({})


class Bind(NamedTuple):
    """Section 4.1: who wants to talk."""

    system_id: str
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindResp(NamedTuple):
    """Section 4.1.2: the gateway's name."""

    system_id: str = ""
    tlvs: Tlvs = NO_TLVS


class ShortMessage(NamedTuple):
    """Sections 4.4.1 and 4.6.1: submit_sm and deliver_sm have one layout."""

    source: str
    destination: str
    short_message: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    registered_delivery: int = 0
    validity_period: str = ""
    tlvs: Tlvs = NO_TLVS
    source_ton: int = 0
    source_npi: int = 0
    dest_ton: int = 0
    dest_npi: int = 0
    service_type: str = ""
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    replace_if_present: int = 0
    sm_default_msg_id: int = 0

    @property
    def payload(self) -> bytes:
        """The octets of the text, from whichever of the two places they are in."""
        return self.short_message or self.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")


class Query(NamedTuple):
    """Section 4.8.1: what became of a message of ours."""

    message_id: str
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""


class QueryResp(NamedTuple):
    """Section 4.8.2: `state` as in 5.2.28, `final_date` as in 7.1.1."""

    message_id: str
    final_date: str = ""
    state: int = 0
    error: int = 0


class Cancel(NamedTuple):
    """Section 4.9.1: do not deliver this any more."""

    message_id: str
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    destination: str = ""
    service_type: str = ""


Body: TypeAlias = Bind | BindResp | ShortMessage | Query | QueryResp | Cancel | str | None


class Pdu(NamedTuple):
    """One protocol data unit; the body's type follows from the command.

    Bind requests have `Bind`, their answers `BindResp`; submit_sm, deliver_sm and data_sm have
    `ShortMessage`, the answers to these the message id as `str`; query_sm has `Query`, its answer
    `QueryResp`, cancel_sm `Cancel`; all others have None.
    """

    command: int
    status: int
    sequence: int
    body: Body = None


_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


def _c_octets(maximum: int) -> bytes:
    """A pattern for a C-octet string of at most `maximum` octets, its NUL included."""
    return rb"([^\0]{0,%d})\0" % (maximum - 1)


_BIND = re.compile(
    _c_octets(16) + _c_octets(65) + _c_octets(13) + rb"(...)" + _c_octets(41), re.DOTALL
)
_SYSTEM_ID = re.compile(_c_octets(16))
_MESSAGE_ID = re.compile(_c_octets(MESSAGE_ID_MAX))
_SHORT_MESSAGE = re.compile(
    _c_octets(6)  # service_type
    + rb"(..)"
    + _c_octets(21)  # ton, npi, source
    + rb"(..)"
    + _c_octets(21)  # ton, npi, destination
    + rb"(...)"  # esm_class, protocol_id, priority_flag
    + _c_octets(17)  # schedule_delivery_time
    + _c_octets(17)  # validity_period
    + rb"(.....)",  # registered_delivery, replace, data_coding, sm_default_msg_id, sm_length
    re.DOTALL,
)
_DATA = re.compile(
    _c_octets(6)  # service_type
    + rb"(..)"
    + _c_octets(ADDRESS_MAX)  # ton, npi, source
    + rb"(..)"
    + _c_octets(ADDRESS_MAX)  # ton, npi, destination
    + rb"(...)",  # esm_class, registered_delivery, data_coding
    re.DOTALL,
)
_QUERY = re.compile(_c_octets(MESSAGE_ID_MAX) + rb"(..)" + _c_octets(21) + rb"\Z", re.DOTALL)
_QUERY_RESP = re.compile(_c_octets(MESSAGE_ID_MAX) + _c_octets(17) + rb"(..)\Z", re.DOTALL)
_CANCEL = re.compile(
    _c_octets(6)
    + _c_octets(MESSAGE_ID_MAX)
    + rb"(..)"
    + _c_octets(21)
    + rb"(..)"
    + _c_octets(21)
    + rb"\Z",
    re.DOTALL,
)
_BINDS = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})
_MESSAGES = frozenset({Command.SUBMIT_SM, Command.DELIVER_SM})
_MESSAGE_RESPS = frozenset({Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP})
_BODILESS = frozenset(
    {
        Command.GENERIC_NACK,
        Command.UNBIND,
        Command.UNBIND_RESP,
        Command.ENQUIRE_LINK,
        Command.ENQUIRE_LINK_RESP,
        Command.CANCEL_SM_RESP,
    }
)


def header(frame: bytes) -> tuple[int, int, int]:
    """Command, status and sequence of a frame of at least 16 octets, whatever its body holds."""
    _, command, status, sequence = _HEADER.unpack_from(frame)
    return command, status, sequence


def decode(frame: bytes) -> Pdu:
    """The PDU in one whole frame (`command_length` octets). Raises ProtocolError.

    >>> decode(encode(Pdu(Command.SUBMIT_SM_RESP, 0, 7, "00a7")))
    Pdu(command=2147483652, status=0, sequence=7, body='00a7')
    """
    if len(frame) < HEADER_LENGTH or len(frame) > PDU_LENGTH_MAX:
        raise ProtocolError(f"a PDU of {len(frame)} octets")
    length, command, status, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        raise ProtocolError(f"command_length {length}, but {len(frame)} octets")
    return Pdu(command, status, sequence, _decode_body(command, status, frame))


def encode(pdu: Pdu) -> bytes:
    """The frame of a PDU. Raises ProtocolError where a value does not fit its field."""
    body = _encode_body(pdu)
    try:
        return _HEADER.pack(len(body) + HEADER_LENGTH, *pdu[:3]) + body
    except struct.error as error:
        raise ProtocolError(f"header: {error}") from None


def frame(command: int, sequence: int, body: bytes = b"", *, status: int = 0) -> bytes:
    """A frame around a body that is packed already: for the hot path, which packs once."""
    return _HEADER.pack(len(body) + HEADER_LENGTH, command, status, sequence) + body


def encode_short_message(message: ShortMessage) -> bytes:
    """The body of a submit_sm or deliver_sm. Raises ProtocolError."""
    if len(message.short_message) > SHORT_MESSAGE_MAX:
        raise ProtocolError(f"short_message of {len(message.short_message)} octets")
    try:
        return b"".join(
            (
                packed(message.service_type, 6),
                bytes((message.source_ton, message.source_npi)),
                packed(message.source, 21),
                bytes((message.dest_ton, message.dest_npi)),
                packed(message.destination, 21),
                bytes((message.esm_class, message.protocol_id, message.priority_flag)),
                packed(message.schedule_delivery_time, 17),
                packed(message.validity_period, 17),
                bytes(
                    (
                        message.registered_delivery,
                        message.replace_if_present,
                        message.data_coding,
                        message.sm_default_msg_id,
                        len(message.short_message),
                    )
                ),
                message.short_message,
                encode_tlvs(message.tlvs),
            )
        )
    except ValueError as error:
        raise ProtocolError(f"short message: {error}") from None


def encode_tlvs(tlvs: Tlvs) -> bytes:
    """Section 3.2.4: tag, length, value of each. Raises ProtocolError."""
    return b"".join([encode_tlv(tag, value) for tag, value in tlvs.items()]) if tlvs else b""


def encode_tlv(tag: int, value: bytes) -> bytes:
    """One of them. Raises ProtocolError."""
    try:
        return _TLV.pack(tag, len(value)) + value
    except struct.error as error:
        raise ProtocolError(f"optional parameter: {error}") from None


def c_string(value: bytes) -> str:
    """The text of an optional parameter that holds a C-octet string; a missing NUL is forgiven."""
    return value.partition(b"\0")[0].decode("latin-1")


def packed(text: str, maximum: int) -> bytes:
    """A C-octet string of at most `maximum` octets, NUL included. Raises ProtocolError."""
    if not text:
        return b"\0"
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ProtocolError("a field outside the text takes Latin-1 only") from None
    if len(octets) >= maximum or b"\0" in octets:
        raise ProtocolError(f"a text of {len(octets)} octets in a field of {maximum}")
    return octets + b"\0"


def _encode_body(pdu: Pdu) -> bytes:
    body = pdu.body
    match body:
        case None:
            return b""
        case ShortMessage() if pdu.command == Command.DATA_SM:
            return _encode_data(body)
        case ShortMessage():
            return encode_short_message(body)
        case str():
            return b"" if pdu.status and not body else packed(body, MESSAGE_ID_MAX)
        case Bind():
            return _encode_bind(body)
        case _:
            return _encode_rare(pdu.status, body)


def _encode_rare(status: int, body: BindResp | Query | QueryResp | Cancel) -> bytes:
    match body:
        case BindResp():
            if status and not body.system_id and not body.tlvs:
                return b""
            return packed(body.system_id, 16) + encode_tlvs(body.tlvs)
        case Query():
            plan = _octets(body.source_ton, body.source_npi)
            return packed(body.message_id, MESSAGE_ID_MAX) + plan + packed(body.source, 21)
        case QueryResp():
            if status and body == QueryResp(""):
                return b""
            head = packed(body.message_id, MESSAGE_ID_MAX) + packed(body.final_date, 17)
            return head + _octets(body.state, body.error)
        case Cancel():
            return b"".join(
                (
                    packed(body.service_type, 6),
                    packed(body.message_id, MESSAGE_ID_MAX),
                    _octets(body.source_ton, body.source_npi),
                    packed(body.source, 21),
                    _octets(body.dest_ton, body.dest_npi),
                    packed(body.destination, 21),
                )
            )


def _encode_data(message: ShortMessage) -> bytes:
    """Section 4.7.1: the text travels as message_payload."""
    if message.short_message:
        raise ProtocolError("data_sm carries its text as message_payload")
    return b"".join(
        (
            packed(message.service_type, 6),
            _octets(message.source_ton, message.source_npi),
            packed(message.source, ADDRESS_MAX),
            _octets(message.dest_ton, message.dest_npi),
            packed(message.destination, ADDRESS_MAX),
            _octets(message.esm_class, message.registered_delivery, message.data_coding),
            encode_tlvs(message.tlvs),
        )
    )


def _octets(*numbers: int) -> bytes:
    try:
        return bytes(numbers)
    except ValueError as error:
        raise ProtocolError(f"an octet: {error}") from None


def _encode_bind(bind: Bind) -> bytes:
    numbers = _octets(bind.interface_version, bind.addr_ton, bind.addr_npi)
    return b"".join(
        (
            packed(bind.system_id, 16),
            packed(bind.password, 65),
            packed(bind.system_type, 13),
            numbers,
            packed(bind.address_range, 41),
        )
    )


def _decode_body(command: int, status: int, octets: bytes) -> Body:
    if command in _MESSAGES:
        return _decode_short_message(octets)
    if command in _MESSAGE_RESPS:
        return _decode_message_id(status, octets)
    if command in _BODILESS:
        return None
    if command in _BINDS:
        return _decode_bind(octets)
    return _decode_rare(command, status, octets)


def _decode_rare(command: int, status: int, octets: bytes) -> Body:
    match command:
        case Command.DATA_SM:
            return _decode_data(octets)
        case Command.QUERY_SM:
            message_id, plan, source = _fields(_QUERY, octets)
            return Query(message_id.decode("latin-1"), plan[0], plan[1], source.decode("latin-1"))
        case Command.QUERY_SM_RESP:
            if status and len(octets) == HEADER_LENGTH:
                return QueryResp("")
            message_id, final_date, numbers = _fields(_QUERY_RESP, octets)
            return QueryResp(
                message_id.decode("latin-1"), final_date.decode("latin-1"), numbers[0], numbers[1]
            )
        case Command.CANCEL_SM:
            service, message_id, source_plan, source, dest_plan, destination = _fields(
                _CANCEL, octets
            )
            return Cancel(
                message_id.decode("latin-1"),
                source_plan[0],
                source_plan[1],
                source.decode("latin-1"),
                dest_plan[0],
                dest_plan[1],
                destination.decode("latin-1"),
                service.decode("latin-1"),
            )
    if command & RESPONSE and command ^ RESPONSE in _BINDS:
        return _decode_bind_resp(status, octets)
    raise ProtocolError(f"command 0x{command:08X} is not spoken here")


def _fields(layout: re.Pattern[bytes], octets: bytes) -> tuple[bytes, ...]:
    found = layout.match(octets, HEADER_LENGTH)
    if found is None:
        raise ProtocolError("a field is too long or missing")
    return found.groups()


def _decode_data(octets: bytes) -> ShortMessage:
    found = _DATA.match(octets, HEADER_LENGTH)
    if found is None:
        raise ProtocolError("a field of the data_sm is too long or missing")
    service, source_plan, source, dest_plan, destination, flags = found.groups()
    return ShortMessage(
        source.decode("latin-1"),
        destination.decode("latin-1"),
        b"",
        flags[2],
        flags[0],
        flags[1],
        "",
        decode_tlvs(octets, found.end()),
        source_plan[0],
        source_plan[1],
        dest_plan[0],
        dest_plan[1],
        service.decode("latin-1"),
    )


def _decode_short_message(octets: bytes) -> ShortMessage:
    found = _SHORT_MESSAGE.match(octets, HEADER_LENGTH)
    if found is None:
        raise ProtocolError("a field of the short message is too long or missing")
    service, source_plan, source, dest_plan, destination, flags, schedule, validity, sizes = (
        found.groups()
    )
    start = found.end()
    end = start + sizes[4]
    if end > len(octets):
        raise ProtocolError(f"sm_length {sizes[4]}, but {len(octets) - start} octets are left")
    return ShortMessage(
        source.decode("latin-1"),
        destination.decode("latin-1"),
        octets[start:end],
        sizes[2],
        flags[0],
        sizes[0],
        validity.decode("latin-1"),
        decode_tlvs(octets, end) if end < len(octets) else NO_TLVS,
        source_plan[0],
        source_plan[1],
        dest_plan[0],
        dest_plan[1],
        service.decode("latin-1"),
        flags[1],
        flags[2],
        schedule.decode("latin-1"),
        sizes[1],
        sizes[3],
    )


def _decode_message_id(status: int, octets: bytes) -> str:
    """Section 4.4.2: the body is left out where the status is not zero."""
    found = _MESSAGE_ID.match(octets, HEADER_LENGTH)
    if found is not None:
        return found[1].decode("latin-1")
    if status and len(octets) == HEADER_LENGTH:
        return ""
    raise ProtocolError("message_id is too long or missing")


def _decode_bind(octets: bytes) -> Bind:
    found = _BIND.match(octets, HEADER_LENGTH)
    if found is None:
        raise ProtocolError("a field of the bind is too long or missing")
    system_id, password, system_type, numbers, address_range = found.groups()
    return Bind(
        system_id.decode("latin-1"),
        password.decode("latin-1"),
        system_type.decode("latin-1"),
        numbers[0],
        numbers[1],
        numbers[2],
        address_range.decode("latin-1"),
    )


def _decode_bind_resp(status: int, octets: bytes) -> BindResp:
    found = _SYSTEM_ID.match(octets, HEADER_LENGTH)
    if found is None:
        if status and len(octets) == HEADER_LENGTH:
            return BindResp()
        raise ProtocolError("system_id is too long or missing")
    return BindResp(found[1].decode("latin-1"), decode_tlvs(octets, found.end()))


def decode_tlvs(octets: bytes, at: int) -> dict[int, bytes]:
    """The optional parameters from there to the end. Raises ProtocolError."""
    tlvs: dict[int, bytes] = {}
    while at < len(octets):
        if at + _TLV.size > len(octets):
            raise ProtocolError("an optional parameter is cut off in its head")
        tag, length = _TLV.unpack_from(octets, at)
        at += _TLV.size
        if at + length > len(octets):
            raise ProtocolError(f"optional parameter 0x{tag:04X} is cut off")
        tlvs[tag] = octets[at : at + length]
        at += length
    return tlvs
