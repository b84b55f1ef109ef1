"""When in its window a message leaves: at the hours at which this borrower pays, if known.

Payments by local hour stand for the response, so that credit goes to paying and not to opening. A
borrower has few of them; their shares are drawn towards those of the segment (here the product),
and the segment's towards the book's: the posterior mean of a multinomial under a Dirichlet prior
centred on the level above (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.4). A message
is placed where the window's share of these weights reaches the borrower's draw: many borrowers are
then spread as their payments are, and the same borrower gets the same minute. Not whether to write.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from duewise.strategy.offers import Floats, Wholes

HOURS = 24
WEIGHTS = pl.Array(pl.Float64, HOURS)
# How many payments of one's own weigh as much as the level above.
OF_SEGMENT, OF_BOOK = 10.0, 500.0

PaidByHour = Mapping[str, tuple[int, ...]]  # by segment, HOURS counts each


def hour_weights(
    loans: pl.DataFrame, payments: pl.DataFrame, paid: PaidByHour, *, zone: str
) -> pl.Series:
    """For each row of `loans` (borrower_id, product) the shares of its borrower's 24 hours.

    `payments` (borrower_id, paid_at) are those known; `paid` counts the whole book's.
    """
    borrowers = loans.select("borrower_id").unique(maintain_order=True).with_row_index("row")
    segments = loans.select("product").unique(maintain_order=True).with_row_index("segment")
    found = loans.select("borrower_id", "product").join(
        borrowers, on="borrower_id", how="left", maintain_order="left"
    )
    found = found.join(segments, on="product", how="left", maintain_order="left", nulls_equal=True)
    nothing = (0,) * HOURS
    book = _shrunk(np.sum([nothing, *paid.values()], axis=0), np.full(HOURS, 1 / HOURS), HOURS)
    by_segment = np.array([paid.get(name, nothing) for name in segments["product"]])
    of_segment = _shrunk(by_segment.reshape(-1, HOURS), book, OF_BOOK)
    own = _counts(payments, borrowers, zone=zone)[found["row"].to_numpy()]
    shares = _shrunk(own, of_segment[found["segment"].to_numpy()], OF_SEGMENT)
    return pl.Series("hour_weights", shares, dtype=WEIGHTS)


def place(weights: Floats, opens: Wholes, closes: Wholes, draws: Floats) -> Floats:
    """Where in its window each message leaves, in [0, 1) of the window's length.

    `weights` (n, 24); the window is from hour `opens` to hour `closes`, not included; `draws` in
    [0, 1) say at which share of the window's weight.

    >>> evenings = np.eye(24)[[20]]
    >>> place(evenings, np.array([9]), np.array([21]), np.array([0.5])).round(4).tolist()
    [0.9583]
    """
    hour = np.arange(HOURS)
    inside = (hour >= opens[:, None]) & (hour < closes[:, None])
    summed = np.cumsum(np.where(inside, weights, 0), axis=1)
    target = draws * summed[:, -1]
    at = np.argmax(summed > target[:, None], axis=1)
    rows = np.arange(len(at))
    share = weights[rows, at]
    before = summed[rows, at] - share
    into: Floats = (at - opens + (target - before) / share) / (closes - opens)
    return np.clip(into, 0, np.nextafter(1, 0))


def _counts(payments: pl.DataFrame, borrowers: pl.DataFrame, *, zone: str) -> Floats:
    """Payments of each of the borrowers (borrower_id, row) by local hour."""
    hour = pl.col("paid_at").dt.convert_time_zone(zone).dt.hour()
    own = (
        payments.select("borrower_id", "paid_at")
        .join(borrowers, on="borrower_id", how="inner")
        .group_by("row", hour=hour)
        .len()
    )
    counts = np.zeros((borrowers.height, HOURS))
    counts[own["row"].to_numpy(), own["hour"].to_numpy()] = own["len"].to_numpy()
    return counts


def _shrunk(counts: Floats, towards: Floats, weight: float) -> Floats:
    """Shares of the counts, drawn towards others as if `weight` more had been counted there."""
    shares: Floats = (counts + weight * towards) / (counts.sum(axis=-1, keepdims=True) + weight)
    return shares
