"""The octets of CMPP against vectors: some written by hand, some of another implementation's.

The proofs, the submit and the packed id are figures that gocmpp (Go, 2015) computes for the same
values: somebody else's reading of the specification.
"""

import pytest

from duewise.channels.cmpp.ident import (
    MsgId,
    gateway_proof,
    pack_msg_id,
    source_proof,
    unpack_msg_id,
)
from duewise.channels.cmpp.pdu import (
    DESTINATIONS_MAX,
    FRAME_MAX,
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
)
from duewise.channels.cmpp.report import Report, read_report, write_report
from duewise.channels.cmpp.status import NAMES, RESULTS, refusal
from duewise.channels.wire.framing import Deframer, ProtocolError

PROOF = bytes.fromhex("90d00c1d517abd0b4f65f6bcf8535d16")
SUBMIT = Submit(
    source="900001",
    destinations=("13500002696",),
    content="测试gocmpp submit".encode("utf-16-be"),
    msg_format=8,
    registered_delivery=1,
    valid_time="151105131555101+",
    service_id="test",
    msg_source="900001",
    msg_level=1,
    fee_kind=2,
    fee_number="13500002696",
    fee_type="02",
    fee_code="10",
)
NUMBER = b"13500002696"
TEXT = bytes.fromhex("1e 6d4b8bd5 0067006f0063006d00700070002000730075 0062006d00690074")


def submit_octets(version: int) -> bytes:
    width = 32 if version == V3 else 21
    return b"".join(
        (
            bytes.fromhex("000000e1" if version == V3 else "000000bd"),
            bytes.fromhex("00000004 00000017 0000000000000000 01 01 01 01"),
            b"test".ljust(10, b"\0"),
            b"\2" + NUMBER.ljust(width, b"\0") + (b"\0" if version == V3 else b""),
            b"\0\0\x08" + b"900001" + b"02" + b"10".ljust(6, b"\0"),
            b"151105131555101+\0" + bytes(17) + b"900001".ljust(21, b"\0"),
            b"\1" + NUMBER.ljust(width, b"\0") + (b"\0" if version == V3 else b""),
            TEXT + bytes(20 if version == V3 else 8),
        )
    )


def test_it_proves_that_it_knows_the_secret() -> None:
    assert source_proof("900001", "888888", 1_021_080_510) == PROOF
    for status, proof in (
        (b"\0", "6c0b846e25bab6daa4ed1c466e0f4bd8"),
        (bytes(4), "7942977274098cf210ab0c16c367bc8d"),
    ):
        assert gateway_proof(status, PROOF, "888888").hex() == proof


def test_it_packs_when_where_and_which_into_an_id() -> None:
    fields = MsgId(11, 5, 14, 29, 42, 1, 0)
    assert pack_msg_id(fields) == 0xB2B9_DA80_0001_0000
    assert unpack_msg_id(0xB2B9_DA80_0001_0000) == fields


@pytest.mark.parametrize("version", [V2, V3])
def test_it_writes_a_cmpp_submit_octet_by_octet(version: int) -> None:
    pdu = Pdu(Command.SUBMIT, 0x17, SUBMIT)
    assert encode(pdu, version).hex() == submit_octets(version).hex()
    assert decode(submit_octets(version), version) == pdu


