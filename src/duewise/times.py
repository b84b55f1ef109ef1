"""Time as an argument: what a clock is, and a clock that stands where it is put.

Business dates are `date`, instants are aware UTC; local time exists only where a rule speaks of it.
The clock that reads the machine's time lives in the composition root (`app`), nowhere else.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """Where the time comes from. `sleep` waits in the clock's own seconds."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class ManualClock:
    """A clock that moves only when told to: for the demo, simulations and tests."""

    def __init__(self, instant: datetime) -> None:
        self.set(instant)

    def now(self) -> datetime:
        return self._now

    def set(self, instant: datetime) -> None:
        assert instant.tzinfo is not None, "an instant carries its zone"
        self._now = instant.astimezone(UTC)

    async def sleep(self, seconds: float) -> None:
        """Give way to others without moving the clock."""
        await asyncio.sleep(min(seconds, 0.005))


def local_date(instant: datetime, zone: str) -> date:
    """The calendar date at that instant in an IANA zone.

    >>> local_date(datetime(2026, 8, 9, 17, 0, tzinfo=UTC), "Asia/Shanghai")
    datetime.date(2026, 8, 10)
    """
    return instant.astimezone(ZoneInfo(zone)).date()


def local_text(instant: datetime, zone: str) -> str:
    """That instant as people there read it, to the second, with its offset.

    >>> local_text(datetime(2026, 8, 9, 17, 0, tzinfo=UTC), "Asia/Shanghai")
    '2026-08-10 01:00:00+08:00'
    """
    return instant.astimezone(ZoneInfo(zone)).isoformat(" ", "seconds")


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant with offset, as aware UTC. Raises ValueError without an offset.

    >>> parse_instant("2017-06-15T09:00+08:00").isoformat()
    '2017-06-15T01:00:00+00:00'
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write it as 2017-06-15T09:00+08:00")
    return instant.astimezone(UTC)
