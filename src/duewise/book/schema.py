"""The tables of a book: what a lender's files must give, and the frames they become.

A column of the files is in a lender's words (`principal`, decimal major units); the stored frame
holds whole minor units (`principal_minor`). Personal columns leave for the people table of
operations on the way in and never reach the book's Parquet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from duewise.book.columns import COMPONENTS
from duewise.frames import INSTANT, Schema


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    INSTANT = "instant"
    BOOLEAN = "boolean"


DTYPES: dict[Kind, pl.DataType] = {
    Kind.TEXT: pl.String(),
    Kind.INTEGER: pl.Int32(),
    Kind.NUMBER: pl.Float64(),
    Kind.MONEY: pl.Int64(),
    Kind.DATE: pl.Date(),
    Kind.INSTANT: INSTANT,
    Kind.BOOLEAN: pl.Boolean(),
}


@dataclass(frozen=True)
class Column:
    """One column of a table. Without a value in the file it takes `default`, or is rejected."""

    name: str
    kind: Kind = Kind.TEXT
    is_required: bool = False
    default: str | int | float | bool | None = None
    one_of: tuple[str, ...] = ()
    is_positive: bool = False

    @property
    def stored(self) -> str:
        """Its name in the stored frame.

        >>> Column("principal", Kind.MONEY).stored
        'principal_minor'
        """
        return f"{self.name}_minor" if self.kind is Kind.MONEY else self.name


@dataclass(frozen=True)
class Table:
    """One table of the book: its columns, and the stored columns that name a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...]
    has_more_columns: bool = False

    def column(self, name: str) -> Column | None:
        """The column of that name in the files, or None."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def money(self) -> tuple[str, ...]:
        """The stored amounts: what control totals are taken of."""
        return tuple(column.stored for column in self.columns if column.kind is Kind.MONEY)


# What the rows of `payments` may be. A reversal takes back what it names as if it had never been; a
# chargeback takes money back from its own day on.
PAYMENT_KINDS = ("payment", "reversal", "chargeback", "waiver", "charge_off")
METHODS = ("equal_instalment", "equal_principal", "interest_only", "bullet", "revolving")

PERSONAL = (
    "name",
    "salutation",
    "phone",
    "email",
    "push_token",
    "wechat_openid",
    "birth_date",
    "region",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "borrowers",
            (
                Column("borrower_id", is_required=True),
                Column("locale", is_required=True),
                Column("timezone", is_required=True),
                *(
                    Column(name, Kind.DATE if name == "birth_date" else Kind.TEXT)
                    for name in PERSONAL
                ),
            ),
            key=("borrower_id",),
            order=("borrower_id",),
        ),
        Table(
            "loans",
            (
                Column("loan_id", is_required=True),
                Column("borrower_id", is_required=True),
                Column("product", is_required=True),
                Column("currency", is_required=True),
                Column("principal", Kind.MONEY, is_required=True, is_positive=True),
                Column("opened_date", Kind.DATE, is_required=True),
                Column("annual_rate", Kind.NUMBER, is_required=True),
                Column("penalty_rate", Kind.NUMBER),
                Column("penalty_multiplier", Kind.NUMBER),
                Column("day_count", Kind.INTEGER),
                Column("term", Kind.INTEGER),
                Column("method", default="equal_instalment", one_of=METHODS),
                Column("autopay", Kind.BOOLEAN, default=False),
                Column("grace_days", Kind.INTEGER),
                Column("tolerance", Kind.MONEY),
                Column("status", default="open"),
            ),
            key=("loan_id",),
            order=("borrower_id", "loan_id"),
        ),
        Table(
            "instalments",
            (
                Column("loan_id", is_required=True),
                Column("number", Kind.INTEGER, is_required=True),
                Column("due_date", Kind.DATE, is_required=True),
                Column("principal", Kind.MONEY, is_required=True),
                Column("interest", Kind.MONEY, is_required=True),
                Column("fee", Kind.MONEY, default=0),
            ),
            key=("loan_id", "number"),
            order=("borrower_id", "loan_id", "number"),
        ),
        Table(
            "payments",
            (
                Column("payment_id", is_required=True),
                Column("loan_id", is_required=True),
                Column("paid_at", Kind.INSTANT, is_required=True),
                Column("amount", Kind.MONEY, is_required=True, is_positive=True),
                Column("kind", default="payment", one_of=PAYMENT_KINDS),
                Column("reverses"),
                Column("component", one_of=COMPONENTS),
                Column("source", default="file"),
            ),
            key=("payment_id",),
            order=("borrower_id", "loan_id", "paid_at", "payment_id"),
        ),
        Table(
            "pauses",
            (
                Column("loan_id", is_required=True),
                Column("from_date", Kind.DATE, is_required=True),
                Column("until_date", Kind.DATE, is_required=True),
                Column("what", is_required=True, one_of=("clock", "penalty", "messages")),
                Column("reason"),
            ),
            key=("loan_id", "what", "from_date"),
            order=("borrower_id", "loan_id", "what", "from_date"),
        ),
        Table(
            "extensions",
            (
                Column("loan_id", is_required=True),
                Column("number", Kind.INTEGER, is_required=True),
                Column("agreed_at", Kind.INSTANT, is_required=True),
                Column("due_date", Kind.DATE, is_required=True),
                Column("reason"),
            ),
            key=("loan_id", "number", "agreed_at"),
            order=("borrower_id", "loan_id", "number", "agreed_at"),
        ),
        Table(
            "features",
            (
                Column("borrower_id", is_required=True),
                Column("as_of", Kind.DATE, is_required=True),
            ),
            key=("borrower_id", "as_of"),
            order=("borrower_id", "as_of"),
            has_more_columns=True,
        ),
    )
}


def _stored(name: str) -> dict[str, pl.DataType]:
    return {
        column.stored: DTYPES[column.kind]
        for column in TABLES[name].columns
        if column.name not in PERSONAL
    }


def _with_borrower(schema: dict[str, pl.DataType], *, after: str) -> dict[str, pl.DataType]:
    """The schema with the loan's borrower, which no instalment or payment file has to give."""
    items = list(schema.items())
    place = list(schema).index(after) + 1
    return dict([*items[:place], ("borrower_id", pl.String()), *items[place:]])


