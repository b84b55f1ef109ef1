"""Who pays the next instalment late: our features against a notebook's, on real loans.

`python tools/risk_peers.py superlender FOLDER`, `... superlender-plain FOLDER` or `... home-credit
FOLDER` prints a table for docs/benchmarks.md. SuperLender: each loan on the morning after it was
opened, the last quarter of the loans by time held out, and nothing fitted on that was not known
when that quarter began; plain, the last 30 % and all before them. Home Credit: each loan every
thirty days, five folds by borrower. Trees are tuned within what they are fitted on; the peers have
their libraries' defaults. Differences are bootstrapped by borrower, ours and the peer's on the same
draws.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.book.mapping import load_mapping
from duewise.book.product import shipped_products
from duewise.risk.features import feature_table, features, morning
from duewise.risk.target import maturity, with_targets
from duewise.store.book import import_book, open_book

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Model = Callable[[pl.DataFrame, pl.DataFrame], Floats]
TARGET = "late_1"
SEED, SEEDS, DRAWS, FOLDS = 0, 3, 1_000, 5
HELD_OUT, PLAIN_HELD_OUT = 0.25, 0.3
EVERY_DAYS, AHEAD_DAYS = 30, 30
NAMES = tuple(each.name for each in feature_table())
SIGNS = {each.name: each.sign for each in feature_table()}
# What a scoring notebook takes from the same files in an afternoon.
NOTEBOOK = (
    *("principal", "next_amount", "annual_rate", "days_to_due", "loan_count", "tenure_days"),
    *("delay_before_last", "delay_last", "delay_mean", "late_share"),
)
GRID = tuple(product((4, 8, 16), (50, 150, 300)))  # leaves, trees
SETTINGS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class Split:
    """Rows to fit on, and rows to be judged by."""

    fit: Rows
    judged: Rows


# ---- the rows ------------------------------------------------------------------------------------


def book_of(mapping: str, folder: Path) -> tuple[LoanTables, str]:
    """The whole book that a shipped mapping makes of the files, and its time zone."""
    with tempfile.TemporaryDirectory(prefix="duewise-peers-") as place:
        into = Path(place) / "book"
        imported_at = datetime(2020, 1, 1, tzinfo=UTC)
        import_book(folder, load_mapping(mapping), into, imported_at=imported_at)
        book = open_book(into)
        parts = [book.loan_tables(number) for number in range(book.partitions)]
    names = ("loans", "instalments", "payments", "pauses", "extensions")
    return (
        LoanTables(**{name: pl.concat(getattr(part, name) for part in parts) for name in names}),
        book.timezone,
    )


def rows_of(tables: LoanTables, zone: str, days: Iterable[date], wanted: pl.Expr) -> pl.DataFrame:
    """The wanted rows of each day, with all that became of them."""
    products, end = shipped_products(), span(tables)[1] + timedelta(days=400)
    later = ledger(tables, products, as_of=end, known_at=morning(end, zone), zone=zone)
    found = [
        features(tables, products, as_of=day, zone=zone)
        .filter(wanted)
        .with_columns(as_of=pl.lit(day))
        for day in days
    ]
    rows = with_targets(pl.concat(found), later)
    print(maturity(rows))
    return rows.filter(pl.col(TARGET).is_not_null()).sort("as_of", "loan_id")


def span(tables: LoanTables) -> tuple[date, date]:
    """The first and the last due date."""
    first, last = tables.instalments["due_date"].min(), tables.instalments["due_date"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    return first, last


def superlender(folder: Path) -> tuple[pl.DataFrame, list[Split]]:
    """Each loan on its first morning; the last ones by time are held out."""
    tables, zone = book_of("superlender", folder)
    days = (tables.loans["opened_date"].unique().sort() + timedelta(days=1)).to_list()
    rows = rows_of(tables, zone, days, pl.col("loan_age_days") == 1)
    cut = rows["as_of"].quantile(1 - HELD_OUT, "nearest")
    known = (rows["due_date"] < cut).to_numpy()
    return rows, [Split(np.flatnonzero(known), np.flatnonzero((rows["as_of"] >= cut).to_numpy()))]


def superlender_plain(folder: Path) -> tuple[pl.DataFrame, list[Split]]:
    """The same loans as comparisons elsewhere split them: the last 30 % by time, all before it.

    Some of what is fitted on was not known when the judged ones begin: nobody could have done so.
    """
    rows, _ = superlender(folder)
    cut = rows["as_of"].quantile(1 - PLAIN_HELD_OUT, "nearest")
    is_judged = (rows["as_of"] >= cut).to_numpy()
    return rows, [Split(np.flatnonzero(~is_judged), np.flatnonzero(is_judged))]


def home_credit(folder: Path) -> tuple[pl.DataFrame, list[Split]]:
    """Each loan every thirty days; a fold's borrowers are in no other.

    The files are a sample of payments: an instalment that is a month late or never paid in it is
    nearly always one whose payment was not drawn (0.2 % in the whole data), and is left out.
    """
    tables, zone = book_of("home-credit", folder)
    first, last = span(tables)
    days = [first + timedelta(days=n) for n in range(0, (last - first).days, EVERY_DAYS)]
    rows = rows_of(tables, zone, days, pl.col("days_to_due") < AHEAD_DAYS).filter(
        ~pl.col("late_30")
    )
    people = rows["borrower_id"].unique().sort()
    fold = dict(
        zip(people, np.random.default_rng(SEED).permutation(len(people)) % FOLDS, strict=True)
    )
    own = np.array([fold[each] for each in rows["borrower_id"]])
    return rows, [Split(np.flatnonzero(own != n), np.flatnonzero(own == n)) for n in range(FOLDS)]


# ---- the models: each takes what to fit on and what to judge, and returns scores -----------------


def matrix(rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Rows x names; nan where nothing is known."""
    return rows.select(pl.col(names).cast(pl.Float64).fill_null(np.nan)).to_numpy()


