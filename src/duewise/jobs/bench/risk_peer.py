"""What a scoring notebook would write instead of features and score: pandas, and the library.

A dozen of the ninety-six columns, by first in, first out, and `Booster.predict` on them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.align import LoanTables

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

DELAYS, WEEK, RECENT = (-30, 90), 7, 90  # days
COLUMNS = (
    *("past_count", "late_count", "late_7_count", "late_share", "delay_mean", "delay_max"),
    *("delay_last", "payment_count", "paid_90d", "days_since_payment", "days_to_due"),
    "next_amount",
)


def notebook(
    tables: LoanTables, booster: lgb.Booster, *, as_of: date, known_at: datetime, threads: int
) -> Callable[[], tuple[pd.DataFrame, Floats]]:
    """What makes COLUMNS by loan_id and their scores, of tables that lie in pandas already."""
    instalments, payments = tables.instalments.to_pandas(), tables.payments.to_pandas()

    def run() -> tuple[pd.DataFrame, Floats]:
        rows = _features(instalments, payments, as_of, known_at)
        score = booster.predict(rows.to_numpy(), raw_score=True, num_threads=threads)
        return rows, np.asarray(score)

    return run


def _features(
    instalments: pd.DataFrame, payments: pd.DataFrame, as_of: date, known_at: datetime
) -> pd.DataFrame:
    import pandas as pd

    day = pd.Timestamp(as_of)
    paid = payments[payments.paid_at <= known_at].sort_values(["loan_id", "paid_at"])
    local = paid.paid_at.dt.tz_convert("Asia/Shanghai").dt.tz_localize(None).dt.normalize()
    paid = paid.assign(on=local, paid=paid.groupby("loan_id").amount_minor.cumsum())
    rows = instalments.sort_values(["loan_id", "number"])
    rows = rows.assign(
        due_date=pd.to_datetime(rows.due_date),
        amount=rows.principal_minor + rows.interest_minor + rows.fee_minor,
    )
    rows["paid"] = rows.groupby("loan_id").amount.cumsum()
    rows = pd.merge_asof(
        rows.sort_values("paid"),
        paid[["loan_id", "paid", "on"]].sort_values("paid"),
        on="paid",
        by="loan_id",
        direction="forward",
    ).sort_values(["loan_id", "number"])
    past = rows[(rows.due_date < day) | rows.on.notna()]
    delay = (past.on.fillna(day) - past.due_date).dt.days.clip(*DELAYS)
    past = past.assign(delay=delay, is_late=delay > 0, is_late_7=delay >= WEEK)
    found: Any = past.groupby("loan_id").agg(
        past_count=("delay", "size"),
        late_count=("is_late", "sum"),
        late_7_count=("is_late_7", "sum"),
        late_share=("is_late", "mean"),
        delay_mean=("delay", "mean"),
        delay_max=("delay", "max"),
        delay_last=("delay", "last"),
    )
    money = paid.groupby("loan_id")
    found["payment_count"] = money.size()
    recent = paid[paid.on > day - pd.Timedelta(days=RECENT)]
    found["paid_90d"] = recent.groupby("loan_id").amount_minor.sum()
    found["days_since_payment"] = (day - money.on.max()).dt.days
    following = rows[(rows.due_date >= day) & rows.on.isna()].groupby("loan_id").first()
    found["days_to_due"] = (following.due_date - day).dt.days
    found["next_amount"] = following.amount
    return pd.DataFrame(found)[list(COLUMNS)]


def same_columns(ours: pl.DataFrame, theirs: pd.DataFrame) -> int:
    """On how many loans without a late instalment every column is the same; -1 if one is not."""
    other = pl.from_pandas(theirs.reset_index())
    punctual = ours.filter(pl.col("late_count") == 0).select("loan_id", *COLUMNS).sort("loan_id")
    mine = punctual.select(pl.col(COLUMNS).cast(pl.Float64).fill_null(float("nan")))
    beside = punctual.select("loan_id").join(other, on="loan_id", how="left")
    yours = beside.sort("loan_id").select(pl.col(COLUMNS).cast(pl.Float64).fill_null(float("nan")))
    is_same = np.allclose(mine.to_numpy(), yours.to_numpy(), rtol=1e-6, equal_nan=True)
    return punctual.height if is_same else -1
