"""The terms of a loan: what its schedule follows from, with defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from duewise.book.day_count import DAY_COUNTS, Bools, Int64s
from duewise.book.schema import METHODS
from duewise.errors import BadInput
from duewise.frames import Schema

FREQUENCIES: Mapping[str, int] = {"monthly": 1, "quarterly": 3, "weekly": 7, "fortnightly": 14}
WEEKLY = ("weekly", "fortnightly")  # counted in days, the others in months
MONTH_ENDS = ("anchor", "end_of_month", "isda_eom")
RESIDUES = ("last", "first")

PRINCIPAL_MAX = 10**15  # minor units
TERM_MAX = 600
RATE_MAX = 10  # 1000 % a year
SHARE = 10**8  # rates and shares are exact to eight decimals
PERIOD_YEARS_MAX = 10  # of a broken first period

TERMS: Schema = {
    "loan_id": pl.String(),
    "principal_minor": pl.Int64(),
    "annual_rate": pl.Float64(),
    "opened_date": pl.Date(),
    "first_due_date": pl.Date(),  # null: one period after opened_date
    "term": pl.Int32(),
    "method": pl.String(),
    "frequency": pl.String(),
    "day_count": pl.String(),
    "month_end": pl.String(),
    "residue": pl.String(),
    "minimum_share": pl.Float64(),
    "minimum_floor_minor": pl.Int64(),
    "upfront_fee_minor": pl.Int64(),
    "upfront_fee_share": pl.Float64(),
    "instalment_fee_minor": pl.Int64(),
    "instalment_fee_share": pl.Float64(),
}
DEFAULTS: Mapping[str, object] = {
    "first_due_date": None,
    "method": "equal_instalment",
    "frequency": "monthly",
    "day_count": "equal_periods",
    "month_end": "anchor",
    "residue": "last",
    "minimum_share": 0.1,
    "minimum_floor_minor": 0,
    "upfront_fee_minor": 0,
    "upfront_fee_share": 0.0,
    "instalment_fee_minor": 0,
    "instalment_fee_share": 0.0,
}


def completed(terms: pl.DataFrame) -> pl.DataFrame:
    """The columns of TERMS with defaults filled in and every value checked.

    Raises BadInput; its `source` is the column.
    """
    missing = [name for name in TERMS if name not in terms.columns and name not in DEFAULTS]
    if missing:
        raise BadInput("the column is missing", source=missing[0], mend="give it for every loan")
    loans = terms.select(cast(name, terms) for name in TERMS)
    for rule in _RULES:
        wrong = loans.filter(~rule.holds.fill_null(rule.may_be_null))
        if not wrong.is_empty():
            loan, value = wrong.row(0, named=True)["loan_id"], wrong[rule.column][0]
            said = f"{rule.column} {value!s} of loan {loan!r} {rule.says}"
            raise BadInput(said, source=rule.column, mend=rule.mend)
    return loans


def parts(share: pl.Series) -> Int64s:
    """A rate or share in parts of SHARE: the whole number its eight decimals say."""
    return (share * SHARE).round().cast(pl.Int64).to_numpy()


@dataclass(frozen=True)
class _Rule:
    column: str
    holds: pl.Expr
    says: str
    mend: str
    may_be_null: bool = False


def _one_of(column: str, names: tuple[str, ...]) -> _Rule:
    holds = pl.col(column).is_in(names)
    return _Rule(column, holds, "is not known", f"use one of {', '.join(names)}")


def _between(column: str, low: int, high: int) -> _Rule:
    holds = pl.col(column).is_between(low, high)
    return _Rule(column, holds, "is out of range", f"give {low} to {high}")


def _has_eight_decimals(column: str) -> _Rule:
    scaled = pl.col(column) * SHARE
    says = "has more than eight decimals"
    # What a decimal of eight places loses as a float is far below this.
    return _Rule(column, (scaled - scaled.round()).abs() < 1e-4, says, "round it")  # noqa: PLR2004


_SHARES = ("minimum_share", "upfront_fee_share", "instalment_fee_share")
_RULES = (
    _Rule("loan_id", pl.col("loan_id").is_not_null(), "is missing", "name the loan"),
    _Rule("loan_id", pl.col("loan_id").is_unique(), "is there twice", "give each loan once"),
    _between("principal_minor", 1, PRINCIPAL_MAX),
    _between("annual_rate", 0, RATE_MAX),
    _has_eight_decimals("annual_rate"),
    _between("term", 1, TERM_MAX),
    _Rule(
        "opened_date",
        pl.col("opened_date").dt.year().is_between(1900, 2200),
        "is no date that a loan is opened on",
        "give a date from 1900 to 2200",
    ),
    _one_of("method", METHODS),
    _one_of("frequency", tuple(FREQUENCIES)),
    _one_of("day_count", DAY_COUNTS),
    _one_of("month_end", MONTH_ENDS),
    _one_of("residue", RESIDUES),
    _Rule(
        "first_due_date",
        (pl.col("first_due_date") > pl.col("opened_date"))
        & (pl.col("first_due_date") <= pl.col("opened_date").dt.offset_by(f"{PERIOD_YEARS_MAX}y")),
        "does not follow the day the loan is opened",
        f"give a later date, within {PERIOD_YEARS_MAX} years",
        may_be_null=True,
    ),
    *(_between(name, 0, 1) for name in _SHARES),
    *(_has_eight_decimals(name) for name in _SHARES),
    _between("minimum_floor_minor", 0, PRINCIPAL_MAX),
    _between("upfront_fee_minor", 0, PRINCIPAL_MAX),
    _between("instalment_fee_minor", 0, PRINCIPAL_MAX),
)


def cast(name: str, terms: pl.DataFrame) -> pl.Expr:
    """The column in its type, with its default where there is none."""
    default = pl.lit(DEFAULTS.get(name), TERMS[name]).alias(name)
    if name not in terms.columns:
        return default
    return pl.col(name).cast(TERMS[name]).fill_null(default).alias(name)


def is_weekly(loans: pl.DataFrame) -> Bools:
    """Whether the loan's periods are counted in weeks."""
    return loans["frequency"].is_in(WEEKLY).to_numpy()
