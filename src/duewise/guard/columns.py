"""The facts of a batch of messages, column by column: those given, and those derived from them.

A fact is looked at when the first rule asks for it, and once. What the batch does not hold, or
holds as a null, is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from duewise.guard.facts import FACTS
from duewise.guard.sets import Sets, no_sets, sets_of
from duewise.guard.truth import (
    Bits,
    Bools,
    Truth,
    full,
    known,
    known_of,
    known_of_arrow,
    none,
    packed,
    truth_of,
    unknown_of,
    unpacked,
    whole_numbers,
)

Compare: TypeAlias = Callable[[Any, Any], Any]
Places: TypeAlias = npt.NDArray[np.intp]


class Numbers(NamedTuple):
    """Amounts in minor units, numbers, days since 1970 or microseconds; `known` bits."""

    values: npt.NDArray[Any]
    known: Bits

    def compared(self, compare: Compare, other: Numbers | float) -> Truth:
        if isinstance(other, Numbers):
            where = self.known & other.known
            return known(packed(compare(self.values, other.values)), where)
        return known(packed(compare(self.values, other)), self.known)


class Words(NamedTuple):
    """Texts of which few differ: a place among the labels for each row, and `known` bits."""

    codes: npt.NDArray[Any]
    labels: tuple[str, ...]
    known: Bits

    def told(self, holds: Bools) -> Truth:
        """What holds of each label, said of the rows."""
        if len(self.labels) == 1:
            return known(self.known if holds[0] else np.zeros_like(self.known), self.known)
        return known(packed(holds[self.codes]), self.known)


Column: TypeAlias = Truth | Numbers | Words | Sets


class Columns:
    """A batch of messages: a frame with a row each, facts as columns of its own types."""

    def __init__(self, messages: pl.DataFrame) -> None:
        self.height = messages.height
        self.all = full(self.height)
        self._series = {column.name: column for column in messages.get_columns()}
        self._kept: dict[str, Column] = {}
        self._derived: dict[str, Callable[[], Column]] = {}
        self._whole: tuple[Columns, Places] | None = None

    def taken(self, rows: Places) -> Columns:
        """These rows, in that order; a row may stand in it twice. What was put is not taken along.

        Their facts are what was read of the whole, so that nothing is read twice.
        """
        found = Columns(pl.DataFrame())
        found.height, found.all = len(rows), full(len(rows))
        found._whole = self, rows
        return found

    def series(self, name: str) -> pl.Series | None:
        """The fact as it was given, in its type."""
        if self._whole:
            whole, rows = self._whole
            given = whole.series(name)
            return given if given is None else given[rows_of(rows)]
        given = self._series.get(name)
        if given is None or name not in FACTS or given.dtype == FACTS[name].dtype:
            return given
        return given.cast(FACTS[name].dtype)

    def derive(self, name: str, make: Callable[[], Column]) -> None:
        """How a fact follows from others, should a rule ask for it. Given ones do not count."""
        self._derived[name] = make

    def put(self, name: str, column: Column) -> None:
        """Keep what was derived."""
        self._kept[name] = column

    def kept(self, name: str, make: Callable[[Columns], Column]) -> Any:  # noqa: ANN401 -- as made
        """What was put, or made before; else it is made now."""
        found = self._kept.get(name)
        if found is None:
            found = self._kept[name] = make(self)
        return found

    def known(self, name: str) -> Bits:
        """Where the fact is known."""
        if name in self._kept:
            kept: Bits = self._kept[name].known
            return kept
        if name in self._derived:
            derived: Bits = self.kept(name, lambda _: self._derived[name]()).known
            return derived
        if self._whole:
            whole, rows = self._whole
            return packed(unpacked(whole.known(name), whole.height)[rows])
        given = self._series.get(name)
        return none(self.height) if given is None else known_of(given)

    def truth(self, name: str) -> Truth:
        """A fact that is yes or no."""
        found: Truth = self._fact(name, truth_of, unknown_of)
        return found

    def numbers(self, name: str) -> Numbers:
        """An amount, a number, a date or an instant."""
        found: Numbers = self._fact(name, numbers_of, _no_numbers)
        return found

    def words(self, name: str) -> Words:
        """A text fact."""
        found: Words = self._fact(name, words_of, _no_words)
        return found

    def sets(self, name: str) -> Sets:
        """A fact that is a set of labels."""
        found: Sets = self._fact(name, sets_of, no_sets)
        return found

    def _fact(
        self, name: str, read: Callable[[pl.Series], Column], lacking: Callable[[int], Column]
    ) -> Any:  # noqa: ANN401 -- as read
        found = self._kept.get(name)
        if found is not None:
            return found
        if name in self._derived:
            found = self._derived[name]()
        elif self._whole:
            whole, rows = self._whole
            found = _taken(whole._fact(name, read, lacking), rows, whole.height)  # noqa: SLF001
        else:
            given = self.series(name)
            found = lacking(self.height) if given is None else read(given)
        self._kept[name] = found
        return found


def _taken(column: Column, rows: Places, height: int) -> Column:
    """These rows of a column that has so many."""

    def bits(of: Bits) -> Bits:
        return packed(unpacked(of, height)[rows])

    match column:
        case Truth(yes, no):
            return Truth(bits(yes), bits(no))
        case Numbers(values, known):
            return Numbers(values[rows], bits(known))
        case Words(codes, labels, known):
            return Words(codes[rows], labels, bits(known))
        case Sets(places, words, known, _):
            return Sets(places, tuple(word[rows] for word in words), bits(known), len(rows))


def _no_numbers(height: int) -> Numbers:
    return Numbers(np.zeros(height, dtype=np.int64), none(height))


def _no_words(height: int) -> Words:
    return Words(np.zeros(height, dtype=np.uint8), ("",), none(height))


def numbers_of(column: pl.Series) -> Numbers:
    """A column of numbers, dates or instants, 0 where null; what is not a number is not known.

    >>> numbers_of(pl.Series([1.5, None, float("nan")])).known.tolist()
    [1]
    """
    where = known_of(column)
    if not column.null_count():
        values = column.to_numpy()
        values = values.view(np.int64) if values.dtype.kind == "M" else values
    else:
        array = column.to_arrow()
        dtype = np.dtype(f"{'f' if column.dtype.is_float() else 'i'}{array.type.bit_width // 8}")
        size, start = len(array), dtype.itemsize * array.offset
        values = np.frombuffer(array.buffers()[1], dtype, size, start)
        values = np.where(unpacked(where, size), values, dtype.type(0))
    if values.dtype.kind == "f":
        where = where & packed(values == values)  # noqa: PLR0124 -- no number is unequal to itself
    return Numbers(values, where)


def words_of(column: pl.Series) -> Words:
    """A column of texts, of which few differ."""
    height, where = len(column), known_of(column)
    if not column.null_count() and (label := column.min()) == column.max():
        return Words(np.zeros(height, dtype=np.uint8), (str(label),), where)
    coded = column.to_arrow().dictionary_encode()
    labels = tuple(coded.dictionary.to_pylist()) or ("",)
    return Words(without_nulls(coded.indices, 0), labels, where)


def without_nulls(numbers: pa.Array, instead: int) -> npt.NDArray[Any]:
    """The whole numbers, with another where there is none."""
    values = whole_numbers(numbers)
    if not numbers.null_count:
        return values
    where = unpacked(known_of_arrow(numbers), len(values))
    return np.where(where, values, values.dtype.type(instead))


def rows_of(places: npt.NDArray[Any]) -> pl.Series:
    """Places of rows, as a frame takes them soonest."""
    return pl.Series(places.astype(np.uint32))


@lru_cache(maxsize=4_096)
def labels_that(compare: Compare, labels: tuple[str, ...], value: object) -> Bools:
    """Of which labels it holds; batch after batch has the same few."""
    return np.array([compare(label, value) for label in labels], dtype=np.bool_)
