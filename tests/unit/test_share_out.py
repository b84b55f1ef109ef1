"""Budgets over a plan: the worthiest go out, the required always, and partitions do not matter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import AS_OF, STRATEGY_TEXT, context, strategy, tables

from duewise.engine.partition import Plan, plan_partition
from duewise.engine.share_out import SharedOut, share_out, within_budgets
from duewise.money import Money

DAYS_LATE = {"Chen": 1, "Li": 2, "Wang": 7, "Zhao": 1}  # seven days: a notice that is required
PRICE = Money(5, "CNY")


def _planned(budgets: str, *, worth: str = "days_past_due", names: Any = DAYS_LATE) -> Plan:
    text = f"{STRATEGY_TEXT}\nworth: {worth}\nbudgets: {budgets}\n"
    given = tables(
        *({"borrower": each, "due": [AS_OF - timedelta(days=DAYS_LATE[each])]} for each in names)
    )
    chosen = strategy(text, hold_out_bp=0)
    return plan_partition(given, context=context(strategy=chosen, part_price=PRICE))


def _shared(budgets: str, plans: list[Plan]) -> SharedOut:
    chosen = strategy(f"{STRATEGY_TEXT}\nbudgets: {budgets}\n")
    return share_out([plan.offers for plan in plans], chosen, currency="CNY")


@pytest.mark.parametrize(
    ("budgets", "left_out"),
    [
        ("{sms: 4}", []),
        ("{sms: 2}", ["Chen", "Zhao"]),  # Wang's is required, Li's is worth most
        ("{sms: 0}", ["Chen", "Li", "Zhao"]),
        ("{sms: 9, early: {of: messages, limit: 1, when: dpd < 3}}", ["Chen", "Zhao"]),
        ("{money: 0}", ["Chen", "Li", "Zhao"]),
        ("{money: 1}", []),
    ],
)
def test_it_cuts_what_is_worth_least_and_never_what_is_required(
    budgets: str, left_out: list[str]
) -> None:
    plan = _planned(budgets)
    shared = _shared(budgets, [plan])
    rows = within_budgets(plan.rows.lazy(), shared.cut[0]).collect()
    assert rows.filter(reason="over_budget")["borrower_id"].to_list() == left_out
    kept = rows.filter(decision="proposed")
    assert kept["borrower_id"].to_list() == [each for each in DAYS_LATE if each not in left_out]
    assert kept["key"].null_count() == 0
    assert rows.filter(reason="over_budget")["key"].null_count() == len(left_out)


def test_it_reports_what_was_used_and_what_one_more_is_worth() -> None:
    budgets = "{messages: 2, money: 100}"
    plan = _planned(budgets, worth="1")
    messages, money = _shared(budgets, [plan]).uses
    assert (messages.name, messages.limit, messages.used) == ("messages", 2, 2)
    assert messages.price == pytest.approx(1, rel=1e-4)
    rows = within_budgets(plan.rows.lazy(), _shared(budgets, [plan]).cut[0]).collect()
    parts = rows["parts"].sum()
    assert (money.used, money.price) == (parts * PRICE.minor / 100, 0)


def test_it_cuts_the_same_however_the_book_is_divided() -> None:
    budgets = "{messages: 2}"
    whole = _planned(budgets, worth="1")
    parts = [_planned(budgets, worth="1", names=[name]) for name in DAYS_LATE]
    together = _shared(budgets, [whole]).cut[0].to_list()
    divided = pl.concat(_shared(budgets, parts).cut).to_list()
    assert together == divided
    assert len(together) == 2


def test_it_sends_to_those_worth_nothing_while_there_is_room() -> None:
    plan = _planned("{messages: 4}", worth="0")
    assert _shared("{messages: 4}", [plan]).cut[0].to_list() == []
