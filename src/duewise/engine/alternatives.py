"""The other arms of a step that lets the budgets choose: what else could be said to borrowers.

Each is decided as if it were the step's only arm: who cannot be reached by one may be by another.
Steps whose arms are fixed or drawn by chance have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from duewise.engine.given import PlanContext, Tables
from duewise.engine.versions import decide_under
from duewise.strategy.plan import Step, Strategy
from duewise.strategy.reading import WHOLE_BP
from duewise.strategy.reason import Decision


def other_arms(
    decided: pl.DataFrame, loans: pl.DataFrame, tables: Tables, context: PlanContext
) -> Iterator[pl.DataFrame]:
    """Rows as `decided` has them: what the steps' second arms would propose, then their third."""
    steps = {step.name: step for step in context.strategy.steps if step.by_budget}
    asked = decided.select("borrower_id", "step").filter(
        pl.col("step").is_in(list(steps)) & ~decided["hold_out"]
    )
    for number in range(1, max((len(step.arms) for step in steps.values()), default=0)):
        names = [name for name, step in steps.items() if len(step.arms) > number]
        theirs = asked.filter(pl.col("step").is_in(names))
        spoken = loans.join(theirs, on="borrower_id", how="semi", maintain_order="left")
        if theirs.is_empty():
            continue
        rows = decide_under(_alone(context.strategy, number), spoken, tables, context)
        mine = rows.join(theirs, on=["borrower_id", "step"], how="semi", maintain_order="left")
        yield mine.filter(decision=Decision.PROPOSED.value)


def _alone(strategy: Strategy, number: int) -> Strategy:
    """The strategy in which that arm is all that a step chosen by budget has."""
    return replace(strategy, steps=tuple(_arm_alone(step, number) for step in strategy.steps))


def _arm_alone(step: Step, number: int) -> Step:
    if not step.by_budget or number >= len(step.arms):
        return step
    return replace(step, arms=(replace(step.arms[number], share_bp=WHOLE_BP),))
