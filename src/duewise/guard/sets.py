"""Facts that are sets of labels: what a text contains, what a borrower stopped, where he may be.

Few labels occur in a batch, so a row's set is a bit for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from duewise.guard.truth import Bits, known_of, none, packed, unpacked, whole_numbers

Numbers: TypeAlias = npt.NDArray[np.int64]
_WORD = 64  # labels to a word of bits
_VIEWS = pl.CompatLevel.newest()  # texts as they lie in memory


class Sets(NamedTuple):
    """A set a row: the place of each label that occurs, its bit in the row's words, `known` bits.

    `words` has a column for every 64 labels; a row that is not known has no bit in it.
    """

    places: Mapping[str | None, int]
    words: tuple[npt.NDArray[np.uint64], ...]
    known: Bits
    height: int

    def have(self, label: str | None) -> Bits:
        """The rows whose set has the label."""
        place = self.places.get(label)
        if place is None:
            return none(self.height)
        word, bit = divmod(place, _WORD)
        return packed((self.words[word] & np.uint64(1 << bit)).view(np.int64) != 0)

    def have_any(self, labels: Iterable[str | None]) -> Bits:
        """The rows whose set has one of these labels."""
        return reduce(or_, map(self.have, labels), none(self.height))

    def have_beside(self, labels: Iterable[str | None]) -> Bits:
        """The rows whose set has a label that is none of these."""
        return self.have_any(self.places.keys() - set(labels))

    def lack(self, other: Sets) -> Bits:
        """The rows whose set has a label that the other's lacks."""
        lacking = (self.have(label) & ~other.have(label) for label in self.places)
        return reduce(or_, lacking, none(self.height))

    def share(self, other: Sets) -> Bits:
        """The rows whose two sets have a label in common."""
        shared = (self.have(label) & other.have(label) for label in self.places)
        return reduce(or_, shared, none(self.height))


def no_sets(height: int) -> Sets:
    """Of no row the set is known."""
    return Sets({}, (), none(height), height)


def sets_of(column: pl.Series) -> Sets:
    """A column of lists of texts.

    >>> sets = sets_of(pl.Series([["a", "b"], [], None, ["b"]]))
    >>> [bits.tolist() for bits in (sets.have("b"), sets.known)]
    [[9], [11]]
    """
    height, where = len(column), known_of(column)
    array = column.to_arrow(compat_level=_VIEWS)
    bounds = np.frombuffer(array.buffers()[1], np.int64, height + 1, 8 * array.offset)
    size = bounds[1:] - bounds[:-1]
    if array.null_count:
        size = size * unpacked(where, height)
    if not size.any():
        return Sets({}, (), where, height)
    labels, place = _labels(array.flatten())
    return Sets(
        {label: number for number, label in enumerate(labels)},
        tuple(_words(place, len(labels), size)),
        where,
        height,
    )


def _labels(flat: pa.Array) -> tuple[list[str | None], npt.NDArray[np.int32]]:
    """The distinct labels, and the place of each member's among them."""
    coded = flat.dictionary_encode(null_encoding="encode")
    return coded.dictionary.to_pylist(), whole_numbers(coded.indices)


def _words(
    place: npt.NDArray[np.int32], count: int, size: Numbers
) -> Iterator[npt.NDArray[np.uint64]]:
    """The bits of each row's members, 64 labels a word; `size` says how many members a row has."""
    (rows,) = np.nonzero(size)
    first = np.cumsum(size[rows]) - size[rows]
    for start in range(0, count, _WORD):
        bit = np.uint64(1) << (place - start).astype(np.uint64)
        if count > _WORD:
            bit = np.where((place >= start) & (place < start + _WORD), bit, np.uint64(0))
        words = np.zeros(len(size), dtype=np.uint64)
        words[rows] = np.bitwise_or.reduceat(bit, first)
        yield words
