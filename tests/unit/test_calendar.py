"""Where a due date goes when it falls on a day of rest."""

from __future__ import annotations

from datetime import date

import pytest

from duewise.book.calendar import ROLLS, Calendar, chinese_calendar, rolled, rolled_if_known
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


def test_it_knows_no_clause_but_those_there_are() -> None:
    saturday = date(2026, 8, 8)
    found = {roll: rolled_if_known(saturday, roll, CN) for roll in (*ROLLS, "by_whim")}
    assert found == {
        "none": saturday,
        "statutory_only": saturday,
        WEEKLY: date(2026, 8, 10),
        "by_whim": None,
    }


def test_it_tells_of_no_due_date_in_a_year_that_nobody_knows() -> None:
    cn = chinese_calendar()
    last = max(cn.years or ())
    new_year = date(last + 1, 1, 4)
    assert rolled_if_known(date(last, 12, 30), WEEKLY, cn) == date(last, 12, 30)
    assert rolled_if_known(new_year, WEEKLY, cn) is None
    assert rolled_if_known(new_year, "statutory_only", cn) is None
    assert rolled_if_known(new_year, "none", cn) == new_year
    # The last day of the last year rolls into the unknown only if it is a day of rest.
    assert not chinese_calendar().knows(date(last + 1, 1, 1))
    assert Calendar(frozenset(), frozenset(), frozenset({7})).knows(date(2100, 1, 1))


def test_it_guesses_no_year_without_a_notice() -> None:
    last = max(chinese_calendar().holidays).year
    assert not any(day.year > last for day in chinese_calendar().workdays)
