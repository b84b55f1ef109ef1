"""The journal: every considered borrower-day, appended once a plan, never changed.

    WORKSPACE/journal/as_of=2026-03-01/<plan_id>.parquet

Rows lie in the borrower's order, so that a question about one borrower reads a small piece of each
file. Nothing in it is personal: numbers appear as tokens.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from duewise.errors import IntegrityBroken
from duewise.frames import INSTANT, Schema, conform, empty
from duewise.store.files import write_once

FOLDER = "journal"
ROWS_PER_GROUP = 65_536
# What every row says, whatever else a plan adds; and what an empty journal is read as.
JOURNAL: Schema = {
    "plan_id": pl.String,
    "as_of": pl.Date,
    "planned_at": INSTANT,
    "borrower_id": pl.String,
    "decision": pl.String,
    "reason": pl.String,
}


def append(workspace: Path, plan: pl.DataFrame) -> Path | None:
    """Write a plan's rows as one file, durably; the same plan again changes nothing.

    `plan` has the columns of JOURNAL and any more, and rows of one plan_id and one as_of. Returns
    the file, or None where there is no row. Raises IntegrityBroken where the plan is on record with
    other rows, BadInput where a column is missing.
    """
    named = conform(plan, JOURNAL, name="plan").select("plan_id", "as_of").unique()
    if named.is_empty():
        return None
    assert named.height == 1, "a plan has one name and one as-of date"
    plan_id, as_of = named.row(0)
    path = _day(workspace, as_of) / f"{plan_id}.parquet"
    content = io.BytesIO()
    plan.sort("borrower_id", maintain_order=True).write_parquet(
        content, compression="zstd", row_group_size=ROWS_PER_GROUP
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not write_once(path, content.getvalue()) and path.read_bytes() != content.getvalue():
        raise IntegrityBroken(f"plan {plan_id!r} is in the journal with other rows: {path}")
    return path


def read(
    workspace: Path,
    *,
    since: date,
    until: date | None = None,
    borrower_id: str | None = None,
    columns: Sequence[str] | None = None,
) -> pl.LazyFrame:
    """The rows of the day `since`, or of the days up to `until` (exclusive), lazily.

    Filters and columns are pushed down into the files. A column that an older plan did not have is
    null there. A journal without such days gives no rows.
    """
    files = [pl.scan_parquet(path) for path in _files(workspace, since, until)]
    rows = pl.concat(files, how="diagonal_relaxed") if files else empty(JOURNAL).lazy()
    if borrower_id is not None:
        rows = rows.filter(pl.col("borrower_id") == borrower_id)
    return rows if columns is None else rows.select(columns)


def _files(workspace: Path, since: date, until: date | None) -> Iterator[Path]:
    if until is None:
        yield from sorted(_day(workspace, since).glob("[!.]*.parquet"))
        return
    for folder in sorted((workspace / FOLDER).glob("as_of=*")):
        if since <= date.fromisoformat(folder.name.partition("=")[2]) < until:
            yield from sorted(folder.glob("[!.]*.parquet"))


def _day(workspace: Path, as_of: date) -> Path:
    return workspace / FOLDER / f"as_of={as_of.isoformat()}"
