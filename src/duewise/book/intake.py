"""A chunk of a lender's rows as rows of the book, each with a verdict: taken, rejected, left out.

Rows are marked and kept; whoever holds the whole counts and removes them. No reason ever holds a
value of the row: a shifted column could have put a telephone number anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import available_timezones

import polars as pl

from duewise.book.mapping import Mapping, TableMapping
from duewise.book.parse import instant, local_time, minor, number, parsed, truth, whole
from duewise.book.schema import DTYPES, TABLES, Column, Kind
from duewise.errors import BadInput

FILE, LINE, COLUMN, REASON, LEFT_OUT = "_file", "_line", "_column", "_reason", "_left_out"
PLACE = (FILE, LINE)
VERDICT = (*PLACE, COLUMN, REASON, LEFT_OUT)
ID_LENGTH_MAX = 200

_NOT_A = {
    Kind.TEXT: "not a text",
    Kind.INTEGER: "not a whole number",
    Kind.NUMBER: "not a number",
    Kind.MONEY: "not an amount, or one too large",
    Kind.DATE: "not a date",
    Kind.INSTANT: "not a date and time",
    Kind.BOOLEAN: "neither yes nor no",
}
_NOT_READ_AS = {
    "integer": "not a whole number",
    "number": "not a number",
    "decimal": "not a decimal number",
    "date": "not a date",
    "datetime": "not a date and time",
    "boolean": "neither yes nor no",
}
Fault = tuple[pl.Expr, str, str]


def read_rows(chunk: pl.DataFrame, table: TableMapping, *, mapping: Mapping) -> pl.DataFrame:
    """The source columns that the table needs, typed as its `read` says, with a verdict.

    `chunk` has the source's columns, `_file` (Int32) and `_line` (Int64).
    """
    wanted = [name for name in chunk.columns if name in table.wanted()]
    missing = ["", *mapping.missing]
    present = chunk.select(*PLACE, *wanted).with_columns(
        pl.when(~pl.col(name).str.strip_chars().is_in(missing))
        .then(pl.col(name).str.strip_chars())
        .alias(name)
        for name in wanted
        if chunk.schema[name] == pl.String
    )
    typed = _evaluate(
        present,
        {
            name: parsed(pl.col(name), present.schema[name], reading, timezone=mapping.timezone)
            for name, reading in table.read.items()
        },
        table,
        mapping,
        path="read",
    )
    faults: list[Fault] = [
        (
            pl.lit(present[name].is_not_null()) & pl.col(name).is_null(),
            name,
            _NOT_READ_AS.get(reading.type, "unreadable"),
        )
        for name, reading in table.read.items()
    ]
    marked = _mark(typed, faults)
    if not table.leave_out:
        return marked.with_columns(pl.lit(None, pl.String).alias(LEFT_OUT))
    left_out = pl.coalesce(
        pl.when(pl.sql_expr(rule.where)).then(pl.lit(rule.because)) for rule in table.leave_out
    )
    return _evaluate(marked, {LEFT_OUT: left_out}, table, mapping, path="leave_out")


def raw_columns(
    typed: pl.DataFrame, table: TableMapping, *, mapping: Mapping, only: Sequence[str] | None = None
) -> pl.DataFrame:
    """The mapping's expressions on typed rows, uncast; one row a group where `group_by` says so.

    Columns are named as in the mapping; `_file` and `_line` are those of a group's first row.
    """
    columns = {
        name: pl.sql_expr(text)
        for name, text in table.columns.items()
        if only is None or name in only
    }
    try:
        if table.group_by:
            return (
                typed.group_by(table.group_by, maintain_order=True)
                .agg(
                    pl.col(FILE).first(),
                    pl.col(LINE).first(),
                    *(expression.alias(name) for name, expression in columns.items()),
                )
                .select(*PLACE, *columns)
            )
        return typed.select(
            *PLACE, *(expression.alias(name) for name, expression in columns.items())
        )
    except pl.exceptions.PolarsError as error:
        raise _fault_of(typed, columns, table, mapping, path="columns") from error


def shaped(raw: pl.DataFrame, table: TableMapping, *, mapping: Mapping) -> pl.DataFrame:
    """Rows of the book (stored columns, personal ones included) with a verdict."""
    constants = {
        "currency": mapping.currency,
        "locale": mapping.locale,
        "timezone": mapping.timezone,
    }
    ours = TABLES[table.name]
    casts, faults = [], []
    for column in ours.columns:
        if column.name in table.columns:
            expression = _cast(column, raw.schema[column.name], mapping, table)
        else:
            constant = constants.get(column.name, column.default)
            expression = pl.lit(constant, _dtype(column))
        if column.default is not None:
            expression = expression.fill_null(column.default)
        casts.append(expression.alias(column.stored))
        faults += _faults(column, table, mapping)
    if ours.has_more_columns:
        more = [name for name in table.columns if ours.column(name) is None]
        casts += [
            pl.col(name).cast(pl.Float64) if raw.schema[name].is_decimal() else pl.col(name)
            for name in more
        ]
    # A cast comes before a fault: most faults ask what the cast came to.
    rows = raw.select(*PLACE, *(pl.col(n).alias(f"_raw_{n}") for n in table.columns)).hstack(
        raw.select(casts)
    )
    marked = _mark(rows, [*faults, *_row_faults(table.name)])
    kept = [name for name in marked.columns if not name.startswith("_raw_")]
    return marked.select(kept).with_columns(pl.lit(None, pl.String).alias(LEFT_OUT))


def _cast(column: Column, dtype: pl.DataType, mapping: Mapping, table: TableMapping) -> pl.Expr:
    """The mapping's value as our column stores it; null where it cannot be."""
    value = pl.col(column.name)
    if isinstance(dtype, pl.List):
        raise BadInput(
            f"{column.name!r} has many values in a group",
            source=mapping.source,
            line=table.lines.get(f"columns.{column.name}"),
            mend="choose one: FIRST, MIN, MAX, SUM",
        )
    match column.kind:
        case Kind.TEXT:
            text = value.cast(pl.String)
            value = pl.when(text.str.len_chars() > 0).then(text)
        case Kind.INTEGER:
            value = whole(value, dtype).cast(pl.Int32, strict=False)
        case Kind.NUMBER:
            value = number(value)
        case Kind.MONEY:
            value = minor(value, dtype, currency=mapping.currency)
        case Kind.BOOLEAN:
            value = truth(value, dtype)
        case Kind.DATE:
            value = _local(value, dtype, mapping).dt.date()
        case Kind.INSTANT:
            value = instant(_local(value, dtype, mapping), timezone=mapping.timezone)
    return value


