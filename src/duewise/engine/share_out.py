"""Budgets over a whole plan: what every partition would send in, prices and what is cut out.

Partitions tell what their messages are worth and take (`offers`); one small reduce finds the prices
(`share_out`); each partition then drops what is not worth them (`within_budgets`). The same offers
give the same plan, whoever planned them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
import polars.selectors as cs

from duewise.frames import Schema, conform
from duewise.ids import draws
from duewise.money import Money, minor_digits
from duewise.strategy.allocate import Each, allocate, chosen
from duewise.strategy.budget import Budget
from duewise.strategy.conditions import amount_of
from duewise.strategy.decide import Decision, Reason
from duewise.strategy.offers import NOTHING, Costs, Offers
from duewise.strategy.plan import Strategy

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)
# The least a message is worth: where money is not short, nobody goes without for being reliable.
LEAST_WORTH = 1e-6
OFFERS: Schema = {
    "borrower_id": pl.String,
    "borrower_hash": pl.Int64,
    "required": pl.Boolean,
    "worth": pl.Float64,
}


@dataclass(frozen=True)
class BudgetUse:
    """What became of a budget. `price`: what one more unit of it is worth, in major units."""

    name: str
    of: str
    limit: int
    used: float
    price: float


@dataclass(frozen=True)
class SharedOut:
    """Each budget's use; per partition the borrowers whose message it had no room for.

    `gap` is the share of the best worth that is at most missed.
    """

    uses: tuple[BudgetUse, ...]
    cut: tuple[pl.Series, ...]
    gap: float


def offers(judged: pl.DataFrame, strategy: Strategy, *, part_price: Money) -> pl.DataFrame:
    """Per message that may go out: its worth, and what it takes of each budget, in their order."""
    may_go = (pl.col("decision") == Decision.PROPOSED.value) & (pl.col("outcome") != "block")
    takes = {
        f"takes_{n}": budget.takes(price_minor=part_price.minor)
        for n, budget in enumerate(strategy.budgets)
    }
    worth = amount_of(strategy.worth).clip(LEAST_WORTH)
    found = judged.filter(may_go).with_columns(worth=worth, **takes)
    return conform(found, {**OFFERS, **dict.fromkeys(takes, pl.Int32)}, name="offers")


def share_out(
    parts: Sequence[pl.DataFrame], strategy: Strategy, *, currency: str, each: Each = map
) -> SharedOut:
    """The messages worth most within the strategy's budgets; what is required goes in any case."""
    units = [_unit(budget, currency) for budget in strategy.budgets]
    limits = np.array([budget.limit for budget in strategy.budgets]) * units
    optional = [part.filter(~pl.col("required")) for part in parts]
    demanded = np.sum([_cost(part.filter("required")).sum(axis=0) for part in parts], axis=0)
    groups = [_offers(part, salt=f"budget:{strategy.name}") for part in optional]
    allocation = allocate(groups, np.maximum(limits - demanded, 0).tolist(), each=each)
    cut = [
        part["borrower_id"].filter(pl.Series(pick == NOTHING))
        for part, pick in zip(optional, chosen(groups, allocation, each=each), strict=True)
    ]
    used = (allocation.used + demanded).tolist()
    uses = [
        BudgetUse(budget.name, budget.of, budget.limit, taken / unit, float(price * unit))
        for budget, taken, price, unit in zip(
            strategy.budgets, used, allocation.prices, units, strict=True
        )
    ]
    return SharedOut(tuple(uses), tuple(cut), allocation.gap)


def _offers(part: pl.DataFrame, *, salt: str) -> Offers:
    """One offer to each borrower: the message drawn, or nothing."""
    alone = Offers(np.arange(part.height + 1), part["worth"].to_numpy(), _cost(part))
    return alone.untied(draws(salt, part["borrower_hash"]).to_numpy())


def _cost(part: pl.DataFrame) -> Costs:
    takes = part.select(cs.starts_with("takes_"))
    return np.ascontiguousarray(takes.to_numpy().astype(np.int32))


def _unit(budget: Budget, currency: str) -> int:
    """How many of what messages take make one of what the limit counts."""
    return int(10 ** minor_digits(currency)) if budget.of == "money" else 1


def within_budgets(rows: Rows, cut: pl.Series) -> Rows:
    """A partition's plan without the messages that were cut; why stands beside each."""
    is_cut = pl.col("borrower_id").is_in(cut.implode())
    said = {"decision": Decision.NONE.value, "reason": Reason.OVER_BUDGET.value}
    of_message = ("key", "parts", "outcome", "next_allowed_at")
    return rows.with_columns(
        *(pl.when(is_cut).then(pl.lit(word)).otherwise(at).alias(at) for at, word in said.items()),
        *(pl.when(~is_cut).then(at).alias(at) for at in of_message),
        pl.when(is_cut).then(pl.lit([], pl.List(pl.String))).otherwise("rules").alias("rules"),
    )
