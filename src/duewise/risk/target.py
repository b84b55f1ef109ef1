"""What became of the next instalment: late by 1, 7 or 30 days, or not known yet.

A target is known only when enough days have gone by for every row of its day: to count who paid
early as known and who has not paid yet as unknown would flatter the model.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from duewise.book.ledger import Ledger

# The columns, and from how many days on an instalment is that late.
TARGETS: Mapping[str, int] = {"late_1": 1, "late_7": 7, "late_30": 30}
NO_INSTALMENT, PUT_OFF, NOT_MATURE = "no_instalment", "put_off", "not_mature"


def with_targets(rows: pl.DataFrame, later: Ledger) -> pl.DataFrame:
    """The rows of `features` with TARGETS (Boolean) and unknown_<target> (why null, or null).

    `later` is the same book as of a day by whose end everything is known. An instalment is late by
    n days if it is not settled by the end of day n - 1 after its due date. Unknown: NO_INSTALMENT
    (all is past due already), PUT_OFF (its due date was moved since), NOT_MATURE.
    """
    settled = later.instalments.select(
        "loan_id", "number", _due="effective_due_date", _settled="settled_date"
    )
    joined = rows.join(settled, on=["loan_id", "number"], how="left", maintain_order="left")
    due = pl.col("due_date")
    days_late = (pl.col("_settled") - due).dt.total_days()
    gone = (pl.lit(later.as_of) - due).dt.total_days()
    why = {
        name: pl.when(due.is_null())
        .then(pl.lit(NO_INSTALMENT))
        .when(pl.col("_due") != due)
        .then(pl.lit(PUT_OFF))
        .when(gone < days - 1)
        .then(pl.lit(NOT_MATURE))
        for name, days in TARGETS.items()
    }
    return (
        joined.with_columns(why[name].alias(f"unknown_{name}") for name in TARGETS)
        .with_columns(
            pl.when(pl.col(f"unknown_{name}").is_null())
            .then((days_late >= days).fill_null(value=True))
            .alias(name)
            for name, days in TARGETS.items()
        )
        .drop("_due", "_settled")
    )


def maturity(rows: pl.DataFrame) -> pl.DataFrame:
    """Per target how many rows are known, how many of them late, and why others are left out.

    Columns: target, rows, late, NO_INSTALMENT, PUT_OFF, NOT_MATURE.
    """
    return pl.concat(
        rows.select(
            target=pl.lit(name),
            rows=pl.col(name).count(),
            late=pl.col(name).sum(),
            **{
                why: (pl.col(f"unknown_{name}") == why).sum()
                for why in (NO_INSTALMENT, PUT_OFF, NOT_MATURE)
            },
        )
        for name in TARGETS
    )