def _local(value: pl.Expr, dtype: pl.DataType, mapping: Mapping) -> pl.Expr:
    """Local wall time of a time, a date, or a number of days from the mapping's origin."""
    if not dtype.is_integer():
        return local_time(value, dtype, None, timezone=mapping.timezone)
    if mapping.origin is None:
        raise BadInput(
            "a date is given as a number of days, and no origin",
            source=mapping.source,
            mend="add `origin: <the date of day 0>`",
        )
    earliest = (date.min - mapping.origin) / timedelta(days=1)
    latest = (date.max - mapping.origin) / timedelta(days=1)
    days = pl.when(value.is_between(earliest, latest)).then(value)
    return pl.lit(mapping.origin).cast(pl.Datetime("us")) + pl.duration(days=days)


def _dtype(column: Column) -> pl.DataType:
    return DTYPES[column.kind]


def _faults(column: Column, table: TableMapping, mapping: Mapping) -> list[Fault]:
    """What can be wrong with one value, the gravest first. Faults ask the cast columns."""
    value, label = pl.col(column.stored), _label(column.name, table)
    faults: list[Fault] = []
    if column.name in table.columns:
        unread = pl.col(f"_raw_{column.name}").is_not_null() & value.is_null()
        if column.kind is Kind.TEXT:
            unread = pl.lit(value=False)
        faults.append((unread, label, _NOT_A[column.kind]))
    if column.is_required:
        faults.append((value.is_null(), label, "missing value"))
    if column.kind is Kind.MONEY:
        faults.append((value < 0, label, "negative amount"))
    if column.is_positive:
        faults.append((value == 0, label, "amount is not above zero"))
    if column.one_of:
        faults.append((~value.is_in(column.one_of), label, f"none of {', '.join(column.one_of)}"))
    if column.name.endswith("_id"):
        faults.append((value.str.len_chars() > ID_LENGTH_MAX, label, "id is too long"))
    if column.name == "currency":
        faults.append((value != mapping.currency, label, f"currency is not {mapping.currency}"))
    if column.name == "timezone":
        faults.append((~value.is_in(sorted(available_timezones())), label, "unknown time zone"))
    if column.name in ("annual_rate", "penalty_multiplier", "grace_days"):
        faults.append((value < 0, label, "negative value"))
    return faults


