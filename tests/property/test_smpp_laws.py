"""Laws of the SMPP codec: nothing is lost on the way through it, nothing breaks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.told_apart import accepted, apart

from duewise.channels.base import (
    Accepted,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
    provider_id_candidates,
)
from duewise.channels.gateway.settings import GatewaySettings, fate
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    Bind,
    BindResp,
    Cancel,
    Command,
    Pdu,
    Query,
    QueryResp,
    ShortMessage,
    decode,
    encode,
    encode_short_message,
    encode_tlvs,
    frame,
)
from duewise.channels.smpp.receipt import is_receipt, read_fields, read_receipt, write_fields
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.smpp.text import read_text
from duewise.channels.smpp.usual import read_receipts, source_of, submit_body, submit_head
from duewise.channels.wire.channel import fold
from duewise.channels.wire.codec import Answer
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.channels.wire.text import pack_septets, unpack_septets
from duewise.channels.wire.times import absolute_time, read_time, relative_time
from duewise.message.parts import split
from duewise.times import ManualClock

NOON = datetime(2026, 8, 9, 12, 0, tzinfo=UTC)
octet = st.integers(0, 255)


def c_text(length_max: int) -> st.SearchStrategy[str]:
    """Latin-1 without NUL, NUL-terminated in a field of `length_max` octets."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=length_max - 1)


tlvs = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4)
short_messages = st.builds(
    ShortMessage,
    source=c_text(21),
    destination=c_text(21),
    short_message=st.binary(max_size=254),
    data_coding=octet,
    esm_class=octet,
    registered_delivery=octet,
    validity_period=c_text(17),
    tlvs=tlvs,
    source_ton=octet,
    source_npi=octet,
    dest_ton=octet,
    dest_npi=octet,
    service_type=c_text(6),
    protocol_id=octet,
    priority_flag=octet,
    schedule_delivery_time=c_text(17),
    replace_if_present=octet,
    sm_default_msg_id=octet,
)
binds = st.builds(
    Bind,
    system_id=c_text(16),
    password=c_text(65),
    system_type=c_text(13),
    interface_version=octet,
    addr_ton=octet,
    addr_npi=octet,
    address_range=c_text(41),
)
plans = (octet, octet, c_text(21))
data = st.builds(
    ShortMessage,
    source=c_text(65),
    destination=c_text(65),
    short_message=st.just(b""),
    data_coding=octet,
    esm_class=octet,
    registered_delivery=octet,
    validity_period=st.just(""),
    tlvs=tlvs,
    source_ton=octet,
    source_npi=octet,
    dest_ton=octet,
    dest_npi=octet,
    service_type=c_text(6),
    protocol_id=st.just(0),
    priority_flag=st.just(0),
    schedule_delivery_time=st.just(""),
    replace_if_present=st.just(0),
    sm_default_msg_id=st.just(0),
)
BODIES: dict[Command, st.SearchStrategy[Any]] = {
    Command.SUBMIT_SM: short_messages,
    Command.DELIVER_SM: short_messages,
    Command.DATA_SM: data,
    Command.DATA_SM_RESP: c_text(65),
    Command.QUERY_SM: st.builds(Query, c_text(65), *plans),
    Command.QUERY_SM_RESP: st.builds(QueryResp, c_text(65), c_text(17), octet, octet),
    Command.CANCEL_SM: st.builds(Cancel, c_text(65), *plans, *plans, c_text(6)),
    Command.SUBMIT_SM_RESP: c_text(65),
    Command.DELIVER_SM_RESP: c_text(65),
    Command.BIND_RECEIVER: binds,
    Command.BIND_TRANSMITTER: binds,
    Command.BIND_TRANSCEIVER: binds,
    Command.BIND_RECEIVER_RESP: st.builds(BindResp, c_text(16), tlvs),
    Command.BIND_TRANSMITTER_RESP: st.builds(BindResp, c_text(16), tlvs),
    Command.BIND_TRANSCEIVER_RESP: st.builds(BindResp, c_text(16), tlvs),
}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command = draw(st.sampled_from(Command))
    status, sequence = draw(st.integers(0, 0xFFFFFFFF)), draw(st.integers(0, 0xFFFFFFFF))
    return Pdu(command, status, sequence, draw(BODIES.get(command, st.none())))


results = st.one_of(
    st.builds(Accepted, st.tuples(st.text("0123456789abcdef", min_size=1))),
    st.builds(Refused, st.just("code"), is_permanent=st.booleans()),
    st.builds(Unknown, st.just("no answer")),
)


@given(pdus())
def test_it_reads_back_what_it_wrote(pdu: Pdu) -> None:
    assert decode(encode(pdu)) == pdu


@given(st.binary(max_size=300))
def test_it_says_protocol_error_to_any_octets_it_cannot_read(octets: bytes) -> None:
    try:
        decode(octets)
    except ProtocolError:
        return


