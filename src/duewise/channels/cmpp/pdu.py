"""The octets of CMPP 2.0 and 3.0, China Mobile's protocol between a sender and its gateway (ISMG).

After "China Mobile Peer to Peer", versions 2.0 (2002) and 3.0 (2003); sections are those of 3.0.

| section | command | number | body, octets (3.0 where it differs) |
|---|---|---|---|
| 8.1 | header | | Total_Length 4, Command_Id 4, Sequence_Id 4 |
| 8.4.1.1 | CMPP_CONNECT | 1 | Source_Addr 6, AuthenticatorSource 16, Version 1, Timestamp 4 |
| 8.4.1.2 | CMPP_CONNECT_RESP | 1 | Status 1 (4), AuthenticatorISMG 16, Version 1 |
| 8.4.2 | CMPP_TERMINATE and its answer | 2 | |
| 8.4.3.1 | CMPP_SUBMIT | 4 | 126 (151), 21 (32) for each number, the text |
| 8.4.3.2 | CMPP_SUBMIT_RESP | 4 | Msg_Id 8, Result 1 (4) |
| 8.4.4.1 | CMPP_QUERY | 6 | Time 8, Query_Type 1, Query_Code 10, Reserve 8 |
| 8.4.4.2 | CMPP_QUERY_RESP | 6 | Time 8, Query_Type 1, Query_Code 10, eight counts of 4 |
| 8.4.5.1 | CMPP_DELIVER | 5 | 73 (97), the text or the report of 60 (71) |
| 8.4.5.2 | CMPP_DELIVER_RESP | 5 | Msg_Id 8, Result 1 (4) |
| 8.4.6 | CMPP_CANCEL | 7 | Msg_Id 8; answered by Success_Id 1 (4) |
| 8.4.7 | CMPP_ACTIVE_TEST | 8 | nothing; answered by Reserved 1 |

An answer has its request's number with the highest bit set. A text field is filled up with NUL,
so every length but three is fixed; those three (numbers, text, frame) have a limit here. Whatever
octets come in, the only way out besides a value is `ProtocolError`.

Long because a protocol is read best on one page: what a body holds, how it is written and read.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from duewise.channels.wire.framing import ProtocolError

HEADER_LENGTH: Final = 12
FRAME_MAX: Final = 4_096  # 99 numbers, a text, and everything around them
TEXT_MAX: Final = 160  # octets of Msg_Content
DESTINATIONS_MAX: Final = 99
DIGEST_LENGTH: Final = 16
RESPONSE: Final = 0x8000_0000
V2, V3 = 0x20, 0x30


class Command(IntEnum):
    """Section 8.3: the commands between a sender and its gateway."""

    CONNECT = 0x01
    CONNECT_RESP = 0x8000_0001
    TERMINATE = 0x02
    TERMINATE_RESP = 0x8000_0002
    SUBMIT = 0x04
    SUBMIT_RESP = 0x8000_0004
    DELIVER = 0x05
    DELIVER_RESP = 0x8000_0005
    QUERY = 0x06
    QUERY_RESP = 0x8000_0006
    CANCEL = 0x07
    CANCEL_RESP = 0x8000_0007
    ACTIVE_TEST = 0x08
    ACTIVE_TEST_RESP = 0x8000_0008


class Connect(NamedTuple):
    """Who wants to talk. `timestamp` is MMDDHHMMSS read as a number."""

    source_addr: str
    authenticator: bytes
    version: int
    timestamp: int


class ConnectResp(NamedTuple):
    """The gateway's answer and proof, and the version in which it will talk."""

    status: int
    authenticator: bytes = bytes(DIGEST_LENGTH)
    version: int = V2


class Submit(NamedTuple):
    """A text to send. Fields in the order of the octets; `link_id` is 3.0's."""

    source: str
    destinations: tuple[str, ...]
    content: bytes = b""
    msg_format: int = 0
    has_header: bool = False
    part: int = 1
    parts: int = 1
    registered_delivery: int = 0
    valid_time: str = ""
    service_id: str = ""
    msg_source: str = ""
    msg_id: int = 0
    msg_level: int = 0
    fee_kind: int = 2  # the sender pays
    fee_number: str = ""
    fee_type: str = "01"  # free for who receives it
    fee_code: str = ""
    protocol_id: int = 0
    at_time: str = ""
    link_id: str = ""


