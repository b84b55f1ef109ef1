"""The strategy that ships: whatever it proposes, guard and linter let pass."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from tests.unit.lender import context, strategy
from tools.plan_books import SIMULATED_FROM, read_days, simulated

DAYS = 4


def test_it_proposes_nothing_that_either_judge_would_stop() -> None:
    friday = SIMULATED_FROM + timedelta(days=4)
    now = datetime.combine(friday, time(0, 30), UTC)
    asked = context(strategy=strategy(), as_of=friday, now=now, ledger_complete_until=now)
    found = read_days(simulated(150), asked, days=DAYS)
    assert found.outcomes["allow"] == found.outcomes.total() > 50
    assert not found.flaws
    assert not found.stopped_by
    assert {"before_due", "m1_day1", "m1_day7"} <= set(found.steps)
