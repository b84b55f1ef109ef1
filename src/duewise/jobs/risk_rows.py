"""The rows a model is fitted on: each open loan on each of some days, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from duewise.book.ledger import ledger
from duewise.book.product import Products
from duewise.risk.features import features, morning
from duewise.risk.target import maturity, with_targets

if TYPE_CHECKING:
    from duewise.store.book import Book

Progress = Callable[[int, int], None]


def write_rows(
    book: Book,
    products: Products,
    dates: Sequence[date],
    *,
    known_until: date,
    out: Path,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Write `out` (Parquet): as_of, the features of that morning, and the targets; `maturity`.

    `known_until` is the last day of which every payment is in the book.
    """
    parts = []
    for number in range(book.partitions):
        parts.append(rows_of(book, number, products, dates, known_until=known_until))
        if progress:
            progress(number + 1, book.partitions)
    rows = pl.concat(parts, how="diagonal")
    unfinished = out.with_name(f".{out.name}")
    rows.write_parquet(unfinished)
    unfinished.replace(out)
    return maturity(rows)


def rows_of(
    book: Book, number: int, products: Products, dates: Sequence[date], *, known_until: date
) -> pl.DataFrame:
    """The rows of one partition of the book, day by day."""
    zone, tables, given = book.timezone, book.loan_tables(number), book.features(number)
    end = morning(known_until + timedelta(days=1), zone)
    later = ledger(tables, products, as_of=known_until, known_at=end, zone=zone)
    return pl.concat(
        with_targets(
            features(tables, products, as_of=day, zone=zone, given=given), later
        ).with_columns(as_of=pl.lit(day))
        for day in dates
    )
