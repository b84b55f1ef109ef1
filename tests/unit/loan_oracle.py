"""The same schedules, slowly: one loan at a time, with `date`, big integers and fractions only."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

Row = tuple[str, int, date, int, int, int]
MONTHS = {"monthly": 1, "quarterly": 3}
DAYS = {"weekly": 7, "fortnightly": 14}
PERIOD = {
    "monthly": Fraction(1, 12),
    "quarterly": Fraction(1, 4),
    "weekly": Fraction(1, 52),
    "fortnightly": Fraction(1, 26),
}


def half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def exact(share: float) -> Fraction:
    return Fraction(str(share))


def last_day(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def moved(anchor: date, months: int, *, day: int) -> date:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))


def due_dates(loan: dict[str, Any]) -> list[date]:
    given = loan["first_due_date"]
    anchor = given or loan["opened_date"]
    is_last = anchor.day == last_day(anchor)
    sticks = loan["month_end"] == "isda_eom" or (loan["month_end"] == "end_of_month" and is_last)
    dates = [given] if given else []
    step = 0
    while len(dates) < loan["term"]:
        step += 1
        if loan["frequency"] in DAYS:
            dates.append(anchor + timedelta(days=DAYS[loan["frequency"]] * step))
        else:
            months = MONTHS[loan["frequency"]] * step
            dates.append(moved(anchor, months, day=31 if sticks else anchor.day))
    return dates


def days_360(start: date, end: date, day_count: str, maturity: date) -> int:
    """2006 ISDA Definitions, Section 4.16, paragraphs (f), (g), (h)."""
    d1, d2 = start.day, end.day
    if day_count == "30_360":
        d1 = 30 if d1 == 31 else d1
        d2 = 30 if d2 == 31 and d1 == 30 else d2
    elif day_count == "30e_360":
        d1, d2 = min(d1, 30), min(d2, 30)
    else:
        d1 = 30 if d1 == last_day(start) else d1
        is_kept = end == maturity and end.month == 2
        d2 = 30 if d2 == last_day(end) and not is_kept else d2
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + d2 - d1


def broken_period(start: date, end: date, frequency: str) -> Fraction:
    """Whole weeks or months, counted back from the end, and days of a 360th."""
    if frequency in DAYS:
        weeks, days = divmod((end - start).days, 7)
        return Fraction(weeks, 52) + Fraction(days, 360)
    day = max(start.day, end.day) if end.day == last_day(end) else end.day
    months = 0
    while moved(end, -(months + 1), day=day) >= start:
        months += 1
    return Fraction(months, 12) + Fraction((moved(end, -months, day=day) - start).days, 360)


def years(loan: dict[str, Any], dates: list[date]) -> list[Fraction]:
    """The part of a year of each period."""
    day_count, frequency = loan["day_count"], loan["frequency"]
    if day_count == "equal_periods":
        parts = [PERIOD[frequency]] * loan["term"]
        if loan["first_due_date"]:
            parts[0] = broken_period(loan["opened_date"], loan["first_due_date"], frequency)
        return [sum(parts, Fraction(0))] if loan["method"] == "bullet" else parts
    ends = [loan["opened_date"], *(dates[-1:] if loan["method"] == "bullet" else dates)]
    if day_count.startswith("actual"):
        return [Fraction((b - a).days, int(day_count[-3:])) for a, b in pairwise(ends)]
    return [Fraction(days_360(a, b, day_count, ends[-1]), 360) for a, b in pairwise(ends)]


def level(principal: int, rates: list[Fraction]) -> int:
    """The principal over the present value of 1 a period, taken from the last to the first."""
    value = Fraction(0)
    for rate in reversed(rates):
        value = (1 + value) / (1 + rate)
    return half_up(principal / value)


def backwards(amount: int, rates: list[Fraction], *, is_level: bool) -> list[int]:
    """What is to be owed after each row, when the first row takes the residue."""
    left = [0]
    for rate in reversed(rates[1:]):
        most = left[0] + amount
        if is_level:
            guess = int(most / (1 + rate)) + 2
            while guess + half_up(guess * rate) > most:
                guess -= 1
            most = guess
        left.insert(0, most)
    return left


def schedule(loan: dict[str, Any]) -> list[Row]:
    dates = due_dates(loan)
    rates = [exact(loan["annual_rate"]) * part for part in years(loan, dates)]
    dates = dates[-1:] if loan["method"] == "bullet" else dates
    principal, method = loan["principal_minor"], loan["method"]
    amount = half_up(Fraction(principal, len(rates)))
    if method == "equal_instalment":
        amount = level(principal, rates)
    is_planned = loan["residue"] == "first" and method in {"equal_instalment", "equal_principal"}
    plan = backwards(amount, rates, is_level=method == "equal_instalment") if is_planned else []
    fee = loan["instalment_fee_minor"]
    fee += half_up(principal * exact(loan["instalment_fee_share"]))
    rows, balance = [], principal
    for number, (due, rate) in enumerate(zip(dates, rates, strict=True), start=1):
        interest = half_up(balance * rate)
        if plan:
            repaid = balance - min(plan[number - 1], balance)
        elif number == len(rates):
            repaid = balance
        else:
            repaid = before_last(loan, amount, balance, interest)
        if method != "revolving" or balance:
            rows.append((loan["loan_id"], number, due, repaid, interest, fee))
        balance -= repaid
    return rows


def before_last(loan: dict[str, Any], amount: int, balance: int, interest: int) -> int:
    repaid: int = {
        "equal_instalment": amount - interest,
        "equal_principal": amount,
        "revolving": max(
            half_up(balance * exact(loan["minimum_share"])),
            loan["minimum_floor_minor"] - interest,
        ),
    }.get(loan["method"], 0)
    return min(max(repaid, 0), balance)
