"""Budgets over a whole plan: what every partition would send in, prices and what is cut out.

Partitions tell what their messages are worth and take (`offers`); one small reduce finds the prices
(`share_out`); each partition then drops what is not worth them (`within_budgets`), and takes the
arm worth most at them where a step leaves that to the budgets (`with_arms`). The same offers give
the same plan, whoever planned them. `at_prices` asks of other offers what a plan's prices leave.
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
from duewise.strategy.conditions import amount_of
from duewise.strategy.decide import Decision, Reason
from duewise.strategy.offers import NOTHING, Costs, Floats, Offers, Wholes, best
from duewise.strategy.plan import Strategy

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)
# The least a message is worth: where money is not short, nobody goes without for being reliable.
LEAST_WORTH = 1e-6
OFFERS: Schema = {
    "borrower_id": pl.String,
    "borrower_hash": pl.Int64,
    "required": pl.Boolean,
    "arm": pl.String,
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

    `arms` (borrower_id, arm) per partition are chosen for those who had a choice. `gap` is the
    share of the best worth that is at most missed.
    """

    uses: tuple[BudgetUse, ...]
    cut: tuple[pl.Series, ...]
    arms: tuple[pl.DataFrame, ...]
    gap: float


def offers(judged: pl.DataFrame, strategy: Strategy, *, part_price: Money) -> pl.DataFrame:
    """Per message that may go out: its worth, and what it takes of each budget, in their order.

    A borrower's alternatives are rows one after the other, the step's first arm first.
    """
    may_go = (pl.col("decision") == Decision.PROPOSED.value) & (pl.col("outcome") != "block")
    takes = {
        f"takes_{n}": budget.takes(price_minor=part_price.minor)
        for n, budget in enumerate(strategy.budgets)
    }
    found = judged.filter(may_go).with_columns(worth=_worth(strategy), **takes)
    return conform(found, {**OFFERS, **dict.fromkeys(takes, pl.Int32)}, name="offers")


def share_out(
    parts: Sequence[pl.DataFrame], strategy: Strategy, *, currency: str, each: Each = map
) -> SharedOut:
    """The messages worth most within the strategy's budgets; what is required goes in any case."""
    units = _units(strategy, currency)
    limits = np.array([budget.limit for budget in strategy.budgets]) * units
    optional = [part.filter(~pl.col("required")) for part in parts]
    demanded = np.sum([_cost(part.filter("required")).sum(axis=0) for part in parts], axis=0)
    groups = [_offers(part, salt=f"budget:{strategy.name}") for part in optional]
    allocation = allocate(groups, np.maximum(limits - demanded, 0).tolist(), each=each)
    picks = chosen(groups, allocation, each=each)
    used = (allocation.used + demanded).tolist()
    uses = [
        BudgetUse(budget.name, budget.of, budget.limit, taken / unit, float(price * unit))
        for budget, taken, price, unit in zip(
            strategy.budgets, used, allocation.prices, units, strict=True
        )
    ]
    cut, arms = _all_told(optional, groups, picks, strategy)
    return SharedOut(tuple(uses), cut, arms, allocation.gap)


def at_prices(
    parts: Sequence[pl.DataFrame], strategy: Strategy, uses: Sequence[BudgetUse], *, currency: str
) -> SharedOut:
    """What the prices of a plan that was shared out leave of other offers.

    As that plan would have it, but for the few nearest to a tie whom it settled by hand. `uses` are
    that plan's, of the same budgets.
    """
    prices = _prices(strategy, uses, currency)
    optional = [part.filter(~pl.col("required")) for part in parts]
    groups = [_offers(part, salt=f"budget:{strategy.name}") for part in optional]
    picks = [best(group, prices).offer for group in groups]
    cut, arms = _all_told(optional, groups, picks, strategy)
    return SharedOut(tuple(uses), cut, arms, 0.0)


def uncut(parts: Sequence[pl.DataFrame]) -> SharedOut:
    """As if there were room for all: to each the first arm that can go."""
    first = [part.unique("borrower_id", keep="first", maintain_order=True) for part in parts]
    arms = tuple(part.select("borrower_id", "arm") for part in first)
    return SharedOut((), tuple(part["borrower_id"].clear() for part in parts), arms, 0.0)


def priced(
    part: pl.DataFrame, strategy: Strategy, uses: Sequence[BudgetUse] | None, *, currency: str
) -> pl.DataFrame:
    """Of each offer its borrower, arm and worth, the `budgets` it takes of, and its `price`.

    Worth and price are in major units; without `uses` no price is known.
    """
    takes = _cost(part)
    names = [budget.name for budget in strategy.budgets]
    taken = [[name for name, cost in zip(names, row, strict=True) if cost] for row in takes]
    price = None if uses is None else takes @ _prices(strategy, uses, currency)
    return part.select("borrower_id", "arm", "worth").with_columns(
        pl.Series("budgets", taken, pl.List(pl.String)),
        pl.lit(None, pl.Float64).alias("price") if price is None else pl.Series("price", price),
    )


