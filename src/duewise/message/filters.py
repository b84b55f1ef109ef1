"""How a value is written in a message: each kind of variable, one by one and for a whole column.

Both ways give the same text. A value that is absent or not fit to be sent (a blank name, an amount
of nothing, a link inside a name) is never written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import TypeAlias

import polars as pl

from duewise.money import Money, minor_digits

Value: TypeAlias = Money | date | int | str

KINDS = ("money", "date", "count", "text", "tail", "link")
FILTERS: Mapping[str, str] = {  # each with the kind it writes; a kind's first is its usual one
    "money": "money",
    "figure": "money",
    "date": "date",
    "full_date": "date",
    "days": "count",
    "tail": "tail",
}
UNFILTERED = ("text", "count", "link")  # kinds that may be written as they are
NAME_CHARS_MAX = 20  # of a text variable; a longer one would escape the proof of the worst case
# No line breaks, invisible or turning characters, second signatures or links inside a name.
UNFIT_TEXT = "[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff【】]|://|www[.]"
# A page of the lender's own: no port, no query, nothing that redirects.
FIT_LINK = "^https://[a-z0-9-]+([.][a-z0-9-]+)+(/[A-Za-z0-9._~-]+)*/?$"
LINK_CHARS_MAX = 60
TAIL_CHARS = 4
THOUSAND = 1000
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

WORST_TEXT: Mapping[str, str] = {
    "zh": "阿布都热依木·阿布都外力·艾合*先生",
    "en": "Ms Featherstonehaug*",
}
WORST_OF_KIND: Mapping[str, Value] = {
    "money": Money(999_999_999, "CNY"),
    "date": date(2026, 12, 31),
    "count": 999,
    "tail": "6602",
    "link": "https://www.example.com/pay/0123456789abcdef0123456789abcdef",
}

_unfit_text = re.compile(UNFIT_TEXT)
_fit_link = re.compile(FIT_LINK)


def worst(kind: str, language: str) -> Value:
    """The longest value that can reasonably occur."""
    return WORST_TEXT[language] if kind == "text" else WORST_OF_KIND[kind]


def is_fit(kind: str, value: object) -> bool:
    """Whether the value is of its kind and fit to be sent.

    >>> is_fit("text", "  "), is_fit("money", Money(0, "CNY")), is_fit("count", 4)
    (False, False, True)
    """
    match kind, value:
        case "money", Money():
            return value.minor > 0
        case "date", date():
            return not isinstance(value, datetime)  # whose day would depend on a time zone
        case "count", int():
            return value >= 0
        case _, str():
            return _is_fit_text(kind, value)
        case _:
            return False


def _is_fit_text(kind: str, value: str) -> bool:
    """A name, a tail or a link, none of them blank."""
    match kind:
        case "text":
            is_short = bool(value.strip()) and len(value) <= NAME_CHARS_MAX
            return is_short and not _unfit_text.search(value)
        case "link":
            return len(value) <= LINK_CHARS_MAX and bool(_fit_link.fullmatch(value))
        case _:
            is_there = kind == "tail" and bool(value.strip())
            return is_there and not _unfit_text.search(value)


def fit(kind: str, name: str) -> pl.Expr:
    """`is_fit` for the variable's columns; null counts as unfit."""
    column = pl.col(name)
    match kind:
        case "money":
            is_good = (pl.col(f"{name}_minor") > 0) & pl.col("currency").is_not_null()
        case "count":
            is_good = column >= 0
        case "text":
            is_short = column.str.len_chars().is_between(1, NAME_CHARS_MAX)
            is_good = is_short & (column.str.strip_chars() != "")
            is_good &= ~column.str.contains(UNFIT_TEXT)
        case "tail":
            is_good = column.str.strip_chars() != ""
            is_good &= ~column.str.contains(UNFIT_TEXT)
        case "link":
            is_good = column.str.len_chars() <= LINK_CHARS_MAX
            is_good &= column.str.contains(FIT_LINK) & ~column.str.contains("\n", literal=True)
        case _:
            is_good = column.is_not_null()
    return is_good.fill_null(value=False)


def columns_of(kind: str, name: str) -> dict[str, str]:
    """The frame columns a variable is read from, and what each must hold."""
    match kind:
        case "money":
            return {f"{name}_minor": "integers", "currency": "text"}
        case "date":
            return {name: "dates"}
        case "count":
            return {name: "integers"}
        case _:
            return {name: "text"}


def write(filter_name: str | None, value: Value, language: str) -> str:
    """The value as the filter writes it; without a filter, as it is."""
    match filter_name, value:
        case "money", Money():
            return write_money(value, language)
        case "figure", Money():
            return write_figure(value)
        case "date" | "full_date", date():
            written = write_full_date if filter_name == "full_date" else write_date
            return written(value, language)
        case "days", int():
            return write_days(value, language)
        case "tail", str():
            return value[-TAIL_CHARS:]
        case _:
            return str(value)


def write_column(frame: pl.DataFrame, filter_name: str | None, name: str, language: str) -> pl.Expr:
    """`write` for a variable of the frame; values that are unfit have to be masked outside."""
    match filter_name:
        case "money":
            return _money_column(frame, name, language)
        case "figure":
            return _figure_column(frame, name)
        case "date" | "full_date":
            written = _full_date_column if filter_name == "full_date" else _date_column
            return written(name, language)
        case "days":
            return _days_column(frame, name, language)
        case "tail":
            return pl.col(name).str.tail(TAIL_CHARS)
        case _:
            return _as_it_is(frame, name)


