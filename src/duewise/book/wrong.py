"""Notices that were wrong: what each said beside what the ledger says now of that same day."""

from __future__ import annotations

import polars as pl

from duewise.frames import INSTANT, Schema

# A notice as it was sent: `judged_at` is when its figures were read, `cut_at` when it left.
SAID: Schema = {
    "envelope_id": pl.Int64,
    "borrower_id": pl.String,
    "loan_id": pl.String,
    "as_of": pl.Date,
    "judged_at": INSTANT,
    "cut_at": INSTANT,
    "state": pl.String,
    "currency": pl.String,
    "amount_minor": pl.Int64,
    "days_past_due": pl.Int32,
    "bucket": pl.String,
    "due_date": pl.Date,
}
FIGURES = ("amount_minor", "days_past_due", "bucket", "due_date")


def before_leaving(
    said: pl.DataFrame, events: pl.DataFrame, *, zone: str, at: str = "paid_at"
) -> pl.DataFrame:
    """The events that a notice should have known of, by notice: loan_id is its envelope_id.

    Those of before it left, on its as-of date or earlier by the instant in column `at`; and what
    took one of them back, whenever that was: what is reversed never was. What came after a notice
    makes none wrong. Payments are named for their notice, so that a reversal finds its own.
    """
    day = pl.col(at).dt.convert_time_zone(zone).dt.date()
    named = said.select("loan_id", "as_of", "cut_at", notice=_notice())
    counts = (pl.col(at) <= pl.col("cut_at")) & (day <= pl.col("as_of"))
    ids = [name for name in ("payment_id", "reverses") if name in events.columns]
    if "kind" in events.columns:
        counts = counts | (pl.col("kind") == "reversal")
    return (
        events.join(named, on="loan_id", how="inner")
        .filter(counts)
        .with_columns(
            pl.col("notice").alias("loan_id"),
            *(pl.concat_str("notice", pl.lit("|"), name).alias(name) for name in ids),
        )
        .select(events.columns)
    )


def as_notices(said: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """A table of loans with a copy for each notice, under the name of the notice."""
    named = said.select("loan_id", notice=_notice())
    return (
        rows.join(named, on="loan_id", how="inner")
        .with_columns(loan_id="notice")
        .select(rows.columns)
    )


def wrong_notices(said: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """The notices (SAID) whose figures differ from `truth` (loan_id: the notice's, FIGURES).

    Columns: those of SAID, and true_<figure> for each of FIGURES. A figure that was not kept with
    the notice is not compared.
    """
    true = truth.select(notice="loan_id", **{f"true_{name}": name for name in FIGURES})
    beside = said.with_columns(notice=_notice()).join(true, on="notice", how="inner")
    differs = [
        pl.col(name).is_not_null() & pl.col(name).ne_missing(pl.col(f"true_{name}"))
        for name in FIGURES
    ]
    return beside.filter(pl.any_horizontal(differs)).drop("notice").sort("as_of", "envelope_id")


def news_since(wrong: pl.DataFrame, events: pl.DataFrame, *, zone: str) -> pl.DataFrame:
    """What became known after each notice was judged and belongs to the time before it left.

    `events` has payment_id, loan_id, paid_at, known_at, amount_minor, kind, reverses and
    reversed_at (the instant of the payment that is taken back). Columns: envelope_id and these.
    """
    # Of a reversal it counts when the payment was made that it takes back; a chargeback's own day.
    is_reversal = pl.col("kind") == "reversal"
    of = pl.when(is_reversal).then(pl.coalesce("reversed_at", "paid_at")).otherwise("paid_at")
    day = of.dt.convert_time_zone(zone).dt.date()
    return (
        events.join(
            wrong.select("envelope_id", "loan_id", "as_of", "judged_at", "cut_at"),
            on="loan_id",
            how="inner",
        )
        .filter(
            (pl.col("known_at") > pl.col("judged_at"))
            & (of <= pl.col("cut_at"))
            & (day <= pl.col("as_of"))
        )
        .select("envelope_id", *events.columns)
        .sort("envelope_id", "known_at", "payment_id")
    )


def _notice() -> pl.Expr:
    return pl.col("envelope_id").cast(pl.String)
