"""A lender's files into a book: read, checked, tied, and put in place in one step or not at all.

Everything is built in a folder beside the book and renamed at the end. Personal values never touch
that folder: they are read a second time once the totals tie, and go straight to the sink.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from duewise.book import synth
from duewise.book.intake import LEFT_OUT, LINE, REASON, raw_columns, read_rows, shaped
from duewise.book.mapping import Mapping, check_source_columns
from duewise.book.schema import PERSONAL
from duewise.errors import BadInput
from duewise.money import Money
from duewise.store.book_build import Build, build_tables
from duewise.store.book_control import Control, control_totals
from duewise.store.book_manifest import Manifest, TableTotals, read_manifest
from duewise.store.book_parts import has_spans, part_path
from duewise.store.book_source import SourceFile, chunks, find_files, header, inspect
from duewise.store.book_tally import Account
from duewise.store.files import sync_folder

PARTITIONS_MIN, PARTITIONS_MAX = 8, 512
BYTES_PER_PARTITION = 64 << 20
REJECTS_SHOWN = 5

PeopleSink = Callable[[pl.DataFrame], object]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImportReport:
    """What an import came to. `is_unchanged`: the book was there already, made of the same."""

    book: Path
    manifest: Manifest
    is_unchanged: bool
    rejects: pl.DataFrame

    @property
    def title(self) -> str:
        state = "unchanged: the same files, the same mapping" if self.is_unchanged else "imported"
        return f"{self.book}: {state}"

    @property
    def columns(self) -> list[str]:
        return ["table", "read", "taken", "rejected", "left out", "merged", "totals"]

    @property
    def rows(self) -> list[list[Any]]:
        return [
            [
                name,
                totals.rows_read,
                totals.rows_taken,
                totals.rows_rejected,
                sum(totals.rows_left_out.values()),
                totals.rows_merged,
                self._amounts(totals),
            ]
            for name, totals in self.manifest.tables.items()
        ]

    @property
    def lines(self) -> list[str]:
        """What a person should know besides: that it ties, what was left out, the first rejects."""
        said = ["All totals tie: the files, the rows taken and the book agree."]
        for name, totals in self.manifest.tables.items():
            said += [f"{name}: {n:,} left out: {why}" for why, n in totals.rows_left_out.items()]
        if self.rejects.height:
            said.append(f"{self.rejects.height:,} rejects, in {self.book / 'rejects.csv'}:")
        for table, file, line, column, reason in self.rejects.head(REJECTS_SHOWN).iter_rows():
            said.append(f"  {file}:{line}: {table}.{column}: {reason}")
        return said

    def as_dict(self) -> dict[str, Any]:
        """The manifest with `unchanged` and `rejects`, for machines."""
        return {
            **asdict(self.manifest),
            "unchanged": self.is_unchanged,
            "rejects": self.rejects.height,
        }

    def _amounts(self, totals: TableTotals) -> str:
        currency = self.manifest.currency
        shown = {
            name.removesuffix("_minor"): Money(minor, currency).major
            for name, minor in totals.amounts.items()
            if minor
        }
        return ", ".join(f"{name} {major:,} {currency}" for name, major in shown.items())


def import_book(
    source: Path,
    mapping: Mapping,
    into: Path,
    *,
    imported_at: datetime,
    people_sink: PeopleSink | None = None,
    progress: Progress | None = None,
    partitions: int | None = None,
) -> ImportReport:
    """Load `source` (a file or folder) into the book's folder `into`.

    The same files with the same mapping change nothing; others replace the book as a whole. Bad
    rows are in `rejects.csv` and `rejects.parquet` of the book. `people_sink` gets frames with the
    columns of schema.PEOPLE (and `line`, where they come from a file), once the totals tie.
    `progress` is told bytes done and in all. Raises BadInput for files or a mapping that cannot be
    used, IntegrityBroken if two countings differ; then what was there before is there still.
    """
    _restore(into)
    before = _book_there(into)
    meter = _Meter(progress)
    files = _inspected(source, mapping, meter)
    manifest = _planned(files, mapping, imported_at, partitions)
    is_same = before is not None and before.content_hash == manifest.content_hash
    if before is not None and is_same and has_spans(into):
        rejects = pl.read_parquet(into / "rejects.parquet")
        if people_sink:
            for people in _people(files, mapping, into, before.partitions, rejects):
                people_sink(people)
        meter.finish()
        return ImportReport(into, before, is_unchanged=True, rejects=rejects)
    work = _work(into)
    (work / "spill").mkdir(parents=True)
    try:
        account, totals = _built(files, mapping, manifest.partitions, work, meter)
        rejects = account.rejects()
        _write_rejects(rejects, work)
        manifest = _finished(manifest, totals, work)
        manifest.write(work)
        if people_sink:
            for people in _people(files, mapping, work, manifest.partitions, rejects):
                people_sink(people)
        _put_in_place(work, into)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    meter.finish()
    return ImportReport(into, manifest, is_unchanged=False, rejects=rejects)


class _Meter:
    """Bytes done of bytes to do."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done, self.total = progress, 0, 1

    def step(self, size: int) -> None:
        self._done += size
        if self._progress:
            self._progress(min(self._done, self.total), self.total)

    def finish(self) -> None:
        if self._progress:
            self._progress(self.total, self.total)


