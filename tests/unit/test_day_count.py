"""Day counts and intervals, against published tables."""

import numpy as np
import pytest

from duewise.book.day_count import Days, days_between, months_and_days, years_between

# ISDA, "30/360 day count conventions", 22 December 2008, and its spreadsheet 30-360-2006ISDADefs.xls:
# start, end, then days by the 2006 ISDA Definitions, Section 4.16: (f) Bond Basis, (g) Eurobond
# Basis, (h) 30E/360 (ISDA). A dash: not in that convention's table.
ISDA = """
2006-08-20 2007-02-20 180 180 180
2007-02-20 2007-08-20 180 180 180
2007-08-20 2008-02-20 180 180 180
2008-02-20 2008-08-20 180 180 180
2008-08-20 2009-02-20 180 180 180
2009-02-20 2009-08-20 180 180 180
2006-02-28 2006-08-31 -   182 180
2006-08-31 2007-02-28 178 178 180
2007-02-28 2007-08-31 183 182 180
2007-08-31 2008-02-29 179 179 180
2008-02-29 2008-08-31 182 181 180
2008-08-31 2009-02-28 178 178 180
2009-02-28 2009-08-31 183 182 180
2009-08-31 2010-02-28 -   178 180
2010-02-28 2010-08-31 -   182 180
2010-08-31 2011-02-28 -   178 180
2011-02-28 2011-08-31 -   182 180
2006-01-31 2006-02-28 28  28  30
2006-01-30 2006-02-28 28  28  30
2006-02-28 2006-03-03 5   5   3
2006-02-14 2006-02-28 14  14  16
2006-09-30 2006-10-31 30  30  30
2006-10-31 2006-11-28 28  28  28
2007-08-31 2008-02-28 178 178 178
2008-02-28 2008-08-28 180 180 180
2008-02-28 2008-08-30 182 182 182
2008-02-28 2008-08-31 183 182 182
2007-02-26 2008-02-28 362 362 -
2007-02-26 2008-02-29 363 363 -
2007-02-28 2008-02-28 -   -   358
2008-02-29 2009-02-28 359 359 360
2008-02-28 2008-03-30 32  32  -
2008-02-28 2008-03-31 33  32  -
2008-02-29 2008-03-30 -   -   30
2008-02-29 2008-03-31 -   -   30
"""
CONVENTIONS = ("30_360", "30e_360", "30e_360_isda")

# The same spreadsheet's sheet that compares conventions: actual/360, paragraph (e), and (g).
COMPARED = """
2007-01-15 2007-01-30 15  15
2007-01-15 2007-02-15 31  30
2007-01-15 2007-07-15 181 180
2007-09-30 2008-03-31 183 180
2007-09-30 2007-10-31 31  30
2007-09-30 2008-09-30 366 360
2007-01-15 2007-01-31 16  15
2007-01-31 2007-02-28 28  28
2007-02-28 2007-03-31 31  32
2006-08-31 2007-02-28 181 178
2007-02-28 2007-08-31 184 182
2007-02-14 2007-02-28 14  14
2007-02-26 2008-02-29 368 363
2008-02-29 2009-02-28 365 359
2008-02-29 2008-03-30 30  31
2008-02-29 2008-03-31 31  31
2007-02-28 2007-03-05 5   7
2007-10-31 2007-11-28 28  28
2007-08-31 2008-02-29 182 179
2008-02-29 2008-08-31 184 181
2008-08-31 2009-02-28 181 178
2009-02-28 2009-08-31 184 182
"""

# European Commission, SWD(2012) 128 final, Annex I, section 4.1.1 (intervals), as carried in the
# tests of the open calculator `curo`: unit, start, end, whole units, days, days of the year.
INTERVALS = """
month 2019-01-12 2020-01-12 12 0 365
month 2012-01-12 2012-02-15 1  3 365
month 2012-01-12 2012-03-15 2  3 365
month 2012-01-12 2012-04-15 3  3 365
month 2013-01-12 2013-02-15 1  3 366
month 2013-01-12 2013-03-15 2  3 366
month 2013-01-12 2013-04-15 3  3 366
month 2013-02-25 2013-03-28 1  3 366
month 2013-02-26 2013-03-29 1  2 366
month 2012-02-26 2012-03-29 1  3 366
month 2024-02-28 2025-02-27 11 28 366
week  2012-01-12 2012-01-26 2  0 365
week  2012-01-12 2013-01-10 52 0 365
week  2012-01-12 2012-01-30 2  4 365
"""


def lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def days(*texts: str) -> Days:
    return np.array(texts, "datetime64[D]")


@pytest.mark.parametrize(
    ("start", "end", "day_count", "expected"),
    [
        (row[0], row[1], name, row[place])
        for row in lines(ISDA)
        for place, name in enumerate(CONVENTIONS, start=2)
        if row[place] != "-"
    ],
)
def test_it_counts_thirty_day_months_as_isda_shows(
    start: str, end: str, day_count: str, expected: str
) -> None:
    # None of these rows ends on its table's Termination Date.
    found = days_between(days(start), days(end), day_count, maturity=days("2012-02-29"))
    assert found.tolist() == [int(expected)]


# ISDA's second and third table for (h), where the row ends on the Termination Date.
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [("2011-08-31", "2012-02-29", 179), ("2007-02-28", "2008-02-29", 359)],
)
def test_it_keeps_the_end_of_february_where_the_loan_matures(
    start: str, end: str, expected: int
) -> None:
    found = days_between(days(start), days(end), "30e_360_isda", maturity=days(end))
    assert found.tolist() == [expected]


@pytest.mark.parametrize(("start", "end", "actual", "thirty"), lines(COMPARED))
def test_it_counts_actual_days_as_isda_compares_them(
    start: str, end: str, actual: str, thirty: str
) -> None:
    between = (days(start), days(end))
    for name, expected in (("actual_360", actual), ("actual_365", actual), ("30e_360", thirty)):
        assert days_between(*between, name, maturity=between[1]).tolist() == [int(expected)]


@pytest.mark.parametrize("row", lines(INTERVALS), ids=" ".join)
def test_it_measures_intervals_as_the_commission_shows(row: list[str]) -> None:
    unit, start, end, units, left, year = row
    found = years_between(days(start), days(end), is_weekly=np.array([unit == "week"]))
    expected = int(units) / {"month": 12, "week": 52}[unit] + int(left) / int(year)
    assert found[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "months", "left"),
    [
        ("2024-12-31", "2025-02-28", 2, 0),
        ("2024-02-29", "2025-03-31", 13, 0),
        ("2023-02-28", "2024-02-29", 12, 0),
        ("2026-01-30", "2026-02-28", 1, 0),
        ("2026-01-31", "2026-03-15", 1, 15),
    ],
)
def test_it_takes_month_ends_for_whole_months(start: str, end: str, months: int, left: int) -> None:
    whole, rest = months_and_days(days(start), days(end))
    assert (whole.tolist(), rest.tolist()) == ([months], [left])
