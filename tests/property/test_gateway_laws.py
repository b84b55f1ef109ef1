"""Laws of the simulated gateway's short ways: they read and say what the long ones do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.channels.gateway.dialect import Ending, Receipt, Submission
from duewise.channels.gateway.hub import Hub
from duewise.channels.gateway.link import Link
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.gateway.settings import GatewaySettings, fate
from duewise.channels.gateway.smpp import SmppDialect
from duewise.channels.gateway.smpp_usual import read_submit
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    Bind,
    Command,
    Pdu,
    ShortMessage,
    Tag,
    decode,
    encode,
)
from duewise.channels.smpp.receipt import RECEIPT_TYPE, STATE_NUMBERS, write_fields
from duewise.channels.smpp.text import source_plan
from duewise.channels.wire.framing import Deframer, ProtocolError
from duewise.channels.wire.text import ALONE, Concatenation
from duewise.times import ManualClock

NOON = datetime(2026, 8, 9, 12, 0, tzinfo=UTC)
latin = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
digits = st.from_regex(r"\+?[0-9]{1,19}", fullmatch=True)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
submits = st.builds(
    ShortMessage,
    source=latin,
    destination=digits,
    short_message=st.binary(max_size=140)
    | st.binary(max_size=134).map(lambda octets: b"\5\0\3\7\2\1" + octets),
    data_coding=st.sampled_from([8, 8, 8, 0]),
    esm_class=st.sampled_from([0, 0x40, 0x40, 0x80]),
    registered_delivery=st.integers(0, 3),
    validity_period=st.sampled_from(["", "000008000000000R", "260809200000032+", "soon"]),
    tlvs=st.dictionaries(
        st.sampled_from([Tag.REFERENCE, Tag.REFERENCE, Tag.SAR_TOTAL, 0x1402]),
        st.binary(max_size=20),
        max_size=2,
    ),
    source_ton=st.integers(0, 5),
    dest_ton=st.integers(0, 5),
    source_npi=st.integers(0, 255),
    dest_npi=st.just(1),
    service_type=st.sampled_from(["", "CMT"]),
    protocol_id=st.integers(0, 255),
    priority_flag=st.just(0),
    schedule_delivery_time=st.sampled_from(["", "260809200000032+"]),
    replace_if_present=st.just(0),
    sm_default_msg_id=st.integers(0, 255),
)


@given(submits, st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=2))
@settings(max_examples=150)
def test_it_reads_a_usual_submit_as_any_other(
    message: ShortMessage, broken: list[tuple[int, int]]
) -> None:
    octets = bytearray(encode(Pdu(Command.SUBMIT_SM, 0, 7, message)))
    for place, octet in broken:
        octets[place % len(octets)] = octet
    usual = read_submit(bytes(octets), now=NOON)
    if usual is not None:
        assert usual == SmppDialect(GatewaySettings())._read_any(bytes(octets), NOON)
    elif not broken and message.data_coding == 8 and message.short_message:
        assert message.esm_class or message.tlvs, "a usual one is read the usual way"


@given(
    digits | names.filter(bool),
    digits | names.filter(bool),
    names,
    st.sampled_from(sorted(STATE_NUMBERS)),
)
@settings(max_examples=50)
def test_it_writes_a_receipt_that_decodes(
    source: str, destination: str, reference: str, stat: str
) -> None:
    submission = Submission(7, source, destination, reference, "T", ALONE, "ucs2", NOON, True)  # noqa: FBT003
    done_at = NOON + timedelta(seconds=90)
    receipt = Receipt("f00d", submission, Ending(stat, "012", NOON, done_at))
    try:
        pdu = decode(SmppDialect(GatewaySettings()).deliver(9, receipt))
    except ProtocolError:
        assert max(len(source), len(destination)) > 20
        return
    text = write_fields("f00d", stat=stat, code="012", submitted_at=NOON, done_at=done_at)
    plans = (*source_plan(destination), *source_plan(source))
    tlvs = {Tag.RECEIPTED_MESSAGE_ID: b"f00d\0", Tag.MESSAGE_STATE: bytes([STATE_NUMBERS[stat]])}
    if reference:
        tlvs[Tag.REFERENCE] = reference.encode() + b"\0"
    body = pdu.body
    assert isinstance(body, ShortMessage)
    assert (pdu.command, pdu.sequence) == (Command.DELIVER_SM, 9)
    told = (body.source_ton, body.source_npi, body.source)
    assert (*told, body.dest_ton, body.dest_npi, body.destination) == plans
    assert (body.short_message, body.tlvs) == (text.encode(), tlvs)
    assert (body.esm_class, body.data_coding) == (RECEIPT_TYPE, 0)


def test_it_records_any_text_so_that_json_reads_it_again(tmp_path: Path) -> None:
    texts = ['"', "\\", "\0\n\x7f", "您的验证", "\N{BELL}"]
    clock = ManualClock(NOON)
    dialect = SmppDialect(GatewaySettings())
    with SubmitLog(tmp_path / "record") as log:
        hub = Hub(GatewaySettings(), dialect, clock=clock, log=log)
        account = hub.accounts["duewise"]
        for text in texts:
            place = Concatenation(7, 2, 1)
            never = NOON + timedelta(days=1)
            hub.take(
                account,
                [Submission(7, text, text, text, text, place, "ucs2", never, True)],  # noqa: FBT003
                now=clock.now(),
            )
        log.flush()
    lines = [json.loads(line) for line in (tmp_path / "record").read_bytes().split(b"\n")[:-1]]
    assert list(lines[0]) == [
        *("time", "message_id", "source", "destination", "reference"),
        *("part", "parts", "encoding", "text", "status"),
    ]
    for line, text in zip(lines, texts, strict=True):
        assert {line[name] for name in ("source", "destination", "reference", "text")} == {text}
        assert (line["part"], line["parts"], line["status"]) == (1, 2, "accepted")


@given(st.text(max_size=9), st.text(max_size=9))
@settings(max_examples=20)
def test_it_draws_no_fate_where_all_are_the_same(destination: str, text: str) -> None:
    certain = GatewaySettings(delay_s=(2.0, 2.0))
    assert certain.is_certain
    assert not GatewaySettings().is_certain
    drawn = fate(certain, destination=destination, text=text)
    assert drawn == fate(certain, destination="", text="")


frames = st.one_of(
    submits.map(lambda message: (Command.SUBMIT_SM, 0, message)),
    submits.map(lambda message: (Command.SUBMIT_SM, 0, message._replace(data_coding=8))),
    st.just((Command.BIND_TRANSMITTER, 0, Bind("duewise", "duewise"))),
    st.sampled_from([0, 0, 8]).map(lambda code: (Command.DELIVER_SM_RESP, code, "")),
    st.just((Command.ENQUIRE_LINK, 0, None)),
)
FAULTS: list[dict[str, Any]] = [{}, {"drop_share": 0.2}, {"refuse_share": 0.5}]


class Wire(asyncio.Transport):
    """Keeps what is written, until it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.octets, self.is_cut, self.is_read = b"", False, True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As many as it is given."""

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_cut
        self.octets += bytes(data)

    def abort(self) -> None:
        self.is_cut = True


@given(st.lists(frames, max_size=12), st.sampled_from(FAULTS))
@settings(max_examples=60)
def test_it_hears_what_comes_in_one_read_as_frame_by_frame(
    said: list[tuple[int, int, Any]], faults: dict[str, Any]
) -> None:
    said.insert(len(said) // 4, (Command.BIND_TRANSCEIVER, 0, Bind("duewise", "duewise")))
    octets = [encode(Pdu(*each[:2], number, each[2])) for number, each in enumerate(said)]
    together, apart = (asyncio.run(heard(reads, faults)) for reads in ([b"".join(octets)], octets))
    assert together == apart


async def heard(reads: Sequence[bytes], faults: dict[str, Any]) -> tuple[object, ...]:
    """What the gateway keeps, says and counts."""
    settings, wire = GatewaySettings(**faults), Wire()
    with TemporaryDirectory() as folder, SubmitLog(Path(folder) / "record") as log:
        hub = Hub(settings, SmppDialect(settings), clock=ManualClock(NOON), log=log)
        link = Link(hub, set(), SmppDialect(settings))
        link.connection_made(wire)
        for octets in reads:
            if not wire.is_cut:
                link.data_received(octets)
        record = (Path(folder) / "record").read_bytes()
    told = Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX).feed(wire.octets)
    # In any order, as small talk overtakes answers; what a lost link had been told is chance.
    return record, wire.is_cut or sorted(told), hub.stats()


async def test_it_reads_no_further_while_its_answers_are_not_read() -> None:
    wire, dialect = Wire(), SmppDialect(GatewaySettings())
    with SubmitLog(Path("/dev/null")) as log:
        hub = Hub(GatewaySettings(), dialect, clock=ManualClock(NOON), log=log)
        link = Link(hub, set(), dialect)
        link.connection_made(wire)
        link.pause_writing()
        assert not wire.is_read
        link.resume_writing()
        assert wire.is_read
