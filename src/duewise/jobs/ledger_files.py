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
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.book.columns import COMPONENTS, NEVER
from duewise.book.ledger import Ledger, Room, ledger
from duewise.book.product import Products
from duewise.jobs.parquet_file import ParquetFile
from duewise.money import minor_digits

if TYPE_CHECKING:
    import pyarrow as pa

    from duewise.store.book import Book

TABLES = ("instalments", "loans", "borrowers")
IN_FLIGHT = 3  # partitions read and folded while the one before is written
DIGITS_MIN = 2


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
        paths = {name: out / f"{name}.parquet" for name in TABLES}
        writers = {name: files.enter_context(ParquetFile(path)) for name, path in paths.items()}
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
        found = ledger_of_part(book, products, number, as_of=as_of, room=room)
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


def ledger_of_part(
    book: Book, products: Products, number: int, *, as_of: date, room: Room | None = None
) -> Ledger:
    """The ledger of one partition as of the end of the day."""
    known_at, zone = end_of(as_of, book.timezone), book.timezone
    tables = book.bare_tables(number)
    return ledger(tables, products, as_of=as_of, known_at=known_at, zone=zone, room=room)


def end_of(day: date, zone: str) -> datetime:
    """The last microsecond of a local day, in UTC."""
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return midnight.astimezone(UTC) - timedelta(microseconds=1)


def tables_of(found: Ledger, decimals: Decimals) -> dict[str, pa.Table]:
    """The rows of the three files, from the fold's own arrays where they will do."""
    loans = found.loans.drop("grace_days", "tolerance_minor", "penalty_multiplier").with_columns(
        pl.col("bucket", "class5").cast(pl.Categorical)  # few words, many rows
    )
    return {
        "instalments": _instalments(found, decimals),
        "loans": required(decimals.of_frame(loans), nullable=_MAY_BE_NULL),
        "borrowers": required(decimals.of_frame(_borrowers(loans)), nullable=_MAY_BE_NULL),
    }


_MAY_BE_NULL = ("next_due_date", "oldest_due_date")


def _borrowers(loans: pl.DataFrame) -> pl.DataFrame:
    """Worst lateness, sums and next date of each borrower, whose loans lie together."""
    runs = loans["borrower_id"].rle_id().to_numpy()
    heads = np.flatnonzero(np.diff(runs, prepend=np.uint32(2**32 - 1)))
    if not len(heads):
        return loans.select("borrower_id", *_OF_BORROWER)
    never = pl.lit(date.max)
    given = loans.select(pl.col("next_due_date").fill_null(never), *_OF_BORROWER[:3])
    reduced = [
        pl.Series(name, reduce.reduceat(given[name].to_physical().to_numpy(), heads))
        for name, reduce in zip(_OF_BORROWER, (np.maximum, np.add, np.add, np.minimum), strict=True)
    ]
    next_due = pl.col("next_due_date").cast(pl.Date)
    return pl.DataFrame([loans["borrower_id"].gather(heads), *reduced]).with_columns(
        pl.when(next_due < never).then(next_due).alias("next_due_date")
    )


_OF_BORROWER = ("days_past_due", "past_due_minor", "outstanding_minor", "next_due_date")


def _instalments(found: Ledger, decimals: Decimals) -> pa.Table:
    """The instalments of the loans opened by the day; ids once a loan, amounts as they lie."""
    import pyarrow as pa

    columns, rows, own = found.aligned.columns, found.rows, found.aligned.instalments
    starts = columns.loans.instalment_start
    of_loan = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    ids = found.aligned.loans["loan_id"].to_arrow()
    named: dict[str, Any] = {
        "loan_id": pa.DictionaryArray.from_arrays(pa.array(of_loan), ids),
        "number": own["number"].to_arrow(),
        "due_date": _dates(columns.instalments.due),
        "effective_due_date": _dates(rows.effective),
        "principal": decimals.of(columns.instalments.principal),
        "interest": decimals.of(columns.instalments.interest),
        "fee": decimals.of(columns.instalments.fee),
        "penalty": decimals.of(rows.penalty),
    }
    for component in reversed(COMPONENTS):
        named[f"{component}_paid"] = decimals.of(rows.paid[COMPONENTS.index(component)])
    named |= {
        "paid_in_advance": decimals.of(rows.paid_in_advance),
        "paid_late": decimals.of(rows.paid_late),
        "settled_date": _dates(rows.settled),
        "outstanding": decimals.of(rows.outstanding),
        "days_past_due": pa.array(rows.days_past_due),
        "waived": decimals.of(rows.waived),
    }
    table = required(pa.table(named), nullable=("settled_date",))
    is_open = (found.aligned.loans["opened_date"] <= found.as_of).to_numpy()
    return table if is_open.all() else table.filter(pa.array(is_open[of_loan]))


def _dates(days: np.ndarray[Any, Any]) -> pa.Array:
    import pyarrow as pa

    never = days == NEVER
    mask = never if never.any() else None
    return pa.array(days, type=pa.int32(), mask=mask).view(pa.date32())


def required(table: pa.Table, *, nullable: tuple[str, ...] = ()) -> pa.Table:
    """The table, promising that only those columns have nulls: it is written in half the time."""
    import pyarrow as pa

    fields = [pa.field(f.name, f.type, nullable=f.name in nullable) for f in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


class Decimals:
    """Minor units of a currency as Decimal(18, 2) in major units, mostly without a copy."""

    def __init__(self, currency: str) -> None:
        digits = minor_digits(currency)
        self._scale = max(digits, DIGITS_MIN)
        self._factor = 10 ** (self._scale - digits)

    def of(self, minor: np.ndarray[Any, Any]) -> pa.Array:
        """A column of whole minor units (Int64) as decimals."""
        import pyarrow as pa

        amounts = np.ascontiguousarray(minor if self._factor == 1 else minor * self._factor)
        kind = pa.decimal64(18, self._scale)
        return pa.Array.from_buffers(kind, len(amounts), [None, pa.py_buffer(amounts)])

    def of_frame(self, frame: pl.DataFrame) -> pa.Table:
        """The frame with money as decimals; its columns lose the suffix of the minor unit."""
        import pyarrow as pa

        return pa.table(
            {
                column.name.removesuffix("_minor"): self.of(column.to_numpy())
                if column.name.endswith("_minor") and not column.null_count()
                else column.to_arrow()
                for column in frame
            }
        )


def in_major_units(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    """The frame with money as decimals; its columns lose the suffix of the minor unit."""
    digits = minor_digits(currency)
    kind, factor = pl.Decimal(18, max(digits, DIGITS_MIN)), 10**digits
    money = [name for name in frame.columns if name.endswith("_minor")]
    return frame.with_columns(
        (pl.col(name).cast(kind) / factor).cast(kind) for name in money
    ).rename({name: name.removesuffix("_minor") for name in money})