def write_money(money: Money, language: str) -> str:
    """The amount with thousands separators: exact, no float.

    >>> write_money(Money(123456789, "CNY"), "zh"), write_money(Money(86840, "USD"), "en")
    ('1,234,567.89元', 'USD 868.40')
    """
    digits = minor_digits(money.currency)
    major, minor = divmod(abs(money.minor), 10**digits)
    before, after = _around(money.currency, language)
    decimals = f".{minor:0{digits}}" if digits else ""
    return f"{before}{major:,}{decimals}{after}"


def write_figure(money: Money) -> str:
    """The bare figure, as the amount field of a WeChat message wants it.

    >>> write_figure(Money(123456789, "CNY"))
    '1234567.89'
    """
    digits = minor_digits(money.currency)
    major, minor = divmod(abs(money.minor), 10**digits)
    return f"{major}.{minor:0{digits}}" if digits else str(major)


def write_date(day: date, language: str) -> str:
    """The day without its year: a notice speaks of the days around it.

    >>> write_date(date(2026, 8, 10), "zh"), write_date(date(2026, 8, 10), "en")
    ('8月10日', '10 Aug')
    """
    if language == "zh":
        return f"{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1]}"


def write_full_date(day: date, language: str) -> str:
    """The day with its year, for what is kept: a letter, a formal notice.

    >>> write_full_date(date(2026, 8, 10), "zh"), write_full_date(date(2026, 8, 10), "en")
    ('2026年8月10日', '10 Aug 2026')
    """
    written = write_date(day, language)
    return f"{day.year}年{written}" if language == "zh" else f"{written} {day.year}"


def write_days(count: int, language: str) -> str:
    """A number of days.

    >>> write_days(4, "zh"), write_days(1, "en")
    ('4天', '1 day')
    """
    if language == "zh":
        return f"{count}天"
    return f"{count} day" if count == 1 else f"{count} days"


def _money_column(frame: pl.DataFrame, name: str, language: str) -> pl.Expr:
    """A branch per currency and length that occur; the frame says which."""
    minor = pl.col(f"{name}_minor").clip(0)
    text = pl.lit(None, pl.String)
    for currency in frame["currency"].drop_nulls().unique().sort():
        scale = 10 ** minor_digits(currency)
        largest = frame.select(minor.max()).item() or 0
        before, after = _around(currency, language)
        pieces = [pl.lit(before), _grouped(minor // scale, largest // scale)]
        if scale > 1:
            decimals = _digits(minor % scale, width=minor_digits(currency))
            pieces += [pl.lit("."), decimals]
        written = pl.concat_str(*pieces, pl.lit(after))
        text = pl.when(pl.col("currency") == currency).then(written).otherwise(text)
    return text


def _figure_column(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A branch per currency that occurs."""
    minor = pl.col(f"{name}_minor").clip(0)
    text = pl.lit(None, pl.String)
    for currency in frame["currency"].drop_nulls().unique().sort():
        digits = minor_digits(currency)
        written = (minor // 10**digits).cast(pl.String)
        if digits:
            decimals = _digits(minor % 10**digits, width=digits)
            written = pl.concat_str(written, pl.lit("."), decimals)
        text = pl.when(pl.col("currency") == currency).then(written).otherwise(text)
    return text


def _grouped(major: pl.Expr, largest: int) -> pl.Expr:
    """Digits in threes: `1,234,567`; as many branches as the largest number needs."""
    text, head, tail, bound = _digits(major % THOUSAND), major, None, THOUSAND
    while bound <= largest:
        group = _digits(head % THOUSAND, width=3)
        tail = group if tail is None else pl.concat_str(group, pl.lit(","), tail)
        head = head // THOUSAND
        longer = pl.concat_str(_digits(head % THOUSAND), pl.lit(","), tail)
        text = pl.when(major >= bound).then(longer).otherwise(text)
        bound *= THOUSAND
    return text


def _digits(number: pl.Expr, *, width: int = 0) -> pl.Expr:
    """A number below 1,000, or below what its width holds: looked up, for that is quickest."""
    return pl.lit(_table(width)).gather(number)


@lru_cache
def _table(width: int) -> pl.Series:
    count = 10**width if width else THOUSAND
    return pl.Series([f"{number:0{width}}" for number in range(count)], dtype=pl.String)


def _around(currency: str, language: str) -> tuple[str, str]:
    """What stands before and after the figure."""
    if language == "zh" and currency == "CNY":
        return "", "元"
    return f"{currency} ", ""


def _date_column(name: str, language: str) -> pl.Expr:
    month, day = pl.col(name).dt.month(), pl.col(name).dt.day().cast(pl.String)
    if language == "zh":
        return pl.concat_str(month.cast(pl.String), pl.lit("月"), day, pl.lit("日"))
    word = month.replace_strict(list(range(1, 13)), list(MONTHS), return_dtype=pl.String)
    return pl.concat_str(day, pl.lit(" "), word)


def _full_date_column(name: str, language: str) -> pl.Expr:
    year, written = pl.col(name).dt.year().cast(pl.String), _date_column(name, language)
    if language == "zh":
        return pl.concat_str(year, pl.lit("年"), written)
    return pl.concat_str(written, pl.lit(" "), year)


def _days_column(frame: pl.DataFrame, name: str, language: str) -> pl.Expr:
    number = _as_it_is(frame, name)
    if language == "zh":
        return pl.concat_str(number, pl.lit("天"))
    word = pl.when(pl.col(name) == 1).then(pl.lit(" day")).otherwise(pl.lit(" days"))
    return pl.concat_str(number, word)


def _as_it_is(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A text, or a number: looked up where the largest is small enough."""
    column = frame[name]
    if column.dtype.is_integer() and (column.max() or 0) < THOUSAND:  # type: ignore[operator]
        return _digits(pl.col(name).clip(0))
    return pl.col(name).cast(pl.String)
