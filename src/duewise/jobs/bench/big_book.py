"""A book of any size on disk, laid out by arithmetic alone, for the ledger's benchmark.

Twelve monthly instalments a loan, five or six of them due, one payment for each that was paid. Of
eight loans five pay in time, one has stopped paying (the last time with half of what was due), and
two pay late, in part, or leave one out.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.schema import EXTENSIONS, INSTALMENTS, LOANS, PAUSES, PAYMENTS
from duewise.frames import INSTANT, Schema, completed, conform, empty
from duewise.store.book import Book
from duewise.store.book_manifest import Manifest
from duewise.store.book_parts import write_part, write_spans

TERM = 12
PART = 62_500  # loans to a partition
RATE, MULTIPLIER, DAY_COUNT = 0.216, 1.5, 360
LEFT_OUT_BELOW, LATE_FROM, PART_FROM = 60, 600, 900  # of a thousand
STOPPED_AT = 4  # the last instalment that those who have stopped paid anything of
Int64s = npt.NDArray[np.int64]


def write_book(folder: Path, loans: int, *, as_of: date) -> Book:
    """Write a book of that many loans of as many borrowers, as an import would leave it."""
    parts = -(-loans // PART)
    for number in range(parts):
        first = number * PART
        tables = tables_of(np.arange(first, min(first + PART, loans)), as_of=as_of)
        for name, frame in tables.items():
            write_part(folder, name, number, frame)
        write_spans(folder, number, tables)
    manifest = Manifest(
        mapping="bench",
        mapping_hash="",
        partitions=parts,
        currency="CNY",
        locale="zh-CN",
        timezone="Asia/Shanghai",
        imported_at=as_of.isoformat(),
        sources=[],
    )
    return Book(folder, manifest)


def tables_of(n: Int64s, *, as_of: date) -> dict[str, pl.DataFrame]:
    """The tables of the loans numbered `n`, in the book's form and order."""
    ids = pl.DataFrame({"n": n}).select(
        loan_id=pl.format("L{}", pl.col("n").cast(pl.String).str.zfill(8)),
        borrower_id=pl.format("B{}", pl.col("n").cast(pl.String).str.zfill(8)),
    )
    opened = np.datetime64(as_of, "D") - 160 - n % 31
    principal = 60_000 + n * 37 % 90_000
    k = np.repeat(np.arange(len(n)), TERM)
    number = np.tile(np.arange(1, TERM + 1), len(n))
    due = opened[k] + 30 * number
    loans = ids.with_columns(
        product=pl.lit("instalment"),
        currency=pl.lit("CNY"),
        principal_minor=pl.Series(principal * TERM),
        opened_date=pl.Series(opened).cast(pl.Date),
        annual_rate=pl.lit(RATE),
        penalty_multiplier=pl.lit(MULTIPLIER),
        day_count=pl.lit(DAY_COUNT),
        term=pl.lit(TERM),
        method=pl.lit("equal_principal"),
        autopay=pl.lit(value=False),
        status=pl.lit("open"),
    )
    instalments = ids[k].with_columns(
        number=pl.Series(number),
        due_date=pl.Series(due).cast(pl.Date),
        principal_minor=pl.Series(principal[k]),
        interest_minor=pl.Series(principal[k] * (TERM + 1 - number) * 18 // 1_000),
        fee_minor=pl.lit(0),
    )
    made = {
        "loans": (loans, LOANS),
        "instalments": (instalments, INSTALMENTS),
        "payments": (_payments(instalments, n[k], as_of=as_of), PAYMENTS),
        "pauses": (empty(PAUSES), PAUSES),
        "extensions": (empty(EXTENSIONS), EXTENSIONS),
    }
    return {name: _in_form(frame, schema, name) for name, (frame, schema) in made.items()}


def _payments(instalments: pl.DataFrame, n: Int64s, *, as_of: date) -> pl.DataFrame:
    """One payment for each instalment that was paid by the day: early, on time, late or in part."""
    number = instalments["number"].to_numpy()
    luck = (n * 7_919 + number * 104_729) % 1_000
    is_bad, has_stopped = n % 4 == 0, n % 8 == 1
    days = np.where(is_bad & (luck >= LATE_FROM), 1 + luck % 25, -(luck % 4))
    part = np.where((is_bad & (luck >= PART_FROM)) | (has_stopped & (number == STOPPED_AT)), 2, 1)
    is_paid = np.where(has_stopped, number <= STOPPED_AT, ~is_bad | (luck >= LEFT_OUT_BELOW))
    owed = pl.col("principal_minor") + pl.col("interest_minor")
    noon = pl.col("due_date").cast(INSTANT) + pl.duration(hours=pl.col("_hours"))
    return (
        instalments.with_columns(_hours=pl.Series(days * 24 + 4))
        .select(
            payment_id=pl.format("P{}-{}", "loan_id", pl.col("number") + 10),
            loan_id="loan_id",
            borrower_id="borrower_id",
            paid_at=noon,
            amount_minor=owed // pl.Series(part),
            kind=pl.lit("payment"),
            source=pl.lit("core"),
        )
        .filter(pl.Series(is_paid) & (pl.col("paid_at").dt.date() <= as_of))
        .sort("loan_id", "paid_at", "payment_id")
    )


def _in_form(frame: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    return conform(completed(frame, schema), schema, name=name)
