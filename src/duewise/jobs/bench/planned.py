"""The plan's figures: a book on disk, planned by worker processes, budgets included."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from duewise.book.schema import BORROWERS
from duewise.frames import INSTANT, conform, empty
from duewise.ids import stable_hash
from duewise.jobs.bench import big_book
from duewise.jobs.bench.book import Task, reachable
from duewise.jobs.bench.figure import Figure, forget_peak, in_turns, peak_rss_mib, rates
from duewise.jobs.bench.plan_files import read_files
from duewise.jobs.bench.risk import FITTED, LEAVES
from duewise.jobs.operations import CASES, CONTACTS
from duewise.jobs.plan_day import plan_parts
from duewise.risk.boosting import Boosting
from duewise.risk.calibrate import Calibration
from duewise.risk.features import feature_table, features_of
from duewise.risk.inputs import Inputs
from duewise.risk.serve import Served
from duewise.store.book_parts import write_part
from duewise.strategy.budget import Budget
from duewise.strategy.timing import HOURS

PROCESSES = 2
PART = 50_000  # borrowers to a partition
LOANS_OF_TEN = 13  # ten borrowers have so many loans
# The whole book's payments by hour: most in the evening.
_EVENING = range(18, 22)
_PAID = {"instalment": tuple(1_500 if hour in _EVENING else 1_000 for hour in range(HOURS))}
_MIB = 1_024


def plan(task: Task) -> list[Figure]:
    """Borrowers a second from Parquet to the written plan, and the memory it took.

    Ledger, features, score by boosting, decision, hours learned, first gate, three budgets shared
    out, plan written. Addresses and cases are files: no database is asked.
    """
    borrowers = task.sizes.borrowers
    partitions = -(-borrowers // PART)
    budgets = (
        Budget("messages", "messages", borrowers // 20),
        Budget("money", "money", borrowers // 250),
        Budget("late", "messages", borrowers // 40, when="dpd > 0"),
    )
    with tempfile.TemporaryDirectory(prefix="duewise-plan-") as name:
        folder = Path(name)
        for number in range(partitions):
            _write(folder, number, task)
        strategy = replace(task.context.strategy, budgets=budgets, send_time="learned")
        context = replace(
            task.context, strategy=strategy, models=(_model(folder, task),), paid_by_hour=_PAID
        )
        turn = iter(range(task.sizes.turns))
        base_mib = forget_peak()
        planned: list[float] = []  # of the last turn, when each partition was

        def run() -> None:
            planned.clear()
            began = task.timer()
            plan_parts(
                lambda number: partial(read_files, folder, number),
                context,
                partitions=partitions,
                out=folder / f"plan-{next(turn)}",
                workers=PROCESSES,
                progress=lambda _done, _of: planned.append(task.timer() - began),
            )
            planned.append(task.timer() - began)

        seconds = in_turns(run, None, turns=task.sizes.turns, timer=task.timer)
    worker_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // _MIB
    note = f"{partitions} partitions, {task.sizes.trees} trees of {LEAVES} leaves; the first one"
    note += " planned after {:.1f} s, all after {:.1f}, written after {:.1f};".format(
        planned[0], *planned[-2:]
    )
    note += f" {base_mib} MiB of it were held before"
    figures = [
        rates("plan", "borrowers/s", borrowers, [(own, None) for own, _ in seconds]),
        Figure("plan", borrowers, "MiB, first process", ours=peak_rss_mib(), note=note),
    ]
    if partitions > 1:  # else the first process plans it
        figures.append(Figure("plan", borrowers, "MiB, largest worker", ours=worker_mib))
    return figures


def _model(folder: Path, task: Task) -> Served:
    """A model of the first partition's features: late or not, with some noise."""
    import lightgbm as lgb

    tables = read_files(folder, 0)
    zone = task.context.strategy.timezone
    known = tables.ledger(task.context.products, as_of=task.as_of, known_at=task.morning, zone=zone)
    rows = features_of(known, tables.payments, known_at=task.morning)
    names = tuple(each.name for each in feature_table())
    inputs = Inputs(names, {}, {})
    matrix = inputs.matrix(rows)[:FITTED]
    noise = np.random.default_rng(task.sizes.seed).normal(size=len(matrix))
    is_late = np.nan_to_num(matrix[:, names.index("late_share")]) + noise > 1
    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbose": -1}
    data = lgb.Dataset(matrix, is_late)
    text = lgb.train(settings, data, task.sizes.trees).model_to_string()
    return Served(
        "late_1", "bench", Boosting(inputs, (text,), (1.0,), 0.0, Calibration("platt", (0.0, 1.0)))
    )


def _write(folder: Path, number: int, task: Task) -> None:
    """Write a partition: for every ten borrowers thirteen loans of twelve instalments."""
    first = number * PART
    ids = np.arange(first, min(first + PART, task.sizes.borrowers))
    loans = np.arange(ids[0] * LOANS_OF_TEN // 10, (ids[-1] + 1) * LOANS_OF_TEN // 10)
    whose = ("L" + pl.Series(loans).cast(pl.String).str.zfill(8)).alias("loan_id")
    owner = pl.Series(np.minimum(loans * 10 // LOANS_OF_TEN, ids[-1]))
    owners = pl.DataFrame({"loan_id": whose, "borrower_id": _name(owner)})
    made = big_book.tables_of(loans, as_of=task.as_of)
    frames = {
        name: made[name].drop("borrower_id").join(owners, on="loan_id", maintain_order="left")
        for name in ("loans", "instalments", "payments")
    }
    names = _name(pl.Series(ids))
    frames["borrowers"] = conform(
        pl.DataFrame({"borrower_id": names}).with_columns(
            borrower_hash=pl.Series([stable_hash(each) for each in names], dtype=pl.Int64),
            locale=pl.lit("zh-CN"),
            timezone=pl.lit("Asia/Shanghai"),
        ),
        BORROWERS,
        name="borrowers",
    )
    frames["contacts"] = _contacts(ids, names, task)
    frames["addresses"], frames["cases"] = reachable(frames["borrowers"]), empty(CASES)
    for name, frame in frames.items():
        write_part(folder, name, number, frame)


def _contacts(ids: big_book.Int64s, names: pl.Series, task: Task) -> pl.DataFrame:
    """Three messages to each in the last ninety days."""
    ago = np.concatenate([ids * 7 % 28 + 1, ids * 11 % 28 + 31, ids * 13 % 28 + 61])
    morning = pl.lit(task.morning - timedelta(hours=14)).cast(INSTANT)
    frame = pl.DataFrame({"borrower_id": pl.concat([names] * 3), "ago": ago}).with_columns(
        at=morning - pl.duration(days=pl.col("ago")),
        channel=pl.lit("sms"),
        dir=pl.lit("out"),
        outcome=pl.lit(None, pl.String),
        stage=pl.lit("pre_due"),
        actor=pl.lit("own"),
        number="token-" + pl.col("borrower_id"),
        debt=pl.lit(None, pl.String),
        flags=pl.lit([], pl.List(pl.String)),
    )
    return conform(frame, CONTACTS, name="contacts")


def _name(numbers: pl.Series) -> pl.Series:
    return ("B" + numbers.cast(pl.String).str.zfill(8)).alias("borrower_id")
