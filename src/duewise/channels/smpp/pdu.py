"""The octets of SMPP 3.4: what we and the gateway say, packed and unpacked by hand.

Section numbers are those of "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2.
Every length is bounded by the specification's field sizes, with one exception: passwords may be
longer than its eight characters, because gateways issue longer ones. Whatever octets come in, the
only way out besides a value is `ProtocolError`.
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
RESPONSE: Final = 0x8000_0000  # the bit that turns a request's command into its answer's
SEQUENCE_MAX: Final = 0x7FFF_FFFF


class Command(IntEnum):
    """Section 5.1.2.1: the commands we speak."""

    GENERIC_NACK = 0x8000_0000
    BIND_RECEIVER = 0x01
    BIND_RECEIVER_RESP = 0x8000_0001
    BIND_TRANSMITTER = 0x02
    BIND_TRANSMITTER_RESP = 0x8000_0002
    SUBMIT_SM = 0x04
    SUBMIT_SM_RESP = 0x8000_0004
    DELIVER_SM = 0x05
    DELIVER_SM_RESP = 0x8000_0005
    UNBIND = 0x06
    UNBIND_RESP = 0x8000_0006
    BIND_TRANSCEIVER = 0x09
    BIND_TRANSCEIVER_RESP = 0x8000_0009
    ENQUIRE_LINK = 0x15
    ENQUIRE_LINK_RESP = 0x8000_0015


class Tag(IntEnum):
    """Section 5.3.2: the optional parameters we read or write."""

    USER_MESSAGE_REFERENCE = 0x0204
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


Body: TypeAlias = Bind | BindResp | ShortMessage | str | None


class Pdu(NamedTuple):
    """One protocol data unit; the body's type follows from the command.

    Bind requests have `Bind`, their answers `BindResp`, submit_sm and deliver_sm `ShortMessage`,
    the answers to these the message id as `str`, all others None.
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
_BINDS = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})
_MESSAGES = frozenset({Command.SUBMIT_SM, Command.DELIVER_SM})
_MESSAGE_RESPS = frozenset({Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP})
_BODILESS = frozenset(
    {
        Command.GENERIC_NACK,
        Command.UNBIND,
        Command.UNBIND_RESP,
        Command.ENQUIRE_LINK,
        Command.ENQUIRE_LINK_RESP,
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
                _packed(message.service_type, 6),
                bytes((message.source_ton, message.source_npi)),
                _packed(message.source, 21),
                bytes((message.dest_ton, message.dest_npi)),
                _packed(message.destination, 21),
                bytes((message.esm_class, message.protocol_id, message.priority_flag)),
                _packed(message.schedule_delivery_time, 17),
                _packed(message.validity_period, 17),
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
    if not tlvs:
        return b""
    try:
        return b"".join(_TLV.pack(tag, len(value)) + value for tag, value in tlvs.items())
    except struct.error as error:
        raise ProtocolError(f"optional parameter: {error}") from None


def c_string(value: bytes) -> str:
    """The text of an optional parameter that holds a C-octet string; a missing NUL is forgiven."""
    return value.partition(b"\0")[0].decode("latin-1")


def _packed(text: str, maximum: int) -> bytes:
    """A C-octet string of at most `maximum` octets, NUL included."""
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
        case ShortMessage():
            return encode_short_message(body)
        case str():
            return b"" if pdu.status and not body else _packed(body, MESSAGE_ID_MAX)
        case BindResp():
            if pdu.status and not body.system_id and not body.tlvs:
                return b""
            return _packed(body.system_id, 16) + encode_tlvs(body.tlvs)
        case Bind():
            return _encode_bind(body)


def _encode_bind(bind: Bind) -> bytes:
    try:
        numbers = bytes((bind.interface_version, bind.addr_ton, bind.addr_npi))
    except ValueError as error:
        raise ProtocolError(f"bind: {error}") from None
    return b"".join(
        (
            _packed(bind.system_id, 16),
            _packed(bind.password, 65),
            _packed(bind.system_type, 13),
            numbers,
            _packed(bind.address_range, 41),
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
    if command & RESPONSE and command ^ RESPONSE in _BINDS:
        return _decode_bind_resp(status, octets)
    raise ProtocolError(f"command 0x{command:08X} is not spoken here")


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
        _decode_tlvs(octets, end) if end < len(octets) else NO_TLVS,
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
    return BindResp(found[1].decode("latin-1"), _decode_tlvs(octets, found.end()))


def _decode_tlvs(octets: bytes, at: int) -> dict[int, bytes]:
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
