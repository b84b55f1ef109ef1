"""What clocks show: the same whether each instant is asked or each minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from duewise.frames import INSTANT
from duewise.guard.zones import local_times

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
def test_it_shows_what_the_clock_shows_however_many_instants_it_is_asked_for(
    zone: str, change: datetime
) -> None:
    few = [change + timedelta(seconds=s) for s in (-86_400, -1, 0, 1, 3_599, 86_400)]
    many = [change + timedelta(milliseconds=7 * n) for n in range(-600, 600)]
    for instants in (few, many):
        expected = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in instants]
        shown = local_times(pl.Series("now", [*instants, None], dtype=INSTANT), [zone])
        assert shown[zone].to_list() == [*expected, None]
