"""What is owed on a day: payments settle instalments, and days past due follow.

Nothing here is kept as truth. Status is read off the instalments and the payments known at an
instant, so a reversal or a payment that arrives late is one more row and needs no repair.
"""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.delinquency import bucket

Int64s = npt.NDArray[np.int64]

_COMPONENTS = ("principal_minor", "interest_minor", "fee_minor")
_EPOCH = date(1970, 1, 1)
_NEVER = np.iinfo(np.int64).max


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


def instalment_status(
    instalments: pl.DataFrame, payments: pl.DataFrame, *, as_of: date, known_at: datetime
) -> pl.DataFrame:
    """The instalments with `paid_minor`, `outstanding_minor`, `days_past_due` (Int32).

    Payments with `paid_at` up to `known_at` settle a loan's instalments oldest first (by due date,
    then number); a reversal takes back its amount. Money beyond the last instalment is not shown.
    Days past due are 0 on the due date itself. Rows keep their order, except that a loan whose rows
    are scattered, or not in order of due date, sorts the frame by loan, due date and number.

    >>> owed = pl.DataFrame({
    ...     "loan_id": ["A", "A"], "number": [1, 2],
    ...     "due_date": [date(2026, 3, 1), date(2026, 4, 1)],
    ...     "principal_minor": [100, 100], "interest_minor": [0, 0], "fee_minor": [0, 0],
    ... })
    >>> paid = pl.DataFrame(schema={
    ...     "loan_id": pl.String, "kind": pl.String, "amount_minor": pl.Int64,
    ...     "paid_at": pl.Datetime("us", "UTC"),
    ... })
    >>> noon = datetime.fromisoformat("2026-03-04T12:00+00:00")
    >>> status = instalment_status(owed, paid, as_of=date(2026, 3, 4), known_at=noon)
    >>> status["days_past_due"].to_list()
    [3, 0]
    """
    rows = _in_order(instalments)
    starts, run = _runs(rows["loan_id"])
    paid = _paid_by_loan(rows["loan_id"].gather(starts), payments, known_at)
    due = sum((_int64s(rows[name]) for name in _COMPONENTS), np.zeros(rows.height, np.int64))
    # One sum runs over the whole frame; what it held where the loan starts is taken off again.
    through = due.cumsum()
    through -= (through - due)[starts][run]
    outstanding = np.clip(through - paid[run], 0, due)
    late = np.where(outstanding > 0, (as_of - _EPOCH).days - _int64s(rows["due_date"]), 0)
    return rows.with_columns(
        pl.Series("paid_minor", due - outstanding),
        pl.Series("outstanding_minor", outstanding),
        pl.Series("days_past_due", late.clip(min=0).astype(np.int32)),
    )


