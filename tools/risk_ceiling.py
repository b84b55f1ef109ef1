"""How well anybody can foresee when the simulator's borrowers pay: the ceiling of the hazard.

The simulator draws each borrower's kind and habits, which no lender sees, and pays by them. Who
knew how these are drawn, and saw every payment up to the day of the lapse, could say no more than
the mean over what the borrower may be, given that history (Bayes): by kind, over a grid of each
habit. No model of the same history is better but by luck.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.book.product import shipped_products
from duewise.risk.features import morning
from duewise.risk.hazard import HORIZONS
from duewise.sim.borrowers import KINDS, SPREAD, TIMEZONE, Kind
from duewise.sim.lender import AHEAD_DAYS, RISE, STALE, STALE_DAYS

Floats = npt.NDArray[np.float64]
GRID = SPREAD * np.linspace(-0.975, 0.975, 40)  # middles of forty parts of a habit's spread
_KEY = ("borrower_id", "due_date")


def best_guess(judged: pl.DataFrame, tables: LoanTables, *, last: date) -> Floats:
    """Rows x HORIZONS: the probability of having settled, of each lapse on its first morning.

    `judged` has borrower_id, loan_id and due_date; `tables` are the simulator's, known to `last`.
    """
    seen = _seen(judged, tables, last=last)
    one = judged.select(*_KEY, "loan_id").join(seen, on=_KEY, how="left", maintain_order="left")
    autopay = tables.loans.select("loan_id", "autopay")
    is_autopay = one.join(autopay, on="loan_id", how="left", maintain_order="left")["autopay"]
    counts = {name: one[name].to_numpy().astype(np.float64) for name in seen.columns[2:]}
    weight, mean = [], []
    for kind in KINDS:
        evidence, settled = _of_kind(kind, counts, is_autopay.to_numpy())
        weight.append(np.log(kind.share) + evidence)
        mean.append(settled)
    share = np.exp(np.array(weight) - np.max(weight, axis=0))
    share /= share.sum(axis=0)
    return np.asarray((share[:, :, None] * np.array(mean)).sum(axis=0))


def _of_kind(
    kind: Kind, counts: dict[str, Floats], is_autopay: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """The log-likelihood of each history under a kind, and what the kind makes of the future."""
    late, cure, fails, partial = (
        getattr(kind, name) * (1 + GRID) for name in ("late", "cure", "no_funds", "partial")
    )
    urge = -np.log(late)
    ahead = np.zeros((len(is_autopay), len(GRID)))
    for n, rise in enumerate(RISE):
        paid, days = counts[f"ahead_paid_{n}"], counts[f"ahead_days_{n}"]
        ahead += np.outer(paid, np.log(-np.expm1(-urge * rise))) - np.outer(
            days - paid, urge * rise
        )
    past = np.outer(counts["past_paid"], np.log(-np.expm1(-cure)))
    past += np.outer(counts["stale_paid"], np.log(-np.expm1(-cure * STALE)))
    past -= np.outer(counts["past_days"] - counts["past_paid"], cure)
    past -= np.outer(counts["stale_days"] - counts["stale_paid"], cure * STALE)
    funds = np.outer(counts["auto_failed"], np.log(fails))
    funds += np.outer(counts["auto_days"] - counts["auto_failed"], np.log1p(-fails))
    parts = np.outer(counts["parts"], np.log(partial))
    parts += np.outer(counts["payments"] - counts["parts"], np.log1p(-partial))
    evidence = sum(np.logaddexp.reduce(each, axis=1) for each in (ahead, past, funds, parts))
    of_cure, of_part = (_normal(each) for each in (past, parts))
    pays = -np.expm1(-cure)
    settled = np.empty((len(is_autopay), len(HORIZONS)))
    for k, horizon in enumerate(HORIZONS):
        by_own = 1 - (1 - pays[:, None] * (1 - partial)) ** horizon
        by_debit = 1 - (1 - pays) ** horizon
        settled[:, k] = np.where(
            is_autopay, of_cure @ by_debit, np.einsum("nc,cp,np->n", of_cure, by_own, of_part)
        )
    return evidence, settled


def _normal(evidence: Floats) -> Floats:
    share = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _seen(judged: pl.DataFrame, tables: LoanTables, *, last: date) -> pl.DataFrame:
    """By borrower and due date what the simulator had drawn by the end of it: days and payments."""
    late, paid, auto = pl.col("late"), pl.col("paid"), pl.col("autopay")
    ahead = {
        f"ahead_{what}_{n}": (~auto & (late == n - AHEAD_DAYS) & of).sum()
        for n in range(len(RISE))
        for what, of in (("days", pl.lit(value=True)), ("paid", paid))
    }
    fresh, stale = late.is_between(1, STALE_DAYS), late > STALE_DAYS
    lived = _lived(judged.select(_KEY).unique(), tables, last=last)
    return lived.group_by(_KEY, maintain_order=True).agg(
        **ahead,
        past_days=fresh.sum(),
        past_paid=(fresh & paid).sum(),
        stale_days=stale.sum(),
        stale_paid=(stale & paid).sum(),
        auto_days=(auto & (late == 0)).sum(),
        auto_failed=(auto & (late == 0) & ~paid).sum(),
        payments=(~auto & paid).sum(),
        parts=(~auto & paid & ~pl.col("done")).sum(),
    )


def _lived(asked: pl.DataFrame, tables: LoanTables, *, last: date) -> pl.DataFrame:
    """A row for each day on which an instalment could be paid, to the end of the due date."""
    due, on = pl.col("effective_due_date"), ("loan_id", "day")
    at = morning(last + timedelta(days=1), TIMEZONE)
    folded = ledger(tables, shipped_products(), as_of=last, known_at=at, zone=TIMEZONE)
    # An instalment's turn comes five days before it is due, and once those before it are settled.
    before = pl.col("settled_date").cum_max().shift(1).over("loan_id")
    turns = (
        folded.instalments.sort("loan_id", due)
        .join(tables.loans.select("loan_id", "autopay"), on="loan_id", maintain_order="left")
        .filter(before.is_not_null() | (pl.int_range(pl.len()).over("loan_id") == 0))
        .with_columns(
            first=pl.max_horizontal(before.dt.offset_by("1d"), due.dt.offset_by(f"-{AHEAD_DAYS}d"))
        )
        .select("borrower_id", "loan_id", "autopay", "first", "settled_date", due=due)
    )
    days = (
        asked.join(turns, on="borrower_id")
        .with_columns(end=pl.min_horizontal("due_date", "settled_date"))
        .filter(pl.col("first") <= pl.col("end"))
        .with_columns(day=pl.date_ranges("first", "end"))
        .explode("day")
    )
    local = pl.col("paid_at").dt.convert_time_zone(TIMEZONE).dt.date()
    paid = tables.payments.select("loan_id", day=local, paid=True).unique()
    return days.join(paid, on=on, how="left").with_columns(
        pl.col("paid").fill_null(value=False),
        late=(pl.col("day") - pl.col("due")).dt.total_days(),
        done=(pl.col("settled_date") == pl.col("day")).fill_null(value=False),
    )
