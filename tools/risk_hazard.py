"""When a missed instalment is paid: our hazard against Cox and a logit per horizon.

`python tools/risk_hazard.py superlender FOLDER` or `... simulator` prints tables for
docs/benchmarks.md: each loan unpaid at the end of its due date, on the next morning; the last
quarter by time is judged, by models of earlier lapses, each as far as it was known when that
quarter began. The peers get the same features, or the ten of a notebook, and the day of week and
month. Differences are bootstrapped by borrower, ours and the peer's on the same draws. Of the
simulator's book two more are known that nobody can beat but by luck: the true hazard, and the best
guess of who knows how borrowers are drawn and has seen all that this one has paid.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from statsmodels.duration.hazard_regression import PHReg
from tools.risk_ceiling import best_guess
from tools.risk_peers import DRAWS, HELD_OUT, NAMES, NOTEBOOK, SEED, book_of, matrix, span

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.book.product import shipped_products
from duewise.book.schema import EXTENSIONS, PAUSES
from duewise.frames import empty
from duewise.risk.censored import integrated_brier, weights
from duewise.risk.features import features, morning
from duewise.risk.hazard import DAYS, HORIZONS, fit_hazard, judge, lapses
from duewise.risk.inputs import Inconclusive
from duewise.sim.borrowers import TIMEZONE
from duewise.sim.lender import synthetic_lender

Floats = npt.NDArray[np.float64]
Model = Callable[[pl.DataFrame, pl.DataFrame], Floats]
BORROWERS, START, WINDOW_DAYS = 16_000, date(2026, 6, 1), 270  # of the simulator


def first_mornings(tables: LoanTables, zone: str, known: pl.DataFrame) -> pl.DataFrame:
    """The features of each lapse on the morning of day 1."""
    found = []
    for due in known["due_date"].unique().sort():
        own = known.filter(pl.col("due_date") == due)
        rows = features(tables, shipped_products(), as_of=due + timedelta(days=1), zone=zone)
        found.append(rows.drop("number", "due_date").join(own, on="loan_id"))
    return pl.concat(found).with_columns(
        due_weekday=pl.col("due_date").dt.weekday(), due_day=pl.col("due_date").dt.day()
    )


def known_on(tables: LoanTables, zone: str, day: date) -> pl.DataFrame:
    """The lapses as known by the end of a day."""
    at = morning(day + timedelta(days=1), zone)
    return lapses(ledger(tables, shipped_products(), as_of=day, known_at=at, zone=zone))


def superlender(folder: Path, *, before_end: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What to fit on, censored when the last quarter begins; and that quarter, known in full.

    The file has ended loans only: of the last ones, those still unpaid are missing. Lapses of its
    last `before_end` days are left out.
    """
    tables, zone = book_of("superlender", folder)
    end = tables.payments["paid_at"].sort()[-1].date() - timedelta(days=before_end)
    every = known_on(tables, zone, span(tables)[1] + timedelta(days=400))
    whole = first_mornings(tables, zone, every.filter(pl.col("due_date") <= end))
    cut = whole["due_date"].sort()[int(whole.height * (1 - HELD_OUT))]
    seen = known_on(tables, zone, cut)
    fit = whole.drop("days", "is_cured").join(seen, on=("loan_id", "number", "due_date"))
    return fit.sort("due_date", "loan_id"), whole.filter(pl.col("due_date") >= cut)


def simulator() -> tuple[pl.DataFrame, pl.DataFrame, LoanTables]:
    """The same of an invented lender; every lapse that is judged is known for thirty days.

    And the lender's tables, as known the day before it starts.
    """
    lender = synthetic_lender(BORROWERS, seed=SEED, start=START)
    tables = LoanTables(
        lender.loans, lender.instalments, lender.payments, empty(PAUSES), empty(EXTENSIONS)
    )
    last = START - timedelta(days=1)
    window = pl.col("due_date").is_between(
        START - timedelta(days=WINDOW_DAYS), last - timedelta(days=DAYS)
    )
    every = known_on(tables, TIMEZONE, last).filter(window)
    whole = first_mornings(tables, TIMEZONE, every)
    of_borrower = lender.latent.select("borrower_id", "cure", "partial")
    whole = whole.join(of_borrower, on="borrower_id", maintain_order="left")
    cut = whole["due_date"].sort()[int(whole.height * (1 - HELD_OUT))]
    seen = known_on(tables, TIMEZONE, cut)
    fit = whole.drop("days", "is_cured").join(seen, on=("loan_id", "number", "due_date"))
    return fit.sort("due_date", "loan_id"), whole.filter(pl.col("due_date") >= cut), tables


def truth(_: pl.DataFrame, judged: pl.DataFrame) -> Floats:
    """What the simulator draws by: one hazard all the while; a part of the debt settles nothing.

    A debit takes no parts.
    """
    pays = 1 - np.exp(-judged["cure"].to_numpy())
    settles = pays * (1 - judged["partial"].to_numpy() * (1 - judged["autopay"].to_numpy()))
    return np.asarray(1 - (1 - settles[:, None]) ** np.array(HORIZONS))


# ---- the models: what to fit on, what to judge; lapses x HORIZONS --------------------------------


