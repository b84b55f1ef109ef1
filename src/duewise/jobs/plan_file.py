"""The one file of a plan, written from its partitions as they lie: one of them in memory at a time.

Given as many sources as there are partitions, Polars opens them all at once, and takes the more
memory the larger the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source


def write_plan(parts: Sequence[pl.LazyFrame], path: Path) -> None:
    """Write the rows of the partitions, at least one, in their order into a Parquet file."""
    rows = register_io_source(partial(_one_by_one, parts), schema=parts[0].collect_schema())
    rows.sink_parquet(path, compression="zstd", compression_level=1, maintain_order=True)


def _one_by_one(
    parts: Sequence[pl.LazyFrame],
    with_columns: list[str] | None,
    predicate: pl.Expr | None,
    n_rows: int | None,
    batch_size: int | None,  # noqa: ARG001 - a partition is a batch
) -> Iterator[pl.DataFrame]:
    """The partitions as a source that Polars asks; it asks for all of them."""
    assert with_columns is None, "every column is written"
    assert predicate is None, "every row is"
    assert n_rows is None
    for part in parts:
        yield part.collect()
