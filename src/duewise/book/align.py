"""From the book's frames to the fold's columns: rows in the order of the loans, days as numbers.

Where a frame lies in the loans' order already, as a book's partitions do, nothing is moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.calendar import Calendar, chinese_calendar, rolled
from duewise.book.columns import (
    AMOUNT_MINOR_MAX,
    COMPONENTS,
    EVENTS,
    EXTENSION,
    NONE,
    Columns,
    Events,
    Instalments,
    Int32s,
    Int64s,
    Loans,
    Pauses,
    read_only,
)
from duewise.book.contract import Terms, resolve
from duewise.book.order import in_order, starts_of
from duewise.book.product import Products
from duewise.book.schema import EXTENSIONS, LOANS, PAUSES, PAYMENTS
from duewise.book.sweep import days_of
from duewise.errors import BadInput
from duewise.frames import completed, empty

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LoanTables:
    """The rows of some borrowers, as book.schema says; a column that need not be given may lack.

    `spans` (schema.SPANS) says how many rows each loan has, and promises that all lie in the fold's
    order and no loan stands twice. Then ids are not asked for, and payments without a kind are
    payments, of which nothing was reversed and no due date was extended.
    """

    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    pauses: pl.DataFrame = field(default_factory=lambda: empty(PAUSES))
    extensions: pl.DataFrame = field(default_factory=lambda: empty(EXTENSIONS))
    spans: pl.DataFrame | None = None


@dataclass(frozen=True)
class Aligned:
    """The fold's columns, and the frames they were taken from, row for row.

    `events` names what each of the columns' events was: payment_id, paid_at, kind; by spans alone
    there are no names.
    """

    terms: Terms
    instalments: pl.DataFrame
    events: pl.DataFrame
    columns: Columns

    @property
    def loans(self) -> pl.DataFrame:
        return self.terms.loans


def align(tables: LoanTables, products: Products, *, known_at: datetime, zone: str) -> Aligned:
    """The columns of all that is known at an instant; a payment's day is its local date in `zone`.

    A reversal takes its amount off the payment it names, from that payment's own day on: what is
    reversed never was. Raises BadInput for amounts and rates beyond what can be reckoned exactly,
    and for a loan that stands twice.
    """
    loans = tables.loans if tables.spans is not None else completed(tables.loans, LOANS)
    terms = resolve(loans, products)
    loan_ids = terms.loans["loan_id"]
    instalments, starts = _schedule(tables, loan_ids)
    due = _days(instalments["due_date"])
    events, event_starts = _happened(tables, instalments, loan_ids, known_at)
    pauses, pause_starts = in_order(_pauses(tables.pauses), loan_ids, ("what", "from_date"))
    roll = _Roll.of(terms, starts, due)
    unknown = pl.Series("is_roll_unknown", roll.is_unknown(due, starts))
    terms = replace(terms, loans=terms.loans.with_columns(unknown))
    columns = Columns(
        Loans(terms.rules, terms.rule, terms.matrix(), starts, event_starts, pause_starts),
        Instalments(
            due,
            roll.apply(due, starts),
            *(_amounts(instalments[f"{name}_minor"]) for name in ("principal", "interest", "fee")),
        ),
        _events(events, roll, event_starts, zone),
        Pauses(
            _days(pauses["from_date"]),
            _days(pauses["until_date"]),
            (pauses["what"] == "penalty").to_numpy().astype(np.int8),
        ),
    )
    return Aligned(terms, instalments, events, read_only(columns))


def _schedule(tables: LoanTables, loan_ids: pl.Series) -> tuple[pl.DataFrame, Int64s]:
    """The instalments in order, and where each loan's start."""
    if tables.spans is not None:
        return tables.instalments, _starts(tables.spans, "instalments", tables.instalments)
    if loan_ids.n_unique() < len(loan_ids):
        twice = loan_ids.filter(loan_ids.is_duplicated())[0]
        raise BadInput(f"loan {twice!r} stands twice among the loans", mend="keep one row a loan")
    return in_order(tables.instalments, loan_ids, ("due_date", "number"))


def _happened(
    tables: LoanTables, instalments: pl.DataFrame, loan_ids: pl.Series, known_at: datetime
) -> tuple[pl.DataFrame, Int64s]:
    """All that is known to have happened, in order, and where each loan's starts."""
    payments = tables.payments
    if tables.spans is not None and "kind" not in payments.columns:
        starts, is_known = (
            _starts(tables.spans, "payments", payments),
            _is_known(payments, known_at),
        )
        if is_known is None:
            return payments, starts
        return payments.filter(is_known), starts_of(is_known.to_numpy())[starts]
    extensions = tables.extensions.filter(pl.col("agreed_at") <= known_at)
    events = _with_extensions(standing(payments, known_at), extensions, instalments)
    return in_order(events, loan_ids, ("paid_at", "payment_id"))


