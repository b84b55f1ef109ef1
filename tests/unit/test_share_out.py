"""Budgets over a plan: the worthiest go out, the required always, and partitions do not matter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import AS_OF, STRATEGY_TEXT, context, strategy, tables

from duewise.engine.days import plan_days
from duewise.engine.partition import Plan, plan_partition
from duewise.engine.share_out import (
    SharedOut,
    at_prices,
    priced,
    share_out,
    uncut,
    with_arms,
    within_budgets,
)
from duewise.errors import BadInput
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


CHOICE = """steps:
  - name: late
    stage: overdue
    when: dpd between 1 and 2
    arms:
      app: {channel: push, template: zh.m1_day1.gentle, hours: [9, 12], worth: 1}
      text: {channel: sms, template: zh.m1_day1.gentle, hours: [9, 20], worth: days_past_due * 10}
    choose: budget
  - name: m1_day7
    stage: overdue
    required: true
    when: dpd = 7
    arms:
      neutral: {channel: sms, template: zh.m1_day7.neutral, hours: [9, 20]}
"""


def _chosen(budgets: str, *groups: tuple[str, ...], lost: str = "") -> dict[str, str]:
    """The arm of each who gets a message; `lost` has no app."""
    text = f"{STRATEGY_TEXT.split('steps:', maxsplit=1)[0]}budgets: {budgets}\n{CHOICE}"
    tried, plans = strategy(text, hold_out_bp=0), []
    for names in groups:
        dues = (
            {"borrower": each, "due": [AS_OF - timedelta(days=DAYS_LATE[each])]} for each in names
        )
        given = tables(*dues)
        push = given.addresses.filter(pl.col("borrower_id") != lost)
        both = pl.concat([given.addresses, push.with_columns(channel=pl.lit("push"))])
        asked = context(strategy=tried, part_price=PRICE)
        plans.append(plan_partition(replace(given, addresses=both), context=asked))
    shared = share_out([plan.offers for plan in plans], tried, currency="CNY")
    found: dict[str, str] = {}
    for plan, arms, cut in zip(plans, shared.arms, shared.cut, strict=True):
        rows = within_budgets(with_arms(plan.rows, plan.others, arms), cut)
        assert rows["borrower_id"].to_list() == plan.rows["borrower_id"].to_list()
        sent = rows.filter(decision="proposed")
        assert sent["key"].null_count() == 0
        found |= dict(sent.select("borrower_id", "arm").rows())
    return found


@pytest.mark.parametrize(
    ("budgets", "lost", "found"),
    [
        ("{sms: 9}", "", {"Chen": "text", "Li": "text", "Zhao": "text"}),
        ("{sms: 2}", "", {"Chen": "app", "Li": "text", "Zhao": "app"}),  # Wang's is required
        ("{sms: 1}", "", {"Chen": "app", "Li": "app", "Zhao": "app"}),
        ("{sms: 1}", "Zhao", {"Chen": "app", "Li": "app"}),
        ("{sms: 2, push: 1}", "Chen", {"Li": "text", "Zhao": "app"}),
        ("{sms: 1, push: 0}", "", {}),
    ],
)
def test_it_chooses_between_arms_by_what_each_is_worth_at_the_budgets_prices(
    budgets: str, lost: str, found: dict[str, str]
) -> None:
    assert _chosen(budgets, tuple(DAYS_LATE), lost=lost) == {"Wang": "neutral"} | found


def test_it_asks_at_a_plans_prices_what_the_plan_would_give() -> None:
    text = f"{STRATEGY_TEXT.split('steps:', maxsplit=1)[0]}budgets: {{sms: 2}}\n{CHOICE}"
    tried = strategy(text, hold_out_bp=0)
    given = tables(
        *(
            {"borrower": each, "due": [AS_OF - timedelta(days=DAYS_LATE[each])]}
            for each in DAYS_LATE
        )
    )
    push = given.addresses.with_columns(channel=pl.lit("push"))
    both = replace(given, addresses=pl.concat([given.addresses, push]))
    asked = context(strategy=tried, part_price=PRICE)
    (today, *_) = plan_days([lambda: both], context=asked, days=1)
    assert today.shared is not None
    by: dict[str, Any] = {"strategy": tried, "uses": today.shared.uses, "currency": "CNY"}
    (alone, *_) = plan_days([lambda: both], context=asked, days=1, share=partial(at_prices, **by))
    for day in (today, alone):  # Chen and Zhao are at a tie, and settled by hand
        arms = dict(day.rows.select("borrower_id", "arm").rows())
        assert (arms["Li"], arms["Wang"], arms["Zhao"]) == ("text", "neutral", "app")
    told = priced(today.offers, **by).filter(borrower_id="Li")
    assert told["budgets"].to_list() == [[], ["sms"]]  # push, then text
    assert told["price"][0] == 0 < told["price"][1] < told["worth"][1]
    (free, *_) = plan_days([lambda: both], context=asked, days=1, share=uncut)
    assert set(free.rows["arm"]) == {"app", "neutral"}


def test_it_shares_out_each_day_over_all_groups() -> None:
    text = f"{STRATEGY_TEXT}\nworth: days_past_due\nbudgets: {{messages: 1}}\n"
    asked = context(strategy=strategy(text, hold_out_bp=0))
    late = {name: AS_OF - timedelta(days=1) for name in ("Chen", "Li")}
    one = [tables({"borrower": each, "due": [due]}) for each, due in late.items()]
    both = tables(*({"borrower": each, "due": [due]} for each, due in late.items()))
    together = plan_days([lambda: both], context=asked, days=7)
    apart = plan_days([partial(one.__getitem__, n) for n in (0, 1)], context=asked, days=7)
    cut = []
    for whole, divided in zip(together, apart, strict=True):
        assert whole.rows.equals(divided.rows)
        cut.append(whole.rows.filter(reason="over_budget").height)
    assert (cut[0], cut[6]) == (1, 0)  # on the seventh day both get what is required


def test_it_chooses_the_same_arms_however_the_book_is_divided() -> None:
    budgets = "{sms: 3, push: 1}"
    whole = _chosen(budgets, tuple(DAYS_LATE))
    assert _chosen(budgets, *((name,) for name in DAYS_LATE)) == whole
    assert sorted(whole.values()) == ["app", "neutral", "text", "text"]


def test_it_leaves_fixed_and_random_arms_alone() -> None:
    plan = _planned("{sms: 2}")
    assert plan.others.is_empty()
    shared = _shared("{sms: 2}", [plan])
    assert shared.arms[0].is_empty()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("    choose: budget", "    choose: budget\n    required: true"), "has `required`"),
        (("    choose: budget", "    choose: budget\n    sticky: true"), "has `sticky`"),
        (("    choose: budget\n", ""), "has a worth"),
        (("budgets: {sms: 2}\n", ""), "there is none"),
        (("worth: 1}", "worth: income}"), "unknown column 'income'"),
    ],
)
def test_it_refuses_a_choice_that_cannot_be_made(change: tuple[str, str], said: str) -> None:
    text = f"{STRATEGY_TEXT.split('steps:', maxsplit=1)[0]}budgets: {{sms: 2}}\n{CHOICE}"
    assert change[0] in text
    with pytest.raises(BadInput, match=said):
        strategy(text.replace(*change, 1))
