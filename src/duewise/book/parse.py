"""From what a file says to what it means: expressions that turn written values into typed ones.

Each gives null where a value cannot be read; whoever calls tells that from a missing value. Local
wall time stays local here: an expression of a mapping may well ask for its date.
"""

from __future__ import annotations

import polars as pl

from duewise.book.mapping import Reading
from duewise.money import minor_digits

DECIMAL = pl.Decimal(38, 10)
# Wider than any loan; narrow enough that a column of them never overflows 64 bits when summed.
AMOUNT_MINOR_MAX = 10**13
_PLAIN_DECIMAL = r"^[+-]?(?:\d{1,18}\.?\d*|\.\d+)$"
_WHOLE = r"^([+-]?\d{1,18})(?:\.0*)?$"
_DAY = r"^(\d{4}[-/]\d{1,2}[-/]\d{1,2})$"


def parsed(column: pl.Expr, dtype: pl.DataType, reading: Reading, *, timezone: str) -> pl.Expr:
    """The column (text, or typed as Parquet has it) as `reading.type`; null where unreadable."""
    plain = _plain(column, reading) if dtype == pl.String else column
    match reading.type:
        case "integer":
            column = whole(plain, dtype)
        case "number":
            column = number(plain)
        case "decimal":
            column = decimal(plain, dtype)
        case "date":
            column = local_time(column, dtype, reading.format, timezone=timezone).dt.date()
        case "datetime":
            column = local_time(column, dtype, reading.format, timezone=timezone)
        case "boolean":
            column = truth(column, dtype, reading)
    return column


def whole(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whole numbers (Int64); `3.0` is one, `3.5` is none.

    >>> pl.select(whole(pl.lit("3.0"), pl.String())).item()
    3
    """
    if dtype == pl.String:
        return column.str.extract(_WHOLE, 1).cast(pl.Int64, strict=False)
    cast = column.cast(pl.Int64, strict=False)
    return pl.when(cast.cast(pl.Float64) == column.cast(pl.Float64)).then(cast)


def number(column: pl.Expr) -> pl.Expr:
    """Finite floating-point numbers (Float64)."""
    cast = column.cast(pl.Float64, strict=False)
    return pl.when(cast.is_finite()).then(cast)


def decimal(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Exact decimals of ten digits after the point. A float counts as the digits it prints.

    >>> pl.select(decimal(pl.lit(0.1), pl.Float64())).item()
    Decimal('0.1000000000')
    """
    if dtype.is_decimal():
        return column.cast(DECIMAL, strict=False)
    text = column if dtype == pl.String else column.cast(pl.String)
    return pl.when(text.str.contains(_PLAIN_DECIMAL)).then(text).cast(DECIMAL, strict=False)


def minor(column: pl.Expr, dtype: pl.DataType, *, currency: str) -> pl.Expr:
    """Amounts in major units as whole minor units (Int64), rounded half-up; null if too large.

    >>> pl.select(minor(pl.lit("868.405"), pl.String(), currency="CNY")).item()
    86841
    """
    digits = minor_digits(currency)
    rounded = decimal(column, dtype).round(digits, mode="half_away_from_zero")
    limit = AMOUNT_MINOR_MAX // 10**digits
    is_sane = rounded.is_between(pl.lit(-limit).cast(DECIMAL), pl.lit(limit).cast(DECIMAL))
    return pl.when(is_sane).then(rounded * pl.lit(10**digits).cast(DECIMAL)).cast(pl.Int64)


def local_time(
    column: pl.Expr, dtype: pl.DataType, layout: str | None, *, timezone: str
) -> pl.Expr:
    """Local wall time (Datetime in microseconds, no zone) of text, dates or times.

    Text with an offset is taken to the zone; without one it is local already. Without a layout,
    ISO 8601 is read, with `/` for `-` too, down to the bare date.
    """
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone:
            column = column.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
        return column.cast(pl.Datetime("us"))
    if dtype != pl.String:
        return pl.lit(None, pl.Datetime("us"))
    if layout:
        return _laid_out(column, layout, timezone)
    text = column.str.replace("T", " ", literal=True).str.replace_all("/", "-", literal=True)
    return pl.coalesce(
        _laid_out(text, "%Y-%m-%d %H:%M:%S%.f", timezone),
        _laid_out(text, "%Y-%m-%d %H:%M:%S%.f%#z", timezone),
        _laid_out(text, "%Y-%m-%d %H:%M", timezone),
        column.str.extract(_DAY, 1)
        .str.replace_all("/", "-", literal=True)
        .str.to_date("%Y-%m-%d", strict=False)
        .cast(pl.Datetime("us")),
    )


def instant(column: pl.Expr, *, timezone: str) -> pl.Expr:
    """Local wall time as an instant in UTC; null for an hour that the clocks leapt over."""
    zoned = column.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC")


def truth(column: pl.Expr, dtype: pl.DataType, reading: Reading | None = None) -> pl.Expr:
    """Yes and no in the words of the reading, as Boolean."""
    if dtype == pl.Boolean:
        return column
    reading = reading or Reading()
    word = column.cast(pl.String).str.to_lowercase()
    return (
        pl.when(word.is_in(reading.is_true))
        .then(statement=True)
        .when(word.is_in(reading.is_false))
        .then(statement=False)
    )


def _laid_out(text: pl.Expr, layout: str, timezone: str) -> pl.Expr:
    if "z" in layout.replace("%Z", ""):
        utc = text.str.to_datetime(layout, time_unit="us", time_zone="UTC", strict=False)
        return utc.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    if any(code in layout for code in ("%H", "%I", "%T", "%R", "%s")):
        return text.str.to_datetime(layout, time_unit="us", strict=False)
    return text.str.to_date(layout, strict=False).cast(pl.Datetime("us"))


def _plain(text: pl.Expr, reading: Reading) -> pl.Expr:
    """A number without thousands separators and with a point."""
    if reading.thousands:
        text = text.str.replace_all(reading.thousands, "", literal=True)
    if reading.decimal != ".":
        text = text.str.replace(reading.decimal, ".", literal=True)
    return text