def answer(rows: pl.DataFrame) -> Floats:
    """1 where the next instalment came late."""
    return rows[TARGET].cast(pl.Float64).to_numpy()


def ours(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
    """Boosted trees with the known signs; leaves and trees chosen on the last part of `fit`."""
    order = fit.sort("as_of")
    inner = int(order.height * (1 - HELD_OUT))
    early, late = order[:inner], order[inner:]
    tuned = {
        (leaves, trees): roc_auc_score(answer(late), trees_of(early, late, leaves, trees, seeds=1))
        for leaves, trees in GRID
    }
    return trees_of(fit, judged, *max(tuned, key=lambda each: tuned[each]), seeds=SEEDS)


def trees_of(
    fit: pl.DataFrame, judged: pl.DataFrame, leaves: int, trees: int, *, seeds: int
) -> Floats:
    """The mean log-odds of some forests that differ in their seed."""
    signs = [SIGNS[name] for name in NAMES]
    total = np.zeros(judged.height)
    for seed in range(seeds):
        own = {"num_leaves": leaves, "seed": seed, "monotone_constraints": signs}
        data = lgb.Dataset(matrix(fit, NAMES), answer(fit))
        booster = lgb.train({**SETTINGS, **own}, data, trees)
        total += np.asarray(booster.predict(matrix(judged, NAMES), raw_score=True))
    return total / seeds


def library_trees(names: Sequence[str]) -> Model:
    """LightGBM as it comes."""

    def scores(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
        settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": SEED}
        booster = lgb.train(settings, lgb.Dataset(matrix(fit, names), answer(fit)))
        return np.asarray(booster.predict(matrix(judged, names)))

    return scores


def library_logit(names: Sequence[str]) -> Model:
    """Logistic regression as it comes, on standardised columns; gaps take the median."""

    def scores(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
        known = [name for name in names if fit[name].n_unique() > 1]
        middle = fit.select(pl.col(known).median())
        filled = [
            matrix(
                each.with_columns(pl.col(name).fill_null(middle[name].item()) for name in known),
                known,
            )
            for each in (fit, judged)
        ]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
        found: Floats = model.fit(filled[0], answer(fit)).predict_proba(filled[1])[:, 1]
        return found

    return scores


def library_catboost(names: Sequence[str]) -> Model:
    """CatBoost as it comes; of no lock file, so only where somebody has put it beside."""

    def scores(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
        catboost = importlib.import_module("catboost")
        model = catboost.CatBoostClassifier(
            verbose=0, thread_count=1, random_seed=SEED, allow_writing_files=False
        )
        found: Floats = model.fit(matrix(fit, names), answer(fit)).predict_proba(
            matrix(judged, names)
        )[:, 1]
        return found

    return scores


MODELS: Mapping[str, Model] = {
    "ours": ours,
    "logistic regression, notebook": library_logit(NOTEBOOK),
    "LightGBM, notebook": library_trees(NOTEBOOK),
    "logistic regression, our features": library_logit(NAMES),
    "LightGBM, our features": library_trees(NAMES),
}
if importlib.util.find_spec("catboost"):
    MODELS = {
        **MODELS,
        "CatBoost, notebook": library_catboost(NOTEBOOK),
        "CatBoost, our features": library_catboost(NAMES),
    }


# ---- the table -----------------------------------------------------------------------------------


def aucs(truth: Floats, scores: Mapping[str, Floats]) -> dict[str, float]:
    """The area under the curve of each model's scores."""
    return {name: float(roc_auc_score(truth, each)) for name, each in scores.items()}


def report(rows: pl.DataFrame, splits: Sequence[Split]) -> None:
    """AUC over all judged rows, and ours less each peer's with a 95 % interval."""
    found: dict[str, list[Floats]] = {name: [] for name in MODELS}
    for split in splits:
        for name, model in MODELS.items():
            ranked = model(rows[split.fit], rows[split.judged]).argsort().argsort()
            found[name].append(ranked / len(ranked))  # the folds' scores differ in level
    judged = rows[np.concatenate([split.judged for split in splits])]
    truth, scores = answer(judged), {name: np.concatenate(each) for name, each in found.items()}
    members = judged.with_row_index("n").group_by("borrower_id", maintain_order=True).agg("n")["n"]
    places = [each.to_numpy() for each in members]
    draws = np.random.default_rng(SEED)
    point, spread = aucs(truth, scores), []
    for _ in range(DRAWS):
        drawn = np.concatenate([places[n] for n in draws.integers(len(places), size=len(places))])
        spread.append(aucs(truth[drawn], {name: each[drawn] for name, each in scores.items()}))
    print(f"{len(truth):,} judged, {truth.mean():.1%} late, {len(places):,} borrowers")
    for name, value in point.items():
        less = np.array([each["ours"] - each[name] for each in spread])
        low, high = np.quantile(less, (0.025, 0.975))
        gain = point["ours"] - value
        print(f"| {name} | {value:.4f} | {gain:+.4f} ({low:+.4f} … {high:+.4f}) |")


def main(arguments: Sequence[str]) -> None:
    """Print the table of one data set."""
    make = {
        "superlender": superlender,
        "superlender-plain": superlender_plain,
        "home-credit": home_credit,
    }[arguments[0]]
    report(*make(Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
