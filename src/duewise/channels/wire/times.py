"""Instants as SMPP 3.4 writes them (section 7.1.1), and CMPP after it: 15 digits and a sign."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from duewise.channels.wire.framing import ProtocolError

RELATIVE_DAYS_MAX: Final = 99
_TIME = re.compile(r"[0-9]{15}[-+R]")


def absolute_time(instant: datetime, *, zone: tzinfo = UTC) -> str:
    """An aware instant as it is called in that zone, tenths left at 0, the zone in quarters.

    >>> absolute_time(datetime(2026, 8, 9, 13, 30, tzinfo=UTC))
    '260809133000000+'
    """
    assert instant.tzinfo is not None, "an instant carries its zone"
    local = instant.astimezone(zone)
    quarters = (local.utcoffset() or timedelta(0)) // timedelta(minutes=15)
    sign = "-" if quarters < 0 else "+"
    return f"{local:%y%m%d%H%M%S}0{abs(quarters):02}{sign}"


def relative_time(span: timedelta) -> str:
    """Section 7.1.1: a span from now, days and seconds only (99 days at most).

    >>> relative_time(timedelta(days=1, hours=2))
    '000001020000000R'
    """
    seconds = int(span.total_seconds())
    days, rest = divmod(seconds, 86_400)
    if not 0 <= days <= RELATIVE_DAYS_MAX:
        raise ProtocolError("a relative time reaches from 0 to 99 days")
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def read_time(text: str, *, now: datetime) -> datetime | None:
    """Section 7.1.1 read back: absolute or relative to `now`; None for none. ProtocolError else.

    >>> read_time("260809213000032+", now=datetime(2026, 8, 9, tzinfo=UTC)).isoformat()
    '2026-08-09T13:30:00+00:00'
    """
    if not text:
        return None
    if _TIME.fullmatch(text) is None:
        raise ProtocolError("a time has 15 digits and one of +, - and R")
    years, months, days, hours, minutes, seconds = (
        int(text[at : at + 2]) for at in range(0, 12, 2)
    )
    quarters = int(text[13:15])
    if text[15] == "R":
        whole_days = years * 365 + months * 30 + days
        return now + timedelta(days=whole_days, hours=hours, minutes=minutes, seconds=seconds)
    sign = 1 if text[15] == "+" else -1
    try:
        local = datetime(2000 + years, months, days, hours, minutes, seconds, tzinfo=UTC)
    except ValueError as error:
        raise ProtocolError(f"a time: {error}") from None
    return local - sign * timedelta(minutes=15 * quarters)
