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


def test_it_tells_of_no_due_date_in_a_year_that_nobody_knows() -> None:
    last = max(chinese_calendar().years or ())
    days = pl.Series([date(last, 12, 30), date(last + 1, 1, 4)])
    table = roll_table(days, calendar=chinese_calendar(), roll_default=WEEKLY)
    found = {(day.year, roll): due_eff for day, roll, due_eff in table.rows()}
    assert found[last, WEEKLY] == date(last, 12, 30)
    assert found[last + 1, WEEKLY] is None
    assert found[last + 1, "statutory_only"] is None
    assert found[last + 1, "none"] == date(last + 1, 1, 4)
    # The last day of the last year rolls into the unknown only if it is a day of rest.
    assert not chinese_calendar().knows(date(last + 1, 1, 1))
    assert Calendar(frozenset(), frozenset(), frozenset({7})).knows(date(2100, 1, 1))


def test_it_guesses_no_year_without_a_notice() -> None:
    last = max(chinese_calendar().holidays).year
    assert not any(day.year > last for day in chinese_calendar().workdays)
