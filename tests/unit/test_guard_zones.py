"""What clocks show: the same whether an instant is asked alone or with its day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from duewise.guard.zones import local_us

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# Put forward, put back over midnight, by half an hour, a day left out, and never changed.
CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Asia/Shanghai", datetime(2026, 8, 12, 16, tzinfo=UTC)),
    ("Africa/Monrovia", datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_it_shows_what_the_clock_shows_at_every_instant(zone: str, change: datetime) -> None:
    near = [change + timedelta(milliseconds=7 * n) for n in range(-600, 600)]
    far = [change + timedelta(seconds=s) for s in (-86_400, -1, 0, 1, 3_599, 86_400)]
    at_once, decades = [*near, *far], [*far, change - timedelta(days=5_000)]
    for instants in (at_once, decades, [change]):
        shown_us = local_us(np.array([(at - EPOCH) // MICROSECOND for at in instants]), zone)
        expected = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in instants]
        naive = EPOCH.replace(tzinfo=None)
        assert [naive + int(us) * MICROSECOND for us in shown_us] == expected
