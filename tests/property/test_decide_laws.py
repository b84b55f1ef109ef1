"""Laws of the decision: one proposal a borrower, the hold-out is kept, and odds are what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from tests.unit.lender import AS_OF, context, strategy, tables

from duewise.engine.partition import plan_partition
from duewise.engine.share_out import share_out, within_budgets
from duewise.strategy.assign import draw_arm, is_held_out
from duewise.strategy.budget import Budget
from duewise.strategy.plan import Arm, Step, Strategy
from duewise.strategy.reading import WHOLE_BP

DRAWS = 1_000_000
UNLIKELY = 1e-4  # of a fair draw to look worse; the draws are always the same
CAST = ("Chen", "Li", "Wang", "Zhao", "Sun", "He")

loans = st.lists(
    st.fixed_dictionaries(
        {"borrower": st.sampled_from(CAST), "days": st.integers(-20, 3)},
    ),
    min_size=1,
    max_size=9,
)


def _plan(drawn: list[dict[str, Any]], chosen: Strategy) -> pl.DataFrame:
    """The day's plan, within the strategy's budgets."""
    dues = [
        {
            "borrower": each["borrower"],
            "loan": f"{each['borrower']}-{n}",
            "due": [AS_OF + timedelta(each["days"])],
        }
        for n, each in enumerate(drawn)
    ]
    plan = plan_partition(tables(*dues), context=context(strategy=chosen))
    cut = share_out([plan.offers], chosen, currency="CNY").cut[0]
    return within_budgets(plan.rows.lazy(), cut).collect()


@settings(max_examples=25, deadline=None)
@given(loans, st.integers(0, WHOLE_BP), st.integers(0, 4))
def test_it_proposes_once_and_keeps_hold_out_and_budget(
    drawn: list[dict[str, Any]], hold_out_bp: int, limit: int
) -> None:
    budget = Budget("sms", "messages", limit)
    chosen = strategy(hold_out_bp=hold_out_bp, budgets=(budget,))
    rows = _plan(drawn, chosen)
    assert (
        rows["borrower_id"].n_unique() == rows.height == len({each["borrower"] for each in drawn})
    )
    required = pl.col("step") == "m1_day7"
    proposed = rows.filter(decision="proposed")
    assert not proposed.filter(~required & pl.col("hold_out")).height
    assert proposed.filter(~required, pl.col("outcome") != "block").height <= limit
    assert rows.filter(required).height == proposed.filter(required).height
    assert proposed["propensity"].is_between(0, 1, closed="right").all() or hold_out_bp == WHOLE_BP


def test_it_draws_arms_and_the_hold_out_as_often_as_it_logs() -> None:
    shares = {"gentle": 5_000, "neutral": 3_000, "urgent": 1_950, "rare": 50}
    arms = tuple(Arm(name, "sms", name, (9, 20), share) for name, share in shares.items())
    step = Step("m1", "overdue", "dpd = 1", arms)
    chosen = replace(strategy(), steps=(step,), hold_out_bp=500)
    hashes = pl.Series(np.random.default_rng(20_260_814).integers(0, 2**63 - 1, DRAWS))
    held_out = is_held_out(chosen, hashes)
    arm = draw_arm(chosen, step, hashes)
    seen = [int(held_out.sum()), *(int((~held_out & (arm == n)).sum()) for n in range(len(arms)))]
    kept = 1 - chosen.hold_out_bp / WHOLE_BP
    logged = [1 - kept, *(kept * arm.share_bp / WHOLE_BP for arm in arms)]
    assert sum(seen) == DRAWS
    assert chisquare(seen, np.array(logged) * DRAWS).pvalue > UNLIKELY