def ours(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
    """The hazard model on our features."""
    known = [name for name in NAMES if fit[name].null_count() < fit.height]
    found = fit_hazard(fit, known, groups="borrower_id", seed=SEED)
    if isinstance(found, Inconclusive):
        sys.exit(found.reason.meaning)
    print("parts:", dict(zip(found.parts, found.weights, strict=True)), found.calibration.kind)
    return found.probability_cured(judged)


def levelled(
    fit: pl.DataFrame, judged: pl.DataFrame, names: Sequence[str]
) -> tuple[Floats, Floats]:
    """Standardised columns of both; gaps take the median, weekdays a column each."""
    names = [name for name in names if fit[name].null_count() < fit.height]
    middle = fit.select(pl.col(names).cast(pl.Float64).median())
    days = [
        (pl.col("due_weekday") == n).cast(pl.Float64).alias(f"weekday_{n}") for n in range(1, 7)
    ]
    both = [
        matrix(
            each.with_columns(
                pl.col(name).fill_null(middle[name].item()) for name in names
            ).with_columns(days),
            [*names, "due_day", *(day.meta.output_name() for day in days)],
        )
        for each in (fit, judged)
    ]
    spread = both[0].std(axis=0)
    kept = spread > 1e-9  # noqa: PLR2004 — a column that never moves
    centred = [(each - both[0].mean(axis=0))[:, kept] / spread[kept] for each in both]
    return centred[0], centred[1]


def cox(names: Sequence[str]) -> Model:
    """Proportional hazards with Breslow's baseline, unpenalised, as the library comes."""

    def probabilities(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
        one, other = independent(*levelled(fit, judged, names))
        days = fit["days"].to_numpy().astype(float)
        found = PHReg(days, one, status=fit["is_cured"].to_numpy().astype(int)).fit()
        times, cumulated, _ = found.baseline_cumulative_hazard[0]
        base = [cumulated[times <= horizon].max(initial=0.0) for horizon in HORIZONS]
        risk = np.exp(other @ found.params)
        return np.asarray(1 - np.exp(-risk[:, None] * np.array(base)))

    return probabilities


def independent(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The columns that are no sum of those before them: else the likelihood has no one top."""
    _, triangle = np.linalg.qr(one)
    kept = np.abs(np.diag(triangle)) > 1e-6 * np.sqrt(len(one))
    return one[:, kept], other[:, kept]


def plain() -> LogisticRegression:
    """As the library comes."""
    return LogisticRegression(max_iter=2_000)


def tuned() -> LogisticRegressionCV:
    """With the penalty that does best on inner folds."""
    return LogisticRegressionCV(max_iter=2_000, cv=5, scoring="neg_log_loss")


def logits(names: Sequence[str], make: Callable[[], Any] = plain) -> Model:
    """A logistic regression for each horizon, of the lapses known by then, weighted for it."""

    def probabilities(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
        one, other = levelled(fit, judged, names)
        columns = []
        for horizon in HORIZONS:
            paid, weight = weights(*outcome(fit), horizon=horizon)
            model = make().fit(one, paid, sample_weight=weight)
            columns.append(model.predict_proba(other)[:, 1])
        return np.column_stack(columns)

    return probabilities


def outcome(rows: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Days at risk, and whether it was paid."""
    return rows["days"].to_numpy().astype(np.int64), rows["is_cured"].to_numpy().astype(bool)


def usual(fit: pl.DataFrame, judged: pl.DataFrame) -> Floats:
    """The share of all lapses, whoever they are of."""
    found = []
    for horizon in HORIZONS:
        paid, weight = weights(*outcome(fit), horizon=horizon)
        found.append(float(np.average(paid, weights=weight)))
    return np.tile(found, (judged.height, 1))


KNOWN = [name for name in NOTEBOOK if name not in {"next_amount", "days_to_due"}]
MODELS: Mapping[str, Model] = {
    "ours": ours,
    "Cox, notebook": cox(KNOWN),
    "logit per horizon, notebook": logits(KNOWN),
    "Cox, our features": cox(NAMES),
    "logit per horizon, our features": logits(NAMES),
    "logit per horizon, our features, penalty tuned": logits(NAMES, tuned),
    "the usual share": usual,
}


# ---- the table -----------------------------------------------------------------------------------


def report(fit: pl.DataFrame, judged: pl.DataFrame, models: Mapping[str, Model] = MODELS) -> None:
    """Integrated Brier score, how much lower ours is, and each horizon's calibration slope."""
    days, cured = outcome(judged)
    found = {name: model(fit, judged) for name, model in models.items()}
    members = judged.with_row_index("n").group_by("borrower_id", maintain_order=True).agg("n")["n"]
    places = [each.to_numpy() for each in members]
    draws = np.random.default_rng(SEED)
    drawn = [
        np.concatenate([places[n] for n in draws.integers(len(places), size=len(places))])
        for _ in range(DRAWS)
    ]
    scores = {
        name: np.array(
            [
                integrated_brier(days[at], cured[at], each[at], horizons=HORIZONS)
                for at in (np.arange(len(days)), *drawn)
            ]
        )
        for name, each in found.items()
    }
    print(f"{fit.height:,} fitted on, {len(days):,} judged, {len(places):,} borrowers")
    for name, each in scores.items():
        lower = 1 - scores["ours"] / each
        told = " / ".join(f"{slope:.2f}" for slope in judge(judged, found[name])["slope"])
        low, high = np.quantile(lower[1:], (0.025, 0.975))
        print(f"| {name} | {each[0]:.4f} | {lower[0]:+.1%} ({low:+.1%} … {high:+.1%}) | {told} |")


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")  # the libraries' word on columns that never move
    if arguments[0] == "simulator":
        fit, judged, tables = simulator()
        last = START - timedelta(days=1)
        report(
            fit,
            judged,
            {
                **MODELS,
                "the best guess": lambda _, rows: best_guess(rows, tables, last=last),
                "the truth": truth,
            },
        )
        return
    for before_end in (0, 90):
        print(f"without the last {before_end} days of the file")
        report(*superlender(Path(arguments[1]), before_end=before_end))


if __name__ == "__main__":
    main(sys.argv[1:])
