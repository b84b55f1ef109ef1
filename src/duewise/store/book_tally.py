"""The account of an import: every row that was read is taken, rejected, left out or merged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from duewise.book.intake import COLUMN, FILE, LEFT_OUT, LINE, REASON
from duewise.book.schema import TABLES
from duewise.errors import BadInput, IntegrityBroken
from duewise.store.book_control import Control
from duewise.store.book_manifest import TableTotals
from duewise.store.book_source import Chunk, SourceFile

REJECTS_MAX = 1_000_000
REJECTS: dict[str, pl.DataType] = {
    "table": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "column": pl.String(),
    "reason": pl.String(),
}


@dataclass
class TableTally:
    """One table's counts so far; `dropped` and `read` are sums of stored amounts."""

    rows_read: int = 0
    rows_rejected: int = 0
    rows_left_out: Counter[str] = field(default_factory=Counter)
    rows_merged: int = 0
    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def rows_kept(self) -> int:
        return self.rows_read - self.rows_rejected - self.rows_left_out.total() - self.rows_merged


class Account:
    """Counts and rejects of one import."""

    def __init__(self, files: dict[str, list[SourceFile]]) -> None:
        self.tallies = {name: TableTally() for name in files}
        self._names = {
            (name, file.index): file.path.name for name, each in files.items() for file in each
        }
        self._rejects: list[pl.DataFrame] = []
        self._rejected = 0

    def read(self, table: str, chunk: Chunk) -> None:
        """Count a chunk's rows; reject the lines that are no rows."""
        self.tallies[table].rows_read += chunk.rows.height + len(chunk.bad)
        if chunk.bad:
            self._reject(
                table,
                pl.DataFrame(
                    {
                        FILE: [chunk.file] * len(chunk.bad),
                        LINE: [line for line, _ in chunk.bad],
                        COLUMN: [""] * len(chunk.bad),
                        REASON: [reason for _, reason in chunk.bad],
                    }
                ),
            )

    def settle(self, table: str, rows: pl.DataFrame, *, is_shaped: bool = True) -> pl.DataFrame:
        """The rows without a verdict; the others are counted, and listed if they are rejected.

        Rows that are not shaped yet are a source's: their amounts have not been counted as read.
        """
        tally = self.tallies[table]
        is_left_out, is_bad = rows[LEFT_OUT].is_not_null(), rows[REASON].is_not_null()
        if not (is_left_out | is_bad).any():
            return rows
        for reason, count in rows.filter(is_left_out)[LEFT_OUT].value_counts().iter_rows():
            tally.rows_left_out[reason] += count
        if is_shaped:
            tally.dropped.update(amounts(table, rows.filter(is_left_out | is_bad)))
        self._reject(table, rows.filter(is_bad & ~is_left_out))
        return rows.filter(~is_left_out & ~is_bad)

    def _reject(self, table: str, rows: pl.DataFrame) -> None:
        self.tallies[table].rows_rejected += rows.height
        self._rejected += rows.height
        listed = rows.select(
            pl.lit(table).alias("table"),
            pl.col(FILE)
            .replace_strict(
                {index: name for (of, index), name in self._names.items() if of == table},
                return_dtype=pl.String,
            )
            .alias("file"),
            pl.col(LINE).alias("line"),
            pl.col(COLUMN).alias("column"),
            pl.col(REASON).alias("reason"),
        )
        self._rejects.append(listed)
        if self._rejected > REJECTS_MAX:
            first = listed.row(0, named=True)
            raise BadInput(
                f"more than {REJECTS_MAX:,} rows are bad, this one: {first['reason']}",
                source=first["file"],
                line=first["line"],
                mend="does the mapping fit this file? Nothing was loaded",
            )

    def rejects(self) -> pl.DataFrame:
        """All rejects, in order of table, file and line."""
        empty = pl.DataFrame(schema=REJECTS)
        return pl.concat([empty, *self._rejects]).sort("table", "file", "line")

    def totals(self, table: str, written: Control, control: Control) -> TableTotals:
        """The table's totals, if three countings agree. Raises IntegrityBroken."""
        tally = self.tallies[table]
        _tie(f"{table}: rows read", tally.rows_read, control.rows)
        _tie(f"{table}: rows written", written.rows, tally.rows_kept)
        for name in TABLES[table].money:
            _tie(f"{table}: {name} read", tally.read[name], control.amounts[name])
            kept = tally.read[name] - tally.dropped[name]
            _tie(f"{table}: {name} written", written.amounts[name], kept)
        return TableTotals(
            rows_read=tally.rows_read,
            rows_taken=written.rows,
            rows_rejected=tally.rows_rejected,
            rows_left_out=dict(sorted(tally.rows_left_out.items())),
            rows_merged=tally.rows_merged,
            amounts={name: written.amounts[name] for name in TABLES[table].money},
        )


def amounts(table: str, rows: pl.DataFrame) -> dict[str, int]:
    """The sum of each amount the rows have, in minor units."""
    names = [name for name in TABLES[table].money if name in rows.columns]
    return {name: int(rows[name].sum() or 0) for name in names}


def _tie(what: str, counted: int, expected: int) -> None:
    if counted != expected:
        raise IntegrityBroken(f"{what}: {counted:,} counted once, {expected:,} the other way")
