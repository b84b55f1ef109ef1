"""Laws of the CMPP codec: nothing is lost on the way through it, nothing breaks it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.told_apart import accepted, apart

from duewise.channels.base import Accepted
from duewise.channels.cmpp.codec import CmppCodec
from duewise.channels.cmpp.ident import MsgId, pack_msg_id, unpack_msg_id
from duewise.channels.cmpp.pdu import (
    LAYOUTS,
    V2,
    V3,
    Command,
    Connect,
    ConnectResp,
    Deliver,
    MsgResult,
    Pdu,
    Query,
    QueryResp,
    Submit,
    decode,
    encode,
    frame,
    pack_submit_head,
)
from duewise.channels.cmpp.report import Report, read_report, write_report
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.cmpp.usual import submit_bodies
from duewise.channels.wire.codec import Answer
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.times import ManualClock

NOON = datetime(2026, 8, 9, 12, 0, tzinfo=UTC)
octet = st.integers(0, 255)
versions = st.sampled_from((V2, V3))
long = st.integers(0, (1 << 64) - 1)


def field(width: int) -> st.SearchStrategy[str]:
    """Latin-1 without NUL that fits a field of that width."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=width)


submits = st.builds(
    Submit,
    source=field(21),
    destinations=st.lists(field(21), min_size=1, max_size=3).map(tuple),
    content=st.binary(max_size=160),
    msg_format=octet,
    has_header=st.booleans(),
    part=octet,
    parts=octet,
    registered_delivery=octet,
    valid_time=field(17),
    service_id=field(10),
    msg_source=field(6),
    msg_id=long,
    msg_level=octet,
    fee_kind=octet,
    fee_number=field(21),
    fee_type=field(2),
    fee_code=field(6),
    protocol_id=octet,
    at_time=field(17),
    link_id=st.just(""),  # 3.0's only
)
delivers = st.builds(
    Deliver,
    msg_id=long,
    destination=field(21),
    source=field(21),
    content=st.binary(max_size=160),
    msg_format=octet,
    has_header=st.booleans(),
    is_report=st.booleans(),
    service_id=field(10),
    protocol_id=octet,
    link_id=st.just(""),
)
digests = st.binary(min_size=16, max_size=16)
number = st.integers(0, 0xFFFF_FFFF)
BODIES: dict[Command, st.SearchStrategy[Any]] = {
    Command.CONNECT: st.builds(Connect, field(6), digests, octet, number),
    Command.CONNECT_RESP: st.builds(ConnectResp, octet, digests, octet),
    Command.SUBMIT: submits,
    Command.SUBMIT_RESP: st.builds(MsgResult, long, octet),
    Command.DELIVER: delivers,
    Command.DELIVER_RESP: st.builds(MsgResult, long, octet),
    Command.QUERY: st.builds(Query, field(8), octet, field(10)),
    Command.QUERY_RESP: st.builds(QueryResp, field(8), octet, field(10), st.tuples(*[number] * 8)),
    Command.CANCEL: long,
    Command.CANCEL_RESP: octet,
    Command.ACTIVE_TEST_RESP: octet,
}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command = draw(st.sampled_from(Command))
    return Pdu(command, draw(number), draw(BODIES.get(command, st.none())))


answers = st.builds(
    lambda sequence, msg_id, result: Pdu(Command.SUBMIT_RESP, sequence, MsgResult(msg_id, result)),
    number,
    long,
    st.sampled_from([0, 0, 0, 8]),
)


@given(pdus(), versions)
def test_it_reads_back_the_cmpp_it_wrote(pdu: Pdu, version: int) -> None:
    assert decode(encode(pdu, version), version) == pdu


@given(st.binary(max_size=300), versions)
def test_it_says_protocol_error_to_any_octets_that_are_no_cmpp(octets: bytes, version: int) -> None:
    try:
        decode(octets, version)
    except ProtocolError:
        return


@given(st.sampled_from(Command), st.binary(max_size=300), versions)
def test_it_says_protocol_error_to_any_cmpp_body_it_cannot_read(
    command: Command, body: bytes, version: int
) -> None:
    try:
        decode(frame(command, 1, body), version)
    except ProtocolError:
        return


