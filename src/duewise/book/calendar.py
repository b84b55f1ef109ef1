"""Which days are not working days, and to which day a due date moves because of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

ROLLS = ("none", "statutory_only", "statutory_and_weekly_rest")
ROLL_DAYS_MAX = 31


@dataclass(frozen=True)
class Calendar:
    """Public holidays, make-up working days, and weekly rest (ISO weekdays 1 to 7).

    `years` are those whose holidays are known; None: no holidays are kept, and none are missing.
    """

    holidays: frozenset[date]
    workdays: frozenset[date]
    weekly_rest: frozenset[int]
    years: frozenset[int] | None = None

    def knows(self, day: date) -> bool:
        """Whether it can be told of that day if it is a holiday."""
        return self.years is None or day.year in self.years

    def is_rest(self, day: date, *, roll: str) -> bool:
        """Whether a due date may not stay on that day under a roll clause."""
        if day in self.workdays or roll == "none":
            return False
        weekly = roll == "statutory_and_weekly_rest" and day.isoweekday() in self.weekly_rest
        return day in self.holidays or weekly


@cache
def chinese_calendar() -> Calendar:
    """The mainland's statutory holidays and make-up working days, from 2004 on, Saturday, Sunday.

    It ends with the last year that the State Council has given notice of: no later year is guessed.

    >>> date(2025, 1, 26) in chinese_calendar().workdays
    True
    """
    from chinese_calendar import constants

    return Calendar(
        holidays=frozenset(constants.holidays),
        workdays=frozenset(constants.workdays),
        weekly_rest=frozenset({6, 7}),
        years=frozenset(day.year for day in constants.holidays),
    )


def rolled(day: date, roll: str, calendar: Calendar | None) -> date:
    """The day itself, or the first day after it that is no rest day (Civil Code 203).

    >>> week = Calendar(frozenset(), frozenset(), frozenset({6, 7}))
    >>> rolled(date(2026, 8, 8), "statutory_and_weekly_rest", week)
    datetime.date(2026, 8, 10)
    >>> rolled(date(2026, 8, 8), "statutory_only", week)
    datetime.date(2026, 8, 8)
    """
    if calendar is None:
        return day
    for _ in range(ROLL_DAYS_MAX):
        if not calendar.is_rest(day, roll=roll):
            break
        day += timedelta(days=1)
    return day


def rolled_if_known(day: date, roll: str, calendar: Calendar | None) -> date | None:
    """`rolled`, or None: the clause is not one of ROLLS, or a year's holidays are not known."""
    if roll not in ROLLS:
        return None
    due_eff = rolled(day, roll, calendar)
    if calendar is None or roll == "none":
        return due_eff
    return due_eff if calendar.knows(day) and calendar.knows(due_eff) else None
