"""What a loan looks like: its instalments, from its terms, for a whole book at once.

A frame of terms goes in, one row a loan; a frame of instalments comes out. Amounts are whole minor
units throughout and every rule of rounding is named in docs/reference/schedules.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from duewise.book.day_count import (
    DAY_COUNTS,
    MONTH_UNITS,
    WEEK_UNITS,
    WEEKLY_DAY_UNITS,
    WEEKLY_YEAR_UNITS,
    YEAR_UNITS,
    Days,
    Int64s,
    civil,
    days_between,
    is_month_end,
    months_and_days,
    on_day,
)
from duewise.book.schema import METHODS
from duewise.book.terms import FREQUENCIES, SHARE, cast, completed, is_weekly, parts

PERIOD_UNITS = {  # of a year of equal periods
    "monthly": MONTH_UNITS,
    "quarterly": 3 * MONTH_UNITS,
    "weekly": WEEK_UNITS,
    "fortnightly": 2 * WEEK_UNITS,
}
LONGEST_MONTH = 31
_FEE = ("minor", "share")


def instalments(terms: pl.DataFrame) -> pl.DataFrame:
    """One row an instalment: loan_id, number, due_date; principal, interest, fee in minor units.

    `terms` has the columns of terms.TERMS; those of DEFAULTS may be absent or null. Loans keep
    their order. A bullet has one row; a revolving loan may end before its term. Raises BadInput
    that names the column (as `source`), the first wrong loan and the mend.

    >>> from datetime import date
    >>> loan = pl.DataFrame({"loan_id": ["A"], "principal_minor": [1_200_000], "term": [12],
    ...                      "annual_rate": [0.216], "opened_date": [date(2026, 1, 31)]})
    >>> rows = instalments(loan)
    >>> rows.row(0)[1:], rows["principal_minor"].sum()
    ((1, datetime.date(2026, 2, 28), 90482, 21600, 0), 1200000)
    """
    from duewise.book import amortise

    loans = completed(terms)
    plan = _plan(loans)
    units = _units(loans, plan)
    principal = _int64s(loans["principal_minor"])
    method = _int64s(loans["method"].replace_strict(METHODS, range(len(METHODS))))
    paid, interest = amortise.amortise(
        principal,
        method,
        plan.starts,
        units,
        plan.numerator,
        plan.denominator,
        _levels(plan, units, principal, method),
        (loans["residue"] == "first").to_numpy(),
        (parts(loans["minimum_share"]), SHARE, _int64s(loans["minimum_floor_minor"])),
    )
    rows = pl.DataFrame(
        {
            "loan_id": loans["loan_id"].gather(plan.loan),
            "number": pl.Series(plan.number, dtype=pl.Int32),
            "due_date": pl.Series(plan.due),
            "principal_minor": paid,
            "interest_minor": interest,
            "fee_minor": _fees(loans, "instalment_fee")[plan.loan],
        }
    )
    before = (
        paid.cumsum() - paid
    )  # over the whole frame: what it was where the loan starts goes off
    owed = principal[plan.loan] - (before - before[plan.starts[:-1]][plan.loan])
    is_over = (method == amortise.REVOLVING)[plan.loan] & (owed == 0)
    return rows.filter(pl.Series(~is_over))


def upfront_fees(terms: pl.DataFrame) -> pl.Series:
    """What each loan costs on the day it is opened, in minor units: the fixed fee and the share.

    >>> loan = pl.DataFrame({"principal_minor": [10_000_00], "upfront_fee_minor": [5],
    ...                      "upfront_fee_share": [0.01]})
    >>> upfront_fees(loan).to_list()
    [10005]
    """
    return pl.Series("upfront_fee_minor", _fees(terms, "upfront_fee"))


@dataclass(frozen=True)
class _Plan:
    """The rows before their amounts: `starts` bounds each loan's, `loan` says whose a row is."""

    starts: Int64s
    loan: Int64s
    number: Int64s
    due: Days
    begins: Days
    numerator: Int64s  # the annual rate over the units of a year, in lowest terms
    denominator: Int64s


