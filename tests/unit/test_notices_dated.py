"""Notices of a grace and of a credit report: written where the day is known, and by nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import AS_OF, STRATEGY_TEXT, TEMPLATES, context, strategy, tables

from duewise.engine.partition import plan_partition
from duewise.strategy.check import findings

TONES = {name: template.tone for name, template in TEMPLATES.items()}
STEPS = """steps:
  - name: grace
    stage: due_day
    when: dpd between 1 and 3 and grace_days_left >= 0
    arms:
      gentle: {channel: sms, template: zh.grace.gentle, hours: [9, 18]}
  - name: report
    stage: overdue
    when: dpd >= 4
    arms:
      clear: {channel: sms, template: zh.credit_notice.clear, hours: [9, 18]}
"""
TEXT = STRATEGY_TEXT.split("steps:", maxsplit=1)[0] + STEPS


def row(days_late: int, *, grace: int = 3, **lender: Any) -> dict[str, Any]:
    given = tables({"borrower": "Li", "due": [AS_OF - timedelta(days=days_late)]})
    loans = given.loans.with_columns(grace_days=pl.lit(grace, pl.Int32))
    asked = context(strategy=strategy(TEXT, hold_out_bp=0))
    asked = replace(asked, lender=replace(asked.lender, **lender))
    (found,) = plan_partition(replace(given, loans=loans), context=asked).rows.to_dicts()
    return found


@pytest.mark.parametrize("late", [1, 3])
def test_it_tells_when_the_grace_ends_and_calls_nobody_overdue_in_it(late: int) -> None:
    found = row(late)
    assert (found["step"], found["outcome"]) == ("grace", "allow")
    assert found["grace_until"] == AS_OF + timedelta(days=3 - late)


def test_it_knows_no_grace_where_there_is_none_or_it_is_over() -> None:
    assert row(1, grace=0)["step"] is None
    assert row(4)["grace_until"] is None


def test_it_warns_of_a_report_only_where_the_lender_reports() -> None:
    told, silent = row(4, credit_report_day=24), row(4)
    assert (told["report_date"], told["outcome"]) == (date(2026, 8, 24), "allow")
    assert (silent["report_date"], silent["outcome"]) == (None, "block")
    assert "CN-TXT-02" in silent["rules"]


def test_it_takes_a_step_in_the_grace_for_one_of_the_due_day() -> None:
    found = findings(strategy(TEXT), tones=TONES)
    assert [each for each in found if each.level == "error"] == []
