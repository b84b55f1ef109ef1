"""The ledger of a whole book on a day, partition by partition, as Parquet files for others.

Partitions are read and folded side by side while the one before is written: memory is that of the
partitions in flight, whatever the size of the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from duewise.book.ledger import Ledger, Room, ledger
from duewise.book.product import Products
from duewise.jobs.ledger_tables import DIGITS_MIN, Decimals, tables_of
from duewise.jobs.parquet_file import ParquetFile
from duewise.money import minor_digits

if TYPE_CHECKING:
    import pyarrow as pa

    from duewise.book.align import LoanTables
    from duewise.store.book import Book

TABLES = ("instalments", "loans", "borrowers")
# By file, the columns in which hardly two rows are alike: to compress them would take as long as to
# write all others, for a third of their bytes.
UNEVEN: dict[str, tuple[str, ...]] = {
    "instalments": ("loan_id", "interest", "outstanding", "settled_date"),
    "loans": (
        "past_due",
        "outstanding",
        "penalty",
        "next_due_amount",
        "oldest_due_date",
        "amount_to_clear",
        "settlement_amount",
        "principal",
    ),
    "borrowers": ("past_due", "outstanding"),
}
IN_FLIGHT = 2  # partitions read and folded while the one before is written


# What the ledger has to say of loans, by the column that says it.
FINDINGS = {
    "is_penalty_capped": "loans have a penalty rate above the product's cap, which holds",
    "is_all_in_over": "loans have a rate of their own above the product's all-in cap",
    "is_roll_unknown": "loans have due dates in years whose holidays nobody knows yet",
}


@dataclass(frozen=True)
class LedgerSummary:
    """Rows per table, and the number of loans per finding."""

    rows: dict[str, int]
    findings: dict[str, int]


def write_ledger(
    book: Book,
    products: Products,
    *,
    as_of: date,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> LedgerSummary:
    """Write instalments, loans and borrowers as of the end of the day.

    A payment counts if it was made on the as-of date or before, in the book's zone. A file is
    there when it is whole, and not before.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows, findings = dict.fromkeys(TABLES, 0), dict.fromkeys(FINDINGS, 0)
    with ExitStack() as files:
        writers = ledger_writers(out, files)
        encoding = files.enter_context(ThreadPoolExecutor(len(TABLES)))
        rooms: SimpleQueue[Room] = SimpleQueue()
        for number, part in enumerate(_parts(book, products, as_of, rooms)):
            written = [encoding.submit(writers[name].write, part.tables[name]) for name in TABLES]
            for future in written:
                future.result()
            rooms.put(part.room)
            for name in TABLES:
                rows[name] += part.tables[name].num_rows
            for name in FINDINGS:
                findings[name] += part.findings[name]
            if progress:
                progress(number + 1, book.partitions)
    return LedgerSummary(rows, findings)


def ledger_writers(out: Path, files: ExitStack) -> dict[str, ParquetFile]:
    """The ledger's three files in that folder, by name; they end with `files`."""
    return {
        name: files.enter_context(ParquetFile(out / f"{name}.parquet", uneven=UNEVEN[name]))
        for name in TABLES
    }


@dataclass(frozen=True)
class _Part:
    """A partition's rows of the three files, the room in which they lie, and its findings."""

    tables: dict[str, pa.Table]
    room: Room
    findings: dict[str, int]


def _parts(
    book: Book, products: Products, as_of: date, rooms: SimpleQueue[Room]
) -> Iterator[_Part]:
    """The partitions in order, `IN_FLIGHT` of them under way, in rooms that are free again."""
    decimals = Decimals(book.currency)

    def of(number: int) -> _Part:
        room = _free(rooms)
        found = bare_ledger_of_part(book, products, number, as_of=as_of, room=room)
        findings = {name: int(found.aligned.loans[name].sum()) for name in FINDINGS}
        return _Part(tables_of(found, decimals), room, findings)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        under_way: list[Future[_Part]] = []
        for number in range(book.partitions):
            under_way.append(pool.submit(of, number))
            if len(under_way) > IN_FLIGHT:
                yield under_way.pop(0).result()
        for future in under_way:
            yield future.result()


def _free(rooms: SimpleQueue[Room]) -> Room:
    try:
        return rooms.get_nowait()
    except Empty:
        return Room()


def ledger_of_part(book: Book, products: Products, number: int, *, as_of: date) -> Ledger:
    """The ledger of one partition as of the end of the day."""
    return _ledger(book, book.loan_tables(number), products, as_of)


def bare_ledger_of_part(
    book: Book, products: Products, number: int, *, as_of: date, room: Room | None = None
) -> Ledger:
    """The same; where the book says how its rows lie, instalments and events have no names."""
    return _ledger(book, book.bare_tables(number), products, as_of, room)


def _ledger(
    book: Book, tables: LoanTables, products: Products, as_of: date, room: Room | None = None
) -> Ledger:
    known_at, zone = end_of(as_of, book.timezone), book.timezone
    return ledger(tables, products, as_of=as_of, known_at=known_at, zone=zone, room=room)


def end_of(day: date, zone: str) -> datetime:
    """The last microsecond of a local day, in UTC."""
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return midnight.astimezone(UTC) - timedelta(microseconds=1)


def in_major_units(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    """The frame with money as decimals; its columns lose the suffix of the minor unit."""
    digits = minor_digits(currency)
    kind, factor = pl.Decimal(18, max(digits, DIGITS_MIN)), 10**digits
    money = [name for name in frame.columns if name.endswith("_minor")]
    return frame.with_columns(
        (pl.col(name).cast(kind) / factor).cast(kind) for name in money
    ).rename({name: name.removesuffix("_minor") for name in money})
