"""The journal: a plan goes in once, and every question about a day or a borrower comes out."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from duewise.errors import BadInput, IntegrityBroken
from duewise.frames import INSTANT
from duewise.store import journal

MARCH = [date(2026, 3, day) for day in (1, 2, 3)]
CAST = ("Zhao", "Li", "Wang", "Chen")


def plan(plan_id: str, as_of: date, **columns: Any) -> pl.DataFrame:
    planned_at = datetime(as_of.year, as_of.month, as_of.day, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "plan_id": plan_id,
            "as_of": as_of,
            "planned_at": planned_at,
            "borrower_id": CAST,
            "decision": ["none", "proposed", "none", "held_out"],
            "reason": ["opted_out", "", "dispute", ""],
            **columns,
        }
    ).with_columns(pl.col("planned_at").cast(INSTANT))


def test_it_keeps_every_row_of_every_plan(tmp_path: Path) -> None:
    for number, day in enumerate(MARCH):
        path = journal.append(tmp_path, plan(f"P{number}", day))
        assert path == tmp_path / "journal" / f"as_of={day}" / f"P{number}.parquet"
    rows = journal.read(tmp_path, since=MARCH[0], until=date(2026, 3, 4)).collect()
    assert rows.height == 3 * len(CAST)
    assert (
        rows.filter(plan_id="P1")
        .sort("borrower_id")
        .equals(plan("P1", MARCH[1]).sort("borrower_id"))
    )


def test_it_reads_one_day_or_the_days_before_another(tmp_path: Path) -> None:
    for number, day in enumerate(MARCH):
        journal.append(tmp_path, plan(f"P{number}", day))
    one = journal.read(tmp_path, since=MARCH[1]).collect()
    two = journal.read(tmp_path, since=MARCH[0], until=MARCH[2]).collect()
    assert one["plan_id"].unique().to_list() == ["P1"]
    assert two["plan_id"].unique().sort().to_list() == ["P0", "P1"]


def test_it_answers_for_one_borrower(tmp_path: Path) -> None:
    journal.append(tmp_path, plan("P0", MARCH[0]))
    asked = journal.read(
        tmp_path, since=MARCH[0], borrower_id="Zhao", columns=["decision", "reason"]
    )
    assert asked.collect().rows() == [("none", "opted_out")]


def test_it_reads_no_more_of_a_file_than_was_asked_for(tmp_path: Path) -> None:
    journal.append(tmp_path, plan("P0", MARCH[0]))
    asked = journal.read(tmp_path, since=MARCH[0], borrower_id="Zhao", columns=["reason"])
    done = asked.explain()
    assert "SELECTION" in done
    assert "PROJECT 2/6" in done


def test_it_changes_nothing_when_a_plan_comes_again(tmp_path: Path) -> None:
    path = journal.append(tmp_path, plan("P0", MARCH[0]))
    assert path is not None
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    assert journal.append(tmp_path, plan("P0", MARCH[0])) == path
    assert before == (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    assert list(path.parent.iterdir()) == [path]


def test_it_refuses_to_change_what_is_on_record(tmp_path: Path) -> None:
    path = journal.append(tmp_path, plan("P0", MARCH[0]))
    assert path is not None
    before = path.read_bytes()
    with pytest.raises(IntegrityBroken, match="plan 'P0' is in the journal with other rows"):
        journal.append(tmp_path, plan("P0", MARCH[0], reason="another"))
    assert path.read_bytes() == before


def test_it_does_not_read_a_file_that_is_still_being_written(tmp_path: Path) -> None:
    path = journal.append(tmp_path, plan("P0", MARCH[0]))
    assert path is not None
    path.with_name(".P1.parquet").write_bytes(b"PAR1 half")
    assert journal.read(tmp_path, since=MARCH[0]).collect().height == len(CAST)


def test_it_reads_plans_of_older_forms_beside_newer_ones(tmp_path: Path) -> None:
    journal.append(tmp_path, plan("P0", MARCH[0]))
    journal.append(tmp_path, plan("P1", MARCH[0], tone="gentle"))
    tones = journal.read(tmp_path, since=MARCH[0], borrower_id="Li", columns=["plan_id", "tone"])
    assert sorted(tones.collect().rows()) == [("P0", None), ("P1", "gentle")]


def test_it_has_nothing_to_say_of_a_day_without_a_plan(tmp_path: Path) -> None:
    assert journal.append(tmp_path, plan("P0", MARCH[0]).clear()) is None
    assert journal.read(tmp_path, since=MARCH[0], borrower_id="Li").collect().is_empty()
    assert journal.read(tmp_path, since=MARCH[0], until=MARCH[2]).collect().is_empty()


def test_it_names_the_column_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="table 'plan' lacks column 'reason'"):
        journal.append(tmp_path, plan("P0", MARCH[0]).drop("reason"))
