"""A partition of the plan's benchmark on disk. A worker imports this, and no more than a plan's."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from duewise.engine.partition import Tables
from duewise.store.book import of_plan

NAMES = ("borrowers", "loans", "instalments", "payments", "addresses", "contacts", "cases")


def read_files(folder: Path, number: int) -> Tables:
    """The partition's tables, as a book is read and operations are."""
    return Tables(**{name: _read(folder, name, number) for name in NAMES})


def _read(folder: Path, name: str, number: int) -> pl.DataFrame:
    columns = of_plan(name)
    return pl.read_parquet(
        path_of(folder, name, number), columns=list(columns) if columns else None
    )


def path_of(folder: Path, name: str, number: int) -> Path:
    """Where a table of a partition lies."""
    return folder / f"{name}-{number:04d}.parquet"
