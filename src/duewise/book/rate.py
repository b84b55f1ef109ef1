"""What a loan costs a year, by the definitions a lender has to state: a rate, or why there is none.

Amounts become floating-point numbers here only to be weighed against each other; none comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.day_count import (
    Bools,
    Days,
    Floats,
    Int64s,
    civil,
    months_and_days,
    on_day,
    part_of_year,
)
from duewise.book.schedule import upfront_fees
from duewise.book.terms import FREQUENCIES, cast, is_weekly

GROWTH_MAX = 14.0  # the largest logarithm of 1 + rate that is still called a rate: 1 200 000 fold
NEWTON_MAX = 40
STEP_MIN = 1e-13
PAID_ONCE = 2  # flows: out and back
PERIODS_IN_YEAR = {"monthly": 12, "quarterly": 4, "weekly": 52, "fortnightly": 26}


class Reason(StrEnum):
    """Why there is no rate."""

    NO_TIME = "no_time"
    NO_SIGN_CHANGE = "no_sign_change"
    SEVERAL_ROOTS = "several_roots"
    OUT_OF_RANGE = "out_of_range"

    @property
    def meaning(self) -> str:
        """One sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Reason, str] = {
    Reason.NO_TIME: "no time passes between paying out and paying back",
    Reason.NO_SIGN_CHANGE: "money goes one way only: nothing is paid out, or nothing comes back",
    Reason.SEVERAL_ROOTS: "money goes to and fro, so that more than one rate may fit",
    Reason.OUT_OF_RANGE: "no rate fits that one could state",
}


@dataclass(frozen=True)
class NoRate:
    """There is no rate, and why."""

    reason: Reason


@dataclass(frozen=True)
class Flow:
    """One movement of money: positive to the borrower, negative from the borrower.

    It happens after `periods` whole periods and a part `odd` of one, which earns simple interest.
    """

    periods: float
    amount_minor: int
    odd: float = 0.0


def period_rate(flows: Iterable[Flow]) -> float | NoRate:
    """The rate i of a period at which all flows together are worth nothing.

    A flow is worth amount / ((1 + odd * i) * (1 + i) ** periods): with years as periods and nothing
    odd this is the equation of the European directives, with odd parts that of 12 CFR 1026,
    Appendix J, (b)(8). Flows at one time count as their sum.

    >>> round(period_rate([Flow(0, 100_00), Flow(2, -121_00)]), 6)
    0.1
    >>> period_rate([Flow(0, 100_00), Flow(1, 5_00)])
    NoRate(reason=<Reason.NO_SIGN_CHANGE: 'no_sign_change'>)
    """
    ordered = sorted(flows, key=_time)
    if not ordered:
        return NoRate(Reason.NO_SIGN_CHANGE)
    times = [
        (*moment, sum(flow.amount_minor for flow in together))
        for moment, together in groupby(ordered, key=_time)
    ]
    if len(times) == 1 and len({flow.amount_minor > 0 for flow in ordered}) > 1:
        return NoRate(Reason.NO_TIME)  # as a sum it would look like money that goes one way
    periods, odd, amounts = (np.array(column, np.float64) for column in zip(*times, strict=True))
    loan = np.zeros(len(times), np.int64)
    growth, reasons = _solve(loan, periods, odd, amounts, guess=np.zeros(1))
    return NoRate(Reason(reasons[0])) if reasons[0] else float(np.expm1(growth[0]))


def _time(flow: Flow) -> tuple[float, float]:
    return flow.periods, flow.odd


