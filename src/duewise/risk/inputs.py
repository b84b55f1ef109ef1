"""From a frame of features to numbers a model takes, and what no model may be made of.

A wrong column is the caller's mistake: BadInput, with the column and a mend. Too little to learn
from is a finding: Inconclusive, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from duewise.errors import BadInput

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Kind: TypeAlias = type[pl.Float32 | pl.Float64]

ROWS_MIN = 200
EVENTS_MIN = 20  # of either class
CATEGORIES_MAX = 100


class Reason(StrEnum):
    """Why there is no model."""

    TOO_FEW_ROWS = "too_few_rows"
    TOO_FEW_EVENTS = "too_few_events"
    ONE_CLASS = "one_class"
    ONE_CLASS_IN_FOLD = "one_class_in_fold"
    TOO_FEW_DATES = "too_few_dates"

    @property
    def meaning(self) -> str:
        """One sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Reason, str] = {
    Reason.TOO_FEW_ROWS: f"there are fewer than {ROWS_MIN} rows to learn from",
    Reason.TOO_FEW_EVENTS: f"fewer than {EVENTS_MIN} rows are late, or fewer are punctual",
    Reason.ONE_CLASS: "all rows have the same outcome, so there is nothing to tell apart",
    Reason.ONE_CLASS_IN_FOLD: "a fold has one outcome only: use fewer folds, or more data",
    Reason.TOO_FEW_DATES: "a time split needs outcomes known before the later dates begin",
}


@dataclass(frozen=True)
class Inconclusive:
    """No model, and why."""

    reason: Reason


@dataclass(frozen=True)
class Inputs:
    """The features of a model: numbers, then categories with the values known of each.

    `signs` holds 1 where more of a number can only mean more risk, -1 where less.
    """

    numbers: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    signs: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the matrix' columns."""
        return (*self.numbers, *self.categories)

    def matrix(self, frame: pl.DataFrame) -> Floats:
        """Rows x features as float64, column after column; a category is its place in the known.

        NaN is null, infinite, a text that is no number, or a category not known: see `unread`.
        Raises BadInput for a missing column.
        """
        return self._laid_out(frame, pl.Float64)

    def columns(self, frame: pl.DataFrame) -> Singles | Floats:
        """The same, features x rows, in single precision where all numbers have no more."""
        require(frame, self.names)
        schema = frame.schema
        is_single = all(schema[name] == pl.Float32 for name in self.numbers)
        return self._laid_out(frame, pl.Float32 if is_single else pl.Float64).T

    def _laid_out(self, frame: pl.DataFrame, kind: Kind) -> npt.NDArray[Any]:
        require(frame, self.names)
        places = [
            pl.col(name)
            .cast(pl.String)
            .replace_strict(list(known), list(range(len(known))), default=None, return_dtype=kind)
            for name, known in self.categories.items()
        ]
        numbers = (_number(name, kind) for name in self.numbers)
        rows = frame.select(*numbers, *places)
        matrix = rows.to_numpy(order="fortran", writable=True)
        matrix = matrix.reshape(len(frame), len(self.names), order="F")
        for column in matrix.T[: len(self.numbers)]:
            column[np.isinf(column)] = np.nan
        return matrix

    def unread(self, frame: pl.DataFrame) -> dict[str, int]:
        """In how many rows a feature holds what no model can read, and takes for missing.

        Only features that the frame has, and that hold such a value.

        >>> Inputs((), {"product": ("card", "cash")}, {}).unread(
        ...     pl.DataFrame({"product": ["card", "gold", None]}))
        {'product': 1}
        """
        is_unread = {
            **{name: _number(name).is_infinite().fill_null(value=True) for name in self.numbers},
            **{
                name: ~pl.col(name).cast(pl.String).is_in(list(known))
                for name, known in self.categories.items()
            },
        }
        names = [name for name in self.names if name in frame.columns]
        counts = frame.select((pl.col(n).is_not_null() & is_unread[n]).sum() for n in names)
        found = zip(names, counts.row(0) if names else (), strict=True)
        return {name: count for name, count in found if count}


