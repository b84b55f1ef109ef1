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


def probability_of_default(instalments: pl.DataFrame, *, as_of: date, prior: Prior) -> pl.DataFrame:
    """One row per borrower with an instalment: borrower_id, probability_of_default.

    `instalments` are the ledger's on the as-of date, with borrower_id, effective_due_date,
    settled_date and days_past_due. An instalment is late if it was not settled by the end of its
    effective due date.
    """
    is_due = pl.col("effective_due_date") < as_of
    is_late = (pl.col("settled_date") > pl.col("effective_due_date")).fill_null(
        pl.col("days_past_due") > 0
    )
    late, due = (is_due & is_late).sum().cast(pl.Int64), is_due.sum().cast(pl.Int64)
    return instalments.group_by("borrower_id", maintain_order=True).agg(
        probability_of_default=(late + prior.mean * prior.strength) / (due + prior.strength)
    )
