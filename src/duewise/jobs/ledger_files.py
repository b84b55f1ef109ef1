"""The ledger of a whole book on a day, partition by partition, as Parquet files for others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import Ledger, ledger
from duewise.book.product import Products

if TYPE_CHECKING:
    from duewise.store.book import Book

TABLES = ("instalments", "loans", "borrowers")


def write_ledger(
    book: Book,
    products: Products,
    *,
    as_of: date,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write instalments, loans and borrowers as of the end of the day; rows per table.

    A payment counts if it was made on the as-of date or before, in the book's zone.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts = {table: [] for table in TABLES}  # type: dict[str, list[Path]]
    rows = dict.fromkeys(TABLES, 0)
    for number in range(book.partitions):
        for table, frame in _frames(ledger_of_part(book, products, number, as_of=as_of)).items():
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


def ledger_of_part(book: Book, products: Products, number: int, *, as_of: date) -> Ledger:
    """The ledger of one partition as of the end of the day."""
    found = book.read(number)
    tables = LoanTables(
        found.loans, found.instalments, found.payments, found.pauses, found.extensions
    )
    known_at = end_of(as_of, book.timezone)
    return ledger(tables, products, as_of=as_of, known_at=known_at, zone=book.timezone)


# The files' columns, in their order; money loses the suffix of the minor unit.
INSTALMENT_FILE = (
    "loan_id",
    "number",
    "due_date",
    "effective_due_date",
    "principal_minor",
    "interest_minor",
    "fee_minor",
    "penalty_minor",
    "principal_paid_minor",
    "interest_paid_minor",
    "fee_paid_minor",
    "penalty_paid_minor",
    "paid_in_advance_minor",
    "paid_late_minor",
    "settled_date",
    "outstanding_minor",
    "days_past_due",
    "waived_minor",
)


def _frames(found: Ledger) -> dict[str, pl.DataFrame]:
    opened = found.instalments.join(found.loans, on="loan_id", how="semi", maintain_order="left")
    borrowers = (
        found.loans.group_by("borrower_id")
        .agg(
            pl.col("days_past_due").max(),
            pl.col("past_due_minor").sum(),
            pl.col("outstanding_minor").sum(),
            pl.col("next_due_date").min(),
        )
        .sort("borrower_id")
    )
    loans = found.loans.drop("grace_days", "tolerance_minor", "penalty_multiplier")
    tables = {"instalments": opened.select(INSTALMENT_FILE), "loans": loans, "borrowers": borrowers}
    return {table: in_major_units(frame) for table, frame in tables.items()}


def in_major_units(frame: pl.DataFrame) -> pl.DataFrame:
    """Money as Decimal(18,2) in files; columns lose the suffix of the minor unit."""
    money = [name for name in frame.columns if name.endswith("_minor")]
    return frame.with_columns(
        (pl.col(name).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)) for name in money
    ).rename({name: name.removesuffix("_minor") for name in money})


def end_of(day: date, zone: str) -> datetime:
    """The last microsecond of a local day, in UTC."""
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
