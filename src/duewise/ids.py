"""Names of things, and chance that can be repeated: a draw is a hash of salt and borrower.

The hash of a borrower is taken once, when the book is imported, and stored with the borrower;
a draw mixes it with the hash of a salt by integer arithmetic (the SplitMix64 finaliser: Steele,
Lea, Flood 2014, "Fast splittable pseudorandom number generators", figure 16), so that a million
draws are a few vector operations and every machine and version draws the same.
"""

from __future__ import annotations

import hashlib
from typing import NewType

import numpy as np
import polars as pl

BorrowerId = NewType("BorrowerId", str)
LoanId = NewType("LoanId", str)
EnvelopeId = NewType("EnvelopeId", int)
PlanId = NewType("PlanId", str)

_MASK = (1 << 64) - 1
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def stable_hash(text: str) -> int:
    """63 bits of SHA-256: the same on every machine, and it fits a signed 64-bit column.

    >>> stable_hash("Li")
    2205432333721073369
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def partition_of(borrower_hash: int, partitions: int) -> int:
    """The partition in which all rows of a borrower lie, counted from 0."""
    return borrower_hash % partitions


def draw(salt: str, borrower_hash: int) -> float:
    """A number in [0, 1) that depends on salt and borrower alone; 48 bits of it.

    >>> round(draw("hold-out", stable_hash("Li")), 6)
    0.90302
    """
    z = borrower_hash ^ stable_hash(salt)
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    z ^= z >> 31
    return (z >> 16) / (1 << 48)


def draws(salt: str, borrower_hash: pl.Series) -> pl.Series:
    """`draw` for a column (Int64 in, Float64 out), bit for bit the same."""
    z = borrower_hash.to_numpy().astype(np.uint64) ^ np.uint64(stable_hash(salt))
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
        z ^= z >> np.uint64(31)
    return pl.Series("draw", (z >> np.uint64(16)).astype(np.float64) / float(1 << 48))