class MsgResult(NamedTuple):
    """The answer to a submit or a deliver."""

    msg_id: int
    result: int = 0


class Deliver(NamedTuple):
    """A text from a handset, or (`is_report`) the gateway's word on one of ours."""

    msg_id: int
    destination: str
    source: str
    content: bytes = b""
    msg_format: int = 0
    has_header: bool = False
    is_report: bool = False
    service_id: str = ""
    protocol_id: int = 0
    link_id: str = ""


class Query(NamedTuple):
    """Counts of a day (`time` YYYYMMDD): of all (`kind` 0), or of one service (`kind` 1)."""

    time: str
    kind: int = 0
    code: str = ""


class QueryResp(NamedTuple):
    """To the carrier: messages, numbers, sent, waiting, failed; from it: sent, waiting, failed."""

    time: str
    kind: int = 0
    code: str = ""
    counts: tuple[int, ...] = (0,) * 8


Body: TypeAlias = (
    Connect | ConnectResp | Submit | MsgResult | Deliver | Query | QueryResp | int | None
)


class Pdu(NamedTuple):
    """One protocol data unit; the body's type follows from the command.

    CANCEL has the Msg_Id as `int`, its answer and that of ACTIVE_TEST one number; TERMINATE, its
    answer and ACTIVE_TEST None.
    """

    command: int
    sequence: int
    body: Body = None


class Layout(NamedTuple):
    """What differs between the versions: structures of fixed width, and widths."""

    result: struct.Struct
    cancelled: struct.Struct
    submit: struct.Struct
    deliver: struct.Struct
    number: int
    number_type: bytes
    tail: int


_HEADER = struct.Struct(">III")
_CONNECT = struct.Struct(">6s16sBI")
_CONNECT_RESP = {18: struct.Struct(">B16sB"), 21: struct.Struct(">I16sB")}
_CANCEL = struct.Struct(">Q")
_QUERY = struct.Struct(">8sB10s8s")
_QUERY_RESP = struct.Struct(">8sB10s8I")
LAYOUTS: Final = {
    V2: Layout(
        struct.Struct(">QB"),
        struct.Struct(">B"),
        struct.Struct(">QBBBB10sB21sBBB6s2s6s17s17s21sB"),
        struct.Struct(">Q21s10sBBB21sB"),
        number=21,
        number_type=b"",
        tail=8,
    ),
    V3: Layout(
        struct.Struct(">QI"),
        struct.Struct(">I"),
        struct.Struct(">QBBBB10sB32sxBBB6s2s6s17s17s21sB"),
        struct.Struct(">Q21s10sBBB32sxB"),
        number=32,
        number_type=b"\0",  # a plain number, no pseudonym
        tail=20,
    ),
}


def decode(frame: bytes, version: int) -> Pdu:
    """The PDU in one whole frame, read as of that version. Raises ProtocolError.

    >>> decode(encode(Pdu(Command.SUBMIT_RESP, 7, MsgResult(9, 8)), V3), V3).body
    MsgResult(msg_id=9, result=8)
    """
    if not HEADER_LENGTH <= len(frame) <= FRAME_MAX:
        raise ProtocolError(f"a PDU of {len(frame)} octets")
    length, command, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        raise ProtocolError(f"Total_Length {length}, but {len(frame)} octets")
    try:
        return Pdu(command, sequence, _read_body(command, frame[HEADER_LENGTH:], version))
    except struct.error as error:
        raise ProtocolError(f"command 0x{command:08X}: {error}") from None


def header(frame: bytes) -> tuple[int, int]:
    """Command and sequence of a frame of at least 12 octets, whatever its body holds."""
    _, command, sequence = _HEADER.unpack_from(frame)
    return command, sequence


def encode(pdu: Pdu, version: int) -> bytes:
    """The frame of a PDU in that version. Raises ProtocolError where a value does not fit."""
    try:
        return frame(pdu.command, pdu.sequence, encode_body(pdu.command, pdu.body, version))
    except struct.error as error:
        raise ProtocolError(f"command 0x{pdu.command:08X}: {error}") from None


