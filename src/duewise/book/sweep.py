"""Columns looked over in one pass, compiled: where runs of rows begin, and how they go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from duewise.book.columns import Int32s, Int64s
from duewise.book.compiled import compiled

DAY_US = 86_400_000_000
Runs = npt.NDArray[np.uint32]  # for each row the number of its run, counted from 0


@compiled
def heads_of(runs: Runs) -> Int64s:
    """The first row of each run."""
    count = int(np.int64(runs[-1])) + 1 if len(runs) else 0
    heads = np.empty(count, np.int64)
    for row in range(len(runs) - 1, -1, -1):
        heads[runs[row]] = row
    return heads


@compiled
def days_of(micros: Int64s, offset: int) -> Int32s:
    """The days of instants in microseconds, by clocks that far from theirs."""
    days = np.empty(len(micros), np.int32)
    for row in range(len(micros)):
        days[row] = (micros[row] + offset) // DAY_US
    return days


@compiled
def trend(runs: Runs, column: npt.NDArray[Any]) -> tuple[bool, bool]:
    """Whether a value falls within a run, and whether one stands twice in a row."""
    falls = ties = False
    for row in range(1, len(runs)):
        is_same = runs[row] == runs[row - 1]
        falls |= is_same & (column[row] < column[row - 1])
        ties |= is_same & (column[row] == column[row - 1])
    return falls, ties


@compiled
def turned(rows: Int64s) -> Int64s:
    """A table's columns as rows, each in one piece."""
    height, width = rows.shape
    columns = np.empty((width, height), np.int64)
    for row in range(height):
        for column in range(width):
            columns[column, row] = rows[row, column]
    return columns
