from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from duewise.errors import IntegrityBroken
from duewise.jobs import parquet_file
from duewise.jobs.parquet_file import ParquetFile

MONEY = pa.decimal64(18, 2)
SCHEMA = pa.schema(
    [
        pa.field("loan_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("paid", MONEY, nullable=False),
        pa.field("waived", MONEY),
        pa.field("due_date", pa.date32()),
    ]
)


def _table(*, rows: int) -> pa.Table:
    cents = pa.array(range(-1, rows - 1), pa.int64())
    return pa.table(
        {
            "loan_id": pa.array([f"L{n // 3}" for n in range(rows)]).dictionary_encode(),
            "paid": pa.Array.from_buffers(MONEY, rows, cents.buffers()),
            "waived": pa.array([None if n % 4 else n for n in range(rows)], MONEY),
            "due_date": pa.array(range(rows), pa.int32()).cast(pa.date32()),
        },
        schema=SCHEMA,
    )


def _write(path: Path, tables: list[pa.Table]) -> bytes:
    with ParquetFile(path) as file:
        for table in tables:
            file.write(table)
    return path.read_bytes()


def test_it_writes_money_as_numbers_and_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [_table(rows=500), _table(rows=64), _table(rows=0)]
    tables += [tables[0].slice(100, 7)]
    ours = _write(tmp_path / "ours.parquet", tables)
    read = pq.read_table(tmp_path / "ours.parquet")
    assert read["paid"].type == pa.decimal128(18, 2)
    assert [str(each) for each in read["paid"].to_pylist()[:3]] == ["-0.01", "0.00", "0.01"]
    monkeypatch.setattr(parquet_file, "_in_whole_numbers", lambda table: table)
    assert ours == _write(tmp_path / "theirs.parquet", tables)


def test_it_refuses_a_file_that_would_not_read_as_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = parquet_file._empty_file
    monkeypatch.setattr(parquet_file, "_empty_file", lambda _: empty(SCHEMA.remove(0)))
    with pytest.raises(IntegrityBroken, match="promised"):
        _write(tmp_path / "loans.parquet", [_table(rows=3)])
    assert not list(tmp_path.iterdir())
