"""Control totals taken a second time, in another way, so that two countings can disagree.

The rows come from Python's own CSV reader (Polars' Parquet reader for Parquet) and not from the
block cutter; amounts become minor units by Python's Decimal, one distinct value at a time. The
mapping's expressions are the same: they say what the amounts are.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import islice
from pathlib import Path

import polars as pl

from duewise.book.intake import FILE, LEFT_OUT, LINE, PLACE, REASON, raw_columns, read_rows
from duewise.book.mapping import Mapping, TableMapping
from duewise.book.parse import AMOUNT_MINOR_MAX
from duewise.book.schema import TABLES, Kind
from duewise.errors import BadInput
from duewise.money import to_minor
from duewise.store.book_source import ROWS_PER_CHUNK, SourceFile, open_text
from duewise.store.book_spill import Spill

ROWS_AT_ONCE = 5_000
_TEN_DIGITS = Decimal("1e-10")


@dataclass
class Control:
    """What a table's files hold: data rows, and the sum of each of its amounts."""

    rows: int = 0
    amounts: Counter[str] = field(default_factory=Counter)


def control_totals(
    files: list[SourceFile], table: TableMapping, *, mapping: Mapping, folder: Path, shards: int
) -> Control:
    """Rows and amounts of all rows that can be read, taken or not. Raises BadInput."""
    control = Control()
    money = [
        column.name
        for column in TABLES[table.name].columns
        if column.kind is Kind.MONEY and column.name in table.columns
    ]
    columns = table.wanted(only=money)
    groups = Groups(folder, f"control-{table.name}", table, shards=shards)
    for file in files:
        for rows, count in _rows(file, columns):
            control.rows += count
            read = read_rows(rows, table, mapping=mapping)
            good = read.filter(pl.col(REASON).is_null() & pl.col(LEFT_OUT).is_null())
            for group in groups.add(good):
                _add(control, raw_columns(group, table, mapping=mapping, only=money), mapping)
    for group in groups.rest():
        _add(control, raw_columns(group, table, mapping=mapping, only=money), mapping)
    return control


class Groups:
    """Typed rows on their way to `raw_columns`: at once, or all rows of a group together."""

    def __init__(self, folder: Path, name: str, table: TableMapping, *, shards: int) -> None:
        self._key = list(table.group_by)
        self._spill = Spill(folder, name, shards=shards, by="_group")

    def add(self, typed: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """What can go on now: the rows themselves, unless they wait for their group."""
        if not self._key:
            yield typed
        else:
            self._spill.append(typed.with_columns(pl.struct(self._key).hash().alias("_group")))

    def rest(self) -> Iterator[pl.DataFrame]:
        """The rows that waited, in order of file and line, shard by shard."""
        self._spill.close()
        for shard in range(self._spill.shards if self._key else 0):
            rows = self._spill.read(shard)
            if rows is not None:
                yield rows.sort(PLACE)


def _add(control: Control, raw: pl.DataFrame, mapping: Mapping) -> None:
    for name in raw.columns:
        if name in PLACE:
            continue
        for value, count in raw[name].value_counts(name="_count").iter_rows():
            control.amounts[f"{name}_minor"] += _minor(value, mapping.currency) * count


def _minor(value: object, currency: str) -> int:
    """The amount in minor units; nothing where there is none that could be read."""
    text = str(value)
    if value is None or text.strip("+-.0123456789"):
        return 0
    try:
        minor = to_minor(Decimal(text).quantize(_TEN_DIGITS, ROUND_HALF_EVEN), currency)
    except (InvalidOperation, ValueError):
        return 0
    return minor if abs(minor) <= AMOUNT_MINOR_MAX else 0


def _rows(file: SourceFile, columns: Collection[str]) -> Iterator[tuple[pl.DataFrame, int]]:
    """Chunks of these columns as text (Parquet: all, as they are), and how many rows were read."""
    if file.is_parquet:
        frame = pl.scan_parquet(file.path)
        total = frame.select(pl.len()).collect().item()
        for start in range(0, total, ROWS_PER_CHUNK):
            part = frame.slice(start, ROWS_PER_CHUNK).collect()
            yield _placed(part, file, start), part.height
        return
    with open_text(file) as text:
        reader = csv.reader(text, delimiter=file.separator, strict=True)
        names = [name.strip() for name in next(reader)]
        wanted = [(n, name) for n, name in enumerate(names) if name in columns]
        wanted = wanted or [(0, names[0])]
        done, more = 0, True
        while more:
            found, good, bad, more = _batch(reader, len(names), wanted, file)
            part = pl.DataFrame(found, schema=dict.fromkeys(found, pl.String))
            yield _placed(part, file, done), good + bad
            done += good


def _batch(
    reader: Iterator[list[str]], width: int, wanted: list[tuple[int, str]], file: SourceFile
) -> tuple[dict[str, list[str]], int, int, bool]:
    """Some rows' wanted columns, how many rows and no rows there were, and whether more may come.

    Rows are taken apart a few thousand at a time: a longer list of lists keeps the garbage
    collector busier than the reader.
    """
    found: dict[str, list[str]] = {name: [] for _, name in wanted}
    good = bad = 0
    rows: list[list[str]] = [[]]
    try:
        while rows and good < ROWS_PER_CHUNK:
            rows = []
            rows.extend(islice(reader, ROWS_AT_ONCE))
            fitting = [row for row in rows if len(row) == width]
            good += len(fitting)
            bad += sum(bool(row) and len(row) != width for row in rows)
            for n, name in wanted:
                found[name].extend([row[n] for row in fitting])
    except csv.Error as error:
        if "end of data" not in str(error):
            raise BadInput(
                f"not CSV: {error}",
                source=file.path.name,
                line=getattr(reader, "line_num", None),
                mend="close or double the quotation mark",
            ) from error
        # What came before the end, in the batch that it cut short, was counted by nobody yet.
        fitting = [row for row in rows if len(row) == width]
        for n, name in wanted:
            found[name].extend([row[n] for row in fitting])
        lost = sum(bool(row) and len(row) != width for row in rows)
        return found, good + len(fitting), bad + lost + 1, False
    return found, good, bad, bool(rows)


def _placed(rows: pl.DataFrame, file: SourceFile, done: int) -> pl.DataFrame:
    """The rows with places that rise as they do in the file; the control never names a line."""
    lines = pl.int_range(done + 1, done + rows.height + 1, dtype=pl.Int64, eager=True)
    return rows.with_columns(pl.lit(file.index, pl.Int32).alias(FILE), lines.alias(LINE))
