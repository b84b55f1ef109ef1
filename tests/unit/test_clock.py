"""The clock of the command line: where it starts, how fast it runs, and what it refuses."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from duewise.app import parse_clock
from duewise.errors import BadInput
from duewise.times import ManualClock, local_date, parse_instant

NINE = datetime(2017, 6, 15, 1, tzinfo=UTC)
INSTANT = "2017-06-15T09:00+08:00"
SOON = timedelta(seconds=5)


def test_it_is_the_machines_own_time_where_none_is_given() -> None:
    now = parse_clock(None).now()
    assert now.tzinfo is UTC
    assert abs(now.timestamp() - time.time()) < 5  # noqa: TID251 -- this is about the machine's time


def test_it_starts_where_it_is_told_to_and_never_goes_back() -> None:
    clock = parse_clock(INSTANT)
    first, second = clock.now(), clock.now()
    assert NINE <= first <= second < NINE + SOON


def test_it_runs_at_its_rate() -> None:
    clock = parse_clock(f"{INSTANT}*3600")
    began, first = time.monotonic(), clock.now()
    time.sleep(0.02)
    second, passed = clock.now(), time.monotonic() - began
    assert timedelta(seconds=72) <= second - first <= timedelta(seconds=3_600 * passed)


def test_it_waits_in_its_own_seconds() -> None:
    clock = parse_clock(f"{INSTANT}*3600")
    began = clock.now()
    asyncio.run(clock.sleep(60))
    assert clock.now() - began >= timedelta(seconds=59)
    asyncio.run(clock.sleep(-1))


def test_it_is_one_time_for_all_who_are_given_the_same_text() -> None:
    text = f"{INSTANT}*600@{time.time() - 1.5}"  # noqa: TID251 -- as `date +%s` would say it
    ours, theirs = parse_clock(text), parse_clock(text)
    assert abs(theirs.now() - ours.now()) < timedelta(seconds=60)  # a tenth of ours
    assert NINE + timedelta(minutes=15) <= ours.now() < NINE + timedelta(minutes=60)


def test_it_may_be_a_time_that_has_not_begun() -> None:
    text = f"{INSTANT}@{time.time() + 3_600}"  # noqa: TID251 -- a moment of the machine's time
    assert timedelta(minutes=59) < NINE - parse_clock(text).now() < timedelta(minutes=61)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2017-06-15T09:00",
        "2017-13-15T09:00+08:00",
        "0001-01-01T00:00+08:00",
        f"{INSTANT}*fast",
        f"{INSTANT}*0",
        f"{INSTANT}*-1",
        f"{INSTANT}*nan",
        f"{INSTANT}*inf",
        f"{INSTANT}*2000000",
        f"{INSTANT}@noon",
        f"{INSTANT}@nan",
        f"{INSTANT}@inf",
        f"{INSTANT}*1000000@0",
    ],
)
def test_it_says_how_to_write_a_clock(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_clock(text)
    assert caught.value.source == "--clock"
    assert "2017-06-15T09:00+08:00" in str(caught.value.mend)


def test_it_stands_where_it_is_put_by_hand() -> None:
    clock = ManualClock(parse_instant(INSTANT))
    asyncio.run(clock.sleep(3_600))
    assert clock.now() == NINE
    clock.set(parse_instant("2017-06-16T00:30+08:00"))
    assert local_date(clock.now(), "Asia/Shanghai").day == 16
    with pytest.raises(AssertionError):
        clock.set(datetime(2017, 6, 15))  # noqa: DTZ001 -- what must not be taken
