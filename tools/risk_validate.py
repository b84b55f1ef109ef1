"""Validate early warning on the two public files of credit scoring, beside its peers.

`python tools/risk_validate.py FOLDER uci` or `… gmsc` prints the tables for docs/benchmarks.md.
FOLDER holds the public files in folders of their own. Protected columns (age, sex, marriage) are no
features; `--protected` lets them in, as most published figures do. Peers get the same features.
`--reasons` fits boosting twice from different seeds instead, and tells how alike the reasons are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from tools.risk_files import Task, give_me_some_credit, uci_card

from duewise.risk.boosting import RECIPES, Settings
from duewise.risk.fit import (
    Columns,
    Learner,
    Validation,
    cross_validate,
    fit_models,
    learners,
)
from duewise.risk.folds import splits
from duewise.risk.inputs import Inconclusive, Inputs
from duewise.risk.reasons import overlap, reasons

Floats = npt.NDArray[np.float64]

FOLDS = {"uci": 10, "gmsc": 5}
FILES = {"uci": uci_card, "gmsc": give_me_some_credit}
# A file five times as large takes larger steps, or it would take the afternoon.
SETTINGS = {
    "uci": Settings(),
    "gmsc": Settings(
        folds=3, bags=2, recipes=tuple({**each, "learning_rate": 0.06} for each in RECIPES)
    ),
}


@dataclass(frozen=True)
class Peer:
    """Another's model, on the same matrix."""

    inputs: Inputs
    fitted: Any

    def probability(self, frame: pl.DataFrame) -> Floats:
        """By scikit-learn's protocol."""
        return np.asarray(self.fitted.predict_proba(self.inputs.matrix(frame))[:, 1])


def main() -> None:
    """Read the arguments, validate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", choices=sorted(FILES))
    parser.add_argument("--protected", action="store_true")
    parser.add_argument("--reasons", action="store_true")
    asked = parser.parse_args()
    task = FILES[asked.file](asked.folder)
    if asked.reasons:
        print(stability(task, asked.file))
        return
    found = validate(task, asked.file, protected=asked.protected)
    if isinstance(found, Inconclusive):
        sys.exit(found.reason.meaning)
    show(found)


def validate(task: Task, file: str, *, protected: bool) -> Validation | Inconclusive:
    """Ours and the peers on the same folds."""
    frame = task.frame
    banned = () if protected else task.protected
    columns = Columns(task.target, task.group, money=task.money, protected=banned, signs=task.signs)
    return cross_validate(
        frame,
        task.target,
        task.group,
        seed=0,
        folds=FOLDS[file],
        columns=columns,
        models={**learners(SETTINGS[file]), **peers()},
        progress=lambda done, total: print(f"fold {done} of {total}", file=sys.stderr, flush=True),
    )


def columns_of(task: Task, *, protected: bool = False) -> Columns:
    """What the columns of the file are for."""
    banned = () if protected else task.protected
    return Columns(task.target, task.group, money=task.money, protected=banned, signs=task.signs)


def stability(task: Task, file: str) -> str:
    """How alike the reasons of a tenth are, by two models of the others that differ in chance."""
    frame, columns = task.frame, columns_of(task)
    split = splits(frame[task.group], frame[task.target], folds=10, seed=0)
    if isinstance(split, Inconclusive):
        return split.reason.meaning
    train, test = frame[split[-1].train], frame[split[-1].test]
    told = []
    for seed in (0, 1):
        fitted = fit_models(train, columns, seed=seed, settings=SETTINGS[file])
        if isinstance(fitted, Inconclusive):
            return fitted.reason.meaning
        shares = fitted.boosting.contributions(test)
        told.append(reasons(shares, fitted.boosting.inputs.names, test, words={})["reasons"])
    same = told[0].list.first() == told[1].list.first()
    first = same.sum() / len(same)
    return f"same first reason: {first:.3f}; common reasons among all: {overlap(*told):.3f}"


def peers() -> Mapping[str, Learner]:
    """What a notebook would try first, with its defaults."""
    from lightgbm import LGBMClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logit = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    boosting = LGBMClassifier(n_jobs=1, verbosity=-1)
    return {"LightGBM defaults": partial(_fit, boosting), "logit defaults": partial(_fit, logit)}


def _fit(
    estimator: Any,  # noqa: ANN401 — scikit-learn's protocol has no type
    frame: pl.DataFrame,
    target: Floats,
    groups: pl.Series,  # noqa: ARG001 — a peer knows no borrowers
    *,
    inputs: Inputs,
    seed: int,  # noqa: ARG001 — nor chance
) -> Peer:
    from sklearn.base import clone

    return Peer(inputs, clone(estimator).fit(inputs.matrix(frame), target))


def show(found: Validation) -> None:
    """Print the tables as Markdown."""
    by_fold = found.folds.group_by("model", "metric", maintain_order=True).agg(
        fold_mean=pl.col("value").mean(), fold_deviation=pl.col("value").std()
    )
    tables = {
        "Pooled over folds, 95 % bootstrap interval": found.metrics.join(
            by_fold, on=["model", "metric"], maintain_order="left"
        ),
        "Less boosting, paired": found.differences,
        "Calibration": found.calibration,
        "Gains in money at risk": found.gains.filter(pl.col("model") == "boosting"),
    }
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=200,
        float_precision=5,
    ):
        for title, table in tables.items():
            print(f"\n{title}\n\n{table}")


if __name__ == "__main__":
    main()