def _number(name: str, kind: Kind = pl.Float64) -> pl.Expr:
    return pl.col(name).cast(kind, strict=False)


def read_inputs(
    frame: pl.DataFrame, features: Sequence[str], *, signs: Mapping[str, int]
) -> Inputs:
    """What the feature columns of a frame are. Raises BadInput for one no model can use.

    >>> frame = pl.DataFrame({"late_share": [0.1, None], "product": ["cash", "card"]})
    >>> read_inputs(frame, ["late_share", "product"], signs={"late_share": 1}).categories
    {'product': ('card', 'cash')}
    """
    require(frame, features)
    for name in features:
        if frame[name].null_count() == len(frame):
            raise BadInput(f"feature {name!r} has no value in any row", mend="leave it out")
    chosen = frame.select(features)
    texts = chosen.select(cs.string() | cs.categorical() | cs.enum()).columns
    numbers = chosen.select(cs.numeric() | cs.boolean()).columns
    for name in features:
        if name not in texts and name not in numbers:
            kind = chosen.schema[name]
            mend = "make it a number or a text, or leave it out"
            raise BadInput(f"feature {name!r} is of type {kind}", mend=mend)
    _refuse_infinite(frame, numbers)
    known = {name: _values(chosen[name].cast(pl.String)) for name in texts}
    kept = {name: sign for name, sign in signs.items() if name in numbers}
    return Inputs(tuple(numbers), known, kept)


def read_target(frame: pl.DataFrame, target: str) -> Floats | Inconclusive:
    """The outcome as 0.0 and 1.0. Raises BadInput for anything else; Inconclusive for too little.

    >>> read_target(pl.DataFrame({"late": [0, 1]}), "late")
    Inconclusive(reason=<Reason.TOO_FEW_ROWS: 'too_few_rows'>)
    """
    require(frame, [target])
    column = frame[target]
    is_number = column.dtype.is_numeric() or column.dtype == pl.Boolean
    if column.null_count() or not is_number or not column.cast(pl.Float64).is_in([0.0, 1.0]).all():
        mend = "keep only rows whose outcome is known, as 0 or 1"
        raise BadInput(f"target {target!r} holds more than 0 and 1", mend=mend)
    outcome = column.cast(pl.Float64).to_numpy()
    late = int(outcome.sum())
    if len(outcome) < ROWS_MIN:
        return Inconclusive(Reason.TOO_FEW_ROWS)
    if late in {0, len(outcome)}:
        return Inconclusive(Reason.ONE_CLASS)
    if min(late, len(outcome) - late) < EVENTS_MIN:
        return Inconclusive(Reason.TOO_FEW_EVENTS)
    return np.asarray(outcome, dtype=np.float64)


def read_dates(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column as dates. Raises BadInput where it holds no dates, or none in some row."""
    require(frame, [name])
    column = frame[name]
    if not isinstance(column.dtype, pl.Date | pl.Datetime) or column.null_count():
        mend = "give each row the date it is about"
        raise BadInput(f"column {name!r} does not hold a date in every row", mend=mend)
    return column.cast(pl.Date)


def require(frame: pl.DataFrame, names: Sequence[str]) -> None:
    """Raise BadInput for the first column that the frame lacks."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        mend = f"columns found: {', '.join(frame.columns)}"
        raise BadInput(f"the features lack column {missing[0]!r}", mend=mend)


def _refuse_infinite(frame: pl.DataFrame, numbers: Sequence[str]) -> None:
    floats = frame.select(pl.col(numbers)).select(cs.float())
    counts = floats.select(pl.all().is_infinite().sum())
    for name, count in zip(counts.columns, counts.row(0) if counts.columns else (), strict=True):
        if count:
            raise BadInput(f"feature {name!r} is infinite in {count} rows", mend="make it null")


def _values(column: pl.Series) -> tuple[str, ...]:
    found = column.drop_nulls().unique().sort().to_list()
    if len(found) > CATEGORIES_MAX:
        mend = "group its values, or leave it out"
        raise BadInput(
            f"feature {column.name!r} has {len(found)} values, more than {CATEGORIES_MAX}",
            mend=mend,
        )
    return tuple(found)
