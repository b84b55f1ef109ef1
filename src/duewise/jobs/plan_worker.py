"""A process that plans one partition after the other: how it starts, and what it keeps.

It imports next to nothing itself, so that the collector rests before the rest is imported: what a
plan takes is there to stay, and to go through it time and again took a quarter of a worker's start.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duewise.engine.partition import PlanContext, Tables

_given: list[PlanContext] = []


def begin(given: bytes) -> None:
    """Keep what all partitions are planned by, a pickled `PlanContext`; it brings what it takes."""
    gc.disable()
    _given[:] = [pickle.loads(given)]  # noqa: S301 (from the process that started this one)


def get_ready() -> None:
    """Nothing to plan: a process that was asked for has started when this returns."""


def plan_next(read: Callable[[], Tables], target: Path) -> None:
    """`plan_part` by what was kept. What the first one loads is there to stay, too."""
    from duewise.jobs.plan_part import plan_part

    (context,) = _given
    plan_part(read, context, target)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
