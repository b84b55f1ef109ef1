"""When an optional message rests: after a part payment, and where the borrower pays anyway."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import AS_OF, NOW, STRATEGY_TEXT, TEMPLATES, context, strategy, tables
from tests.unit.test_risk_serve import OfOne

from duewise.engine.partition import plan_partition
from duewise.errors import BadInput
from duewise.risk.serve import Served
from duewise.strategy.check import findings

DUE = AS_OF - timedelta(days=7)
TONES = {name: template.tone for name, template in TEMPLATES.items()}
WAITS = "arms:\n      neutral: {channel: sms, template: zh.m1_day1.neutral"


def paid(days_ago: int, minor: int) -> tuple[datetime, int]:
    return datetime.combine(AS_OF - timedelta(days=days_ago), time(4), UTC), minor


def rows(*loans: dict[str, Any], text: str = STRATEGY_TEXT, **more: Any) -> dict[str, Any]:
    tried = replace(strategy(text), hold_out_bp=0)
    plan = plan_partition(tables(*loans), context=context(strategy=tried, **more)).rows
    return {row["borrower_id"]: row for row in plan.iter_rows(named=True)}


def loan(borrower: str, days_late: int, *payments: tuple[datetime, int]) -> dict[str, Any]:
    return {"borrower": borrower, "due": [AS_OF - timedelta(days=days_late)], "paid": payments}


def test_it_rests_for_days_after_a_payment_in_part_and_never_from_what_is_required() -> None:
    quiet = STRATEGY_TEXT.replace("steps:", "quiet: {after_part_payment_d: 3}\nsteps:", 1)
    late, required = 15, 7
    found = rows(
        loan("Chen", late, paid(2, 1_000)),
        loan("Li", late, paid(3, 1_000)),
        loan("Wang", late, paid(20, 1_000)),  # before anything was due: no payment in part
        loan("Zhao", required, paid(1, 1_000)),
        text=quiet,
    )
    reasons = {name: row["reason"] for name, row in found.items()}
    assert reasons == {"Chen": "part_payment", "Li": "", "Wang": "", "Zhao": ""}
    assert rows(loan("Chen", late, paid(2, 1_000)))["Chen"]["decision"] == "proposed"


def test_it_helps_whoever_pays_in_part_where_the_ladder_chooses() -> None:
    told = STRATEGY_TEXT.replace("zh.m1_day15.urgent", "zh.m1_day15")
    found = rows(loan("Chen", 15, paid(2, 1_000)), loan("Li", 15, paid(20, 1_000)), text=told)
    assert {name: row["tone"] for name, row in found.items()} == {"Chen": "help", "Li": "urgent"}


def waiting(condition: str) -> str:
    return STRATEGY_TEXT.replace(WAITS, f"wait: {condition}\n    {WAITS}", 1)


def test_it_waits_where_the_step_says_that_the_money_comes_by_itself() -> None:
    text = waiting("probability_late_7 >= 0.1")
    assert text != STRATEGY_TEXT
    model = Served("late_7", "boosting 0123", OfOne("late_share"))
    due = [AS_OF - timedelta(days=1), AS_OF + timedelta(days=20)]
    li = {"borrower": "Li", "due": due}
    usual = rows(li, text=waiting("probability_cured_7d >= 0.1"))
    assert usual["Li"]["reason"] == ""  # what no model tells makes nobody wait
    assert rows(li, text=text, models=(model,))["Li"]["reason"] == "self_cure_likely"


def test_it_finds_a_step_that_always_waits_and_refuses_a_required_one_that_does() -> None:
    always = strategy(waiting("dpd >= 1"))
    (wrong,) = [each for each in findings(always, tones=TONES) if each.level == "error"]
    assert "always waits" in wrong.message
    sometimes = strategy(waiting("probability_cured_7d >= 0.8"))
    assert not [each for each in findings(sometimes, tones=TONES) if each.level == "error"]
    with pytest.raises(BadInput, match="is required and waits"):
        strategy(STRATEGY_TEXT.replace("when: dpd = 7", "when: dpd = 7\n    wait: dpd = 7"))
    with pytest.raises(BadInput, match="wait: unknown column 'income'"):
        strategy(waiting("income > 3"))
    with pytest.raises(BadInput, match="after_part_payment_d 40"):
        strategy(STRATEGY_TEXT + "quiet: {after_part_payment_d: 40}\n")


def test_it_tells_the_age_of_the_last_payment_in_part() -> None:
    from duewise.engine.loans import open_loans

    given = tables(loan("Chen", 15, paid(9, 500), paid(4, 500)), loan("Li", 0))
    found = open_loans(given, context=context())
    told = found.select("part_payments_28d", "days_since_part_payment").rows()
    assert told == [(2, 4), (0, None)]
    assert found["probability_cured_30d"].dtype == pl.Float64


def test_it_calls_nobody_overdue_whose_day_was_put_off() -> None:
    sunday = AS_OF + timedelta(days=2)
    given = tables({"borrower": "Li", "due": [sunday]})
    reasons = {}
    for ahead in (3, 4):
        day, now = AS_OF + timedelta(days=ahead), NOW + timedelta(days=ahead)
        asked = context(as_of=day, now=now, ledger_complete_until=now)
        (row,) = plan_partition(given, context=asked).rows.to_dicts()
        reasons[day.strftime("%A")] = row["reason"]
    assert reasons == {"Monday": "not_overdue_yet", "Tuesday": ""}
