"""The case files of the rules, through the public command; and that they leave no rule out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scenario.road import CommandLine
from tools.guard_mutants import BOOKS, FOLDER, Mutant, mutants, survivors

from duewise.guard.case_file import load_cases
from duewise.guard.cases import CheckVerdict, run_cases
from duewise.guard.profile import load_rulebook

FILES = sorted(FOLDER.glob("*.yaml"))
OWN_CHECKS_MIN = 150
FACTS_CHANGED_MAX = 2
GATES = [
    rule.id for book in BOOKS for rule in load_rulebook([book]).rules if rule.effect is not None
]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, list[CheckVerdict]]:
    """The verdicts on each rule's own case."""
    found: dict[str, list[CheckVerdict]] = {}
    for name in BOOKS.values():
        for verdict in run_cases(load_cases(FOLDER / name)):
            found.setdefault(verdict.check.case, []).append(verdict)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_judges_every_case_as_expected_on_the_command_line(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = CommandLine(capsys)("guard", "check", path)
    assert (said.code, said.err) == (0, "")
    lines = [json.loads(line) for line in said.out.splitlines()]
    expected = [(check.case, check.number) for check in load_cases(path).checks]
    assert [(line["case"], line["check"]) for line in lines] == expected
    assert all(check.expected.decision is not None for check in load_cases(path).checks)


def test_it_holds_cases_enough(verdicts: dict[str, list[CheckVerdict]]) -> None:
    assert len({path.stem for path in FILES} & {"cn", "us-regf", "examples"}) == 3
    assert sum(map(len, verdicts.values())) >= OWN_CHECKS_MIN


@pytest.mark.parametrize("rule", GATES)
def test_it_has_for_every_rule_a_case_where_it_alone_fires_and_one_beside_it(
    rule: str, verdicts: dict[str, list[CheckVerdict]]
) -> None:
    alone = [verdict for verdict in verdicts[rule] if verdict.rules == (rule,)]
    silent = [verdict for verdict in verdicts[rule] if verdict.rules == ()]
    assert alone
    nearest = min(_changed(one, other) for one in alone for other in silent)
    assert 0 < nearest <= FACTS_CHANGED_MAX


def _changed(one: CheckVerdict, other: CheckVerdict) -> int:
    """How many facts differ; a contact log is one."""
    facts, others = one.check.facts, other.check.facts
    return sum(facts.get(name) != others.get(name) for name in {*facts, *others}) + (
        one.check.history != other.check.history
    )


def test_it_notices_every_rule_that_is_taken_out_turned_round_or_shifted() -> None:
    tried = [mutant for book in BOOKS for mutant in mutants(load_rulebook([book]))]
    assert {mutant.rule for mutant in tried if mutant.kind == "deleted"} == set(GATES)
    assert {mutant.rule for mutant in tried if mutant.kind == "negated"} == set(GATES)
    assert survivors(tried) == []


def test_it_would_say_which_rule_nobody_watches() -> None:
    unwatched = Mutant("CN-NEW-00", "untouched", load_rulebook(["CN"]))
    assert survivors([unwatched]) == ["CN-NEW-00 untouched"]