def _starts(spans: pl.DataFrame, name: str, rows: pl.DataFrame) -> Int64s:
    starts = starts_of(spans[name].to_numpy())
    if starts[-1] != rows.height:
        raise BadInput(
            f"the book has {rows.height:,} {name}, and says it has {starts[-1]:,}",
            mend="run `duewise book check`, or import it again",
        )
    return starts


def _is_known(payments: pl.DataFrame, known_at: datetime) -> pl.Series | None:
    """Of each payment; None where all are."""
    at = payments["paid_at"]
    return None if at.is_empty() or at.max() <= known_at else at <= known_at  # type: ignore[operator]


def standing(payments: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """What is known to have happened by an instant, less what was reversed by then.

    Columns: those of `payments` with `detail` (Int32: a waiver's component), without reversals.
    """
    known = completed(payments, PAYMENTS)
    is_known = _is_known(known, known_at)
    known = known if is_known is None else known.filter(is_known)
    is_reversal = known["kind"] == "reversal"
    if is_reversal.any():
        voided = known.filter(is_reversal).group_by(payment_id="reverses")
        void = voided.agg(_void=pl.col("amount_minor").sum())
        known = (
            known.filter(~is_reversal)
            .join(void, on="payment_id", how="left", maintain_order="left")
            .with_columns(pl.col("amount_minor") - pl.col("_void").fill_null(0))
            .filter(pl.col("amount_minor") > 0)
            .drop("_void")
        )
    numbers = {name: number for number, name in enumerate(COMPONENTS)}
    component = known["component"]
    if component.null_count() == len(component):
        return known.with_columns(detail=pl.lit(NONE, pl.Int32))
    detail = component.replace_strict(numbers, default=NONE, return_dtype=pl.Int32)
    return known.with_columns(detail=detail)


def local_days(instants: pl.Series, zone: str) -> Int32s:
    """The local calendar dates of instants, as days from 1970-01-01.

    >>> evening = pl.Series([datetime(1970, 1, 1, 17)]).dt.replace_time_zone("UTC")
    >>> local_days(evening, "Asia/Shanghai").tolist()
    [1]
    """
    if instants.is_empty():
        return np.zeros(0, np.int32)
    micros = instants.to_physical().to_numpy()
    offset = _offset(int(micros.min()) // _DAY_US - 1, int(micros.max()) // _DAY_US + 2, zone)
    if offset is not None:
        return days_of(micros, offset)
    dates: Int32s = instants.dt.convert_time_zone(zone).dt.date().to_physical().to_numpy()
    return dates


@lru_cache(maxsize=64)
def _offset(first: int, last: int, zone: str) -> int | None:
    """Microseconds from UTC to the zone's clocks on all those days; None where they change."""
    hours = pl.int_range(first * 24, last * 24, eager=True) * (_DAY_US // 24)
    local = hours.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt
    offsets = (local.base_utc_offset() + local.dst_offset()).dt.total_microseconds().unique()
    return int(offsets.item()) if len(offsets) == 1 else None


def day_number(day: date) -> int:
    """The day counted from 1970-01-01.

    >>> day_number(date(1970, 1, 11))
    10
    """
    return (day - _EPOCH).days


def _days(column: pl.Series) -> Int32s:
    return np.ascontiguousarray(column.to_physical().to_numpy())


def _amounts(column: pl.Series) -> Int64s:
    amounts = np.ascontiguousarray(column.to_numpy())
    # As a number without a sign, what is below 0 is above all others.
    if len(amounts) and amounts.view(np.uint64).max() > AMOUNT_MINOR_MAX:
        raise BadInput(
            f"an instalment's {column.name.removesuffix('_minor')} is below 0 or absurd",
            mend=f"between 0 and {AMOUNT_MINOR_MAX:,} minor units; correct it and import again",
        )
    return amounts


def _with_extensions(
    payments: pl.DataFrame, extensions: pl.DataFrame, instalments: pl.DataFrame
) -> pl.DataFrame:
    """Payments and extensions as one stream; an extension's amount is its new due day."""
    stream = payments.select("loan_id", "payment_id", "paid_at", "kind", "amount_minor", "detail")
    if extensions.is_empty():
        return stream
    places = instalments.select(
        "loan_id", "number", detail=pl.int_range(pl.len(), dtype=pl.Int32).over("loan_id")
    )
    extended = extensions.join(
        places, on=["loan_id", "number"], how="inner", maintain_order="left"
    ).select(
        "loan_id",
        payment_id=pl.format("{}#{}", "loan_id", "number"),
        paid_at="agreed_at",
        kind=pl.lit("extension"),
        amount_minor=pl.col("due_date").to_physical().cast(pl.Int64),
        detail="detail",
    )
    return pl.concat([stream, extended])


def _events(events: pl.DataFrame, roll: _Roll, starts: Int64s, zone: str) -> Events:
    numbers = {name: number for number, name in enumerate(EVENTS)}
    kind = np.zeros(events.height, np.int8)
    if "kind" not in events.columns:
        amount = np.ascontiguousarray(events["amount_minor"].to_numpy())
        detail = np.full(events.height, NONE, np.int32)
        return Events(local_days(events["paid_at"], zone), kind, amount, detail)
    if not (events["kind"] == EVENTS[0]).all():
        kind = events["kind"].replace_strict(numbers, return_dtype=pl.Int8).to_numpy()
    amount = np.ascontiguousarray(events["amount_minor"].to_numpy())
    is_extension = kind == EXTENSION
    if is_extension.any():
        amount = amount.copy()
        new_days = amount.astype(np.int32)
        amount[is_extension] = roll.apply(new_days, starts)[is_extension]
    return Events(local_days(events["paid_at"], zone), kind, amount, events["detail"].to_numpy())


def _pauses(pauses: pl.DataFrame) -> pl.DataFrame:
    """The pauses of clock and penalty; those that touch or overlap become one."""
    stood = pauses.filter(pl.col("what") != "messages").sort("loan_id", "what", "from_date")
    if stood.is_empty():
        return stood
    key = ["loan_id", "what"]
    ends_before = pl.col("until_date").cum_max().shift(1).over(key)
    return (
        stood.with_columns(_starts=(pl.col("from_date") > ends_before).fill_null(value=True))
        .with_columns(_span=pl.col("_starts").cum_sum().over(key))
        .group_by(*key, "_span", maintain_order=True)
        .agg(pl.col("from_date").min(), pl.col("until_date").max())
        .drop("_span")
    )


@dataclass(frozen=True)
class _Roll:
    """Effective due days: a table from day to day for each roll clause that a loan here has."""

    first: int
    tables: tuple[Int32s, ...]
    clause: Int32s  # of each loan; NONE where its due dates stay
    known: Bools  # of each day of the tables, whether its year's holidays are

    @classmethod
    def of(cls, terms: Terms, starts: Int64s, due: Int32s) -> _Roll:
        clauses = terms.rolls.rows()
        moving = list(dict.fromkeys(pair for pair in clauses if pair[0] != "none"))
        if not moving or not len(due):
            nothing = np.zeros(0, np.bool_)
            return cls(0, (), np.full(len(starts) - 1, NONE, np.int32), nothing)
        first, last = int(due.min()), int(due.max()) + 366 * 10
        days = [date.fromordinal(_EPOCH.toordinal() + day) for day in range(first, last + 1)]
        tables = tuple(
            np.array([day_number(rolled(day, clause, _calendar(name))) for day in days], np.int32)
            for clause, name in moving
        )
        number = np.array([moving.index(p) if p in moving else NONE for p in clauses], np.int32)
        known = np.array([all(_calendar(name).knows(day) for _, name in moving) for day in days])
        return cls(first, tables, number[terms.rule], known)

    def is_unknown(self, due: Int32s, starts: Int64s) -> Bools:
        """Of each loan: may its due dates move, and has one a year whose holidays nobody knows."""
        loans = np.zeros(len(starts) - 1, np.bool_)
        if self.tables:
            loan = np.repeat(np.arange(len(loans)), np.diff(starts))
            loans[loan[~self.known[due - self.first]]] = True
            loans &= self.clause != NONE
        return loans

    def apply(self, days: Int32s, starts: Int64s) -> Int32s:
        """The effective days of a loan-ordered column; the column itself where nothing rolls."""
        if not self.tables:
            return days
        clause = np.repeat(self.clause, np.diff(starts))
        effective = days.copy()
        for number, table in enumerate(self.tables):
            mine = clause == number
            effective[mine] = table[np.clip(days[mine] - self.first, 0, len(table) - 1)]
        return effective


def _calendar(name: str | None) -> Calendar:
    assert name == "CN", "products are checked when they are read"
    return chinese_calendar()
