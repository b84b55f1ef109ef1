"""What a strategy may ask of a loan: SQL expressions over documented columns, parsed and typed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import polars as pl

# What a `when` may speak of, one row per open loan. Amounts are decimals in major units.
COLUMNS: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "dpd": pl.Int32,
    "days_past_due": pl.Int32,
    "bucket": pl.String,
    "past_due": pl.Decimal(18, 2),
    "amount": pl.Decimal(18, 2),
    "outstanding": pl.Decimal(18, 2),
    "autopay": pl.Boolean,
    "product": pl.String,
    "locale": pl.String,
    "open_loans": pl.Int32,
    "probability_of_default": pl.Float64,
    "probability_late_7": pl.Float64,
    "probability_late_30": pl.Float64,
    "probability_cured_3d": pl.Float64,
    "probability_cured_7d": pl.Float64,
    "probability_cured_14d": pl.Float64,
    "probability_cured_30d": pl.Float64,
    "part_payments_28d": pl.Int32,
    "days_since_part_payment": pl.Int32,
    "usually_punctual": pl.Boolean,
    "hardship": pl.Boolean,
    "grace_days_left": pl.Int32,
    "promise": pl.String,
    "promise_age": pl.Int32,
    "broken_promises_90d": pl.Int32,
}
OF_PROMISE = ("promise", "promise_age")
GRACE = "grace_days_left"
KEPT_MAX = 1_024  # texts whose expression is kept: a plan asks for the same ones in each partition


def condition(when: str) -> pl.Expr:
    """The `when` of a step as one expression over `COLUMNS`. Raises ValueError if it is not one."""
    return _expression(when, pl.Boolean).fill_null(value=False)


def amount_of(worth: str) -> pl.Expr:
    """An amount in major units over `COLUMNS`; 0 where unknown. Raises ValueError."""
    return _expression(worth, pl.Float64).cast(pl.Float64).fill_null(0.0)


def speaks_of_promise(when: str) -> bool:
    """Whether the condition asks for the borrower's promise."""
    return any(name in OF_PROMISE for name in condition(when).meta.root_names())


@lru_cache(KEPT_MAX)
def _expression(text: str, kind: type[pl.DataType]) -> pl.Expr:
    try:
        expression = pl.sql_expr(text)
        unknown = [name for name in expression.meta.root_names() if name not in COLUMNS]
        if unknown:
            raise ValueError(f"unknown column {unknown[0]!r}")
        pl.DataFrame(schema=dict(COLUMNS)).select(expression.cast(kind))
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    return expression
