"""The guard against a case file of its own: hours, caps, rolls and the rules of other markets."""

from __future__ import annotations

from pathlib import Path

import pytest

from duewise.guard.case_file import load_cases
from duewise.guard.cases import CheckVerdict, run_cases

CASES = load_cases(Path(__file__).with_name("guard_cases.yaml"))
NAMES = [f"{check.case}-{check.number}" for check in CASES.checks]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, CheckVerdict]:
    return dict(zip(NAMES, run_cases(CASES), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_judges_as_the_case_expects(name: str, verdicts: dict[str, CheckVerdict]) -> None:
    assert verdicts[name].disagreements() == []


def test_it_tells_every_rule_that_fired_and_keeps_the_offset(
    verdicts: dict[str, CheckVerdict],
) -> None:
    assert verdicts["WORST-1"].as_dict() == {
        "case": "WORST",
        "check": 1,
        "decision": "defer",
        "rules": ["CN-HRS-01"],
        "next_allowed_at": "2026-08-12T08:00:00+08:00",
    }
    assert verdicts["WORST-3"].as_dict()["rules"] == ["CN-HRS-01", "CN-FEE-02", "CN-INC-01"]
    assert verdicts["WORST-3"].as_dict()["next_allowed_at"] is None


def test_it_says_what_a_check_did_not_get(verdicts: dict[str, CheckVerdict]) -> None:
    wrong = CheckVerdict(verdicts["WORST-1"].check, "allow", (), (), None)
    assert [line.split(": ", 2)[2] for line in wrong.disagreements()] == [
        "decision is allow, expected defer",
        "rules is [], expected ['CN-HRS-01']",
        "next_allowed_at is None, expected 2026-08-12 00:00:00+00:00",
    ]