def get_ready() -> None:
    """Load solver and compiled passes while there is time: it takes longer than to use them."""
    two = pl.DataFrame({"borrower_id": ["a", "b"], "worth": [3.0, 2.0], "takes_0": [1, 1]})
    group = _offers(two.with_columns(borrower_hash=pl.int_range(2)), salt="")
    chosen([group], allocate([group], [1]))


def in_words(use: BudgetUse, currency: str) -> str:
    """What a budget's price says.

    >>> in_words(BudgetUse("calls", "messages", 500, 500.0, 3.2), "CNY")
    'calls: one more message is worth CNY 3.20'
    >>> in_words(BudgetUse("sms", "parts", 500, 480.0, 0.0), "CNY")
    'sms: not short, 20 of 500 parts are left'
    """
    if use.price > 0:
        one = {"messages": "one more message", "parts": "one more part"}
        more = one.get(use.of, f"one more {currency}")
        return f"{use.name}: {more} is worth {currency} {use.price:,.2f}"
    left = f"{use.limit - use.used:,.10g} of {use.limit:,}"
    return f"{use.name}: not short, {left} {currency if use.of == 'money' else use.of} are left"


def _worth(strategy: Strategy) -> pl.Expr:
    """What each message is worth: by its arm, where the arm says so."""
    worth = amount_of(strategy.worth)
    for step in strategy.steps:
        for arm in step.arms:
            if arm.worth is not None:
                is_it = (pl.col("step") == step.name) & (pl.col("arm") == arm.name)
                worth = pl.when(is_it).then(amount_of(arm.worth)).otherwise(worth)
    return worth.clip(LEAST_WORTH)


def _all_told(
    parts: Sequence[pl.DataFrame],
    groups: Sequence[Offers],
    picks: Sequence[Wholes],
    strategy: Strategy,
) -> tuple[tuple[pl.Series, ...], tuple[pl.DataFrame, ...]]:
    """Of each group those who get nothing, and the arms of the others where there is a choice."""
    has_choice = any(step.by_budget for step in strategy.steps)
    told = [
        _told(part, group, pick, has_choice=has_choice)
        for part, group, pick in zip(parts, groups, picks, strict=True)
    ]
    return tuple(each[0] for each in told), tuple(each[1] for each in told)


def _told(
    part: pl.DataFrame, group: Offers, pick: Wholes, *, has_choice: bool
) -> tuple[pl.Series, pl.DataFrame]:
    """The borrowers who get nothing, and the arm of each other one, where there is a choice."""
    first, gets = part["borrower_id"].gather(group.starts[:-1]), pick != NOTHING
    names = part.select("borrower_id", "arm")
    arms = names[pick[gets]] if has_choice else names.clear()
    return first.filter(pl.Series(~gets)), arms


def _offers(part: pl.DataFrame, *, salt: str) -> Offers:
    """To each borrower the message drawn, or one of several, or nothing."""
    lengths = part["borrower_id"].rle().struct.field("len").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    whose = part["borrower_hash"].gather(starts[:-1])
    offered = Offers(starts, part["worth"].to_numpy(), _cost(part))
    return offered.untied(draws(salt, whose).to_numpy())


def _cost(part: pl.DataFrame) -> Costs:
    takes = part.select(cs.starts_with("takes_"))
    return np.ascontiguousarray(takes.to_numpy().astype(np.int32))


def _units(strategy: Strategy, currency: str) -> list[int]:
    """Of each budget, how many of what messages take make one of what its limit counts."""
    one = int(10 ** minor_digits(currency))
    return [one if budget.of == "money" else 1 for budget in strategy.budgets]


def _prices(strategy: Strategy, uses: Sequence[BudgetUse], currency: str) -> Floats:
    """The prices of what messages take, in the order of the strategy's budgets."""
    found = {use.name: use.price for use in uses}
    told = np.array([found[budget.name] for budget in strategy.budgets])
    prices: Floats = told / np.array(_units(strategy, currency))
    return prices


def with_arms(rows: Rows, others: Rows, arms: Rows) -> Rows:
    """A partition's plan with the arms chosen: of the `others`, where not the step's first."""
    taken = others.join(arms, on=["borrower_id", "arm"], how="semi").unique("borrower_id")
    rest = rows.join(taken, on="borrower_id", how="anti")
    return pl.concat([rest, taken]).sort("borrower_id")


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