def frame(command: int, sequence: int, body: bytes = b"") -> bytes:
    """A frame around a body that is packed already."""
    return _HEADER.pack(len(body) + HEADER_LENGTH, command, sequence) + body


def encode_body(command: int, body: Body, version: int) -> bytes:
    """The octets after the header. Raises ProtocolError or struct.error."""
    layout = LAYOUTS[version]
    match body:
        case None:
            return b""
        case Submit():
            return _pack_submit(body, layout)
        case Deliver():
            return _pack_deliver(body, layout)
        case MsgResult():
            return layout.result.pack(*body)
        case int():
            return _number(command, layout).pack(body)
        case _:
            return _pack_rare(body, version)


def _pack_rare(body: Connect | ConnectResp | Query | QueryResp, version: int) -> bytes:
    match body:
        case Connect():
            source = _packed(body.source_addr, 6)
            return _CONNECT.pack(source, _digest(body.authenticator), *body[2:])
        case ConnectResp():
            packer = _CONNECT_RESP[18 if version == V2 else 21]
            return packer.pack(body.status, _digest(body.authenticator), body.version)
        case Query():
            return _QUERY.pack(_packed(body.time, 8), body.kind, _packed(body.code, 10), b"")
        case QueryResp():
            time, code = _packed(body.time, 8), _packed(body.code, 10)
            return _QUERY_RESP.pack(time, body.kind, code, *body.counts)


def _read_body(command: int, octets: bytes, version: int) -> Body:
    layout = LAYOUTS[version]
    match command:
        case Command.SUBMIT_RESP | Command.DELIVER_RESP:
            return MsgResult(*layout.result.unpack(octets))
        case Command.DELIVER:
            return _read_deliver(octets, layout)
        case Command.SUBMIT:
            return _read_submit(octets, layout)
        case Command.CANCEL | Command.CANCEL_RESP | Command.ACTIVE_TEST_RESP:
            return int(_number(command, layout).unpack(octets)[0])
        case Command.TERMINATE | Command.TERMINATE_RESP | Command.ACTIVE_TEST if not octets:
            return None
        case _:
            return _read_rare(command, octets)


def _read_rare(command: int, octets: bytes) -> Body:
    match command:
        case Command.CONNECT:
            source, authenticator, asked, timestamp = _CONNECT.unpack(octets)
            return Connect(_text(source), authenticator, asked, timestamp)
        case Command.CONNECT_RESP:
            # Its width shows the version in which the gateway answers, before we can know it.
            return ConnectResp(*_CONNECT_RESP.get(len(octets), _CONNECT_RESP[21]).unpack(octets))
        case Command.QUERY:
            time, kind, code, _ = _QUERY.unpack(octets)
            return Query(_text(time), kind, _text(code))
        case Command.QUERY_RESP:
            time, kind, code, *counts = _QUERY_RESP.unpack(octets)
            return QueryResp(_text(time), kind, _text(code), tuple(counts))
    raise ProtocolError(f"command 0x{command:08X} with {len(octets)} octets is not spoken here")


def _number(command: int, layout: Layout) -> struct.Struct:
    match command:
        case Command.CANCEL:
            return _CANCEL
        case Command.CANCEL_RESP:
            return layout.cancelled
    return LAYOUTS[V2].cancelled  # ACTIVE_TEST_RESP: one octet in both versions


def _pack_submit(said: Submit, layout: Layout) -> bytes:
    if not 1 <= len(said.destinations) <= DESTINATIONS_MAX:
        raise ProtocolError(f"{len(said.destinations)} destinations")
    head = pack_submit_head(said, layout, numbers=len(said.destinations))
    numbers = b"".join(pack_number(each, layout) for each in said.destinations)
    return head + numbers + layout.number_type + pack_text(said.content, said.link_id, layout)


