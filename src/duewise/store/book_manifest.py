"""`book.json`: what a book was made of, what it holds, and the totals that must tie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from duewise.errors import BadInput
from duewise.store.files import write_atomically

SCHEMA = "book/1"
FILE_NAME = "book.json"


@dataclass(frozen=True)
class TableTotals:
    """Rows read = taken + rejected + left out + merged; `amounts` are of the rows taken."""

    rows_read: int
    rows_taken: int
    rows_rejected: int
    rows_left_out: dict[str, int]
    rows_merged: int
    amounts: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """All of `book.json`. `sources` are {table, file, sha256}; amounts are whole minor units."""

    mapping: str
    mapping_hash: str
    sources: list[dict[str, str]]
    partitions: int
    currency: str
    locale: str
    timezone: str
    imported_at: str
    tables: dict[str, TableTotals] = field(default_factory=dict)
    dates: dict[str, str | None] = field(default_factory=dict)
    schema: str = SCHEMA

    @property
    def content_hash(self) -> str:
        """The same for the same input: sources, mapping and partitions, not the moment."""
        made_of = [self.schema, self.mapping_hash, self.partitions, self.sources]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write it into the book's folder, in one step."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=2, sort_keys=True)
        write_atomically(folder / FILE_NAME, f"{text}\n".encode())


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a book's folder; None where there is none. Raises BadInput."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") != SCHEMA:
            raise BadInput(
                f"this book is {content.get('schema')!r}, not {SCHEMA!r}",
                source=str(path),
                mend="import it again",
            )
        tables = {name: TableTotals(**totals) for name, totals in content["tables"].items()}
        return Manifest(**{**content, "tables": tables})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            "this is no manifest of a book", source=str(path), mend="import the book again"
        ) from error
