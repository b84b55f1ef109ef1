"""A plan's partitions, no hour asked for more than its routes carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from duewise.engine.partition import PlanContext
from duewise.engine.spread import Load, at_their_hours, fits, leaving, spread_out
from duewise.jobs.plan_part import HOURLY


def at_hours(
    targets: Sequence[Path], planned: list[pl.LazyFrame], context: PlanContext
) -> tuple[list[pl.LazyFrame], tuple[Load, ...]]:
    """The plans that lie at `targets`, as they go out, at hours that have room; and what is asked.

    Nothing is read of them where what they counted already fits.
    """
    if not context.rates or fits(
        [pl.read_ipc(target.with_suffix(HOURLY)) for target in targets], context
    ):
        return planned, ()
    spread = spread_out(pl.collect_all([leaving(rows, context) for rows in planned]), context)
    moved = [each.lazy() for each in spread.moved]
    return list(map(at_their_hours, planned, moved)), spread.loads
