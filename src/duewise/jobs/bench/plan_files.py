"""A partition of the plan's benchmark on disk, as a book's. A worker imports little more."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from duewise.engine.partition import Tables
from duewise.store.book import of_plan
from duewise.store.book_parts import part_path

NAMES = ("borrowers", "loans", "instalments", "payments", "addresses", "contacts", "cases")


def read_files(folder: Path, number: int) -> Tables:
    """The partition's tables, as a book is read and operations are."""
    return Tables(**{name: _read(folder, name, number) for name in NAMES})


def _read(folder: Path, name: str, number: int) -> pl.DataFrame:
    columns = of_plan(name)
    return pl.read_parquet(
        part_path(folder, name, number), columns=list(columns) if columns else None
    )