def annual_rates(terms: pl.DataFrame, instalments: pl.DataFrame) -> pl.DataFrame:
    """One row for each loan of `terms`: loan_id, effective_rate, simple_rate, us_apr, reason.

    `effective_rate` solves sum C (1 + X)^-t = sum D (1 + X)^-s over years: the annual percentage
    rate of charge of Directives 2008/48/EC and 2014/17/EU, Annex I, and (EU) 2023/2225, Annex III,
    and the compound rate (internal rate of return) of the People's Bank of China, Announcement
    [2021] No. 3. Its simple rate is `simple_rate`: a period's rate times the periods of a year.
    `us_apr` is by the actuarial method of 12 CFR 1026, Appendix J.

    `terms` is read as by schedule.instalments, each loan once; `instalments` has that function's
    columns and may be a lender's own, in any order. Where there is no rate, all three are null and
    `reason` is one of Reason.

    >>> from datetime import date
    >>> loan = pl.DataFrame({"loan_id": ["A"], "principal_minor": [1000], "term": [1],
    ...                      "opened_date": [date(2026, 1, 1)]})
    >>> owed = pl.DataFrame({"loan_id": ["A"], "due_date": [date(2028, 1, 1)], "fee_minor": [0],
    ...                      "principal_minor": [1000], "interest_minor": [210]})
    >>> annual_rates(loan, owed)["effective_rate"].round(6).to_list()
    [0.1]
    """
    loans = terms.select(
        pl.int_range(pl.len()).alias("loan"),
        "loan_id",
        "opened_date",
        cast("frequency", terms),
        (pl.col("principal_minor") - upfront_fees(terms)).alias("amount_minor"),
    )
    loan, day, amounts = _flows(loans, instalments)
    times = _times(loans, loan, day)
    none, nothing = np.zeros(terms.height), np.zeros(len(loan))
    growth, reasons = _solve(loan, times.years, nothing, amounts, guess=none)
    # The two rates are close: what one root is tells where to look for the other.
    guess = np.nan_to_num(growth / times.units_in_year)
    us_growth, us_reasons = _solve(loan, times.whole, times.odd, amounts, guess=guess)
    rates = {
        "effective_rate": np.expm1(growth),
        "simple_rate": times.periods_in_year * np.expm1(growth / times.periods_in_year),
        "us_apr": times.units_in_year * np.expm1(us_growth),
    }
    reason = pl.Series("reason", np.where(reasons == "", us_reasons, reasons))
    return pl.DataFrame({"loan_id": terms["loan_id"], **rates, "reason": reason}).with_columns(
        *(pl.when(pl.col("reason") == "").then(name).alias(name) for name in rates),
        pl.col("reason").replace({"": None}),
    )


def _flows(loans: pl.DataFrame, instalments: pl.DataFrame) -> tuple[Int64s, Days, Floats]:
    """Each loan's number, day and amount, by loan and day; what is paid out comes first."""
    owed = instalments.select(
        pl.col("loan_id").rle_id().alias("run"),
        pl.col("due_date").alias("day"),
        (-pl.sum_horizontal("principal_minor", "interest_minor", "fee_minor")).alias("amount"),
    )
    heads = instalments.select(pl.col("loan_id").rle().struct.field("value").alias("loan_id"))
    numbered = heads.join(loans.select("loan_id", "loan"), "loan_id", "left", maintain_order="left")
    moved = owed.select(numbered["loan"].gather(owed["run"]), "day", "amount").drop_nulls("loan")
    paid_out = loans.select("loan", pl.col("opened_date").alias("day"), amount="amount_minor")
    rows = pl.concat([paid_out, moved]).sort("loan", "day", maintain_order=True)
    amounts = rows["amount"].to_numpy().astype(np.float64)
    return rows["loan"].to_numpy(), rows["day"].to_numpy().astype("datetime64[D]"), amounts


@dataclass(frozen=True)
class _Times:
    """When each flow happens, in years and in unit-periods; and how many a year has, by loan."""

    years: Floats
    whole: Floats
    odd: Floats
    periods_in_year: Floats
    units_in_year: Floats


