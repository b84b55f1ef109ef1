"""The files of a book's partitions: where they lie, how they are written, what is known of them.

A part is one row group, so that its columns are read in one piece each, pressed lightly: the book
is read far more often than it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.schema import SPANS
from duewise.book.spans import spans_of

SPANS_OF = ("loans", "instalments", "payments", "pauses", "extensions")


def part_path(book: Path, table: str, number: int) -> Path:
    """Where a table's partition lies in a book."""
    return book / table / f"part-{number:04d}.parquet"


def write_part(book: Path, table: str, number: int, rows: pl.DataFrame) -> Path:
    """Write a table's partition; where it lies."""
    path = part_path(book, table, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path, compression="lz4", row_group_size=max(rows.height, 1))
    return path


def write_spans(book: Path, number: int, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write how many rows each loan of a partition has, if its tables lie in the fold's order."""
    (book / "spans").mkdir(parents=True, exist_ok=True)
    found = spans_of(LoanTables(**{name: tables[name] for name in SPANS_OF}))
    if found is not None:
        write_part(book, "spans", number, found)


def has_spans(book: Path) -> bool:
    """Whether the book was written by a version that looks how rows lie."""
    return (book / "spans").is_dir()


def read_spans(book: Path, number: int) -> pl.DataFrame | None:
    """How many rows each loan of a partition has (schema.SPANS); None where it is not known."""
    path = part_path(book, "spans", number)
    return pl.read_parquet(path, columns=list(SPANS)) if path.exists() else None