def _row_faults(table: str) -> list[Fault]:
    """What can be wrong between the values of one row."""
    if table == "payments":
        names_one = pl.col("reverses").is_not_null()
        is_reversal = pl.col("kind") == "reversal"
        takes_none = names_one & ~pl.col("kind").is_in(["reversal", "chargeback"])
        is_no_waiver = pl.col("component").is_not_null() & (pl.col("kind") != "waiver")
        return [
            (is_reversal & ~names_one, "reverses", "a reversal names the payment it reverses"),
            (takes_none, "reverses", "only a reversal or a chargeback names a payment"),
            (is_no_waiver, "component", "only a waiver has a component"),
        ]
    if table == "pauses":
        ends_early = pl.col("until_date") <= pl.col("from_date")
        return [(ends_early, "until_date", "ends before it begins")]
    return []


def _label(ours: str, table: TableMapping) -> str:
    """The column by the name its reader knows: the file's, where ours is simply that one."""
    names = pl.sql_expr(table.columns[ours]).meta.root_names() if ours in table.columns else []
    is_plain = len(names) == 1 and table.columns[ours].strip('" ') == names[0]
    return names[0] if is_plain else ours


def _mark(rows: pl.DataFrame, faults: Sequence[Fault]) -> pl.DataFrame:
    """The rows with column and reason of the first fault that each has."""
    if not faults:
        nothing = pl.lit(None, pl.String)
        return rows.with_columns(nothing.alias(COLUMN), nothing.alias(REASON))
    return rows.with_columns(
        pl.coalesce(pl.when(is_so).then(pl.lit(column)) for is_so, column, _ in faults).alias(
            COLUMN
        ),
        pl.coalesce(pl.when(is_so).then(pl.lit(reason)) for is_so, _, reason in faults).alias(
            REASON
        ),
    )


def _evaluate(
    rows: pl.DataFrame,
    columns: dict[str, pl.Expr],
    table: TableMapping,
    mapping: Mapping,
    *,
    path: str,
) -> pl.DataFrame:
    try:
        return rows.with_columns(**columns)
    except pl.exceptions.PolarsError as error:
        raise _fault_of(rows, columns, table, mapping, path=path) from error


def _fault_of(
    rows: pl.DataFrame,
    columns: dict[str, pl.Expr],
    table: TableMapping,
    mapping: Mapping,
    *,
    path: str,
) -> BadInput:
    """The expression that fails, by trying each alone; on no rows, so that no value is told."""
    culprit, why = path, "a value does not fit its type"
    for name, expression in columns.items():
        try:
            rows.clear().select(expression)
        except pl.exceptions.PolarsError as error:
            culprit, why = name, str(error).splitlines()[0]
            break
    return BadInput(
        f"{table.name}: {culprit} cannot be worked out: {why}",
        source=mapping.source,
        line=table.lines.get(f"{path}.{culprit}") or table.lines.get(path),
        mend="say in `read` which source columns are numbers or dates",
    )
