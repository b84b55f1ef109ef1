"""Roll rates and vintages of a whole book, partition by partition; one loan's bucket history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from duewise.book.align import Aligned, LoanTables, align
from duewise.book.history import status
from duewise.book.product import Products
from duewise.errors import BadInput
from duewise.jobs.ledger_files import end_of, in_major_units
from duewise.measure.rolls import NO_COUNTS, changes, counts, roll_rates, vintage_shares

if TYPE_CHECKING:
    from duewise.store.book import Book, BookTables


@dataclass(frozen=True)
class Rolls:
    """What was found on `dates`: frames of measure.rolls; `pooled` over all periods.

    `buckets` are the names there are, the better first.
    """

    dates: tuple[date, ...]
    buckets: tuple[str, ...]
    rates: pl.DataFrame
    pooled: pl.DataFrame
    changes: pl.DataFrame
    vintages: pl.DataFrame


def find_rolls(
    book: Book,
    products: Products,
    dates: Sequence[date],
    *,
    rules_of: date | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Rolls:
    """Roll rates and vintages by what was known at the end of the last of the rising `dates`.

    Buckets are of the tables in force on each date, or of the one in force on `rules_of`.
    """
    found = NO_COUNTS
    for number in range(book.partitions):
        part = _aligned(book.read(number), book, products, dates)
        found += counts(part, dates, products.buckets, rules_of=rules_of)
        if progress:
            progress(number + 1, book.partitions)
    return Rolls(
        tuple(dates),
        products.buckets.names,
        roll_rates(found.rolls, products.buckets),
        roll_rates(found.rolls, products.buckets, pooled=True),
        changes(found.rolls),
        vintage_shares(found.vintages, dates[0]),
    )


def write_rolls(rolls: Rolls, out: Path, *, currency: str) -> None:
    """Write rolls.parquet, transitions.parquet and vintages.parquet; each is whole or not there."""
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in (
        ("rolls", rolls.rates),
        ("transitions", rolls.changes),
        ("vintages", rolls.vintages),
    ):
        unfinished = out / f".{name}"
        in_major_units(frame, currency).write_parquet(unfinished)
        unfinished.replace(out / f"{name}.parquet")


def loan_history(
    book: Book,
    products: Products,
    loan_id: str,
    dates: Sequence[date],
    *,
    rules_of: date | None = None,
) -> pl.DataFrame:
    """In which bucket a loan was on each of the dates from its opening on, by what was known then.

    Columns: date, days_past_due, bucket, class5, outstanding. Known at the end of the last date.
    Raises BadInput for a loan that is not in the book.
    """
    owner = (
        pl.scan_parquet(book.path / "loans" / "part-*.parquet")
        .filter(pl.col("loan_id") == loan_id)
        .select("borrower_id")
        .collect()
    )
    if owner.is_empty():
        raise BadInput(
            f"there is no loan {loan_id!r}",
            source=str(book.path),
            mend="write its id as the book has it",
        )
    part = _aligned(book.read_borrowers([owner.item(0, 0)]), book, products, dates)
    seen = status(part, dates, products.buckets, rules_of=rules_of).filter(loan_id=loan_id)
    return in_major_units(
        seen.select("date", "days_past_due", "bucket", "class5", "outstanding_minor"),
        book.currency,
    )


def _aligned(found: BookTables, book: Book, products: Products, dates: Sequence[date]) -> Aligned:
    tables = LoanTables(
        found.loans, found.instalments, found.payments, found.pauses, found.extensions
    )
    known_at = end_of(dates[-1], book.timezone)
    return align(tables, products, known_at=known_at, zone=book.timezone)