def pack_submit_head(said: Submit, layout: Layout, *, numbers: int = 1) -> bytes:
    """The fields before the numbers. Raises ProtocolError."""
    return layout.submit.pack(
        said.msg_id,
        said.parts,
        said.part,
        said.registered_delivery,
        said.msg_level,
        _packed(said.service_id, 10),
        said.fee_kind,
        _packed(said.fee_number, layout.number),
        said.protocol_id,
        said.has_header,
        said.msg_format,
        _packed(said.msg_source, 6),
        _packed(said.fee_type, 2),
        _packed(said.fee_code, 6),
        _packed(said.valid_time, 17),
        _packed(said.at_time, 17),
        _packed(said.source, 21),
        numbers,
    )


def pack_number(number: str, layout: Layout) -> bytes:
    """A number, filled up. Raises ProtocolError."""
    return _packed(number, layout.number).ljust(layout.number, b"\0")


def _read_submit(octets: bytes, layout: Layout) -> Submit:
    (
        msg_id, parts, part, registered, level, service, fee_kind, fee_number, protocol_id, udhi,
        msg_format, msg_source, fee_type, fee_code, valid_time, at_time, source, count,
    ) = layout.submit.unpack_from(octets)  # fmt: skip
    if not 1 <= count <= DESTINATIONS_MAX:
        raise ProtocolError(f"{count} destinations")
    start, width = layout.submit.size, layout.number
    end = start + count * width
    numbers = tuple(_text(octets[at : at + width]) for at in range(start, end, width))
    content, link_id = _read_text(octets, end + len(layout.number_type), layout)
    return Submit(
        _text(source),
        numbers,
        content,
        msg_format,
        bool(udhi),
        part,
        parts,
        registered,
        _text(valid_time),
        _text(service),
        _text(msg_source),
        msg_id,
        level,
        fee_kind,
        _text(fee_number),
        _text(fee_type),
        _text(fee_code),
        protocol_id,
        _text(at_time),
        link_id,
    )


def _pack_deliver(told: Deliver, layout: Layout) -> bytes:
    fixed = layout.deliver.pack(
        told.msg_id,
        _packed(told.destination, 21),
        _packed(told.service_id, 10),
        told.protocol_id,
        told.has_header,
        told.msg_format,
        _packed(told.source, layout.number),
        told.is_report,
    )
    return fixed + pack_text(told.content, told.link_id, layout)


def _read_deliver(octets: bytes, layout: Layout) -> Deliver:
    msg_id, destination, service, protocol_id, udhi, msg_format, source, is_report = (
        layout.deliver.unpack_from(octets)
    )
    content, link_id = _read_text(octets, layout.deliver.size, layout)
    return Deliver(
        msg_id,
        _text(destination),
        _text(source),
        content,
        msg_format,
        bool(udhi),
        bool(is_report),
        _text(service),
        protocol_id,
        link_id,
    )


def pack_text(content: bytes, link_id: str, layout: Layout) -> bytes:
    """Msg_Length, Msg_Content, LinkID (2.0: eight octets in reserve). Raises ProtocolError."""
    if len(content) > TEXT_MAX:
        raise ProtocolError(f"a text of {len(content)} octets")
    tail = _packed(link_id, layout.tail) if layout.number_type else b""
    return bytes((len(content),)) + content + tail.ljust(layout.tail, b"\0")


def _read_text(octets: bytes, at: int, layout: Layout) -> tuple[bytes, str]:
    if at >= len(octets):
        raise ProtocolError("Msg_Length is missing")
    start = at + 1
    end = start + octets[at]
    if octets[at] > TEXT_MAX or end + layout.tail != len(octets):
        raise ProtocolError(f"Msg_Length {octets[at]}, but {len(octets) - start} octets are left")
    return octets[start:end], _text(octets[end:]) if layout.number_type else ""


def _packed(text: str, width: int) -> bytes:
    """A text for a field of that width; it may fill it."""
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ProtocolError("a field outside the text takes Latin-1 only") from None
    if len(octets) > width or b"\0" in octets:
        raise ProtocolError(f"a text of {len(octets)} octets in a field of {width}")
    return octets


def _digest(octets: bytes) -> bytes:
    if len(octets) != DIGEST_LENGTH:
        raise ProtocolError(f"an authenticator of {len(octets)} octets")
    return octets


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("latin-1")
