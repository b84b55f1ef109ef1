"""The plan of a book: the same bytes twice, in one process and in several, and after a cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from tests.scenario.desk import MORNING, Desk, open_desk

from duewise.errors import BadInput
from duewise.jobs.ingest import complete_feed
from duewise.jobs.load_book import load_book
from duewise.jobs.plan_day import MANIFEST, PlanSummary, plan_book, read_manifest
from duewise.store.book import Book, open_book
from duewise.strategy.budget import Budget

BORROWERS = 600
PARTITIONS = 4
AS_OF = date(2026, 8, 14)
LOAN_COLUMNS = (
    "loan_id,borrower_id,product,currency,principal,opened_date,annual_rate,penalty_multiplier,"
    "method,autopay,grace_days,tolerance"
)
NOON = datetime(2026, 8, 13, 4, tzinfo=UTC)

Planner = Callable[..., PlanSummary]


def write_files(folder: Path) -> Path:
    """Six hundred borrowers in the plain layout; each third has a second loan, some have paid."""
    ids = [f"L-{n:04d}" for n in range(BORROWERS)]
    folder.mkdir()
    borrowers = (f"{b},zh-CN,Asia/Shanghai,李小明,李*先生,138{n:08d}" for n, b in enumerate(ids))
    loans = [(b, k) for n, b in enumerate(ids) for k in range(1 + (n % 3 == 0))]
    tables = {
        "borrowers": ["borrower_id,locale,timezone,name,salutation,phone", *borrowers],
        "loans": [
            LOAN_COLUMNS,
            *(
                f"{b}-{k},{b},cash,CNY,{1000 + k}.00,2026-06-01,0.216,1.5,equal_instalment,no,0,0"
                for b, k in loans
            ),
        ],
        "instalments": [
            "loan_id,number,due_date,principal,interest,fee",
            *(
                f"{b}-{k},{m + 1},{_due(b, k) + timedelta(days=30 * m)},500.00,9.5,0"
                for b, k in loans
                for m in range(2)
            ),
        ],
        "payments": [
            "payment_id,loan_id,paid_at,amount,kind,reverses,source",
            *(
                f"P-{b}-{k},{b}-{k},2026-08-0{1 + k} 10:00:00,509.50,,,"
                for b, k in loans
                if int(b[2:]) % 5 == 0
            ),
        ],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _due(borrower: str, loan: int) -> date:
    return AS_OF + timedelta(days=(int(borrower[2:]) + loan) % 24 - 16)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    return open_desk(tmp_path / "lender", dsn)


@pytest.fixture
def book(desk: Desk, tmp_path: Path) -> Book:
    with desk.app.connect(desk.dsn) as conn:
        report = load_book(
            conn,
            write_files(tmp_path / "files"),
            "duewise",
            tmp_path / "book",
            keyring=desk.app.keyring,
            now=NOON,
            partitions=PARTITIONS,
        )
        complete_feed(conn, MORNING)
    assert report.rejects.is_empty()
    return open_book(tmp_path / "book")


@pytest.fixture
def plan(desk: Desk, book: Book) -> Planner:
    def make(folder: Path, **more: Any) -> PlanSummary:
        with desk.app.connect(desk.dsn) as conn:
            given = {"as_of": AS_OF, "now": MORNING, "tenant": desk.app.tenant, **more}
            return plan_book(conn, book, out=folder, **given)

    return make


def test_it_gives_the_same_bytes_in_one_process_and_in_four(plan: Planner, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("one", "again", "four")}
    summaries = [
        plan(folders["one"]),
        plan(folders["again"]),
        plan(folders["four"], workers=4),
    ]
    assert {summary.borrowers for summary in summaries} == {BORROWERS}
    assert summaries[0].proposals > 100
    for name in ("plan.parquet", MANIFEST):
        written = {folder: (path / name).read_bytes() for folder, path in folders.items()}
        assert written["one"] == written["again"]
        assert written["one"] == written["four"]
    for folder in folders.values():
        assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "plan.parquet"]


def test_it_shares_out_budgets_and_hours_alike_in_one_two_and_four_processes(
    plan: Planner, tmp_path: Path, desk: Desk
) -> None:
    budget = Budget("sms", "messages", 60, channel="sms")
    strategy = replace(desk.app.tenant.strategy, budgets=(budget,))
    a_few = 14 / 3_600  # parts: no more than that in an hour, of more than a hundred in all
    tenant = replace(desk.app.tenant, strategy=strategy, rates={"sms": a_few})
    folders = {workers: tmp_path / str(workers) for workers in (1, 2, 4)}
    for workers, folder in folders.items():
        plan(folder, tenant=tenant, workers=workers)
    rows = pl.read_parquet(tmp_path / "1" / "plan.parquet")
    assert (
        rows.filter((pl.col("decision") == "proposed") & (pl.col("outcome") != "block")).height
        == 60
    )
    assert rows.filter(reason="over_budget").height > 40
    (use,) = read_manifest(folders[1])["budgets"]
    assert (use["used"], use["price"] > 0) == (60, True)
    (load,) = read_manifest(folders[1])["loads"]
    assert (load["messages"], load["left_over"], load["moved"] > 0) == (60, 0, True)
    hour = pl.col("not_before").dt.truncate("1h")
    texts = rows.filter(pl.col("decision") == "proposed").group_by(hour).agg(pl.col("parts").sum())
    assert max(texts["parts"]) <= 14
    written = {(path / "plan.parquet").read_bytes() for path in folders.values()}
    assert len(written) == 1


def test_it_plans_every_borrower_once_part_by_part(plan: Planner, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    plan(tmp_path / "plan", progress=lambda *at: done.append(at))
    rows = pl.read_parquet(tmp_path / "plan" / "plan.parquet")
    assert rows["borrower_id"].n_unique() == rows.height == BORROWERS
    assert rows["losers"].list.len().sum() > 0
    assert done == [(n, PARTITIONS) for n in range(1, PARTITIONS + 1)]


def test_it_goes_on_where_a_run_was_cut_off(
    plan: Planner, tmp_path: Path, desk: Desk, book: Book
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    summary = plan(whole)
    wire = Cut(desk, after=2)
    with pytest.raises(psycopg.OperationalError):
        plan_book(
            wire.conn, book, desk.app.tenant, as_of=AS_OF, now=MORNING, out=cut, progress=wire
        )
    parts = cut / f"parts-{summary.plan_id}"
    kept = {path.name: path.read_bytes() for path in parts.iterdir()}
    assert sorted(kept) == ["0000.arrow", "0001.arrow"]
    with pytest.raises(BadInput):
        read_manifest(cut)
    done: list[tuple[int, int]] = []
    plan(cut, progress=lambda *at: done.append(at))
    assert done == [(3, PARTITIONS), (4, PARTITIONS)]
    assert (cut / "plan.parquet").read_bytes() == (whole / "plan.parquet").read_bytes()
    assert not parts.exists()


def test_it_leaves_nothing_of_a_run_that_was_given_up(plan: Planner, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    summary = plan(folder)
    given_up = folder / "parts-0123456789abcdef"
    shutil.copytree(folder, given_up)
    again = plan(folder, now=MORNING + timedelta(minutes=1))
    assert again.plan_id != summary.plan_id
    assert read_manifest(folder)["plan_id"] == again.plan_id
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "plan.parquet"]


def test_it_has_no_finished_plan_while_another_is_made_over_it(
    plan: Planner, tmp_path: Path, desk: Desk, book: Book
) -> None:
    folder = tmp_path / "plan"
    plan(folder)
    wire, later = Cut(desk, after=1), MORNING + timedelta(minutes=1)
    with pytest.raises(psycopg.OperationalError):
        plan_book(
            wire.conn, book, desk.app.tenant, as_of=AS_OF, now=later, out=folder, progress=wire
        )
    with pytest.raises(BadInput, match="no finished plan"):
        read_manifest(folder)


class Cut:
    """A database connection that is lost once so many partitions are planned."""

    def __init__(self, desk: Desk, *, after: int) -> None:
        self.conn = psycopg.connect(desk.dsn, autocommit=True)
        self._after = after

    def __call__(self, done: int, total: int) -> None:
        if done == self._after < total:
            self.conn.close()