@given(st.sampled_from(Command), st.binary(max_size=300), st.integers(0, 255))
def test_it_says_protocol_error_to_any_body_it_cannot_read(
    command: Command, body: bytes, status: int
) -> None:
    try:
        decode(frame(command, 1, body, status=status))
    except ProtocolError:
        return


@given(pdus(), st.data())
def test_it_survives_one_octet_changed_on_the_way(pdu: Pdu, data: st.DataObject) -> None:
    octets = bytearray(encode(pdu))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(octets))
    except ProtocolError:
        return


@settings(max_examples=50)
@given(st.lists(pdus(), max_size=5), st.data())
def test_it_cuts_the_same_frames_however_the_stream_is_cut(
    sent: list[Pdu], data: st.DataObject
) -> None:
    stream, deframer = (
        b"".join(encode(pdu) for pdu in sent),
        Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX),
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    frames = [octets for piece in pieces for octets in deframer.feed(piece)]
    assert [decode(octets) for octets in frames] == sent


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=700), octet)
def test_it_reads_back_the_parts_of_any_text(text: str, reference: int) -> None:
    read = [
        read_text(
            ShortMessage("1", "2", part.udh + part.payload, part.data_coding, 0x40 * bool(part.udh))
        )
        for part in split(text, reference=reference)
    ]
    assert "".join(words for words, _ in read) == text
    assert [place.number for _, place in read] == list(range(1, len(read) + 1))


@given(short_messages)
def test_it_reads_some_text_and_some_receipt_from_anything(message: ShortMessage) -> None:
    text, place = read_text(message)
    assert isinstance(text, str)
    assert place.total >= 0
    read_receipt(message, received_at=NOON, zone=UTC)
    read_fields(text)


@given(st.lists(st.integers(0, 127), max_size=170).map(bytes), st.integers(0, 6))
def test_it_unpacks_the_septets_it_packed(septets: bytes, fill_bits: int) -> None:
    unpacked = unpack_septets(pack_septets(septets, fill_bits=fill_bits), fill_bits=fill_bits)
    # Seven zero bits at the end of an octet may be filling: a last "@" is lost there.
    assert unpacked == septets or (septets.endswith(b"\0") and unpacked == septets[:-1])


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - zone follows
def test_it_reads_back_an_absolute_time(moment: datetime) -> None:
    instant = moment.replace(microsecond=0, tzinfo=UTC)
    assert read_time(absolute_time(instant), now=NOON) == instant


@given(st.timedeltas(timedelta(0), timedelta(days=99)))
def test_it_reads_back_a_relative_time(span: timedelta) -> None:
    assert read_time(relative_time(span), now=NOON) == NOON + timedelta(
        seconds=int(span.total_seconds())
    )


@given(st.text(max_size=20))
def test_it_says_protocol_error_to_any_time_it_cannot_read(text: str) -> None:
    try:
        read_time(text, now=NOON)
    except ProtocolError:
        return


@example("0 0")
@given(st.text(max_size=64))
def test_it_normalises_an_id_once_and_for_all(provider_id: str) -> None:
    normal = normalise_provider_id(provider_id)
    assert normalise_provider_id(normal) == normal
    assert normal not in provider_id_candidates(provider_id)


@given(st.integers(1, 10**18), st.integers(0, 4))
def test_it_finds_an_id_written_in_the_other_base(number: int, zeros: int) -> None:
    stored = normalise_provider_id(f"{'0' * zeros}{number:X}")
    told = str(number)
    assert stored in {normalise_provider_id(told), *provider_id_candidates(told)}


@given(st.lists(results, min_size=1, max_size=5))
def test_it_never_calls_a_message_refused_of_which_a_part_may_be_out(
    parts: list[SendResult],
) -> None:
    result = fold(parts)
    if isinstance(result, Refused):
        assert all(isinstance(part, Refused) for part in parts)
    if isinstance(result, Accepted):
        assert all(isinstance(part, Accepted) for part in parts)
        assert len(result.provider_ids) == len(parts)


@given(st.text(max_size=20), st.text(max_size=20))
def test_it_gives_the_same_words_the_same_fate(destination: str, text: str) -> None:
    gateway = GatewaySettings(failed_share=0.3, silent_share=0.2, refuse_share=0.1)
    first = fate(gateway, destination=destination, text=text)
    assert fate(gateway, destination=destination, text=text) == first
    assert gateway.delay_s[0] <= first.delay.total_seconds() <= gateway.delay_s[1]


