"""What a data scientist asks of a book: what was known on some mornings, and what became of it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import load, write_files
from tests.scenario.road import CommandLine
from tests.unit.test_risk_cured import landmarks

from duewise.book.mapping import load_mapping
from duewise.jobs.risk_serve import served_hazard
from duewise.risk.features import feature_table
from duewise.risk.serve import told
from duewise.risk.target import TARGETS

DUE = date(2026, 3, 1)
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
    said = duewise("risk", "fit", book, "--target", "all", *DAYS)
    assert said.code == 1
    assert "no model of late_1: there are fewer than" in said.err
    assert "inconclusive, no model" in said.err
    assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".parquet"]
    said = duewise("risk", "fit", book, "--target", "cured", *DAYS)
    assert said.code == 1
    assert "inconclusive, no model" in said.err
    (made,) = (tmp_path / "models").glob("lapses-*.parquet")
    lapses = pl.read_parquet(made).filter(loan_id="L1")
    assert lapses.select("as_of", "number", "from_day", "days", "is_cured").rows() == [
        (DUE + timedelta(days=n), 2, n, 30, False) for n in range(2, 30, 5)
    ]


def test_it_sets_a_hazard_aside_that_no_longer_holds_and_the_plan_says_so(
    duewise: CommandLine, tmp_path: Path
) -> None:
    named = {"loan_id": pl.col("borrower_id"), "number": pl.lit(1, pl.Int32)}
    rows, made = landmarks(2_400).with_columns(**named), tmp_path / "lapses.parquet"
    rows.write_parquet(made)
    said = duewise("risk", "fit", made, "--target", "cured", "--folds", "2", "--quick")
    assert said.json["registered"], said.json["guards"]
    open_still = rows.with_columns(known_days=pl.lit(5), is_cured=pl.col("days") <= 5)
    turned = rows.with_columns(prompt=1 - pl.col("prompt"))
    at_once = turned.with_columns(days=pl.col("from_day"), is_cured=pl.lit(value=True))
    for now, in_use, past, name in (
        (rows, "hazard", [], "hazard {}"),
        (open_still, "hazard", [], "hazard {}"),
        (turned, "usual day", ["out_of_calibration", "no_better_than_usual"], "the usual day of"),
        (at_once, "rules", ["out_of_calibration"], "nothing, hazard {} being set aside"),
    ):
        now.write_parquet(made)
        found = duewise("risk", "monitor", made, "--target", "cured").json
        assert found["in_use"] == in_use, found
        assert set(past) <= set(found["findings"]["hazard"]), found
        known = {(row["model"], row["horizon"]): row for row in found["performance"]}
        is_open = now is open_still
        assert (known["hazard", 30]["open"] > 0) == (known["hazard", 30]["bias"] is None) == is_open
        served = served_hazard(tmp_path)
        assert served is not None
        assert name.format(found["version"]) in told((), served)
        assert (served.model is None) == (in_use == "rules")
        assert served.model is None or (set(served.model.parts) > {"usual day"}) == (
            in_use == "hazard"
        )


def test_it_registers_a_hazard_of_paying_with_its_card(
    duewise: CommandLine, tmp_path: Path
) -> None:
    named = {"loan_id": pl.col("borrower_id"), "number": pl.lit(1, pl.Int32)}
    rows = landmarks().with_columns(**named, sex=pl.lit("female"))
    made = tmp_path / "lapses.parquet"
    rows.write_parquet(made)
    asked = ("--folds", "2", "--quick", "--protected", "sex")
    said = duewise("risk", "fit", made, "--target", "cured", *asked)
    assert said.code == 0, said.err
    card = said.json
    assert card["features"] == ["prompt", "noise"]
    assert [group["group"] for group in card["groups"]] == ["female"]
    folder = Path(card["folder"])
    page = (folder / "card.html").read_text(encoding="utf-8")
    assert "share that has paid" in page
    assert card["source"]["sha256"][:12] in page
    assert card["registered"], card["guards"]
    assert duewise("risk", "report", "--target", "cured").json["version"] == folder.name
    hazard = served_hazard(tmp_path)
    assert hazard is not None
    assert hazard.name == f"hazard {folder.name}"
    assert hazard.model is not None
    assert (hazard.model.probability_cured(rows)[:, -1] > 0).all()
    assert duewise("risk", "report", "--target", "cured").json["in_use"] == "hazard"
    rows.drop("is_cured").write_parquet(tmp_path / "other.parquet")
    said = duewise("risk", "fit", tmp_path / "other.parquet", "--target", "cured")
    assert "column 'is_cured' is missing" in said.err
