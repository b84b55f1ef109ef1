"""The octets of SMPP 3.4 against vectors written by hand from the specification."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from duewise.channels.base import InboundReceipt, normalise_provider_id, provider_id_candidates
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
    Tag,
    decode,
    encode,
    frame,
)
from duewise.channels.smpp.receipt import is_receipt, read_fields, read_receipt
from duewise.channels.smpp.text import read_text
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.channels.wire.text import decode_gsm7, read_address
from duewise.channels.wire.times import absolute_time, read_time, relative_time
from duewise.message.parts import split

NOON = datetime(2026, 8, 9, 12, 0, tzinfo=UTC)
SUBMIT = Pdu(
    Command.SUBMIT_SM,
    0,
    1,
    ShortMessage(
        "10690001",
        "8613800000000",
        "还款".encode("utf-16-be"),
        data_coding=8,
        registered_delivery=1,
        validity_period="260809133000000+",
        tlvs={Tag.REFERENCE: b"e1\0"},
        source_npi=1,
        dest_ton=1,
        dest_npi=1,
    ),
)
SUBMIT_OCTETS = b"".join(
    (
        bytes.fromhex("00000051 00000004 00000000 00000001"),
        b"\0" + bytes((0, 1)) + b"10690001\0" + bytes((1, 1)) + b"8613800000000\0",
        bytes((0, 0, 0)) + b"\0" + b"260809133000000+\0" + bytes((1, 0, 8, 0, 4)),
        bytes.fromhex("8fd86b3e 1401 0003 653100"),
    )
)


def test_it_writes_a_submit_octet_by_octet() -> None:
    assert encode(SUBMIT).hex() == SUBMIT_OCTETS.hex()
    assert decode(SUBMIT_OCTETS) == SUBMIT


@pytest.mark.parametrize(
    ("pdu", "octets"),
    [
        (Pdu(Command.ENQUIRE_LINK, 0, 5), "00000010000000150000000000000005"),
        (Pdu(Command.UNBIND_RESP, 0, 6), "00000010800000060000000000000006"),
        (Pdu(Command.GENERIC_NACK, 3, 7), "00000010800000000000000300000007"),
        (Pdu(Command.SUBMIT_SM_RESP, 0, 8, "a7"), "00000013800000040000000000000008613700"),
        (Pdu(Command.SUBMIT_SM_RESP, 0x58, 8, ""), "00000010800000040000005800000008"),
        (Pdu(Command.DELIVER_SM_RESP, 0, 9, ""), "0000001180000005000000000000000900"),
        (
            Pdu(Command.BIND_TRANSCEIVER, 0, 1, Bind("dw", "pw")),
            "0000001b000000090000000000000001" + "647700" + "707700" + "00" + "340000" + "00",
        ),
        (
            Pdu(Command.BIND_TRANSCEIVER_RESP, 0, 1, BindResp("gw")),
            "00000013800000090000000000000001677700",
        ),
        (
            Pdu(Command.BIND_RECEIVER_RESP, 0x0E, 1, BindResp()),
            "00000010800000010000000e00000001",
        ),
    ],
)
def test_it_packs_and_unpacks_each_command(pdu: Pdu, octets: str) -> None:
    assert encode(pdu).hex() == octets
    assert decode(bytes.fromhex(octets)) == pdu


@pytest.mark.parametrize(
    ("pdu", "octets"),
    [
        (
            Pdu(Command.QUERY_SM, 0, 3, Query("a7", 0, 1, "1069")),
            "0000001a 00000003 00000000 00000003 613700 0001 3130363900",
        ),
        (
            Pdu(Command.QUERY_SM_RESP, 0, 3, QueryResp("a7", "260809133000000+", 2, 0)),
            "00000026 80000003 00000000 00000003 613700" + b"260809133000000+\0".hex() + "0200",
        ),
        (Pdu(Command.QUERY_SM_RESP, 0x0C, 3, QueryResp("")), "00000010800000030000000c00000003"),
        (
            Pdu(Command.CANCEL_SM, 0, 4, Cancel("a7", 0, 1, "1069", 1, 1, "8613")),
            "00000022 00000008 00000000 00000004 00 613700 0001 3130363900 0101 3836313300",
        ),
        (Pdu(Command.CANCEL_SM_RESP, 0x11, 4), "00000010800000080000001100000004"),
        (
            Pdu(
                Command.DATA_SM,
                0,
                5,
                ShortMessage("1069", "8613", tlvs={Tag.MESSAGE_PAYLOAD: b"T"}, data_coding=8),
            ),
            (
                "00000027 00000103 00000000 00000005 00 0000 3130363900 0000 3836313300 "
                "000008 0424 0001 54"
            ),
        ),
        (Pdu(Command.DATA_SM_RESP, 0, 5, "a7"), "00000013800001030000000000000005613700"),
    ],
)
def test_it_packs_and_unpacks_what_is_rarely_said(pdu: Pdu, octets: str) -> None:
    assert encode(pdu).hex() == octets.replace(" ", "")
    assert decode(bytes.fromhex(octets)) == pdu


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "00000010",
        "00000011000000150000000000000005",  # longer than it is
        "00000010000000770000000000000001",  # no such command
        "00000010000000040000000000000001",  # a submit without a body
        "00000013800000040000000000000001613131",  # a message id without its end
        SUBMIT_OCTETS.hex().replace("048fd86b3e", "ff8fd86b3e"),  # sm_length beyond the frame
        SUBMIT_OCTETS.hex().replace("14010003", "14010009"),  # a parameter beyond the frame
    ],
)
def test_it_calls_broken_octets_a_protocol_error(octets: str) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "message",
    [
        ShortMessage("1" * 21, "2"),
        ShortMessage("1", "2\0"),
        ShortMessage("还款", "2"),
        ShortMessage("1", "2", b"x" * 255),
        ShortMessage("1", "2", esm_class=256),
        ShortMessage("1", "2", tlvs={Tag.MESSAGE_PAYLOAD: b"x" * 65_536}),
    ],
)
def test_it_refuses_to_write_what_does_not_fit(message: ShortMessage) -> None:
    with pytest.raises(ProtocolError):
        encode(Pdu(Command.SUBMIT_SM, 0, 1, message))


def test_it_holds_back_a_frame_that_is_not_whole() -> None:
    deframer = Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX)
    octets = encode(SUBMIT) + frame(Command.ENQUIRE_LINK, 2)
    assert deframer.feed(octets[:40]) == []
    assert deframer.feed(octets[40:90]) == [encode(SUBMIT)]
    assert deframer.feed(octets[90:]) == [frame(Command.ENQUIRE_LINK, 2)]


@pytest.mark.parametrize("length", [0, 15, PDU_LENGTH_MAX + 1, 0xFFFFFFFF])
def test_it_stops_at_a_length_no_frame_can_have(length: int) -> None:
    with pytest.raises(ProtocolError):
        Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX).feed(
            length.to_bytes(4, "big") + bytes(12)
        )


def test_it_takes_a_long_payload_from_its_parameter() -> None:
    message = ShortMessage("1", "2", tlvs={Tag.MESSAGE_PAYLOAD: b"x" * 300})
    body = decode(encode(Pdu(Command.DELIVER_SM, 0, 1, message))).body
    assert isinstance(body, ShortMessage)
    assert body.payload == b"x" * 300


def test_it_writes_validity_in_utc_and_reads_any_zone() -> None:
    beijing = timezone(timedelta(hours=8))
    assert absolute_time(NOON.astimezone(beijing)) == "260809120000000+"
    assert read_time("260809200000032+", now=NOON) == NOON
    assert read_time("260809080000016-", now=NOON) == NOON
    assert read_time(relative_time(timedelta(hours=26)), now=NOON) == NOON + timedelta(hours=26)
    assert read_time("", now=NOON) is None


@pytest.mark.parametrize(
    "text", ["260809", "261309120000000+", "2608091200000xx+", "26080912000000０+"]
)
def test_it_calls_a_broken_time_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_time(text, now=NOON)


def test_it_reads_the_septets_of_the_extension_table() -> None:
    text = "Pay {now} ~ 5€ [ok] @_£"
    assert decode_gsm7(split(text, reference=0)[0].payload) == text
    assert decode_gsm7(b"\xff\x1b") == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("udh", "place"),
    [
        ("050003070201", (7, 2, 1)),
        ("06080401070202", (263, 2, 2)),
        ("0401020304", (0, 1, 1)),
        ("ff", (0, 1, 1)),
    ],
)
def test_it_reads_where_a_part_belongs(udh: str, place: tuple[int, int, int]) -> None:
    message = ShortMessage("1", "2", bytes.fromhex(udh) + b"T", esm_class=0x40)
    text, found = read_text(message)
    assert found == place
    assert text in {"T", ""}


@pytest.mark.parametrize(
    ("ton", "digits", "address"),
    [
        (1, "8613800000000", "+8613800000000"),
        (0, "8613800000000", "+8613800000000"),
        (0, "008613800000000", "+8613800000000"),
        (2, "13800000000", "+8613800000000"),
        (0, "+8613800000000", "+8613800000000"),
        (0, "10690001", "10690001"),
        (0, "106900012345678", "106900012345678"),
        (5, "Bank", "Bank"),
    ],
)
def test_it_completes_a_subscribers_number_and_no_other(
    ton: int, digits: str, address: str
) -> None:
    assert read_address(ton, digits, country_code="86") == address


def deliver(text: str, *, esm_class: int = 0x04, **tlvs: bytes) -> ShortMessage:
    named: dict[int, bytes] = {Tag[tag]: value for tag, value in tlvs.items()}
    return ShortMessage("1", "2", text.encode(), esm_class=esm_class, tlvs=named)


def receipt(message: ShortMessage) -> InboundReceipt:
    found = read_receipt(message, received_at=NOON, zone=UTC)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("stat", "status"),
    [
        ("DELIVRD", "delivered"),
        ("delivrd", "delivered"),
        ("EXPIRED", "expired"),
        ("UNDELIV", "failed"),
        ("DELETED", "failed"),
        ("REJECTD", "failed"),
        ("UNKNOWN", "unknown"),
        ("MK0005", "unknown"),
    ],
)
def test_it_reads_each_final_state(stat: str, status: str) -> None:
    found = receipt(
        deliver(
            f"id:00A7 sub:001 dlvrd:001 submit date:2608091155 done date:2608091158 stat:{stat} err:012 text:hi"
        )
    )
    assert (found.provider_id, found.status) == ("a7", status)
    assert found.at == datetime(2026, 8, 9, 11, 58, tzinfo=UTC)
    assert found.code == ("MK0005" if stat == "MK0005" else "012")


@pytest.mark.parametrize("stat", ["ENROUTE", "ACCEPTD"])
def test_it_passes_over_a_message_that_is_still_on_its_way(stat: str) -> None:
    on_its_way = deliver(f"id:1 stat:{stat} err:000")
    intermediate = deliver("id:1 stat:DELIVRD err:000", esm_class=0x20)
    for message in (on_its_way, intermediate):
        assert is_receipt(message)
        assert read_receipt(message, received_at=NOON, zone=UTC) is None


def test_it_lets_parameters_win_over_text() -> None:
    found = receipt(
        deliver(
            "id:9 stat:UNDELIV err:000",
            RECEIPTED_MESSAGE_ID=b"00ff\0",
            MESSAGE_STATE=b"\x02",
            REFERENCE=b"e7\0",
        )
    )
    assert (found.provider_id, found.status, found.reference) == ("ff", "delivered", "e7")
    bare = receipt(
        deliver(
            "",
            esm_class=0,
            RECEIPTED_MESSAGE_ID=b"7\0",
            MESSAGE_STATE=b"\x05",
            NETWORK_ERROR_CODE=b"\x03\x00\x0c",
        )
    )
    assert (bare.provider_id, bare.status, bare.code) == ("7", "failed", "012")


def test_it_never_takes_a_borrowers_words_for_a_receipt() -> None:
    assert not is_receipt(deliver("id:1 stat:DELIVRD err:000", esm_class=0))
    assert read_fields("stat:UNDELIV err:001 text:id:5 stat:DELIVRD").stat == "UNDELIV"


@pytest.mark.parametrize("done", ["2613091158", "26080911", "soon", ""])
def test_it_falls_back_on_its_own_clock_for_a_broken_date(done: str) -> None:
    told = receipt(deliver(f"id:1 sub:001 dlvrd:001 done date:{done} stat:DELIVRD err:000"))
    assert told.at == NOON


@pytest.mark.parametrize(
    ("answered", "receipted"),
    [("00a7f", "A7F"), ("a7f", "2687"), ("2687", "a7f"), ("0", "000"), ("10", "16"), ("16", "10")],
)
def test_it_finds_an_id_through_zeros_case_and_base(answered: str, receipted: str) -> None:
    stored, told = normalise_provider_id(answered), normalise_provider_id(receipted)
    assert told == stored or stored in provider_id_candidates(told)
