"""What early warning costs: features of every open loan from the book's tables, and a score."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.align import LoanTables
from duewise.book.product import shipped_products
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.big_book import PART, tables_of
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, in_turns, rates
from duewise.jobs.bench.risk_peer import COLUMNS as COLUMNS_OF_PEER
from duewise.jobs.bench.risk_peer import notebook, same_columns
from duewise.risk.boosting import QUICK
from duewise.risk.features import feature_table, features, morning
from duewise.risk.fit import Columns, fit_models
from duewise.risk.forest import forest_of
from duewise.risk.inputs import Inconclusive
from duewise.risk.logistic import expit

ZONE, THREADS = "Asia/Shanghai", 2
LEAVES, COLUMNS = 63, 40
FITTED, MISSING = 20_000, 0.05
CLOSE = 1e-9
FIT_COLUMNS, ROWS_EACH = 60, 3
Floats = npt.NDArray[np.float64]


def risk(task: Task) -> list[Figure]:
    """Borrowers a second, a loan each; rows a second beside the library's own predictor."""
    return [*_scores(task), _whole_road(task), _beside_a_notebook(task)]


def risk_fit(task: Task) -> list[Figure]:
    """Seconds that both models take of a table, as `risk fit --quick` makes them."""
    rows, chance = task.sizes.fitted, np.random.default_rng(task.sizes.seed)
    table = {f"x{n}": chance.normal(size=rows).astype(np.float32) for n in range(FIT_COLUMNS)}
    odds = table["x0"] + table["x1"] * table["x2"] + 0.5 * np.abs(table["x3"]) - 2
    frame = pl.DataFrame(table).with_columns(
        late=pl.Series(chance.random(rows) < expit(odds)).cast(pl.Int8),
        borrower_id=pl.Series(np.arange(rows) // ROWS_EACH),
    )
    columns, settings = Columns("late", "borrower_id"), replace(QUICK, threads=THREADS)
    started = task.timer()
    fitted = fit_models(frame, columns, seed=0, settings=settings)
    seconds = task.timer() - started
    if isinstance(fitted, Inconclusive):
        raise IntegrityBroken(f"bench risk-fit: {fitted.reason.meaning}")
    note = f"{FIT_COLUMNS} features, {fitted.boosting.trees} trees and a scorecard; {seconds:.1f} s"
    return [rates("risk-fit", "rows/s", rows, [(seconds, None)], note=note)]


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


def _beside_a_notebook(task: Task) -> Figure:
    """The whole road of fewer borrowers, beside a dozen columns by pandas and the library."""
    size = min(PART, max(task.sizes.loans // 20, 1))
    tables = LoanTables(**tables_of(np.arange(size), as_of=task.as_of))
    products, at = shipped_products(), morning(task.as_of, ZONE)
    chance, names = np.random.default_rng(task.sizes.seed), [each.name for each in feature_table()]
    trees = task.sizes.trees
    forest = forest_of(_model(chance.normal(size=(FITTED, len(names))), chance, trees=trees))
    few = _model(chance.normal(size=(FITTED, len(COLUMNS_OF_PEER))), chance, trees=trees)
    booster = lgb.Booster(model_str=few)
    peer = notebook(tables, booster, as_of=task.as_of, known_at=at, threads=1)

    def ours() -> pl.DataFrame:
        rows = features(tables, products, as_of=task.as_of, zone=ZONE)
        forest.score(rows.select(names).to_numpy().T)
        return rows

    theirs, score = peer()
    same = same_columns(ours(), theirs)
    laid_out = forest_of(few).score(theirs.to_numpy().T)
    if same < 0 or np.abs(laid_out - score).max() > CLOSE:
        raise IntegrityBroken("bench risk: pandas says something else; nothing was timed")
    seconds = in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    note = (
        f"one thread; {len(names)} features against {len(COLUMNS_OF_PEER)},"
        f" the same of {same:,} punctual loans"
    )
    return rates(
        "risk", "borrowers/s", size, seconds, peer_name="pandas, Booster.predict", note=note
    )


def _model(rows: Floats, chance: np.random.Generator, *, trees: int) -> str:
    """The text of a model of the stated size, of rows that mean nothing."""
    odds = np.nan_to_num(rows[:, 0] + rows[:, 1] * rows[:, 2] + chance.normal(size=len(rows)))
    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbose": -1}
    return str(lgb.train(settings, lgb.Dataset(rows, odds > 0), trees).model_to_string())
