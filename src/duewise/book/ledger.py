"""What is owed on a day: the book folded, as frames; nothing here is kept as truth.

Status is read off the schedule and the events known at an instant, so a reversal, a backdated
payment or a chargeback is one more row and needs no repair. The arithmetic: `fold`, `reading`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.align import Aligned, LoanTables, align, day_number
from duewise.book.columns import (
    COMPONENTS,
    EXTENSION,
    FIGURES,
    NEVER,
    NEXT_DUE,
    OLDEST_DUE,
    WAIVER,
    Int32s,
    Int64s,
    Rows,
)
from duewise.book.delinquency import bucket, class5
from duewise.book.product import Products


@dataclass(frozen=True)
class Ledger:
    """A group of loans as of a day. `rows` and `figures` are the fold's own arrays."""

    as_of: date
    aligned: Aligned
    rows: Rows
    figures: Int64s
    products: Products

    @cached_property
    def instalments(self) -> pl.DataFrame:
        """The instalments in the loans' order, with what became of each.

        Beside their own columns: effective_due_date, penalty_minor (charged), for each of
        columns.COMPONENTS <component>_paid_minor, waived_minor, paid_in_advance_minor,
        paid_late_minor, settled_date (null while open), outstanding_minor, days_past_due (Int32).
        """
        rows, own = self.rows, self.aligned.instalments
        return own.with_columns(
            _dates("effective_due_date", rows.effective),
            pl.Series("penalty_minor", rows.penalty),
            *(
                pl.Series(f"{component}_paid_minor", rows.paid[number])
                for number, component in enumerate(COMPONENTS)
            ),
            pl.Series("waived_minor", rows.waived),
            pl.Series("paid_in_advance_minor", rows.paid_in_advance),
            pl.Series("paid_late_minor", rows.paid_late),
            _dates("settled_date", rows.settled),
            pl.Series("outstanding_minor", rows.outstanding),
            pl.Series("days_past_due", rows.days_past_due),
        )

    @property
    def payment_days(self) -> pl.DataFrame:
        """Of the instalments only effective_due_date, settled_date and days_past_due."""
        return pl.DataFrame(
            [
                _dates("effective_due_date", self.rows.effective),
                _dates("settled_date", self.rows.settled),
                pl.Series("days_past_due", self.rows.days_past_due),
            ]
        )

    @cached_property
    def loans(self) -> pl.DataFrame:
        """One row for each loan opened by the day, in the loans' order: columns of LOAN_STATUS."""
        status = self.aligned.loans.with_columns(
            *(
                pl.Series(f"{name}_minor", self.figures[:, number])
                for number, name in enumerate(FIGURES)
                if number not in (0, OLDEST_DUE, NEXT_DUE)
            ),
            pl.Series("days_past_due", self.figures[:, 0].astype(np.int32)),
            _dates("oldest_due_date", self.figures[:, OLDEST_DUE].astype(np.int32)),
            _dates("next_due_date", self.figures[:, NEXT_DUE].astype(np.int32)),
        ).with_columns(
            bucket(pl.col("days_past_due"), self.products.buckets.on(self.as_of)).alias("bucket"),
            class5(pl.col("days_past_due"), is_charged_off=pl.col("charged_off_minor") > 0).alias(
                "class5"
            ),
        )
        return status.filter(pl.col("opened_date") <= self.as_of).select(LOAN_STATUS)


LOAN_STATUS = (
    "loan_id",
    "borrower_id",
    "days_past_due",
    "bucket",
    "past_due_minor",
    "outstanding_minor",
    "penalty_minor",
    "next_due_date",
    "next_due_amount_minor",
    "cost_of_one_more_day_minor",
    "overpaid_minor",
    "class5",
    "oldest_due_date",
    "amount_to_clear_minor",
    "settlement_amount_minor",
    "principal_minor",
    "charged_off_minor",
    "recovered_minor",
    "grace_days",
    "tolerance_minor",
    "penalty_multiplier",
)