usual_answers = st.builds(
    lambda sequence, name: Pdu(Command.SUBMIT_SM_RESP, 0, sequence, name),
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from(["a7f", "A7F", "00a7", "0", "id-7", " 7 ", "\xe9\xe9", "", "9" * 64]),
)
usual_texts = st.builds(
    "id:{} sub:001 dlvrd:001 submit date:2608091200 done date:{} stat:{} err:{}{}".format,
    st.text(st.characters(codec="latin-1", exclude_characters="\0"), max_size=8),
    st.sampled_from(["2608091300", "260809130007", "9", "2699999999"]),
    st.sampled_from(["DELIVRD", "UNDELIV", "ENROUTE", "delivrd", "ODD"]),
    st.sampled_from(["000", "12", "\xe9", "a_b", "0\xe9"]),
    st.sampled_from([" text:", " text:stat:EXPIRED", "", "x", " Text:"]),
)
usual_tlvs = st.dictionaries(
    st.sampled_from([0x001E, 0x0427, 0x1401, 0x0423, 0x7777]),
    st.sampled_from([b"\0", b"\x02", b"a7f\0", b"\x01\0\x07", b""]),
)


@settings(max_examples=300)
@given(
    text=usual_texts,
    esm_class=st.sampled_from([4, 4, 4, 0, 0x20, 0x44]),
    tlvs=usual_tlvs,
    cut=st.integers(0, 3),
)
def test_it_reads_a_usual_receipt_in_one_pass_as_it_reads_any(
    text: str, esm_class: int, tlvs: dict[int, bytes], cut: int
) -> None:
    told = ShortMessage("106", "861", text.encode("latin-1"), esm_class=esm_class, tlvs=tlvs)
    octets = encode(Pdu(Command.DELIVER_SM, 0, 7, told))
    octets = (len(octets) - cut).to_bytes(4, "big") + octets[4 : len(octets) - cut]
    known: dict[str, Any] = {"received_at": NOON, "zone": UTC}
    (quick,) = read_receipts([octets], **known)
    if quick is not None:
        body = decode(octets).body
        assert isinstance(body, ShortMessage)
        assert is_receipt(body)
        assert quick == read_receipt(body, **known)


def test_it_reads_the_receipts_of_nearly_everybody_in_one_pass() -> None:
    text = write_fields("a7", stat="DELIVRD", code="000", submitted_at=NOON, done_at=NOON)
    told = ShortMessage("106", "861", text.encode(), esm_class=4, tlvs={0x1401: b"42\0"})
    octets = encode(Pdu(Command.DELIVER_SM, 0, 7, told))
    (receipt,) = read_receipts([octets], received_at=NOON, zone=UTC)
    assert receipt is not None
    assert (receipt.provider_id, receipt.status, receipt.reference) == ("a7", "delivered", "42")


@given(
    text=st.binary(max_size=254),
    destination=c_text(21),
    data_coding=octet,
    esm_class=octet,
    tlvs=tlvs,
)
def test_it_writes_a_submit_in_one_pass_as_it_writes_any(
    text: bytes, destination: str, data_coding: int, esm_class: int, tlvs: dict[int, bytes]
) -> None:
    head = submit_head(
        source_of("+86106"),
        destination,
        data_coding=data_coding,
        esm_class=esm_class,
        validity=b"\0",
    )
    body = submit_body(head, text, encode_tlvs(tlvs))
    assert body == encode_short_message(
        ShortMessage("86106", destination, text, data_coding, esm_class, 1, "", tlvs, 1, 1, 1, 1)
    )


usual_delivers = st.builds(
    lambda text, esm_class, tlvs: Pdu(
        Command.DELIVER_SM,
        0,
        7,
        ShortMessage("106", "861", text.encode("latin-1"), esm_class=esm_class, tlvs=tlvs),
    ),
    usual_texts,
    st.sampled_from([4, 4, 0]),
    usual_tlvs,
)


@settings(max_examples=60)
@given(st.lists(st.one_of(pdus(), usual_answers, usual_delivers), max_size=6))
def test_it_hears_many_frames_of_smpp_as_it_reads_each(pdus: list[Pdu]) -> None:
    codec = SmppCodec(SmppSettings("h", 1, "s", "p"), clock=ManualClock(NOON))
    frames = [encode(pdu) for pdu in pdus]
    read = [codec.read(octets) for octets in frames]
    heard = codec.hear(frames)
    told = apart(heard.told)
    assert told == [each for each in read if each in told]
    every = [*accepted(heard), *told, *heard.others]
    assert sorted(every, key=repr) == sorted(read, key=repr)


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(usual_answers.filter(lambda pdu: pdu.body == "a7f"), usual_answers), max_size=5
    ),
    st.binary(max_size=9),
)
def test_it_reads_smpp_answers_that_are_alike_as_it_reads_each(
    pdus: list[Pdu], rest: bytes
) -> None:
    codec = SmppCodec(SmppSettings("h", 1, "s", "p"), clock=ManualClock(NOON))
    frames = [encode(pdu) for pdu in pdus]
    alike = codec.accepted(b"".join(frames) + rest)
    first = frames[: len(alike.sequences)]
    assert alike.length == sum(map(len, first))
    assert [codec.read(octets) for octets in first] == [
        Answer(sequence, Accepted((provider_id,)))
        for sequence, provider_id in zip(alike.sequences, alike.provider_ids, strict=True)
    ]