def _plan(loans: pl.DataFrame) -> _Plan:
    term = _int64s(loans["term"])
    is_bullet = (loans["method"] == "bullet").to_numpy()
    count = np.where(is_bullet, 1, term)
    starts = np.concatenate([[0], count.cumsum()])
    loan = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(loan)) - starts[loan] + 1
    # A bullet's only row falls due when its last period ends.
    due = _due_dates(loans, loan, np.where(is_bullet, term, 1)[loan] * number)
    opened = _days(loans["opened_date"])[loan]
    begins = np.where(number == 1, opened, np.roll(due, 1))
    rate, denominator = parts(loans["annual_rate"]), SHARE * _year_units(loans)
    common = np.gcd(rate, denominator)
    return _Plan(starts, loan, number, due, begins, rate // common, denominator // common)


def _due_dates(loans: pl.DataFrame, loan: Int64s, periods: Int64s) -> Days:
    """When each row falls due, so many periods into its loan."""
    is_given = loans["first_due_date"].is_not_null().to_numpy()
    anchor = _days(loans["first_due_date"].fill_null(loans["opened_date"]))
    steps = periods - is_given[loan]
    step = _int64s(loans["frequency"].replace_strict(FREQUENCIES, return_dtype=pl.Int64))[loan]
    rule = loans["month_end"]
    sticks = (rule == "isda_eom").to_numpy()
    sticks |= (rule == "end_of_month").to_numpy() & is_month_end(anchor)
    day = np.where(sticks, LONGEST_MONTH, civil(anchor)[2])[loan]
    by_days = anchor[loan] + steps * step
    by_months = on_day(anchor[loan].astype("datetime64[M]") + steps * step, day)
    # A first due date that was given stands as it is.
    is_plain = is_weekly(loans)[loan] | (steps == 0)
    return np.where(is_plain, by_days, by_months)


def _units(loans: pl.DataFrame, plan: _Plan) -> Int64s:
    """How many units of the year each row's period has, by the loan's day count."""
    maturity = plan.due[plan.starts[1:] - 1][plan.loan]
    units = _equal_units(loans, plan)
    for name in DAY_COUNTS:
        rows = np.flatnonzero((loans["day_count"] == name).to_numpy()[plan.loan])
        if name != "equal_periods" and len(rows):
            ends = (plan.begins[rows], plan.due[rows])
            units[rows] = days_between(*ends, name, maturity=maturity[rows])
    return units


def _equal_units(loans: pl.DataFrame, plan: _Plan) -> Int64s:
    """Equal periods: a period's own units; of a broken first one whole months or weeks, then days.

    People's Bank of China, Yinfa [2005] No. 129: whole months by the monthly rate, the days that
    are left over by the daily rate, a 360th of the annual one.
    """
    weekly, is_bullet = is_weekly(loans), (loans["method"] == "bullet").to_numpy()
    period = _int64s(loans["frequency"].replace_strict(PERIOD_UNITS, return_dtype=pl.Int64))
    opened = _days(loans["opened_date"])
    broken = _days(loans["first_due_date"].fill_null(loans["opened_date"]))
    months, left = months_and_days(opened, broken)
    weeks, rest = np.divmod((broken - opened).astype(np.int64), 7)
    by_dates = np.where(
        weekly, WEEK_UNITS * weeks + WEEKLY_DAY_UNITS * rest, MONTH_UNITS * months + left
    )
    is_given = loans["first_due_date"].is_not_null().to_numpy()
    first = np.where(is_given, by_dates, period)
    first += np.where(is_bullet, (_int64s(loans["term"]) - 1) * period, 0)
    return np.where(plan.number == 1, first[plan.loan], period[plan.loan])


def _year_units(loans: pl.DataFrame) -> Int64s:
    day_count = loans["day_count"]
    in_year = _int64s(day_count.replace_strict(YEAR_UNITS, return_dtype=pl.Int64))
    by_weeks = (day_count == "equal_periods").to_numpy() & is_weekly(loans)
    return np.where(by_weeks, WEEKLY_YEAR_UNITS, in_year)


def _levels(plan: _Plan, units: Int64s, principal: Int64s, method: Int64s) -> Int64s:
    """The level instalment of each loan that has one, exact; 0 of the others."""
    from duewise.book import amortise

    is_level = method == amortise.EQUAL_INSTALMENT
    levels, is_sure = amortise.level_amounts(
        principal, is_level, plan.starts, units, plan.numerator, plan.denominator
    )
    for loan in np.flatnonzero(~is_sure).tolist():  # a handful: where 48 binary digits do not tell
        rows = units[plan.starts[loan] : plan.starts[loan + 1]]
        rate = (int(plan.numerator[loan]), int(plan.denominator[loan]))
        levels[loan] = amortise.exact_level(int(principal[loan]), rows, *rate)
    return levels


def _fees(terms: pl.DataFrame, name: str) -> Int64s:
    """The fixed fee and the share of the principal, rounded half-up."""
    from duewise.book.amortise import shares_half_up

    fees = terms.select("principal_minor", *(cast(f"{name}_{part}", terms) for part in _FEE))
    principal, fixed = _int64s(fees["principal_minor"]), _int64s(fees[f"{name}_minor"])
    return fixed + shares_half_up(principal, parts(fees[f"{name}_share"]), SHARE)


def _days(column: pl.Series) -> Days:
    return column.to_numpy().astype("datetime64[D]")


def _int64s(column: pl.Series) -> Int64s:
    return column.cast(pl.Int64).to_numpy()
