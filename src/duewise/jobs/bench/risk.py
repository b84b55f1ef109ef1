"""What early warning costs: features of every open loan from the book's tables, and a score."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from duewise.book.align import LoanTables
from duewise.book.product import shipped_products
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.big_book import PART, tables_of
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, in_turns, rates
from duewise.risk.features import feature_table, features
from duewise.risk.forest import forest_of

ZONE, THREADS = "Asia/Shanghai", 2
LEAVES, COLUMNS = 63, 40
FITTED, MISSING = 20_000, 0.05
CLOSE = 1e-9
Floats = npt.NDArray[np.float64]


def risk(task: Task) -> list[Figure]:
    """Borrowers a second, a loan each; rows a second beside the library's own predictor."""
    return [*_scores(task), _whole_road(task)]


def _scores(task: Task) -> Iterator[Figure]:
    chance = np.random.default_rng(task.sizes.seed)
    rows = chance.normal(size=(task.sizes.fields, COLUMNS))
    rows[chance.random(rows.shape) < MISSING] = np.nan
    text = _model(rows[:FITTED], chance, trees=task.sizes.trees)
    forest, blocks = forest_of(text), np.array_split(rows, THREADS)
    columns = [np.ascontiguousarray(block.T) for block in blocks]

    booster = lgb.Booster(model_str=text)

    def peer() -> Floats:
        return np.asarray(booster.predict(rows, raw_score=True, num_threads=THREADS))

    with ThreadPoolExecutor(THREADS) as pool:

        def ours() -> Floats:
            return np.concatenate(list(pool.map(forest.score, columns)))

        if np.abs(ours() - peer()).max() > CLOSE:
            raise IntegrityBroken("bench risk: the library scores otherwise; nothing was timed")
        seconds = in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    name = f"Booster.predict, {THREADS} threads"
    note = f"{task.sizes.trees} trees of {LEAVES} leaves, {COLUMNS} columns, the same scores"
    yield rates("risk", "rows/s", len(rows), seconds, peer_name=name, note=note)


def _whole_road(task: Task) -> Figure:
    """Ledger, features and score of a partition on each thread."""
    size = min(PART, task.sizes.loans)
    tables = LoanTables(**tables_of(np.arange(size), as_of=task.as_of))
    products, names = shipped_products(), [each.name for each in feature_table()]
    chance = np.random.default_rng(task.sizes.seed)
    rows = chance.normal(size=(FITTED, len(names)))
    forest = forest_of(_model(rows, chance, trees=task.sizes.trees))

    def one(_: int) -> Floats:
        rows = features(tables, products, as_of=task.as_of, zone=ZONE)
        return forest.score(rows.select(names).to_numpy().T)

    one(0)
    with ThreadPoolExecutor(THREADS) as pool:

        def ours() -> None:
            list(pool.map(one, range(THREADS)))

        seconds = in_turns(ours, None, turns=task.sizes.turns, timer=task.timer)
    note = "ledger, features and score in memory"
    return rates("risk", "borrowers/s", THREADS * size, seconds, note=note)


def _model(rows: Floats, chance: np.random.Generator, *, trees: int) -> str:
    """The text of a model of the stated size, of rows that mean nothing."""
    odds = np.nan_to_num(rows[:, 0] + rows[:, 1] * rows[:, 2] + chance.normal(size=len(rows)))
    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbose": -1}
    return str(lgb.train(settings, lgb.Dataset(rows, odds > 0), trees).model_to_string())
