"""How long an interest period is: months and days between dates, and parts of a year.

Dates are NumPy days (`datetime64[D]`), a whole column at a time. A part of a year is a whole number
of units, of which the day count has a fixed number in a year: nothing is rounded here.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64s: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Days: TypeAlias = npt.NDArray[np.datetime64]

# Each with its paragraph of Section 4.16 of the 2006 ISDA Definitions; the last is China's contract
# form, where a month is a twelfth of the year however many days it has.
DAY_COUNTS = (
    "30_360",  # (f) 30/360, 360/360 or Bond Basis: the end of February stays what it is
    "30e_360",  # (g) 30E/360 or Eurobond Basis
    "30e_360_isda",  # (h) 30E/360 (ISDA): the end of February counts as a 30th, but for maturity
    "actual_360",  # (e)
    "actual_365",  # (d) Actual/365 (Fixed)
    "equal_periods",
)
FEBRUARY, THIRTY = 2, 30
YEAR_UNITS = dict.fromkeys(DAY_COUNTS, 360) | {"actual_365": 365}
_THIRTY = ("30_360", "30e_360", "30e_360_isda")

# Equal periods: a day is 1/360 of the year, a month 1/12, a week 1/52; 4680 = lcm(52, 360).
MONTH_UNITS = 30
WEEKLY_YEAR_UNITS, WEEK_UNITS, WEEKLY_DAY_UNITS = 4680, 90, 13


def days_between(start: Days, end: Days, day_count: str, *, maturity: Days) -> Int64s:
    """Days from start to end as the day count sees them (2006 ISDA Definitions, Section 4.16).

    `maturity` is what ISDA calls the Termination Date; only paragraph (h) asks for it.

    >>> leap = np.array(["2008-02-29"], "datetime64[D]")
    >>> august = np.array(["2008-08-31"], "datetime64[D]")
    >>> [int(days_between(leap, august, name, maturity=august)[0]) for name in DAY_COUNTS[:4]]
    [182, 181, 180, 184]
    """
    if day_count not in _THIRTY:
        return (end - start).astype(np.int64)
    (year_1, month_1, day_1), (year_2, month_2, day_2) = civil(start), civil(end)
    ends_1, ends_2 = day_1 > THIRTY, day_2 > THIRTY
    if day_count == "30_360":
        ends_2 &= day_1 >= THIRTY
    elif day_count == "30e_360_isda":
        ends_1 = is_month_end(start)
        ends_2 = is_month_end(end) & ~((end == maturity) & (month_2 == FEBRUARY))
    day_1, day_2 = np.where(ends_1, THIRTY, day_1), np.where(ends_2, THIRTY, day_2)
    months: Int64s = 12 * (year_2 - year_1) + (month_2 - month_1)
    return THIRTY * months + (day_2 - day_1)


def months_and_days(start: Days, end: Days) -> tuple[Int64s, Int64s]:
    """Whole months from start to end, and the days that are left at the beginning.

    Months are counted backwards from the end to the same day, or to the last of a shorter month
    (Directive 2014/17/EU, Annex I, Part I, remark (c)(ii)). The last day of a month reaches back to
    a later day of a longer one: from 31 January to 28 February is a month.

    >>> days = np.array(["2012-01-12", "2012-02-15", "2026-01-31", "2026-02-28"], "datetime64[D]")
    >>> months, left = months_and_days(days[::2], days[1::2])
    >>> months.tolist(), left.tolist()
    ([1, 1], [3, 0])
    """
    month = _month(end)
    _, _, start_day = civil(start)
    end_day = (end - _first(month)).astype(np.int64) + 1
    is_last = end + 1 == _first(month + 1)
    anchor = np.where(is_last, np.maximum(start_day, end_day), end_day)
    months = (month - _month(start)).astype(np.int64)
    reached = on_day(month - months, anchor)
    over = np.flatnonzero(reached < start)
    months[over] -= 1
    reached[over] = on_day(month[over] - months[over], anchor[over])
    return months, (reached - start).astype(np.int64)


def years_between(start: Days, end: Days, *, is_weekly: Bools) -> Floats:
    """Years by the European directives: whole months of 1/12 or weeks of 1/52, then days.

    The days come first and are divided by the length, 365 or 366, of the year that ends with them
    (Directive 2014/17/EU, Annex I, Part I, remark (c)(iii); Directive (EU) 2023/2225, Annex III).
    """
    months, left = months_and_days(start, end)
    weeks, days = np.divmod((end - start).astype(np.int64), 7)
    whole = np.where(is_weekly, weeks / 52, months / 12)
    return whole + part_of_year(start, np.where(is_weekly, days, left))


def part_of_year(start: Days, left: Int64s) -> Floats:
    """Days that begin at the start, in years of the length of the one that ends with them."""
    part = np.zeros(len(left))
    rows = np.flatnonzero(left)  # there are none in most loans
    last: Days = start[rows] + left[rows]
    year_ago = on_day(_month(last) - 12, civil(last)[2])
    part[rows] = left[rows] / (last - year_ago).astype(np.int64)
    return part


def civil(days: Days) -> tuple[Int64s, Int64s, Int64s]:
    """Year, month and day of each date."""
    month = _month(days)
    number = month.astype(np.int64)  # months since January 1970
    return 1970 + number // 12, number % 12 + 1, (days - _first(month)).astype(np.int64) + 1


def is_month_end(days: Days) -> Bools:
    """Whether each date is the last of its month."""
    is_last: Bools = _month(days + 1) != _month(days)
    return is_last


def on_day(month: Days, day: Int64s) -> Days:
    """That day of each month (`datetime64[M]`), or the month's last if it has no such day."""
    first = _first(month)
    length = (_first(month + 1) - first).astype(np.int64)
    reached: Days = first + (np.minimum(day, length) - 1)
    return reached


def _month(days: Days) -> Days:
    return days.astype("datetime64[M]")


def _first(month: Days) -> Days:
    return month.astype("datetime64[D]")