_BORROWERS = _stored("borrowers")
BORROWERS: Schema = {
    "borrower_id": _BORROWERS["borrower_id"],
    "borrower_hash": pl.Int64(),
    "locale": _BORROWERS["locale"],
    "timezone": _BORROWERS["timezone"],
}
LOANS: Schema = _stored("loans")
INSTALMENTS: Schema = _with_borrower(_stored("instalments"), after="loan_id")
PAYMENTS: Schema = _with_borrower(_stored("payments"), after="loan_id")
PAUSES: Schema = _with_borrower(_stored("pauses"), after="loan_id")
EXTENSIONS: Schema = _with_borrower(_stored("extensions"), after="loan_id")
FEATURES: Schema = _stored("features")
# How many rows each loan has, where the tables lie in the fold's order: `spans`.
SPANS: Schema = {
    "instalments": pl.Int32(),
    "payments": pl.Int32(),
    "other_payments": pl.Int32(),  # those of `payments` whose kind is another one
    "pauses": pl.Int32(),
    "extensions": pl.Int32(),
}
PEOPLE: Schema = {
    "borrower_id": pl.String(),
    **{name: pl.Date() if name == "birth_date" else pl.String() for name in PERSONAL},
    "locale": pl.String(),
    "timezone": pl.String(),
}

SCHEMAS: dict[str, Schema] = {
    "borrowers": BORROWERS,
    "loans": LOANS,
    "instalments": INSTALMENTS,
    "payments": PAYMENTS,
    "pauses": PAUSES,
    "extensions": EXTENSIONS,
    "features": FEATURES,
}
