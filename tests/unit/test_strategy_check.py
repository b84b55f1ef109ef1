"""What a check finds in a strategy, and how two of them are told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.lender import STRATEGY_TEXT, TEMPLATES, strategy

from duewise.strategy.check import Finding, findings
from duewise.strategy.compare import changes

TONES = {name: template.tone for name, template in TEMPLATES.items()}
HEAD = "strategy: s\nversion: 1\ntimezone: Asia/Shanghai\nhold_out: {share: 5%, of: optional}\nsteps:\n"
STEP = '  - {{name: {}, stage: {}, when: "{}", arms: {{a: {{channel: sms, template: {}}}}}}}\n'
EARLY, LATE = "zh.early.gentle", "zh.m1_day1.urgent"


def _found(*steps: tuple[str, str, str, str]) -> list[Finding]:
    text = HEAD + "".join(STEP.format(*step) for step in steps)
    return findings(strategy(text), tones=TONES)


def _about(found: list[Finding], level: str) -> list[tuple[str, int, str]]:
    return [(each.about, each.line, each.message) for each in found if each.level == level]


def test_it_finds_no_error_in_the_shipped_strategy() -> None:
    assert _about(findings(strategy(), tones=TONES), "error") == []


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("dpd > 3 and dpd < 2", "it never holds"),
        ("dpd = 5 and autopay = true", "it is always preceded by first"),
        ("days_past_due = 5 and bucket = 'M2'", "it never holds"),
    ],
)
def test_it_finds_a_step_that_is_never_reached(when: str, said: str) -> None:
    found = _found(
        ("first", "overdue", "dpd between 1 and 9", LATE), ("then", "overdue", when, LATE)
    )
    (error,) = _about(found, "error")
    assert (error[0], error[1]) == ("then", 7)
    assert said in error[2]


def test_it_finds_a_step_of_another_stage() -> None:
    found = _found(("early", "pre_due", "dpd between -2 and 1", EARLY))
    ((about, line, said),) = _about(found, "error")
    assert (about, line) == ("early", 6)
    assert "holds on day 0 to 1" in said


def test_it_notes_overlaps_and_gaps_with_their_days() -> None:
    found = _found(
        ("rich", "overdue", "dpd between 1 and 3 and past_due >= 500", LATE),
        ("risky", "overdue", "dpd between 2 and 4 and probability_of_default > 0.2", LATE),
    )
    notes = [said for about, _, said in _about(found, "note") if about != "cell"]
    assert any("'risky' overlaps on day 2 to 3 with rich" in said for said in notes)
    assert sum("some get no step" in said for said in notes) == 1
    assert any("on day 1 to 4 some get no step, such as past_due = 0.00" in said for said in notes)


def test_it_is_exact_on_the_values_that_the_file_names() -> None:
    below = ("below", "overdue", "dpd = 1 and past_due < 500.5", LATE)
    rest = [("rest", "overdue", f"dpd = 1 and past_due {sign} 500.5", LATE) for sign in (">", ">=")]
    gaps = [
        [said for about, _, said in _about(_found(below, each), "note") if about == "gap"]
        for each in rest
    ]
    assert "past_due = 500.50" in gaps[0][0]
    assert gaps[1] == []


def test_it_notes_the_cells_that_no_arm_fills() -> None:
    found = _found(
        ("calm", "overdue", "dpd = 1 and probability_of_default < 0.1", "zh.m1_day1.neutral"),
        ("hot", "overdue", "dpd = 1", LATE),
    )
    cells = [said for about, _, said in _about(found, "note") if about == "cell"]
    assert "overdue, low risk: no urgent sms" in cells
    assert "overdue, high risk: no neutral sms" in cells
    assert "due_day, low risk: no neutral sms, no urgent sms" in cells


def test_it_tells_what_came_went_changed_and_moved() -> None:
    old = strategy()
    text = STRATEGY_TEXT.replace("version: 1", "version: 2").replace(
        "hours: [17, 20]", "hours: [18, 20]", 1
    )
    text = text.replace("dpd = -2 and", "dpd = -3 and").replace("name: m1_day15", "name: m1_day16")
    new = strategy(text + "budgets: {sms: 5}\n")
    said = [str(each) for each in changes(old, new)]
    assert said[0] == "~ version: 1 → 2"
    assert said[1].startswith("+ budget sms: of messages, limit 5")
    assert "- step m1_day15: stage overdue, when dpd = 15, required False" in said
    assert (
        "~ step before_due, when: dpd = -2 and autopay = false → dpd = -3 and autopay = false"
        in said
    )
    assert "~ step early_warning, arm gentle, hours: (17, 20) → (18, 20)" in said
    assert len(said) == 6
    moved = replace(old, steps=(*old.steps[1:], old.steps[0]))
    assert [each.where for each in changes(old, moved)] == ["order of steps"]
    assert changes(old, strategy("# a comment\n" + STRATEGY_TEXT)) == []
