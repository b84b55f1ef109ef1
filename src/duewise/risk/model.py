"""A first honest score: the share of a borrower's own instalments that came late, shrunk.

The event of `probability_of_default` is "the next instalment is still unpaid the day after it is
due". The estimate is the posterior mean of a Beta-binomial model (Gelman et al., Bayesian Data
Analysis, 3rd ed., section 2.4) over the instalments of the borrower due before the as-of date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl


@dataclass(frozen=True)
class Prior:
    """What is believed before any history: a mean in (0, 1), worth `strength` instalments."""

    mean: float = 0.15
    strength: float = 4.0


def probability_of_default(
    instalments: pl.DataFrame, payments: pl.DataFrame, *, as_of: date, prior: Prior
) -> pl.DataFrame:
    """One row per borrower with an instalment: borrower_id, probability_of_default.

    `payments` are those known on the as-of date, reversals already taken out. An instalment is late
    if it was not covered, oldest first, by the end of its due date.
    """
    due = instalments.filter(pl.col("due_date") < as_of).sort("loan_id", "due_date", "number")
    owed = pl.col("principal_minor") + pl.col("interest_minor") + pl.col("fee_minor")
    due = due.with_columns(owed_total=owed.cum_sum().over("loan_id"))
    paid = (
        payments.sort("loan_id", "paid_on")
        .with_columns(paid_total=pl.col("amount_minor").cum_sum().over("loan_id"))
        .select("loan_id", "paid_on", "paid_total")
    )
    # Per instalment, what had been paid by the end of its due date.
    covered = due.sort("due_date").join_asof(
        paid.sort("paid_on", "paid_total"),
        left_on="due_date",
        right_on="paid_on",
        by="loan_id",
        check_sortedness=False,  # both sides were sorted just here
    )
    late = pl.col("paid_total").fill_null(0) < pl.col("owed_total")
    counts = covered.group_by("borrower_id").agg(
        late=late.sum().cast(pl.Int64), instalments=pl.len().cast(pl.Int64)
    )
    everybody = instalments.select("borrower_id").unique()
    return everybody.join(counts, on="borrower_id", how="left").select(
        "borrower_id",
        probability_of_default=(pl.col("late").fill_null(0) + prior.mean * prior.strength)
        / (pl.col("instalments").fill_null(0) + prior.strength),
    )