def loan_status(loans: pl.DataFrame, status: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """One row for each loan opened by `as_of`, in the order of `loans`.

    `status` is the answer of `instalment_status` on the same day. Columns: loan_id, borrower_id,
    days_past_due (Int32), bucket, past_due_minor, outstanding_minor, oldest_due_date (null when
    nothing is past due), next_due_date, next_due_minor (the first unpaid instalment due on `as_of`
    or later; null when there is none). An instalment that owes no more than the loan's tolerance
    counts as paid; once another one is past due its rest is asked for too.
    """
    by_loan = _by_loan(loans, status, as_of)
    late = (pl.lit(as_of) - pl.col("oldest_due_date")).dt.total_days().fill_null(0)
    return (
        loans.filter(pl.col("opened_date") <= as_of)
        .select("loan_id", "borrower_id")
        .join(by_loan, on="loan_id", how="left", maintain_order="left")
        .with_columns(late.cast(pl.Int32).alias("days_past_due"))
        .select(
            "loan_id",
            "borrower_id",
            "days_past_due",
            bucket(pl.col("days_past_due")).alias("bucket"),
            pl.when(pl.col("oldest_due_date").is_not_null())
            .then("arrears")
            .otherwise(0)
            .alias("past_due_minor"),
            pl.col("outstanding_minor").fill_null(0),
            "oldest_due_date",
            "next_due_date",
            "next_due_minor",
        )
    )


def _by_loan(loans: pl.DataFrame, status: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """One row for each loan in `status`: its sums, its oldest date past due and its next."""
    starts, run = _runs(status["loan_id"])
    heads = status.select("loan_id")[starts]
    tolerance = _int64s(_of_loan(heads["loan_id"], loans, "tolerance_minor"))[run]
    outstanding, due = _int64s(status["outstanding_minor"]), _int64s(status["due_date"])
    is_past, owes = due < (as_of - _EPOCH).days, outstanding > tolerance
    row = np.arange(len(due))
    oldest, ahead = (
        _least(np.where(is_wanted & owes, row, _NEVER), starts) for is_wanted in (is_past, ~is_past)
    )
    return heads.with_columns(
        pl.Series("outstanding_minor", _sums(outstanding, starts)),
        pl.Series("arrears", _sums(np.where(is_past, outstanding, 0), starts)),
        status["due_date"].gather(oldest).alias("oldest_due_date"),
        status["due_date"].gather(ahead).alias("next_due_date"),
        status["outstanding_minor"].gather(ahead).alias("next_due_minor"),
    )


def _runs(loan_id: pl.Series) -> tuple[Int64s, Int64s]:
    """Where each loan's rows start, and for each row the number of its loan, counted from 0."""
    run = _int64s(loan_id.rle_id())
    return np.flatnonzero(np.diff(run, prepend=-1)), run


def _sums(values: Int64s, starts: Int64s) -> Int64s:
    return np.add.reduceat(values, starts) if len(starts) else values


def _least(rows: Int64s, starts: Int64s) -> pl.Series:
    """The first row of each loan that is not `_NEVER`, or null."""
    least = pl.Series(np.minimum.reduceat(rows, starts) if len(starts) else rows)
    return least.set(least == _NEVER, None)


def _int64s(column: pl.Series) -> Int64s:
    return column.to_physical().cast(pl.Int64).to_numpy()


def _in_order(instalments: pl.DataFrame) -> pl.DataFrame:
    """The rows with each loan's together, oldest first; untouched when they already lie so."""
    starts, run = _runs(instalments["loan_id"])
    due, number = _int64s(instalments["due_date"]), _int64s(instalments["number"])
    falls_back = (due[1:] < due[:-1]) | ((due[1:] == due[:-1]) & (number[1:] < number[:-1]))
    is_scattered = instalments["loan_id"].gather(starts).is_duplicated().any()
    if is_scattered or (falls_back & (run[1:] == run[:-1])).any():
        return instalments.sort("loan_id", "due_date", "number", maintain_order=True)
    return instalments


def _paid_by_loan(loan_id: pl.Series, payments: pl.DataFrame, known_at: datetime) -> Int64s:
    """What each loan has paid, net of reversals and never below nothing."""
    known = payments.filter(pl.col("paid_at") <= known_at)
    is_reversal = (known["kind"] == "reversal").to_numpy()
    amount = _int64s(known["amount_minor"])
    starts, _ = _runs(known["loan_id"])
    net = (
        pl.DataFrame({"loan_id": known["loan_id"].gather(starts)})
        .with_columns(pl.Series("paid", _sums(np.where(is_reversal, -amount, amount), starts)))
        .group_by("loan_id")
        .agg(pl.col("paid").sum())
    )
    return _int64s(_of_loan(loan_id, net, "paid")).clip(min=0)


def _of_loan(loan_id: pl.Series, by_loan: pl.DataFrame, column: str) -> pl.Series:
    """The column's value for each of these loans; 0 where there is none."""
    if by_loan["loan_id"].equals(loan_id):
        return by_loan[column].fill_null(0)
    return (
        pl.DataFrame({"loan_id": loan_id})
        .join(by_loan.select("loan_id", column), on="loan_id", how="left", maintain_order="left")[
            column
        ]
        .fill_null(0)
    )
