"""The date somebody means who writes in an SMS: 明天, 15号, 下周五, on 15 Aug, in three days."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeAlias

LONG_OVER_DAYS = 180
AHEAD_DAYS_MAX = 366  # what lies further off is not a day anybody promises

_Meaning: TypeAlias = Callable[[re.Match[str], date], date | None]

_HAN = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}
_WEEKDAYS = "一二三四五六日"
_EN_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EN_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EN_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_N = r"(\d{1,2}|[一二两三四五六七八九十]{1,3})"
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_WEEKDAY = r"(mon|tue|wed|thu|fri|sat|sun)(?:s|rs?|day|sday|nesday|rsday|urday)?\b"


def read_date(text: str, *, today: date) -> date | None:
    """The latest day named in a normalised text, of the year ahead; None if none is named.

    The latest, since what comes due is named before the day it will be paid. A day without a
    month is the next such day.

    >>> read_date("15号发工资，16号还", today=date(2026, 8, 20))
    datetime.date(2026, 9, 16)
    """
    named = [
        meaning(found, today)
        for pattern, meaning in _PHRASES
        for found in re.finditer(pattern, text, re.ASCII)
    ]
    last = today + timedelta(days=AHEAD_DAYS_MAX)
    return max((day for day in named if day is not None and today <= day <= last), default=None)


def _number(text: str) -> int:
    """A small number in digits, Han or English words.

    >>> _number("二十五"), _number("十"), _number("7"), _number("three")
    (25, 10, 7, 3)
    """
    if text.isdigit():
        return int(text)
    if text in _EN_NUMBERS:
        return _EN_NUMBERS.index(text) + 1
    tens, ten, ones = text.rpartition("十")
    value = _HAN.get(ones, 0)
    return value + (10 * _HAN.get(tens, 1) if ten else 0)


def _on(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month_later(day: date) -> date:
    """The first of the month after."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _next_day_of_month(day: int, today: date) -> date | None:
    month = today.replace(day=1)
    for _ in range(3):  # a 31st is at most two months away
        meant = _on(month.year, month.month, day)
        if meant is not None and meant >= today:
            return meant
        month = _month_later(month)
    return None


def _month_day(month: int, day: int, today: date) -> date | None:
    """Of this year, or of the next if long over: a bill of last week is not one of next year."""
    this_year = _on(today.year, month, day)
    if this_year is not None and (today - this_year).days > LONG_OVER_DAYS:
        return _on(today.year + 1, month, day)
    return this_year


def _weekday(index: int, weeks: int, today: date) -> date:
    """The weekday of this week (weeks 0) or a later one; one that is over means the next."""
    meant = today + timedelta(days=index - today.weekday() + 7 * weeks)
    return meant if meant >= today else meant + timedelta(days=7)


def _month_end(first: date) -> date:
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _later(days: str, today: date) -> date:
    return today + timedelta(days=_number(days))


def _zh_weekday(found: re.Match[str], today: date) -> date:
    index = _WEEKDAYS.index(found[2].replace("天", "日").replace("末", "六"))
    return _weekday(index, len(found[1]), today)


def _en_weekday(found: re.Match[str], today: date) -> date:
    return _weekday(_EN_WEEKDAYS.index(found[2]), 1 if found[1] else 0, today)


_PHRASES: tuple[tuple[str, _Meaning], ...] = (
    (r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})", lambda f, _: _on(int(f[1]), int(f[2]), int(f[3]))),
    (rf"{_N}月{_N}[日号]?", lambda f, t: _month_day(_number(f[1]), _number(f[2]), t)),
    (
        r"(?<![\d.])(\d{1,2})[./](\d{1,2})(?![\d.元块])",
        lambda f, t: _month_day(int(f[1]), int(f[2]), t),
    ),
    (
        rf"\b(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}",
        lambda f, t: _month_day(_EN_MONTHS.index(f[2][:3]) + 1, int(f[1]), t),
    ),
    (
        rf"\b{_MONTH}[.]? (\d{{1,2}})(?:st|nd|rd|th)?\b",
        lambda f, t: _month_day(_EN_MONTHS.index(f[1][:3]) + 1, int(f[2]), t),
    ),
    (rf"下个?月{_N}[日号]", lambda f, t: _next_day_of_month(_number(f[1]), _month_later(t))),
    (r"下个?月底", lambda _, t: _month_end(_month_later(t))),
    (r"下个?月初", lambda _, t: _month_later(t)),
    (r"(?<!下)(?<!下个)月底|end of (?:the |this )?month|month end", lambda _, t: _month_end(t)),
    (rf"(?<![月\d十]){_N}[日号](?![后内之以])", lambda f, t: _next_day_of_month(_number(f[1]), t)),
    (
        r"\b(\d{1,2})(?:st|nd|rd|th)\b(?! of| [a-z]{3,9}\b)",
        lambda f, t: _next_day_of_month(int(f[1]), t),
    ),
    (r"大后天", lambda _, t: t + timedelta(days=3)),
    (r"后天|day after tomorrow", lambda _, t: t + timedelta(days=2)),
    (r"明[天日早晚]|明儿|\btomorrow\b|\btmr\b", lambda _, t: t + timedelta(days=1)),
    (r"今[天日晚]|今儿|\btoday\b|\btonight\b", lambda _, t: t),
    (rf"{_N}个?[天日](?:之|以)?[后内]|过{_N}天", lambda f, t: _later(f[1] or f[2], t)),
    (rf"\b(?:in|within) (\d{{1,2}}|{'|'.join(_EN_NUMBERS)}) days?\b", lambda f, t: _later(f[1], t)),
    (r"(下*)个?(?:周|星期|礼拜)([一二三四五六日天末])", _zh_weekday),
    (rf"\b(next )?{_WEEKDAY}", _en_weekday),
)
