"""Days planned ahead: each sees the messages of those before, and what is not paid stays owed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from tests.unit.lender import AS_OF, NOW, context, strategy, tables

from duewise.engine.days import plan_days, unpaid
from duewise.engine.partition import PlanContext, Tables

SOON = AS_OF + timedelta(days=2)


def _rows(given: Tables, asked: PlanContext, days: int) -> pl.DataFrame:
    return pl.concat(day.rows for day in plan_days([lambda: given], context=asked, days=days))


def _steps(days: int, **changes: object) -> list[tuple[int, str | None, str]]:
    given = tables({"borrower": "Li", "due": [SOON]})
    rows = _rows(given, context(**changes), days)
    assert rows["as_of"].to_list() == [AS_OF + timedelta(days=n) for n in range(days)]
    told = rows.with_row_index("day").filter(pl.col("step").is_not_null())
    return list(told.select("day", "step", "reason").iter_rows())


def test_it_tells_every_step_of_the_next_month() -> None:
    assert _steps(20) == [
        (0, "before_due", ""),
        (2, "due_today", ""),
        (3, "m1_day1", "not_overdue_yet"),  # due on a Sunday, and put off to that Monday
        (4, "m1_day1", ""),
        (9, "m1_day7", ""),
        (17, "m1_day15", ""),
    ]


def test_it_counts_its_own_messages_as_contacts() -> None:
    steps = _steps(20, strategy=strategy(hold_out_bp=0, fatigue_28d=2))
    assert [reason for _, _, reason in steps] == [
        "",
        "",
        "not_overdue_yet",
        "fatigue",
        "",
        "fatigue",
    ]


def test_it_forgets_payments_that_are_still_to_come() -> None:
    later = datetime(2026, 8, 16, tzinfo=UTC)
    given = tables({"borrower": "Li", "due": [SOON], "paid": [(later, 86_840)]})
    asked = context()
    paid = _rows(given, asked, 5)
    not_paid = _rows(unpaid(given, context=asked), asked, 5)
    assert later > NOW
    assert paid["reason"].to_list()[-1] == "nothing_owed"
    assert not_paid["step"].to_list()[-1] == "m1_day1"