class Room:
    """Memory for one answer after the other: to take it anew each time costs more than the fold.

    Who gives the same room again is done with what the last answer was.
    """

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[Any]] = {}

    def empty(self, name: str, shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of that name, whatever stands in it."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or len(kept) < size:
            kept = self._kept[name] = np.empty(size + size // 8, kind)
        return kept[:size].reshape(shape)


def ledger(
    tables: LoanTables,
    products: Products,
    *,
    as_of: date,
    known_at: datetime,
    zone: str,
    room: Room | None = None,
) -> Ledger:
    """The loans as of the end of the day, by what was known at an instant.

    A payment is of its local day in `zone`. Days past due are 0 on the due date itself. Raises
    BadInput for amounts and rates beyond what can be reckoned exactly.
    """
    aligned = align(tables, products, known_at=known_at, zone=zone)
    return ledger_of(aligned, products, as_of=as_of, room=room)


def ledger_of(
    aligned: Aligned, products: Products, *, as_of: date, room: Room | None = None
) -> Ledger:
    """The ledger of columns that are aligned already, as of a day."""
    from duewise.book.reading import fold_loans

    columns = aligned.columns
    rows, figures = empty_answer(aligned, room)
    days = np.full(len(figures), day_number(as_of), np.int32)
    fold_loans(columns, days, rows, figures)
    if not len(rows.effective):
        rows = rows._replace(effective=columns.instalments.effective)
    if not len(rows.waived):
        rows = rows._replace(waived=np.zeros(len(rows.penalty), np.int64))
    return Ledger(as_of, aligned, rows, figures, products)


def empty_answer(aligned: Aligned, room: Room | None = None) -> tuple[Rows, Int64s]:
    """Room for the fold's answer; what no event here can change has none."""
    columns, empty = aligned.columns, (room or Room()).empty
    n, kinds = len(columns.instalments.due), columns.events.kind
    extended = n if (kinds == EXTENSION).any() else 0
    waived = n if (kinds == WAIVER).any() else 0
    rows = Rows(
        effective=empty("effective", (extended,), np.int32),
        penalty=empty("penalty", (n,), np.int64),
        paid=empty("paid", (len(COMPONENTS), n), np.int64),
        waived=empty("waived", (waived,), np.int64),
        paid_in_advance=empty("paid_in_advance", (n,), np.int64),
        paid_late=empty("paid_late", (n,), np.int64),
        settled=empty("settled", (n,), np.int32),
        outstanding=empty("outstanding", (n,), np.int64),
        days_past_due=empty("days_past_due", (n,), np.int32),
    )
    return rows, empty("figures", (len(columns.loans.rule), len(FIGURES)), np.int64)


def asked_for() -> list[pl.Expr]:
    """What a notice asks of a loan (LOAN_STATUS): amount_minor and due_date.

    All that is past due since the oldest due date, or the next amount if nothing is.
    """
    is_past_due = pl.col("days_past_due") > 0
    return [
        pl.when(is_past_due)
        .then("past_due_minor")
        .otherwise(pl.col("next_due_amount_minor").fill_null(0))
        .alias("amount_minor"),
        pl.when(is_past_due).then("oldest_due_date").otherwise("next_due_date").alias("due_date"),
    ]


def _dates(name: str, days: Int32s) -> pl.Series:
    column = pl.Series(name, days)
    return column.set(column == NEVER, None).cast(pl.Date)


def known_payments(
    payments: pl.DataFrame, later: pl.DataFrame | None = None, *, known_at: datetime
) -> pl.DataFrame:
    """The payments known at an instant: the book's, and `later` ones that are not in it.

    `payments` has the columns of schema.PAYMENTS; `later` (the events since the snapshot) has the
    same. A payment told twice under one `payment_id` counts once.
    """
    known = payments.filter(pl.col("paid_at") <= known_at)
    if later is None or later.is_empty():
        return known
    news = (
        later.select(payments.columns)
        .filter(pl.col("paid_at") <= known_at)
        .unique("payment_id", keep="first", maintain_order=True)
        .join(known, on="payment_id", how="anti", maintain_order="left")
    )
    return pl.concat([known, news])
