"""What became of instalments and borrowers, and what the messages changed about it.

The unit is the borrower, by intention to treat: the arm of the first assignment counts, whatever
was sent later. A borrower is late by h days if any instalment that fell due on or after the day of
assignment was. One value of 0 or 1 per borrower, so several instalments of one person never pass
for several people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from duewise.book.delinquency import LATE_DAYS
from duewise.measure.stats import (
    NOBODY,
    Estimate,
    Inconclusive,
    Reason,
    SampleRatio,
    Tally,
    difference,
    sample_ratio_mismatch,
)

TREATED, HOLD_OUT = "treated", "hold_out"


@dataclass(frozen=True)
class Effect:
    """One outcome of treated against hold-out borrowers; a rate of nobody is None."""

    outcome: str
    treated: Tally
    hold_out: Tally
    estimate: Estimate | Inconclusive


def late_outcomes(
    instalments: pl.DataFrame,
    payments: pl.DataFrame,
    *,
    known_at: datetime,
    zone: str,
    horizons: Sequence[int] = LATE_DAYS,
) -> pl.DataFrame:
    """Per instalment: loan_id, borrower_id, number, due_date, `late_1d` … (Boolean, one a horizon).

    True if anything is outstanding h days after the due date, at the end of that local day in
    `zone`; a horizon of 0 is the due date itself. Null while that moment lies after `known_at`.
    Payments (columns of schema.PAYMENTS) settle a loan's instalments oldest first; a reversal or a
    chargeback counts from its own time on. Optional columns of the instalments: `tolerance_minor`
    may stay unpaid, `penalty_minor` was charged on top, `waived_minor` was let off.

    >>> from datetime import date
    >>> owed = pl.DataFrame({
    ...     "loan_id": ["A"], "borrower_id": ["Li"], "number": [1], "due_date": [date(2026, 3, 1)],
    ...     "principal_minor": [100], "interest_minor": [0], "fee_minor": [0],
    ... })
    >>> paid = pl.DataFrame({
    ...     "loan_id": ["A"], "kind": ["payment"], "amount_minor": [100],
    ...     "paid_at": [datetime.fromisoformat("2026-03-04T12:00+00:00")],
    ... })
    >>> noon = datetime.fromisoformat("2026-03-20T12:00+00:00")
    >>> late_outcomes(owed, paid, known_at=noon, zone="Asia/Shanghai").row(0)[4:]
    (True, False, None)
    """
    tolerance = "tolerance_minor" if "tolerance_minor" in instalments.columns else pl.lit(0)
    owed = pl.sum_horizontal("^(principal|interest|fee|penalty)_minor$")
    if "waived_minor" in instalments.columns:
        owed -= pl.col("waived_minor")
    rows = instalments.with_row_index("row").sort("loan_id", "due_date", "number")
    rows = rows.select(
        "row",
        "loan_id",
        "borrower_id",
        "number",
        "due_date",
        enough_minor=owed.cum_sum().over("loan_id") - tolerance,
    )
    paid = _paid_so_far(payments, known_at)
    flags = [_is_late(rows, paid, days=days, known_at=known_at, zone=zone) for days in horizons]
    return rows.with_columns(*flags).sort("row").drop("row", "enough_minor")


def effects(
    outcomes: pl.DataFrame,
    assignments: pl.DataFrame,
    *,
    mismatch: SampleRatio,
    horizons: Sequence[int] = LATE_DAYS,
) -> list[Effect]:
    """One effect a horizon, of the answers of `late_outcomes` and `sample_ratio`.

    `assignments`: borrower_id, arm ("treated" | "hold_out"), assigned_date; the first row of a
    borrower by date counts. The contrast is treated minus hold-out.
    """
    return [_effect(f"late_{days}d", outcomes, assignments, mismatch) for days in horizons]


def sample_ratio(assignments: pl.DataFrame, *, hold_out_share: float) -> SampleRatio:
    """Whether so many borrowers were held out as should have been; `hold_out_share` in [0, 1]."""
    counted = dict(_first(assignments).group_by("arm").len().iter_rows())
    return sample_ratio_mismatch(
        {arm: counted.get(arm, 0) for arm in (TREATED, HOLD_OUT)},
        {TREATED: 1 - hold_out_share, HOLD_OUT: hold_out_share},
    )


def tallies(
    outcomes: pl.DataFrame, assignments: pl.DataFrame, *, outcome: str
) -> Mapping[str, Tally]:
    """By arm, the tally over borrowers of whether any instalment due since assignment was late.

    Borrowers without an instalment whose outcome is known are left out, in either arm.
    """
    by_arm = (
        outcomes.join(_first(assignments), on="borrower_id")
        .filter((pl.col("due_date") >= pl.col("assigned_date")) & pl.col(outcome).is_not_null())
        .group_by("borrower_id", "arm")
        .agg(late=pl.col(outcome).any())
        .group_by("arm")
        .agg(n=pl.len().cast(pl.Int64), late=pl.col("late").sum().cast(pl.Int64))
    )
    return {arm: Tally(n, late, late) for arm, n, late in by_arm.iter_rows()}


def _effect(
    outcome: str, outcomes: pl.DataFrame, assignments: pl.DataFrame, mismatch: SampleRatio
) -> Effect:
    by_arm = tallies(outcomes, assignments, outcome=outcome)
    treated, hold_out = (by_arm.get(arm, NOBODY) for arm in (TREATED, HOLD_OUT))
    return Effect(outcome, treated, hold_out, _estimate(hold_out, treated, mismatch))


def _estimate(hold_out: Tally, treated: Tally, mismatch: SampleRatio) -> Estimate | Inconclusive:
    if mismatch.is_mismatch:
        return Inconclusive(Reason.SAMPLE_RATIO_MISMATCH)
    if not (hold_out.n or treated.n):
        return Inconclusive(Reason.HORIZON_NOT_REACHED)
    return difference(hold_out, treated)


def _first(assignments: pl.DataFrame) -> pl.DataFrame:
    return (
        assignments.sort("borrower_id", "assigned_date", "arm")
        .unique("borrower_id", keep="first", maintain_order=True)
        .select("borrower_id", "arm", "assigned_date")
    )


def _paid_so_far(payments: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """After each payment, what its loan had paid in all: loan_id, paid_at, paid_minor; by time."""
    signs = {"payment": 1, "reversal": -1, "chargeback": -1}
    sign = pl.col("kind").replace_strict(signs, default=0, return_dtype=pl.Int64)
    return (
        payments.filter(pl.col("paid_at") <= known_at)
        .group_by("loan_id", "paid_at")
        .agg(signed=(pl.col("amount_minor") * sign).sum())
        .sort("loan_id", "paid_at")
        .select("loan_id", "paid_at", paid_minor=pl.col("signed").cum_sum().over("loan_id"))
        .sort("paid_at")
    )


def _is_late(
    rows: pl.DataFrame, paid: pl.DataFrame, *, days: int, known_at: datetime, zone: str
) -> pl.Series:
    """The flag of one horizon, in the order of `rows`."""
    next_midnight = (
        pl.col("due_date")
        .cast(pl.Datetime("us"))
        .dt.offset_by(f"{days + 1}d")
        .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    last_moment = next_midnight - pl.duration(microseconds=1)
    judged = (
        rows.with_columns(last_moment=last_moment)
        .sort("last_moment")
        .join_asof(
            paid,
            left_on="last_moment",
            right_on="paid_at",
            by="loan_id",
            check_sortedness=False,  # both sides were sorted just here
        )
        .select(
            "row",
            pl.when(pl.col("last_moment") <= known_at)
            .then(pl.col("paid_minor").fill_null(0) < pl.col("enough_minor"))
            .alias(f"late_{days}d"),
        )
    )
    return rows.select("row").join(judged, on="row", maintain_order="left")[f"late_{days}d"]