def _times(loans: pl.DataFrame, loan: Int64s, day: Days) -> _Times:
    """The times of the flows.

    Years: see day_count.years_between. Unit-periods: 12 CFR 1026, Appendix J, (b)(4) and (b)(5):
    months are counted back from the payment, and a day that is left over is a 30th of a month. A
    single payment within a year has its term as unit-period; a later one has years, and days as
    365ths.
    """
    opened = loans["opened_date"].to_numpy().astype("datetime64[D]")[loan]
    weekly = is_weekly(loans)[loan]
    step = loans["frequency"].replace_strict(FREQUENCIES, return_dtype=pl.Int64).to_numpy()[loan]
    months, left = months_and_days(opened, day)
    days = (day - opened).astype(np.int64)
    years = np.where(weekly, days // 7 / 52, months / 12)
    years += part_of_year(opened, np.where(weekly, days % 7, left))
    whole = np.where(weekly, days // step, months // step).astype(np.float64)
    odd = np.where(weekly, days % step / step, (months % step + left / 30) / step)
    in_year = loans["frequency"].replace_strict(PERIODS_IN_YEAR, return_dtype=pl.Float64).to_numpy()
    in_year, units = in_year.copy(), in_year.copy()

    counts = np.bincount(loan, minlength=loans.height)
    single = np.flatnonzero(counts == PAID_ONCE)
    paid = np.cumsum(counts)[single] - 1
    in_year[single] = 1 / np.maximum(years[paid], 1 / 366)
    whole[paid], odd[paid], units[single] = _single(opened[paid], day[paid])
    return _Times(years, whole, odd, in_year, units)


def _single(opened: Days, day: Days) -> tuple[Floats, Floats, Floats]:
    """Unit-periods of single payments: whole, odd, and how many in a year."""
    months, left = months_and_days(opened, day)
    days = (day - opened).astype(np.int64)
    years = months // 12
    month: Days = day.astype("datetime64[M]")
    days_left = (on_day(month - 12 * years, civil(day)[2]) - opened).astype(np.int64)
    by_days = 365 / np.maximum(days, 1)
    by_months = 12 / np.maximum(months, 1)
    is_long = years > 0
    return (
        np.where(is_long, years, 1.0 * (days > 0)),
        np.where(is_long, days_left / 365, 0.0),
        np.where(is_long, 1.0, np.where((left == 0) & (months > 0), by_months, by_days)),
    )


def _solve(
    loan: Int64s, periods: Floats, odd: Floats, amounts: Floats, *, guess: Floats
) -> tuple[Floats, npt.NDArray[np.str_]]:
    """The logarithm of 1 + rate of each loan, and a Reason or the empty text.

    Rows lie by loan, then time; loans count from 0 and each has a row. Where the sign changes once,
    there is one root above -1 (Descartes' rule of signs).
    """
    starts = np.flatnonzero(np.diff(loan, prepend=-1))
    reasons = _refusals(loan, starts, periods + odd, amounts)
    growth = np.full(len(starts), np.nan)
    rows = np.flatnonzero((reasons == "")[loan])
    if len(rows):
        asked, run = np.unique(loan[rows], return_inverse=True)
        growth[asked] = _roots(run, periods[rows], odd[rows], amounts[rows], guess[asked])
        reasons[asked[np.isnan(growth[asked])]] = Reason.OUT_OF_RANGE
    return growth, reasons


def _refusals(loan: Int64s, starts: Int64s, times: Floats, amounts: Floats) -> npt.NDArray[np.str_]:
    """Why a loan has no rate before one looks for it, or the empty text."""
    has_no_time = (np.maximum.reduceat(times, starts) <= 0) | (
        np.minimum.reduceat(times, starts) < 0
    )
    moved = np.flatnonzero(amounts)
    sign, whose = np.sign(amounts[moved]), loan[moved]
    turns = (sign[1:] != sign[:-1]) & (whose[1:] == whose[:-1])
    changes = np.bincount(whose[1:][turns], minlength=len(starts))
    reasons = np.full(len(starts), "", "<U16")
    reasons[changes == 0] = Reason.NO_SIGN_CHANGE
    reasons[changes > 1] = Reason.SEVERAL_ROOTS
    reasons[has_no_time & (changes > 0)] = Reason.NO_TIME
    return reasons


def _roots(run: Int64s, periods: Floats, odd: Floats, amounts: Floats, guess: Floats) -> Floats:
    """The one root of each loan, or not a number where no rate in range fits."""
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    ends = np.append(starts[1:], len(run))
    roots, is_done = _newton(run, guess, periods, odd, amounts)
    for place in np.flatnonzero(~is_done).tolist():  # none, when money is paid out first
        mine = slice(starts[place], ends[place])
        roots[place] = _bracketed(periods[mine], odd[mine], amounts[mine])
    return roots


def _newton(
    run: Int64s, guess: Floats, periods: Floats, odd: Floats, amounts: Floats
) -> tuple[Floats, Bools]:
    """Newton's method for all loans at once, from a guess, and whether it arrived.

    For money that is paid out first the balance is concave and rising in the growth, so the steps
    approach the root from one side.
    """
    starts, growth = np.flatnonzero(np.diff(run, prepend=-1)), guess
    is_done = np.zeros(len(starts), np.bool_)
    for _ in range(NEWTON_MAX):
        value, slope = _worth(growth[run], periods, odd, amounts)
        with np.errstate(all="ignore"):
            step = np.add.reduceat(value, starts) / np.add.reduceat(slope, starts)
        growth = np.clip(growth - np.nan_to_num(step), -GROWTH_MAX, GROWTH_MAX)
        is_done = np.abs(step) <= STEP_MIN * np.maximum(1, np.abs(growth))
        if is_done.all():
            break
    return growth, is_done


def _worth(growth: Floats, periods: Floats, odd: Floats, amounts: Floats) -> tuple[Floats, Floats]:
    """What each flow is worth now, and how that changes with the growth."""
    with np.errstate(all="ignore"):
        value = amounts * np.exp(-growth * periods)
        if not odd.any():
            return value, -value * periods
        simple = 1 + odd * np.expm1(growth)
        value /= simple
        return value, -value * (periods + odd * np.exp(growth) / simple)


def _bracketed(periods: Floats, odd: Floats, amounts: Floats) -> float:
    """The root of one loan, or not a number where it is no rate in range."""
    from scipy.optimize import brentq

    def balance(growth: float) -> float:
        value, _ = _worth(np.full(len(periods), growth), periods, odd, amounts)
        return float(value.sum())

    if not balance(-GROWTH_MAX) * balance(GROWTH_MAX) < 0:
        return float("nan")
    return float(brentq(balance, -GROWTH_MAX, GROWTH_MAX, xtol=STEP_MIN))
