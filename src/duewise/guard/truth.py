"""Three-valued columns, a bit a row: where it is known to hold, and where it is known not to.

The logic is Kleene's: `and` fails as soon as one known member fails, `or` holds as soon as one
known member holds, and nothing else survives a missing fact. A byte carries eight rows, the lowest
bit first, as Apache Arrow packs them; the bits behind the last row are 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bits: TypeAlias = npt.NDArray[np.uint8]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Truth(NamedTuple):
    """A column of true, false and not known. No row has both bits.

    >>> true, unknown = known(full(1), full(1)), unknown_of(1)
    >>> [bool(each.any()) for each in ((true | unknown).yes, (true & unknown).yes)]
    [True, False]
    """

    yes: Bits
    no: Bits

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.yes & other.yes, self.no | other.no)

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.yes | other.yes, self.no & other.no)

    def __invert__(self) -> Truth:
        return Truth(self.no, self.yes)

    @property
    def known(self) -> Bits:
        return self.yes | self.no


def known(holds: Bits, where: Bits) -> Truth:
    """Holds or fails, where it is known at all."""
    yes = holds & where
    return Truth(yes, where & ~yes)


@lru_cache(maxsize=64)
def unknown_of(height: int) -> Truth:
    """Not known in any of so many rows."""
    return Truth(none(height), none(height))


@lru_cache(maxsize=64)
def full(height: int) -> Bits:
    """So many rows, each with its bit."""
    return _shared(packed(np.ones(height, dtype=np.bool_)))


@lru_cache(maxsize=64)
def none(height: int) -> Bits:
    """So many rows without their bit."""
    return _shared(packed(np.zeros(height, dtype=np.bool_)))


def packed(holds: Bools) -> Bits:
    """A byte a row becomes a bit a row."""
    return np.packbits(holds, bitorder="little")


def unpacked(bits: Bits, height: int) -> Bools:
    """A bit a row becomes a byte a row."""
    return np.unpackbits(bits, count=height, bitorder="little").view(np.bool_)


def places(bits: Bits, height: int) -> npt.NDArray[np.intp]:
    """The numbers of the rows that have their bit."""
    (found,) = np.nonzero(unpacked(bits, height))
    return found


def truth_of(column: pl.Series) -> Truth:
    """A Boolean column; its nulls are not known."""
    height, lacking = len(column), column.null_count()
    if lacking == height:
        return unknown_of(height)
    if not lacking and not column.any():
        return Truth(none(height), full(height))
    if not lacking and column.all():
        return Truth(full(height), none(height))
    return truth_of_arrow(column.to_arrow())


def truth_of_arrow(array: pa.BooleanArray) -> Truth:
    """The same of an array of Apache Arrow."""
    return known(_rows(array.buffers()[1], array.offset, len(array)), known_of_arrow(array))


def known_of_arrow(array: pa.Array) -> Bits:
    """Where an array of Apache Arrow is not null."""
    height = len(array)
    return _rows(array.buffers()[0], array.offset, height) if array.null_count else full(height)


def known_of(column: pl.Series) -> Bits:
    """Where a column of any type is not null."""
    lacking = column.null_count()
    if lacking in (0, len(column)):
        return none(len(column)) if lacking else full(len(column))
    return truth_of(column.is_not_null()).yes


def whole_numbers(array: pa.Array) -> npt.NDArray[Any]:
    """The whole numbers of an array of Apache Arrow, as they lie in memory; what is null is any.

    Its own `to_numpy` imports pandas where that is installed, which takes half a second.
    """
    size = array.type.bit_width // 8
    return np.frombuffer(array.buffers()[1], f"i{size}", len(array), size * array.offset)


def arrow_of(numbers: npt.NDArray[np.int64]) -> pa.Int64Array:
    """The same the other way round: what `pa.array` makes of them, and imports pandas for."""
    buffer = pa.py_buffer(np.ascontiguousarray(numbers))
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, buffer])


def _rows(buffer: object, offset: int, height: int) -> Bits:
    """The bits of a slice of an Arrow buffer, from its first row on, nothing behind the last."""
    octets = np.frombuffer(buffer, dtype=np.uint8)  # type: ignore[call-overload]
    if offset % 8 == 0:
        start = offset // 8
        rows: Bits = octets[start : start + (height + 7) // 8] & full(height)
        return rows
    return packed(np.unpackbits(octets, bitorder="little")[offset : offset + height].view(np.bool_))


def _shared(bits: Bits) -> Bits:
    bits.flags.writeable = False
    return bits
