"""What a data scientist asks of a book: what was known on some mornings, and what became of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import load, write_files
from tests.scenario.road import CommandLine

from duewise.book.mapping import load_mapping
from duewise.risk.features import feature_table
from duewise.risk.target import TARGETS

DAYS = ("--as-of-from", "2026-02-01", "--as-of-to", "2026-05-15", "--known-until", "2026-06-01")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return load(write_files(tmp_path / "files"), mapping=load_mapping("duewise"), partitions=3).book


@pytest.fixture
def duewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys, "--workspace", tmp_path, "--json")


def test_it_writes_features_and_targets_of_each_day(
    duewise: CommandLine, book: Path, tmp_path: Path
) -> None:
    said = duewise("risk", "rows", book, *DAYS, "--out", tmp_path / "rows.parquet")
    assert said.code == 0, said.err
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows["as_of"].n_unique() == 4
    assert {each.name for each in feature_table()} < set(rows.columns)
    counted = {each["target"]: each["rows"] for each in said.json}
    assert counted == {name: rows[name].count() for name in TARGETS}
    assert counted["late_1"] > 0


def test_it_refuses_days_in_the_wrong_order(
    duewise: CommandLine, book: Path, tmp_path: Path
) -> None:
    said = duewise("risk", "rows", book, *DAYS[:-1], "2026-03-01", "--out", tmp_path / "rows")
    assert said.code == 2
    assert "--known-until" in said.err
    assert not (tmp_path / "rows").exists()


def test_it_fits_no_model_of_a_small_book(duewise: CommandLine, book: Path, tmp_path: Path) -> None:
    said = duewise("risk", "fit", book)
    assert said.code == 2
    assert "give --as-of-from, --as-of-to and --known-until" in said.err
    said = duewise("risk", "fit", book, *DAYS)
    assert said.code == 1
    assert "inconclusive, no model" in said.err
    assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".parquet"]
