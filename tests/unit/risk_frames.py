"""Frames of features whose risk is known: the tests of the models draw them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.boosting import Settings
from duewise.risk.logistic import expit

Floats = npt.NDArray[np.float64]

# Little trees, so that a test takes a second.
QUICK = Settings(
    folds=3, bags=2, recipes=({"num_leaves": 4, "min_data_in_leaf": 20, "learning_rate": 0.2},)
)


def drawn_frame(rows: int = 1_500, *, seed: int = 1) -> pl.DataFrame:
    """Three rows a borrower: lateness raises risk, tenure lowers it, a product doubles its odds."""
    chance = np.random.default_rng(seed)
    late_share, tenure = chance.beta(1, 4, rows), chance.integers(0, 60, rows)
    product = chance.choice(["card", "cash"], rows)
    risk = odds(late_share, tenure, product)
    is_known = pl.Series(chance.random(rows) > 0.1)
    frame = pl.DataFrame(
        {
            "borrower_id": [f"B{n // 3}" for n in range(rows)],
            "as_of": [
                date(2026, 1, 1) + timedelta(days=int(n)) for n in chance.integers(0, 200, rows)
            ],
            "late_share": late_share,
            "tenure": tenure,
            "noise": chance.normal(size=rows),
            "product": product,
            "sex": chance.choice(["female", "male"], rows),
            "owed": chance.lognormal(7, 1, rows),
            "late": (chance.random(rows) < expit(risk)).astype(int),
        }
    )
    return frame.with_columns(late_share=pl.when(is_known).then("late_share"))


def odds(
    late_share: Floats, tenure: npt.NDArray[np.int64], product: npt.NDArray[np.str_]
) -> Floats:
    """The log-odds that the outcomes are drawn from."""
    found: Floats = -2 + 5 * late_share - 0.03 * tenure + np.log(2) * (product == "cash")
    return found
