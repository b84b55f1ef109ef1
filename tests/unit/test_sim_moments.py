from dataclasses import replace
from datetime import date

import pytest

from duewise.sim.lender import synthetic_lender
from duewise.sim.moments import TARGETS, Run, live, moments

SEED = 5


@pytest.fixture(scope="module")
def runs() -> tuple[Run, Run]:
    lender = synthetic_lender(5_000, seed=SEED, start=date(2026, 8, 14))
    control = live(lender.twin(), days=60, seed=SEED)
    return control, live(lender.twin(), days=60, seed=SEED, reminder_days=1)


@pytest.mark.parametrize(
    "name", ["late_share", "cured_7d_share", "cured_30d_share", "past_due_share"]
)
def test_it_is_like_its_sources_without_messages(runs: tuple[Run, Run], name: str) -> None:
    assert TARGETS[name].holds(moments(runs[0])[name]), moments(runs[0])


@pytest.mark.parametrize("name", ["reminder_effect", "opt_out_share", "reply_share"])
def test_it_answers_reminders_like_its_sources(runs: tuple[Run, Run], name: str) -> None:
    control, reminded = runs
    found = moments(reminded, control)
    assert TARGETS[name].holds(found[name]), found


def test_it_refuses_a_run_too_short_to_see_cures(runs: tuple[Run, Run]) -> None:
    short = replace(runs[0], days=20)
    with pytest.raises(AssertionError, match="20 days is too short"):
        moments(short)
