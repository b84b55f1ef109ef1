"""The ledger of a whole book on a day, partition by partition, as Parquet files for others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from duewise.book.ledger import instalment_status, loan_status

if TYPE_CHECKING:
    from duewise.store.book import Book

TABLES = ("instalments", "loans", "borrowers")


def write_ledger(
    book: Book, *, as_of: date, out: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write instalments, loans and borrowers as of the end of the day; rows per table.

    A payment counts if it was made on the as-of date or before, in the book's zone.
    """
    known_at = _end_of(as_of, book.timezone)
    out.mkdir(parents=True, exist_ok=True)
    parts = {table: [] for table in TABLES}  # type: dict[str, list[Path]]
    rows = dict.fromkeys(TABLES, 0)
    for number in range(book.partitions):
        for table, frame in _ledger(book, number, as_of=as_of, known_at=known_at).items():
            path = out / f".{table}-{number:04d}.parquet"
            frame.write_parquet(path)
            parts[table].append(path)
            rows[table] += frame.height
        if progress:
            progress(number + 1, book.partitions)
    for table, paths in parts.items():
        whole, unfinished = pl.concat([pl.scan_parquet(path) for path in paths]), out / f".{table}"
        whole.sink_parquet(unfinished, maintain_order=True)
        unfinished.replace(out / f"{table}.parquet")
        for path in paths:
            path.unlink()
    return rows


def _ledger(book: Book, number: int, *, as_of: date, known_at: datetime) -> dict[str, pl.DataFrame]:
    found = book.read(number)
    status = instalment_status(found.instalments, found.payments, as_of=as_of, known_at=known_at)
    loans = loan_status(found.loans, status, as_of=as_of)
    borrowers = (
        loans.group_by("borrower_id")
        .agg(
            pl.col("days_past_due").max(),
            pl.col("past_due_minor").sum(),
            pl.col("outstanding_minor").sum(),
            pl.col("next_due_date").min(),
        )
        .sort("borrower_id")
    )
    tables = {"instalments": status, "loans": loans, "borrowers": borrowers}
    return {table: _in_major_units(frame) for table, frame in tables.items()}


def _in_major_units(frame: pl.DataFrame) -> pl.DataFrame:
    """Money as Decimal(18,2) in files; columns lose the suffix of the minor unit."""
    money = [name for name in frame.columns if name.endswith("_minor")]
    return frame.with_columns(
        (pl.col(name).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)) for name in money
    ).rename({name: name.removesuffix("_minor") for name in money})


def _end_of(day: date, zone: str) -> datetime:
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
