"""The strategy file: what is read, and what is refused with file, line and mend."""

from __future__ import annotations

import pytest

from duewise.errors import BadInput
from duewise.strategy.budget import Budget
from duewise.strategy.plan import parse_strategy

STAGES = {"zh.before_due.gentle": "pre_due", "zh.m1_day1.urgent": "overdue"}
GOOD = """\
strategy: small
version: 3
timezone: Asia/Shanghai
hold_out: {share: 5%, of: optional}
fatigue: {messages_28d: 6}
steps:
  - name: before_due
    stage: pre_due
    when: dpd between -3 and -1 and autopay = false
    arms:
      gentle: {channel: sms, template: zh.before_due.gentle, hours: [18, 21]}
"""


def _parse(text: str) -> object:
    return parse_strategy(text, source="strategy.yaml", templates=STAGES)


def test_it_reads_a_strategy() -> None:
    strategy = parse_strategy(GOOD, source="strategy.yaml", templates=STAGES)
    assert (strategy.name, strategy.version, strategy.hold_out_bp) == ("small", 3, 500)
    (step,) = strategy.steps
    assert (step.name, step.stage, step.required) == ("before_due", "pre_due", False)
    assert (step.arms[0].hours, step.arms[0].share_bp) == ((18, 21), 10_000)


def test_it_reads_budgets_short_and_long() -> None:
    text = GOOD + "budgets:\n  sms: 200000\n  money: 12000\n"
    text += "  hard: {of: parts, limit: 500, when: bucket = 'M2'}\nworth: amount * 0.1\n"
    strategy = parse_strategy(text, source="strategy.yaml", templates=STAGES)
    assert strategy.worth == "amount * 0.1"
    assert strategy.budgets == (
        Budget("sms", "messages", 200_000, channel="sms"),
        Budget("money", "money", 12_000),
        Budget("hard", "parts", 500, when="bucket = 'M2'"),
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("autopay = false", "autopay = false and pdd > 1", 7, "unknown column 'pdd'"),
        ("dpd between -3 and -1 and", "dpd > > 3 and", 7, "when:"),
        ("zh.before_due.gentle", "zh.nowhere", 11, "unknown template 'zh.nowhere'"),
        ("zh.before_due.gentle", "zh.m1_day1.urgent", 11, "is for stage overdue"),
        ("[18, 21]", "[21, 18]", 11, "are no window"),
        ("channel: sms", "channel: pigeon", 11, "channel 'pigeon'"),
        ("share: 5%", "share: a few", 4, "is not a percentage"),
        ("version: 3", "version: three", 1, "version 'three'"),
        ("fatigue: {messages_28d: 6}", "budget: {sms: 5}", 1, "no key 'budget'"),
        ("fatigue: {messages_28d: 6}", "budgets: {pigeons: 5}", 5, "neither a channel nor"),
        ("fatigue: {messages_28d: 6}", "budgets: {sms: many}", 5, "is not a whole number"),
        ("fatigue: {messages_28d: 6}", "budgets: {a: {of: hope, limit: 1}}", 5, "of 'hope'"),
        ("fatigue: {messages_28d: 6}", "worth: amount * hope", 1, "unknown column 'hope'"),
        ("    stage: pre_due\n", "", 7, "stage None"),
        ("  - name: before_due\n", "  - nom: before_due\n", 7, "no key 'nom'"),
    ],
)
def test_it_refuses_what_it_does_not_know_with_line_and_mend(
    old: str, new: str, line: int, said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        _parse(GOOD.replace(old, new))
    assert said in refused.value.message
    assert (refused.value.source, refused.value.line) == ("strategy.yaml", line)
    assert refused.value.mend


def test_it_refuses_broken_yaml_with_its_line() -> None:
    with pytest.raises(BadInput) as refused:
        _parse(GOOD.replace("hours: [18, 21]}", "hours: [18, 21}"))
    assert refused.value.line == 11


def test_it_refuses_a_strategy_without_a_hold_out() -> None:
    with pytest.raises(BadInput, match="no hold_out"):
        _parse(GOOD.replace("hold_out: {share: 5%, of: optional}\n", ""))


def test_it_refuses_shares_that_do_not_make_a_whole() -> None:
    text = GOOD + "    choose: {random: {gentle: 60%}}\n"
    with pytest.raises(BadInput, match="do not sum to 100 %"):
        _parse(text)