def _inspected(source: Path, mapping: Mapping, meter: _Meter) -> dict[str, list[SourceFile]]:
    """The files of each table, hashed, and checked to have the columns that the mapping names."""
    patterns = list(dict.fromkeys(table.source for table in mapping.tables.values()))
    paths = {
        pattern: find_files(source, pattern, is_only=len(patterns) == 1) for pattern in patterns
    }
    sizes = {pattern: sum(path.stat().st_size for path in paths[pattern]) for pattern in patterns}
    # Each file is hashed once, and for each table read once and counted once more.
    meter.total = sum(sizes.values()) + sum(
        2 * sizes[table.source] for table in mapping.tables.values()
    )
    found = {
        pattern: [
            inspect(
                path,
                index,
                encoding=mapping.encoding,
                separator=mapping.separator,
                progress=meter.step,
            )
            for index, path in enumerate(paths[pattern])
        ]
        for pattern in patterns
    }
    files = {name: found[table.source] for name, table in mapping.tables.items()}
    for name, table in mapping.tables.items():
        for file in files[name]:
            check_source_columns(table, header(file), mapping=mapping, file=file.path.name)
    return files


def _planned(
    files: dict[str, list[SourceFile]],
    mapping: Mapping,
    imported_at: datetime,
    partitions: int | None,
) -> Manifest:
    size = sum({file.path: file.size_bytes for each in files.values() for file in each}.values())
    by_size = min(max(PARTITIONS_MIN, -(-size // BYTES_PER_PARTITION)), PARTITIONS_MAX)
    return Manifest(
        mapping=mapping.name,
        mapping_hash=mapping.content_hash,
        sources=[
            {"table": name, "file": file.path.name, "sha256": file.sha256}
            for name, each in files.items()
            for file in each
        ],
        partitions=partitions or by_size,
        currency=mapping.currency,
        locale=mapping.locale,
        timezone=mapping.timezone,
        imported_at=imported_at.isoformat(),
    )


def _built(
    files: dict[str, list[SourceFile]],
    mapping: Mapping,
    partitions: int,
    work: Path,
    meter: _Meter,
) -> tuple[Account, dict[str, TableTotals]]:
    """The tables in `work`, and their totals, which tie."""
    account, spill = Account(files), work / "spill"
    written = build_tables(Build(spill, mapping, files, partitions, account, meter.step), work)
    totals = {}
    for name, rows in written.items():
        if name in mapping.tables:
            control = control_totals(
                files[name], mapping.tables[name], mapping=mapping, folder=spill, shards=partitions
            )
            meter.step(sum(file.size_bytes for file in files[name]))
            totals[name] = account.totals(name, rows, control)
        elif name != "features":
            totals[name] = _derived(rows)
    shutil.rmtree(spill)
    return account, totals


def _derived(written: Control) -> TableTotals:
    """Totals of a table that no file gives: the borrowers that loans name, or nothing at all."""
    return TableTotals(written.rows, written.rows, 0, {}, 0, {})


def _finished(manifest: Manifest, totals: dict[str, TableTotals], work: Path) -> Manifest:
    dates = {}
    for table, column in (
        ("loans", "opened_date"),
        ("instalments", "due_date"),
        ("payments", "paid_at"),
    ):
        parts = pl.scan_parquet(work / table / "part-*.parquet")
        first, last = (
            parts.select(pl.col(column).min().alias("a"), pl.col(column).max().alias("b"))
            .collect()
            .row(0)
        )
        dates[f"first_{column}"] = first.isoformat() if first else None
        dates[f"last_{column}"] = last.isoformat() if last else None
    return Manifest(**{**vars(manifest), "tables": totals, "dates": dates})


def _people(
    files: dict[str, list[SourceFile]],
    mapping: Mapping,
    book: Path,
    partitions: int,
    rejects: pl.DataFrame,
) -> Iterator[pl.DataFrame]:
    """The people behind the borrowers that were taken, a chunk at a time."""
    if mapping.people == "synthesise":
        hashes = pl.scan_parquet(book / "borrowers" / "part-*.parquet").select("borrower_hash")
        numbers = synth.phone_numbers(hashes.collect()["borrower_hash"])
        for number in range(partitions):
            yield synth.people(pl.read_parquet(part_path(book, "borrowers", number)), numbers)
    elif mapping.people == "file" and "borrowers" in mapping.tables:
        yield from _people_in(files["borrowers"], mapping, rejects)


def _people_in(
    files: list[SourceFile], mapping: Mapping, rejects: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """The personal columns that the borrowers' files give, of the rows that were taken."""
    table = mapping.tables["borrowers"]
    given = [name for name in PERSONAL if name in table.columns]
    names = ["borrower_id", *given, "locale", "timezone"]
    refused = rejects.filter(pl.col("table") == "borrowers").select("file", "line")
    for file in files:
        lines = refused.filter(pl.col("file") == file.path.name)["line"]
        for chunk in chunks(file, progress=_nothing):
            typed = read_rows(chunk.rows, table, mapping=mapping)
            typed = typed.filter(pl.col(REASON).is_null() & pl.col(LEFT_OUT).is_null())
            rows = shaped(raw_columns(typed, table, mapping=mapping), table, mapping=mapping)
            rows = rows.filter(pl.col(REASON).is_null() & ~pl.col(LINE).is_in(lines.implode()))
            yield rows.select(*names, pl.col(LINE).alias("line"))


def _write_rejects(rejects: pl.DataFrame, folder: Path) -> None:
    rejects.write_parquet(folder / "rejects.parquet", compression="zstd")
    rejects.write_csv(folder / "rejects.csv")


def _nothing(_: int) -> None:
    """Progress that nobody watches."""


def _book_there(into: Path) -> Manifest | None:
    """The book that would be replaced. Raises BadInput if something else is there."""
    before = read_manifest(into)
    if before is None and into.exists() and (into.is_file() or any(into.iterdir())):
        raise BadInput(
            "this is no book, and not empty", source=str(into), mend="name a new folder for it"
        )
    return before


def _put_in_place(work: Path, into: Path) -> None:
    """Rename the finished book to its name; the old one waits aside until that is done."""
    aside = _aside(into)
    shutil.rmtree(aside, ignore_errors=True)
    if into.exists():
        into.rename(aside)
    work.rename(into)
    sync_folder(into.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _restore(into: Path) -> None:
    """Put the old book back where a crash fell between the two renames; clear what it left."""
    shutil.rmtree(_work(into), ignore_errors=True)
    if _aside(into).exists() and not into.exists():
        _aside(into).rename(into)


def _work(into: Path) -> Path:
    return into.with_name(f".{into.name}.new")


def _aside(into: Path) -> Path:
    return into.with_name(f".{into.name}.previous")
