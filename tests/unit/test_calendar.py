"""Where a due date goes when it falls on a day of rest."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from duewise.book.calendar import Calendar, chinese_calendar, roll_table, rolled
from duewise.guard.profile import load_rulebook

CN = load_rulebook(["CN"]).calendar
WEEKLY = "statutory_and_weekly_rest"


@pytest.mark.parametrize(
    ("day", "roll", "expected"),
    [
        ("2026-10-01", WEEKLY, "2026-10-08"),  # the whole holiday
        ("2026-09-25", WEEKLY, "2026-09-28"),  # Friday to Sunday
        ("2026-05-01", "statutory_only", "2026-05-06"),
        ("2026-08-08", "statutory_only", "2026-08-08"),  # a plain Saturday
        ("2026-08-08", WEEKLY, "2026-08-10"),
        ("2026-10-10", WEEKLY, "2026-10-10"),  # a make-up working Saturday
        ("2026-10-11", WEEKLY, "2026-10-12"),
        ("2026-02-14", WEEKLY, "2026-02-14"),  # make-up working day before the holiday
        ("2026-02-15", WEEKLY, "2026-02-24"),
        ("2026-10-01", "none", "2026-10-01"),
    ],
)
def test_it_rolls_to_the_first_day_of_work(day: str, roll: str, expected: str) -> None:
    assert rolled(date.fromisoformat(day), roll, CN) == date.fromisoformat(expected)


def test_it_rolls_nothing_without_a_calendar() -> None:
    assert rolled(date(2026, 8, 8), WEEKLY, None) == date(2026, 8, 8)


def test_it_gives_up_in_a_calendar_without_work() -> None:
    endless = Calendar(frozenset(), frozenset(), frozenset(range(1, 8)))
    assert rolled(date(2026, 8, 1), WEEKLY, endless) == date(2026, 9, 1)


def test_it_lists_every_clause_once_for_every_day() -> None:
    days = pl.Series([date(2026, 8, 8), None, date(2026, 8, 8)])
    table = roll_table(days, calendar=CN, roll_default=WEEKLY)
    assert dict(table.select("roll", "due_eff").rows()) == {
        "none": date(2026, 8, 8),
        "statutory_only": date(2026, 8, 8),
        WEEKLY: date(2026, 8, 10),
        "default": date(2026, 8, 10),
    }


def test_it_knows_the_year_of_the_profile_from_the_library_too() -> None:
    assert CN is not None
    known = chinese_calendar()
    assert {day for day in known.holidays if day.year == 2026} == CN.holidays
    assert {day for day in known.workdays if day.year == 2026} == CN.workdays


def test_it_guesses_no_year_without_a_notice() -> None:
    last = max(chinese_calendar().holidays).year
    assert not any(day.year > last for day in chinese_calendar().workdays)