@pytest.mark.parametrize(
    ("version", "pdu", "octets"),
    [
        (
            V2,
            Pdu(Command.CONNECT, 0x17, Connect("900001", PROOF, 0x21, 1_021_080_510)),
            "00000027 00000001 00000017 393030303031 90d00c1d517abd0b4f65f6bcf8535d16 21 3cdc73be",
        ),
        (
            V2,
            Pdu(Command.CONNECT_RESP, 0x17, ConnectResp(3, PROOF, V2)),
            "0000001e 80000001 00000017 03 90d00c1d517abd0b4f65f6bcf8535d16 20",
        ),
        (
            V3,
            Pdu(Command.CONNECT_RESP, 0x17, ConnectResp(0, PROOF, V3)),
            "00000021 80000001 00000017 00000000 90d00c1d517abd0b4f65f6bcf8535d16 30",
        ),
        (
            V2,
            Pdu(Command.SUBMIT_RESP, 0x17, MsgResult(12_878_564_852_733_378_560)),
            "00000015 80000004 00000017 b2b9da8000010000 00",
        ),
        (
            V3,
            Pdu(Command.SUBMIT_RESP, 0x17, MsgResult(12_878_564_852_733_378_560, 8)),
            "00000018 80000004 00000017 b2b9da8000010000 00000008",
        ),
        (V2, Pdu(Command.ACTIVE_TEST, 5), "0000000c 00000008 00000005"),
        (V3, Pdu(Command.ACTIVE_TEST_RESP, 5, 0), "0000000d 80000008 00000005 00"),
        (V2, Pdu(Command.TERMINATE, 6), "0000000c 00000002 00000006"),
        (V2, Pdu(Command.TERMINATE_RESP, 6), "0000000c 80000002 00000006"),
        (V3, Pdu(Command.CANCEL, 7, 258), "00000014 00000007 00000007 0000000000000102"),
        (V2, Pdu(Command.CANCEL_RESP, 7, 1), "0000000d 80000007 00000007 01"),
        (V3, Pdu(Command.CANCEL_RESP, 7, 1), "00000010 80000007 00000007 00000001"),
        (
            V2,
            Pdu(Command.QUERY, 8, Query("20260810", 1, "dunning")),
            "00000027 00000006 00000008 3230323630383130 01 64756e6e696e67000000 0000000000000000",
        ),
        (
            V3,
            Pdu(Command.QUERY_RESP, 8, QueryResp("20260810", 0, "", (1, 2, 3, 4, 5, 6, 7, 8))),
            "0000003f 80000006 00000008 3230323630383130 00 00000000000000000000"
            + "".join(f"{n:08x}" for n in range(1, 9)),
        ),
        (
            V2,
            Pdu(Command.DELIVER, 9, Deliver(1, "10690001", "13800000001", b"R")),
            "00000056 00000005 00000009 0000000000000001"
            + b"10690001".ljust(31, b"\0").hex()
            + "000000"
            + b"13800000001".ljust(21, b"\0").hex()
            + "00 01 52 0000000000000000",
        ),
        (
            V3,
            Pdu(Command.DELIVER_RESP, 9, MsgResult(1, 9)),
            "00000018 80000005 00000009 0000000000000001 00000009",
        ),
    ],
)
def test_it_packs_and_unpacks_each_cmpp_command(version: int, pdu: Pdu, octets: str) -> None:
    assert encode(pdu, version).hex() == octets.replace(" ", "")
    assert decode(bytes.fromhex(octets), version) == pdu


def test_it_reads_a_connects_answer_whatever_version_was_asked_for() -> None:
    answer = encode(Pdu(Command.CONNECT_RESP, 1, ConnectResp(4, PROOF, V2)), V2)
    assert decode(answer, V3).body == ConnectResp(4, PROOF, V2)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        bytes.fromhex("0000000c"),
        bytes.fromhex("0000000d 00000008 00000005"),  # longer than it is
        bytes.fromhex("0000000d 00000008 00000005 00"),  # a body where none is
        bytes.fromhex("0000000c 00000077 00000001"),  # no such command
        bytes.fromhex("0000000c 00000004 00000001"),  # a submit without a body
        frame(Command.SUBMIT_RESP, 1, bytes(12)),  # the other version's width
        frame(Command.SUBMIT, 1, submit_octets(V2)[12:].replace(TEXT[:1] + b"m", b"\xffm")),
        frame(Command.SUBMIT, 1, submit_octets(V2)[12:] + b"\0"),
        frame(Command.SUBMIT, 1, submit_octets(V2)[12:128] + b"\xff" + submit_octets(V2)[129:]),
        frame(Command.DELIVER, 1, bytes(65)),
        bytes(FRAME_MAX + 1),
    ],
)
def test_it_calls_broken_cmpp_octets_a_protocol_error(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(octets, V2)


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"x" * 161},
        {"destinations": ()},
        {"destinations": ("1",) * (DESTINATIONS_MAX + 1)},
        {"destinations": ("1" * 22,)},
        {"source": "还款"},
        {"source": "1\0"},
        {"service_id": "x" * 11},
        {"msg_id": 1 << 64},
        {"parts": 256},
    ],
)
def test_it_refuses_to_write_a_submit_that_does_not_fit(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        encode(Pdu(Command.SUBMIT, 1, SUBMIT._replace(**change)), V2)  # type: ignore[arg-type]


def test_it_stops_at_a_length_no_cmpp_frame_can_have() -> None:
    for length in (0, 11, FRAME_MAX + 1, 0xFFFF_FFFF):
        with pytest.raises(ProtocolError):
            Deframer(shortest=12, longest=FRAME_MAX).feed(length.to_bytes(4, "big") + bytes(8))


@pytest.mark.parametrize(("version", "length"), [(V2, 60), (V3, 71)])
def test_it_reads_a_status_report_of_either_version(version: int, length: int) -> None:
    report = Report(7, "DELIVRD", "2608100100", "2608100101", "13800000001", 3)
    octets = write_report(report, version)
    assert len(octets) == length
    assert octets[:15] == bytes(7) + b"\x07DELIVRD"
    assert read_report(octets) == report
    with pytest.raises(ProtocolError):
        read_report(octets[:-1])


def test_it_knows_what_each_result_asks_for() -> None:
    assert NAMES.keys() - {0} == RESULTS.keys()
    temporary = {n for n in RESULTS if not refusal(n, retry_after_s=1).is_permanent}
    assert temporary == {3, 8, 9}
    assert refusal(250, retry_after_s=2).retry_after_s == 2
