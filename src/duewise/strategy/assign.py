"""Who is held out and which arm is drawn: a hash of salt and borrower, its odds kept beside it."""

from __future__ import annotations

import polars as pl

from duewise.ids import draws
from duewise.strategy.plan import Step, Strategy
from duewise.strategy.reading import WHOLE_BP


def is_held_out(strategy: Strategy, borrower_hash: pl.Series) -> pl.Series:
    """True for the hold-out. The salt is the strategy's name: a new version keeps the same people.

    >>> from duewise.ids import stable_hash
    >>> nobody = Strategy("s", 1, "Asia/Shanghai", 0, None, (), "")
    >>> is_held_out(nobody, pl.Series([stable_hash("Chen")])).to_list()
    [False]
    """
    return draws(f"hold-out:{strategy.name}", borrower_hash) < strategy.hold_out_bp / WHOLE_BP


def draw_arm(strategy: Strategy, step: Step, borrower_hash: pl.Series) -> pl.Series:
    """The index of the drawn arm (Int32), by the step's shares; the same borrower, the same arm."""
    point = draws(f"arm:{strategy.name}:{step.name}", borrower_hash) * WHOLE_BP
    index = pl.zeros(len(borrower_hash), dtype=pl.Int32, eager=True)
    upper = 0
    for arm in step.arms[:-1]:
        upper += arm.share_bp
        index = index + (point >= upper).cast(pl.Int32)
    return index


def hour_draw(strategy: Strategy, step: Step, borrower_hash: pl.Series) -> pl.Series:
    """Where in an arm's window a message is placed, in [0, 1): spreads the load evenly."""
    return draws(f"hour:{strategy.name}:{step.name}", borrower_hash)
