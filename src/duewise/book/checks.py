"""Checks between rows: the same id twice, a row whose loan or borrower does not exist."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from duewise.book.intake import COLUMN, LEFT_OUT, PLACE, REASON


def mark_duplicates(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Reject every row but the first in the file of those that share a key."""
    ordered = rows.sort(PLACE)
    return reject(ordered, ~pl.struct(key).is_first_distinct(), key[-1], f"duplicate {key[-1]}")


def mark_orphans(
    rows: pl.DataFrame, key: str, known: pl.Series, *, left_out: pl.DataFrame, reason: str
) -> pl.DataFrame:
    """Reject rows whose `key` is not `known`; leave out those whose loan was left out.

    `left_out` has the columns `key` and `_left_out`, one row a key.
    """
    why = rows.select(key).join(left_out, on=key, how="left", maintain_order="left")[LEFT_OUT]
    marked = rows.with_columns(pl.coalesce(LEFT_OUT, pl.lit(why)).alias(LEFT_OUT))
    return reject(marked, ~pl.col(key).is_in(known.implode()), key, reason)


def mark_reversals(payments: pl.DataFrame) -> pl.DataFrame:
    """Reject what takes back a payment its loan does not have, or one that was taken back."""
    paid = payments.filter(pl.col("kind") != "reversal").select("loan_id", reverses="payment_id")
    exists = payments.join(
        paid.with_columns(exists=True),
        on=["loan_id", "reverses"],
        how="left",
        maintain_order="left",
    )["exists"].fill_null(value=False)
    names_one = pl.col("reverses").is_not_null()
    marked = reject(payments, names_one & ~pl.lit(exists), "reverses", "no such payment")
    again = names_one & ~pl.col("reverses").is_first_distinct()
    return reject(marked, again, "reverses", "is reversed already")


def reject(rows: pl.DataFrame, is_bad: pl.Expr, column: str, reason: str) -> pl.DataFrame:
    """The rows with this fault marked where it is so and no verdict is yet."""
    is_open = pl.col(REASON).is_null() & pl.col(LEFT_OUT).is_null()
    return rows.with_columns(
        pl.when(is_open & is_bad).then(pl.lit(text)).otherwise(name).alias(name)
        for name, text in ((COLUMN, column), (REASON, reason))
    )
