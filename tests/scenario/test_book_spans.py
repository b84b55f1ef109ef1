"""What a book says of how its rows lie: the ledger by it is the ledger without it."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import edit, load, write_files

from duewise.book.product import shipped_products
from duewise.errors import BadInput
from duewise.jobs.ledger_files import TABLES, write_ledger
from duewise.store.book import check_book, open_book

DAY = date(2026, 2, 4)  # before the last payments
TURNED = ("L1,1,2026-02-01", "L1,1,2026-04-01")  # the first instalment falls due last


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return load(write_files(tmp_path / "files"), partitions=2).book


def _ledger(book: Path) -> list[pl.DataFrame]:
    out = book.parent / "out"
    write_ledger(open_book(book), shipped_products(), as_of=DAY, out=out)
    return [pl.read_parquet(out / f"{name}.parquet") for name in TABLES]


def _same_without_spans(book: Path) -> bool:
    with_spans = _ledger(book)
    shutil.rmtree(book / "spans")
    pairs = zip(with_spans, _ledger(book), strict=True)
    return all(one.equals(other) for one, other in pairs)


@pytest.mark.parametrize("kind", ["payment", "reversal", "none known yet"])
def test_it_makes_no_difference_to_the_ledger(tmp_path: Path, kind: str) -> None:
    source = write_files(tmp_path / "files")
    if kind != "reversal":
        edit(source, "payments.csv", "1030.00,reversal,P2", "30.00,,")
    if kind == "none known yet":
        edit(source, "payments.csv", "P1,L1,2026-02-01", "P1,L1,2026-02-11")
    book = load(source, partitions=1).book
    assert open_book(book).bare_tables(0).spans is not None
    assert ("kind" in open_book(book).bare_tables(0).payments.columns) == (kind == "reversal")
    assert _same_without_spans(book)


def test_it_says_nothing_where_rows_lie_otherwise(tmp_path: Path) -> None:
    source = write_files(tmp_path / "files")
    edit(source, "instalments.csv", *TURNED)
    book = load(source, partitions=1).book
    assert open_book(book).bare_tables(0).spans is None
    assert check_book(book).ok
    assert _same_without_spans(book)


def test_it_is_written_for_a_book_that_has_none(book: Path) -> None:
    shutil.rmtree(book / "spans")
    assert not load(book.parent / "files", partitions=2).is_unchanged
    assert load(book.parent / "files", partitions=2).is_unchanged


def test_it_is_found_out_when_it_is_wrong(book: Path) -> None:
    (path,) = (path for path in book.glob("spans/*") if pl.read_parquet(path).height)
    spans = pl.read_parquet(path)
    spans.with_columns(pl.col("instalments") + 1).write_parquet(path)
    assert any(finding.startswith("spans, partition") for finding in check_book(book).findings)
    with pytest.raises(BadInput, match="instalments, and says it has"):
        _ledger(book)
