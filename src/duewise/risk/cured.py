"""Who is past due on a morning, since when, and until when: the rows of the hazard of paying."""

from __future__ import annotations

from datetime import date

import polars as pl

from duewise.book.ledger import Ledger
from duewise.frames import Schema, conform
from duewise.risk.features import KEY
from duewise.risk.hazard import DAYS

CURED = "cured"  # the target's name in the registry
LAPSED: Schema = {
    "loan_id": pl.String,
    "number": pl.Int32,
    "due_date": pl.Date,
    "from_day": pl.Int32,
}
# What a row has besides features: nothing a model may learn from.
OUTCOME = ("days", "is_cured", "known_days")


def lapsed(known: Ledger) -> pl.DataFrame:
    """LAPSED: each loan's oldest unpaid instalment, 1 to 30 days after its effective due date.

    `from_day` is the as-of day's number: 1 is the morning after the due date.
    """
    due = pl.col("effective_due_date")
    from_day = (pl.lit(known.as_of) - due).dt.total_days().cast(pl.Int32)
    oldest = (
        known.instalments.filter(pl.col("settled_date").is_null() & (due < known.as_of))
        .sort("loan_id", due, "number")
        .unique("loan_id", keep="first", maintain_order=True)
        .select("loan_id", pl.col("number").cast(pl.Int32), due_date=due, from_day=from_day)
    )
    return conform(oldest.filter(pl.col("from_day") <= DAYS), LAPSED, name="lapsed")


def of_lapsed(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The rows of `features` that are past due, with LAPSED in the place of the next instalment."""
    kept = [name for name in rows.columns if name not in {*KEY[2:], "from_day"}]
    return rows.select(kept).join(known, on="loan_id", how="inner", maintain_order="left")


def with_cure(rows: pl.DataFrame, later: Ledger) -> pl.DataFrame:
    """Rows of `of_lapsed` with `days` at risk, `is_cured` and `known_days`, as known later.

    `later` is the same book as of a day by whose end everything is known, `known_days` after the
    due date. Left out: an instalment put off since, and one that was paid already, as came out.
    """
    settled = later.instalments.select(
        "loan_id",
        pl.col("number").cast(pl.Int32),
        _due="effective_due_date",
        took=(pl.col("settled_date") - pl.col("effective_due_date")).dt.total_days(),
    )
    known = (pl.lit(later.as_of) - pl.col("due_date")).dt.total_days()
    return (
        rows.join(settled, on=["loan_id", "number"], how="inner", maintain_order="left")
        .filter(pl.col("_due") == pl.col("due_date"))
        .with_columns(
            days=pl.min_horizontal("took", known, DAYS).cast(pl.Int32),
            is_cured=(pl.col("took") <= DAYS).fill_null(value=False),
            known_days=known.cast(pl.Int32),
        )
        .filter(pl.col("days") >= pl.col("from_day"))
        .drop("_due", "took")
    )


def as_known_on(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """The rows with their outcomes as they were known by the end of a day; later ones are gone."""
    known = (pl.lit(day) - pl.col("due_date")).dt.total_days().cast(pl.Int32)
    seen = rows.with_columns(
        days=pl.min_horizontal("days", known),
        is_cured=pl.col("is_cured") & (pl.col("days") <= known),
        known_days=known,
    )
    return seen.filter(pl.col("days") >= pl.col("from_day"))
