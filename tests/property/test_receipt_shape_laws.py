"""Receipts that are alike are read at once as each is read by itself, whatever is wrong with one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from duewise.channels.smpp.pdu import Command, Pdu, ShortMessage, Tag, encode
from duewise.channels.smpp.receipt import write_fields
from duewise.channels.smpp.usual import ALIKE_MIN, read_receipts

NOON = datetime(2026, 8, 10, 4, tzinfo=UTC)
KNOWN: dict[str, Any] = {"received_at": NOON, "zone": UTC}


def frame(number: int, *, text: bytes, digits: int) -> bytes:
    name = f"{number * 7919:08x}"
    stat, state = (("DELIVRD", 2), ("UNDELIV", 5))[number % 5 == 0]
    done_at = NOON + timedelta(seconds=number % 3)
    said = write_fields(name, stat=stat, code="000", submitted_at=NOON, done_at=done_at)
    tlvs: dict[int, bytes] = {
        Tag.RECEIPTED_MESSAGE_ID: name.encode() + b"\0",
        Tag.MESSAGE_STATE: bytes((state,)),
    }
    if digits >= 0:
        tlvs[Tag.REFERENCE] = b"%d" % number * digits + b"\0"
    told = ShortMessage(
        f"8613800{number:06}", "10690001", said.encode() + text, esm_class=4, tlvs=tlvs
    )
    return encode(Pdu(Command.DELIVER_SM, 0, number, told))


@settings(max_examples=80)
@given(
    count=st.integers(ALIKE_MIN, 9),
    text=st.binary(max_size=5),
    digits=st.integers(-1, 3),
    wrongs=st.lists(
        st.tuples(st.integers(0, 8), st.integers(16, 400), st.binary(min_size=1, max_size=2))
    ),
)
@example(count=5, text=b"", digits=3, wrongs=[])
def test_it_reads_receipts_at_once_as_it_reads_each(
    count: int, text: bytes, digits: int, wrongs: list[tuple[int, int, bytes]]
) -> None:
    frames = [frame(n + 1, text=text, digits=digits) for n in range(count)]
    for which, place, octets in wrongs:
        whole = frames[which % count]
        at = 16 + place % (len(whole) - 16 - len(octets))
        frames[which % count] = whole[:at] + octets + whole[at + len(octets) :]
    alone = [read_receipts([each], **KNOWN)[0] for each in frames]
    assert read_receipts(frames, **KNOWN) == alone
    assert wrongs or all(alone)
