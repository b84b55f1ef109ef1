"""A book on disk: opened, read by partition or by borrower, and checked. Import is beside it.

BOOK/<table>/part-0000.parquet …, `book.json`, `rejects.csv`. All rows of a borrower lie in the
partition that the borrower's stable hash says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from duewise.book import ledger
from duewise.book.align import LoanTables
from duewise.book.schema import SCHEMAS, SPANS, TABLES
from duewise.book.spans import spans_of
from duewise.errors import BadInput
from duewise.frames import empty
from duewise.ids import partition_of, stable_hash
from duewise.store.book_import import ImportReport, import_book
from duewise.store.book_manifest import Manifest, read_manifest
from duewise.store.book_parts import SPANS_OF, part_path, read_spans

__all__ = [
    "Book",
    "BookTables",
    "CheckReport",
    "ImportReport",
    "check_book",
    "import_book",
    "open_book",
]


# By table, the columns that the ledger reads; None is all of them.
_OF_LOAN = (
    "loan_id",
    "borrower_id",
    "product",
    "currency",
    "opened_date",
    "annual_rate",
    "penalty_rate",
    "penalty_multiplier",
    "day_count",
    "grace_days",
    "tolerance_minor",
)
_SCHEDULE = ("number", "due_date", "principal_minor", "interest_minor", "fee_minor")
_OF_LEDGER: dict[str, tuple[str, ...] | None] = {
    "loans": None,
    "instalments": ("loan_id", *_SCHEDULE),
    "payments": (
        "payment_id",
        "loan_id",
        "paid_at",
        "amount_minor",
        "kind",
        "reverses",
        "component",
    ),
    "pauses": None,
    "extensions": None,
}


def of_plan(table: str) -> tuple[str, ...] | None:
    """The columns of a table that a plan reads; None is all of them."""
    columns = _OF_LEDGER.get(table)
    return (*columns, "borrower_id") if table == "payments" and columns else columns


@dataclass(frozen=True)
class BookTables:
    """Rows of some borrowers, one frame a table, each as its schema in book.schema says."""

    borrowers: pl.DataFrame
    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    pauses: pl.DataFrame
    extensions: pl.DataFrame
    features: pl.DataFrame


@dataclass(frozen=True)
class Book:
    """A book that was imported. Frozen and picklable: it is a path and a manifest."""

    path: Path
    manifest: Manifest

    @property
    def partitions(self) -> int:
        return self.manifest.partitions

    @property
    def timezone(self) -> str:
        return self.manifest.timezone

    @property
    def currency(self) -> str:
        return self.manifest.currency

    @property
    def content_hash(self) -> str:
        """Names the book by what it was made of."""
        return self.manifest.content_hash

    def read(self, partition: int, *, borrowers: Collection[str] | None = None) -> BookTables:
        """The rows of a partition, of all its borrowers or of those named."""
        return BookTables(**{name: self._table(name, [partition], borrowers) for name in SCHEMAS})

    def read_borrowers(self, borrowers: Collection[str]) -> BookTables:
        """The rows of these borrowers, from the partitions they lie in; unknown ones have none."""
        numbers = sorted({partition_of(stable_hash(each), self.partitions) for each in borrowers})
        return BookTables(**{name: self._table(name, numbers, borrowers) for name in SCHEMAS})

    def borrower_ids(self, partition: int) -> list[str]:
        """The borrowers of a partition."""
        found = self._table("borrowers", [partition], None, columns=["borrower_id"])
        return found["borrower_id"].to_list()

    def borrower_of(self, loan_id: str) -> str | None:
        """Whose loan it is; None where the book does not hold it."""
        loans = pl.scan_parquet(self.path / "loans" / "part-*.parquet")
        found = loans.filter(pl.col("loan_id") == loan_id).select("borrower_id").collect()
        return None if found.is_empty() else str(found.item())

    def loan_tables(self, partition: int) -> LoanTables:
        """What the ledger needs of a partition, and no column more."""
        return LoanTables(
            **{
                name: self._table(name, [partition], None, columns=columns)
                for name, columns in _OF_LEDGER.items()
            }
        )

    def bare_tables(self, partition: int) -> LoanTables:
        """The same without what a loan's rows are known by, where the book says how they lie."""
        spans = read_spans(self.path, partition)
        if spans is None:
            return self.loan_tables(partition)
        of = {name: int(spans[name].sum()) for name in SPANS}
        columns = {**_OF_LEDGER, "loans": _OF_LOAN}
        if not of["extensions"]:
            columns["instalments"] = _SCHEDULE
            if not of["other_payments"]:
                columns["payments"] = ("paid_at", "amount_minor")
        rows = {
            name: self._table(name, [partition], None, columns=wanted)
            for name, wanted in columns.items()
            if of.get(name, 1)
        }
        lacking = {name: empty(SCHEMAS[name]) for name in columns if name not in rows}
        return LoanTables(**rows, **lacking, spans=spans)

    def plan_tables(self, partition: int) -> BookTables:
        """What a plan needs of a partition, and no column more."""
        columns = {name: of_plan(name) for name in SCHEMAS}
        return BookTables(
            **{name: self._table(name, [partition], None, columns[name]) for name in SCHEMAS}
        )

    def features(self, partition: int) -> pl.DataFrame:
        """The partition's table `features`; no rows where the book has none."""
        return self._table("features", [partition], None)

    def known_payments(
        self, partition: int, later: pl.DataFrame | None = None, *, known_at: datetime
    ) -> pl.DataFrame:
        """The partition's payments known at an instant, with those of `later` that it lacks."""
        payments = self._table("payments", [partition], None)
        return ledger.known_payments(payments, later, known_at=known_at)

    def payments_between(self, after: datetime, until: datetime) -> pl.DataFrame:
        """Payments of the whole book with `paid_at` in (after, until], with their currency.

        Columns of schema.PAYMENTS and `currency`, in order of time.
        """
        return (
            pl.scan_parquet(self.path / "payments" / "part-*.parquet")
            .filter((pl.col("paid_at") > after) & (pl.col("paid_at") <= until))
            .with_columns(pl.lit(self.currency).alias("currency"))
            .sort("paid_at", "payment_id")
            .collect()
        )

    def payments_by_hour(self, *, until: datetime, zone: str) -> pl.DataFrame:
        """How many payments were made up to an instant, by `product` and `hour` of day there."""
        loans = pl.scan_parquet(self.path / "loans" / "part-*.parquet")
        return (
            pl.scan_parquet(self.path / "payments" / "part-*.parquet")
            .filter(pl.col("paid_at") <= until)
            .select("loan_id", hour=pl.col("paid_at").dt.convert_time_zone(zone).dt.hour())
            .join(loans.select("loan_id", "product"), on="loan_id")
            .group_by("product", "hour")
            .agg(payments=pl.len())
            .sort("product", "hour")
            .collect(engine="streaming")
        )

    def _table(
        self,
        name: str,
        numbers: Collection[int],
        borrowers: Collection[str] | None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        paths = [part_path(self.path, name, number) for number in numbers]
        paths = [path for path in paths if path.exists()] if name == "features" else paths
        if not paths:
            return pl.DataFrame(schema=dict(SCHEMAS[name]))
        rows = pl.scan_parquet(paths)
        if columns is not None:
            rows = rows.select(columns)
        if borrowers is not None:
            wanted = pl.Series(sorted(borrowers), dtype=pl.String)
            rows = rows.filter(pl.col("borrower_id").is_in(wanted.implode()))
        try:
            return rows.collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise BadInput(
                f"table {name!r} of the book cannot be read",
                source=str(self.path),
                mend="run `duewise book check`, or import it again",
            ) from error


def open_book(path: Path) -> Book:
    """The book in that folder. Raises BadInput where there is none."""
    manifest = read_manifest(path)
    if manifest is None:
        raise BadInput(
            "there is no book here", source=str(path), mend="run `duewise book import` into it"
        )
    return Book(path, manifest)


@dataclass(frozen=True)
class CheckReport:
    """What is wrong with a book, in sentences; nothing if it is in order."""

    findings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.findings


def check_book(path: Path) -> CheckReport:
    """Check schema, partition, order and orphans of every part, and the totals of the whole."""
    book = open_book(path)
    findings: list[str] = []
    rows = dict.fromkeys(book.manifest.tables, 0)
    sums: dict[tuple[str, str], int] = {}
    for number in range(book.partitions):
        loans = _part(book, "loans", number, findings)
        parts: dict[str, pl.DataFrame] = {}
        for name in book.manifest.tables:
            part = _part(book, name, number, findings) if name != "loans" else loans
            if part is None:
                continue
            parts[name] = part
            rows[name] += part.height
            for column in TABLES[name].money:
                sums[name, column] = sums.get((name, column), 0) + int(part[column].sum())
            findings += [
                f"{name}, partition {number}: {what}" for what in _faults(book, name, number, part)
            ]
            if loans is not None and "loan_id" in part.columns:
                orphans = part.join(loans, on="loan_id", how="anti").height
                findings += [f"{name}, partition {number}: {orphans:,} orphans"] * bool(orphans)
        if not _are_spans_right(path, number, parts):
            findings.append(f"spans, partition {number}: not what the loans have")
    for name, totals in book.manifest.tables.items():
        if rows[name] != totals.rows_taken:
            findings.append(f"{name}: {rows[name]:,} rows, book.json says {totals.rows_taken:,}")
        for column, amount in totals.amounts.items():
            if sums.get((name, column), 0) != amount:
                findings.append(
                    f"{name}: {column} sums to {sums.get((name, column), 0):,},"
                    f" book.json says {amount:,}"
                )
    return CheckReport(tuple(dict.fromkeys(findings)))


def _part(book: Book, name: str, number: int, findings: list[str]) -> pl.DataFrame | None:
    """A part that has the columns it must; None, with a finding, if not."""
    try:
        part = pl.read_parquet(part_path(book.path, name, number))
    except (OSError, pl.exceptions.PolarsError) as error:
        findings.append(f"{name}, partition {number}: cannot be read ({type(error).__name__})")
        return None
    wanted = {name: part.schema.get(name) for name in SCHEMAS[name]}
    if wanted != dict(SCHEMAS[name]) or (name != "features" and len(wanted) != part.width):
        findings.append(f"{name}, partition {number}: not the columns of a book")
        return None
    return part


def _are_spans_right(path: Path, number: int, parts: dict[str, pl.DataFrame]) -> bool:
    """Whether the rows of each loan are as many and lie as the book says, if it says so."""
    if not part_path(path, "spans", number).exists() or not set(SPANS_OF) <= set(parts):
        return True
    try:
        said = read_spans(path, number)
    except (OSError, pl.exceptions.PolarsError):
        return False
    found = spans_of(LoanTables(**{name: parts[name] for name in SPANS_OF}))
    return found is not None and said is not None and found.equals(said)


def _faults(book: Book, name: str, number: int, part: pl.DataFrame) -> list[str]:
    """Rows in the wrong partition, out of order, or twice."""
    faults = []
    hashes = [stable_hash(each) for each in part["borrower_id"].unique()]
    astray = sum(partition_of(each, book.partitions) != number for each in hashes)
    if astray:
        faults.append(f"{astray:,} borrowers belong to another partition")
    order = list(TABLES[name].order)
    if not part.select(order).equals(part.select(order).sort(order)):
        faults.append("rows are out of order")
    doubles = part.height - part.select(pl.struct(TABLES[name].key).n_unique()).item()
    if part.height and doubles:
        faults.append(f"{doubles:,} rows are there twice")
    return faults
