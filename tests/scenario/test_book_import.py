"""A lender's files become a book: whole, in order, the same every time, or not at all."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import (
    FILES,
    as_parquet,
    edit,
    fingerprint,
    load,
    rejects,
    write_files,
)

from duewise.book.schema import PERSONAL, SCHEMAS
from duewise.errors import BadInput
from duewise.ids import partition_of, stable_hash
from duewise.store import book_source
from duewise.store.book import check_book, open_book


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "files")


def test_it_takes_good_files_whole(source: Path) -> None:
    report = load(source)
    totals = report.manifest.tables
    assert rejects(report) == []
    assert totals["loans"].amounts == {"principal_minor": 350050, "tolerance_minor": 50}
    assert totals["instalments"].amounts == {
        "principal_minor": 350050,
        "interest_minor": 6501,
        "fee_minor": 100,
    }
    assert totals["payments"].amounts == {"amount_minor": 308100}
    assert check_book(report.book).ok
    assert json.loads((report.book / "book.json").read_text())["dates"] == {
        "first_due_date": "2026-02-01",
        "first_opened_date": "2026-01-01",
        "first_paid_at": "2026-02-01T02:00:00+00:00",
        "last_due_date": "2026-03-01",
        "last_opened_date": "2026-01-03",
        "last_paid_at": "2026-02-05T16:00:00+00:00",
    }


def test_it_keeps_a_borrower_s_rows_in_one_partition_and_in_order(source: Path) -> None:
    book = open_book(load(source, partitions=3).book)
    number = partition_of(stable_hash("Li"), 3)
    tables = book.read(number, borrowers=["Li"])
    assert tables.borrowers["borrower_hash"].to_list() == [stable_hash("Li")]
    assert tables.instalments["number"].to_list() == [1, 2]
    assert book.read_borrowers(["Li", "Wang"]).loans["loan_id"].sort().to_list() == ["L1", "L2"]
    for name, schema in SCHEMAS.items():
        assert getattr(tables, name).schema == pl.Schema(dict(schema))
    known = book.known_payments(number, known_at=datetime(2026, 2, 1, 2, tzinfo=UTC))
    assert "P1" in known["payment_id"].to_list()


def test_it_tells_the_payments_between_two_instants(source: Path) -> None:
    book = open_book(load(source).book)
    found = book.payments_between(
        datetime(2026, 2, 1, 2, tzinfo=UTC), datetime(2026, 2, 5, 9, tzinfo=UTC)
    )
    assert found.select("payment_id", "currency", "amount_minor").rows() == [("P2", "CNY", 103000)]


def test_it_gives_people_to_the_sink_and_to_no_file(source: Path) -> None:
    people: list[pl.DataFrame] = []
    edit(source, "borrowers.csv", "Chen,zh-CN", "Li,zh-CN")
    report = load(source, people_sink=people.append)
    told = pl.concat(people)
    assert told.select("borrower_id", "name", "phone", "line").rows() == [
        ("Li", "李雷", "13800138001", 2),
        ("Wang", "王芳", "13800138002", 3),
    ]
    for path in report.book.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert "李雷".encode() not in content
        assert b"13800138001" not in content
    for path in report.book.rglob("part-*.parquet"):
        assert not set(pl.read_parquet_schema(path)) & set(PERSONAL)


def test_it_is_unchanged_by_the_same_files(source: Path) -> None:
    report = load(source)
    before = fingerprint(report.book)
    again = load(source)
    assert again.is_unchanged
    assert "unchanged" in again.title
    assert fingerprint(report.book) == before


def test_it_writes_the_same_bytes_of_the_same_files(source: Path, tmp_path: Path) -> None:
    first = load(source, into=tmp_path / "one")
    second = load(source, into=tmp_path / "two")
    assert fingerprint(first.book) == fingerprint(second.book)


def test_it_rebuilds_when_a_file_changes(source: Path) -> None:
    load(source)
    edit(source, "payments.csv", "1021", "1000")
    report = load(source)
    assert not report.is_unchanged
    assert report.manifest.tables["payments"].amounts == {"amount_minor": 306000}


def test_it_reads_blocks_of_any_size_alike(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(source, "borrowers.csv", "王芳", '"王\n芳, ""小"""')
    whole = load(source, into=tmp_path / "whole")
    for size in (1, 7, 64):
        monkeypatch.setattr(book_source, "BLOCK_BYTES", size)
        parts = load(source, into=tmp_path / f"by-{size}")
        assert fingerprint(parts.book) == fingerprint(whole.book)


def test_it_reads_an_archive_that_is_whole(source: Path) -> None:
    (source / "payments.csv").unlink()
    (source / "payments.csv.gz").write_bytes(gzip.compress(FILES["payments.csv"].encode()))
    assert load(source).manifest.tables["payments"].rows_taken == 3


def test_it_takes_parquet_as_it_takes_csv(source: Path, tmp_path: Path) -> None:
    from_text = load(source, into=tmp_path / "text")
    as_parquet(source)
    from_parquet = load(source, into=tmp_path / "parquet")
    assert rejects(from_parquet) == []
    assert from_parquet.manifest.tables == from_text.manifest.tables


def test_it_keeps_the_old_book_when_anything_fails(source: Path) -> None:
    book = load(source).book
    before = fingerprint(book)
    edit(source, "payments.csv", "1021", "1000")

    def broken(_: pl.DataFrame) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        load(source, people_sink=broken)
    assert fingerprint(book) == before
    assert sorted(path.name for path in source.parent.iterdir()) == ["book", "files"]


def test_it_puts_the_old_book_back_after_a_crash_between_the_two_renames(source: Path) -> None:
    book = load(source).book
    book.rename(book.with_name(".book.previous"))
    (book.with_name(".book.new") / "spill").mkdir(parents=True)
    assert load(source).is_unchanged
    assert sorted(path.name for path in source.parent.iterdir()) == ["book", "files"]


def test_it_shows_how_far_it_is(source: Path) -> None:
    told: list[tuple[int, int]] = []
    load(source, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert all(a[0] <= b[0] for a, b in pairwise(told))


def test_it_finds_what_is_wrong_with_a_book(source: Path) -> None:
    book = load(source, partitions=1).book
    path = book / "payments" / "part-0000.parquet"
    payments = pl.read_parquet(path)
    payments.reverse().with_columns(pl.col("amount_minor") + 1).write_parquet(path)
    (book / "loans" / "part-0000.parquet").write_bytes(b"PAR1")
    found = " / ".join(check_book(book).findings)
    assert "loans, partition 0: cannot be read" in found
    assert "payments, partition 0: rows are out of order" in found
    assert "payments: amount_minor sums to 308,103, book.json says 308,100" in found


def test_it_says_that_there_is_no_book(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no book here"):
        open_book(tmp_path)
    (tmp_path / "book.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="import it again"):
        open_book(tmp_path)
