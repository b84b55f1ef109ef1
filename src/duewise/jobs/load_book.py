"""Importing a book: its tables to Parquet, its people sealed, its accounts known to operations."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duewise.book.mapping import load_mapping
from duewise.jobs.ingest import add_accounts
from duewise.store.book import open_book
from duewise.store.book_import import ImportReport, import_book
from duewise.store.people import upsert_people

if TYPE_CHECKING:
    import polars as pl
    from psycopg import Connection

    from duewise.jobs.plan_day import Progress
    from duewise.store.seal import Keyring


def load_book(
    conn: Connection[Any],
    source: Path,
    mapping: str,
    into: Path,
    *,
    keyring: Keyring,
    now: datetime,
    progress: Progress | None = None,
    partitions: int | None = None,
) -> ImportReport:
    """Import `source` by a mapping (its file, or a shipped one's name) into the book's folder.

    Personal columns go sealed to operations and nowhere else; `partitions` default by the size of
    the files. Raises BadInput, IntegrityBroken.
    """

    def seal_people(people: pl.DataFrame) -> None:
        upsert_people(conn, people, keyring=keyring)

    report = import_book(
        source,
        load_mapping(mapping),
        into,
        imported_at=now,
        people_sink=seal_people,
        progress=progress,
        partitions=partitions,
    )
    book = open_book(into)
    for number in range(book.partitions):
        add_accounts(conn, book.read(number).loans)
    return report
