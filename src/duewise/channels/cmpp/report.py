"""A CMPP status report: the 60 (3.0: 71) octets in a deliver that say what became of a message.

Section 8.4.5.1: Msg_Id 8, Stat 7, Submit_time 10, Done_time 10, Dest_terminal_Id 21 (32),
SMSC_sequence 4. The octets' count says which version wrote them, so either is read.
"""

from __future__ import annotations

import struct
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from duewise.channels.base import ReceiptStatus
from duewise.channels.cmpp.pdu import V3
from duewise.channels.wire.framing import ProtocolError

_SHAPES: Final = {60: struct.Struct(">Q7s10s10s21sI"), 71: struct.Struct(">Q7s10s10s32sI")}

# Annex 1 of 3.0; gateways add codes of their own ("MK:0001"), all of which are failures.
_FINAL: Final[dict[str, ReceiptStatus]] = {
    "DELIVRD": "delivered",
    "EXPIRED": "expired",
    "DELETED": "failed",
    "UNDELIV": "failed",
    "REJECTD": "failed",
    "UNKNOWN": "unknown",
}
_NOT_FINAL: Final = frozenset({"ACCEPTD", "ENROUTE"})


class Report(NamedTuple):
    """The fields of a report; times are YYMMDDHHMM of the gateway's clock."""

    msg_id: int
    stat: str
    submit_time: str = ""
    done_time: str = ""
    destination: str = ""
    smsc_sequence: int = 0


def read_report(content: bytes) -> Report:
    """The report in a deliver's content. Raises ProtocolError.

    >>> read_report(write_report(Report(7, "DELIVRD"), V3)).stat
    'DELIVRD'
    """
    shape = _SHAPES.get(len(content))
    if shape is None:
        raise ProtocolError(f"a status report of {len(content)} octets")
    msg_id, *texts, smsc_sequence = shape.unpack(content)
    stat, submit_time, done_time, destination = map(field_text, texts)
    return Report(msg_id, stat, submit_time, done_time, destination, smsc_sequence)


def field_text(octets: bytes) -> str:
    """A text that is filled up, with NUL or blanks."""
    return octets.partition(b"\0")[0].decode("latin-1").strip()


def write_report(report: Report, version: int) -> bytes:
    """The octets of a report in that version."""
    texts = (each.encode("ascii", "replace") for each in report[1:5])
    return _SHAPES[71 if version == V3 else 60].pack(report.msg_id, *texts, report.smsc_sequence)


def status_of(stat: str) -> ReceiptStatus | None:
    """What a Stat means for us; None where the message is still on its way.

    >>> status_of("DELIVRD"), status_of("MK:0001"), status_of("ACCEPTD")
    ('delivered', 'failed', None)
    """
    return None if stat in _NOT_FINAL else _FINAL.get(stat, "failed")


@lru_cache(maxsize=1_024)
def done_at(text: str, zone: tzinfo) -> datetime | None:
    """YYMMDDHHMM; None where it cannot be read."""
    try:
        return datetime.strptime(text, "%y%m%d%H%M").replace(tzinfo=zone)
    except ValueError:
        return None
