"""Case files that are wrong are refused where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from duewise.errors import BadInput
from duewise.guard.case_file import load_cases, read_cases
from duewise.guard.cases import run_cases

HEAD = "schema: cg-cases/1\nbases:\n  b: {jur: SG, now: '2026-08-12T10:00:00+08:00'}\ncases:\n"
BAD = """
- {id: A, base: c, checks: [{}]}                          | no base 'c'
- {id: A, base: b}                                        | key 'checks' is missing
- {id: A, base: b, check: []}                             | unknown key 'check'
- {id: A, checks: [{}]}                                   | names no profile
- {id: A, base: b, checks: [{set: {jur: XX}}]}            | no profile 'XX'
- {id: A, base: b, checks: [{sets: {}}]}                  | unknown key 'sets'
- {id: A, base: b, checks: [{expect: {decision: maybe}}]} | no such decision
- {id: A, base: b, checks: [{set: {now: "2026-08-12T10:00:00"}}]} | has no offset
- {id: A, base: b, checks: [{set: {now: noon}}]}          | not an instant
- {id: A, base: b, checks: [{set: {msg.promo: maybe}}]}   | neither true nor false
- {id: A, base: b, checks: [{set: {acct.paid: much}}]}    | 'much' is not a number
- {id: A, base: b, checks: [{set: {acct.paid: NaN}}]}     | 'NaN' is not a number
- {id: A, base: b, checks: [{set: {acct.due_date: soon}}]} | 'soon' is not a date
- {id: A, base: b, checks: [{set: {to.tz: Asia/Singapore}}]} | expected a list
- {id: A, base: b, checks: [{set: {to.role: [debtor]}}]}  | expected a word
- {id: A, base: b, checks: [{set: {history: [{channel: sms}]}}]} | key 'at' is missing
- {id: A, base: b, checks: [{set: {history: [{at: x, chanel: sms}]}}]} | unknown key 'chanel'
- {id: A, base: b, checks: [{]}                           | not YAML
"""


@pytest.mark.parametrize("line", BAD.strip().splitlines())
def test_it_refuses_a_bad_case_with_file_line_and_mend(line: str) -> None:
    case, message = (part.strip() for part in line.rsplit(" | ", 1))
    with pytest.raises(BadInput) as refused:
        run_cases(read_cases(HEAD + case, source="cases.yaml"))
    assert message in refused.value.message
    assert (refused.value.source, refused.value.line) == ("cases.yaml", 5)
    assert refused.value.mend


def test_it_refuses_another_schema() -> None:
    with pytest.raises(BadInput, match=r"cases\.yaml:1: schema 'cg-cases/2' is not known"):
        read_cases("schema: cg-cases/2\ncases: []", source="cases.yaml")


def test_it_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load_cases(tmp_path / "none.yaml")


def test_it_lays_check_over_case_over_base_and_replaces_keys_whole() -> None:
    text = """
- id: A
  base: b
  set: {acct.paid: 1.005, msg.claims: [a, b], to.role: debtor, history: []}
  checks:
  - {}
  - {set: {msg.claims: [c], to.role: ~, history: ~, no.such_fact: 1}}
"""
    first, second = read_cases(HEAD + text, source="cases.yaml").checks
    assert (first.facts["acct.paid"], first.facts["msg.claims"]) == (101, ["a", "b"])
    assert (second.facts["msg.claims"], second.facts["to.role"]) == (["c"], None)
    assert (first.facts["history"], second.facts["history"]) == (True, None)
    assert (first.jurisdiction, first.number, second.number) == ("SG", 1, 2)


def test_it_judges_a_file_without_checks() -> None:
    assert run_cases(read_cases("schema: cg-cases/1\ncases: []", source="cases.yaml")) == []