@given(pdus(), versions, st.data())
def test_it_survives_one_octet_of_cmpp_changed_on_the_way(
    pdu: Pdu, version: int, data: st.DataObject
) -> None:
    octets = bytearray(encode(pdu, version))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(octets), version)
    except ProtocolError:
        return


@given(st.lists(pdus(), max_size=4), versions, st.integers(1, 400))
def test_it_cuts_the_same_cmpp_frames_however_the_stream_is_cut(
    sent: list[Pdu], version: int, size: int
) -> None:
    stream = b"".join(encode(pdu, version) for pdu in sent)
    deframer = Deframer(shortest=12, longest=4_096)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    frames = [octets for piece in pieces for octets in deframer.feed(piece)]
    assert [decode(octets, version) for octets in frames] == sent


@given(long)
def test_it_unpacks_and_packs_any_id(packed: int) -> None:
    fields = unpack_msg_id(packed)
    assert pack_msg_id(fields) == packed
    assert all(value >= 0 for value in MsgId(*fields))


words = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:", max_size=7)


@given(st.builds(Report, long, words, words, words, words, number), versions)
def test_it_reads_back_the_report_it_wrote(report: Report, version: int) -> None:
    assert read_report(write_report(report, version)) == report


@given(
    said=submits,
    version=versions,
    number=field(21),
    contents=st.lists(st.binary(max_size=160), min_size=1, max_size=4),
)
def test_it_writes_the_submits_of_a_text_in_one_pass_as_it_writes_any(
    said: Submit, version: int, number: str, contents: list[bytes]
) -> None:
    head = pack_submit_head(said, LAYOUTS[version])
    bodies = submit_bodies(head, number, contents, version)
    assert [decode(frame(Command.SUBMIT, 7, body), version).body for body in bodies] == [
        said._replace(
            destinations=(number,), content=content, part=place, parts=len(contents), link_id=""
        )
        for place, content in enumerate(contents, start=1)
    ]


usual_reports = st.builds(
    lambda msg_id, stat, done_time: Report(msg_id, stat, done_time=done_time),
    long,
    st.sampled_from(["DELIVRD", "EXPIRED", "MK:0001", "ACCEPTD", "", " ODD"]),
    st.sampled_from(["2608100101", "9999999999", ""]),
)
told = st.builds(
    lambda sequence, msg_id, is_report, report, shape: Pdu(
        Command.DELIVER,
        sequence,
        Deliver(msg_id, "106", "138", write_report(report, shape), is_report=is_report),
    ),
    number,
    long,
    st.sampled_from([True, True, False]),
    usual_reports,
    versions,
)


@settings(max_examples=60)
@given(st.lists(st.one_of(pdus(), answers, told, told), max_size=6), versions)
def test_it_hears_many_frames_of_cmpp_as_it_reads_each(pdus: list[Pdu], version: int) -> None:
    spoken: Any = "3.0" if version == V3 else "2.0"
    codec = CmppCodec(CmppSettings("h", 1, "s", "p", version=spoken), clock=ManualClock(NOON))
    frames = [encode(pdu, version) for pdu in pdus]
    read = [codec.read(octets) for octets in frames]
    heard = codec.hear(frames)
    told = apart(heard.told)
    assert told == [each for each in read if each in told]
    every = [*accepted(heard), *told, *heard.others]
    assert sorted(every, key=repr) == sorted(read, key=repr)


@settings(max_examples=60)
@given(st.lists(answers, max_size=5), versions, st.binary(max_size=9))
def test_it_reads_cmpp_answers_that_are_alike_as_it_reads_each(
    pdus: list[Pdu], version: int, rest: bytes
) -> None:
    spoken: Any = "3.0" if version == V3 else "2.0"
    codec = CmppCodec(CmppSettings("h", 1, "s", "p", version=spoken), clock=ManualClock(NOON))
    frames = [encode(pdu, version) for pdu in pdus]
    alike = codec.accepted(b"".join(frames) + rest)
    first = frames[: len(alike.sequences)]
    assert alike.length == sum(map(len, first))
    assert [codec.read(octets) for octets in first] == [
        Answer(sequence, Accepted((provider_id,)))
        for sequence, provider_id in zip(alike.sequences, alike.provider_ids, strict=True)
    ]
