"""What ships: enough texts for every need, each declared, measured and clean at its worst."""

from __future__ import annotations

from collections import Counter

import polars as pl
from tests.unit.lender import strategy

from duewise.guard.profile import load_rulebook
from duewise.message.examples import example, example_values
from duewise.message.filters import columns_of
from duewise.message.form import level_of
from duewise.message.lint import REQUIRED, lint_template
from duewise.message.parts import measure
from duewise.message.template import (
    CHANNELS,
    EXAMPLE_SENDERS,
    PURPOSES,
    TONES,
    load_templates,
    render_column,
    worst_case,
)
from duewise.money import Money

SHIPPED = load_templates()
PROFILES = {
    "zh": ("CN",),
    "en": ("US-REGF", "UK", "EU", "IN", "HK", "ID", "PH", "KE", "SG"),
}


def lexicons(*profiles: str) -> dict[str, list[str]]:
    books = (load_rulebook([name]).lexicons for name in profiles)
    return {each.name: [p.re for p in each.patterns] for book in books for each in book}


LEXICONS = {language: lexicons(*names) for language, names in PROFILES.items()}


def test_it_ships_enough_in_both_languages() -> None:
    count = Counter(template.language for template in SHIPPED.values())
    assert count["zh"] >= 60
    assert count["en"] >= 30
    for language in count:
        own = [template for template in SHIPPED.values() if template.language == language]
        assert {template.purpose for template in own} == {*PURPOSES}
        assert {template.channel for template in own} == {*CHANNELS}
        assert {template.tone for template in own} == {*TONES}


def test_it_finds_no_fault_in_any_worst_case() -> None:
    findings = {
        name: lint_template(
            template,
            EXAMPLE_SENDERS[template.locale],
            lexicons=LEXICONS[template.language],
        )
        for name, template in SHIPPED.items()
    }
    assert {name: found for name, found in findings.items() if found} == {}


def test_it_declares_of_each_what_is_measured_and_what_it_rests_on() -> None:
    for template in SHIPPED.values():
        sender = EXAMPLE_SENDERS[template.locale]
        is_sms = template.channel == "sms"
        assert template.parts == (measure(worst_case(template, sender)).parts if is_sms else None)
        assert template.reading == level_of(template)
        assert {*REQUIRED[template.stage]} <= {*template.elements}, template.name
        assert template.legal, template.name
        assert template.is_approved, template.name


def test_it_names_each_by_language_and_tells_no_two_the_same() -> None:
    for name, template in SHIPPED.items():
        assert name.startswith(f"{template.language}.")
    said = Counter((each.channel, each.text) for each in SHIPPED.values())
    assert said.most_common(1)[0][1] == 1


def test_it_has_every_cell_the_strategy_uses_in_both_languages() -> None:
    arms = [(step, arm) for step in strategy().steps for arm in step.arms]
    assert arms
    for step, arm in arms:
        rest = arm.template.partition(".")[2]
        for language in PROFILES:
            own = SHIPPED[f"{language}.{rest}"]
            assert (own.stage, own.channel) == (step.stage, arm.channel)
            assert own.tone == SHIPPED[arm.template].tone


def test_it_writes_each_in_a_column_as_it_writes_one() -> None:
    for template in SHIPPED.values():
        values = example_values(template)
        columns: dict[str, object] = {"currency": "CNY"}
        for name, value in values.items():
            column = next(iter(columns_of(template.variables[name], name)))
            columns[column] = value.minor if isinstance(value, Money) else value
        rows = pl.DataFrame({name: [value] * 2 for name, value in columns.items()})
        sender = EXAMPLE_SENDERS[template.locale]
        one = example(template, sender)
        assert render_column(template, rows, sender=sender).to_list() == [one, one]


def test_it_has_a_clear_an_urgent_and_a_helping_word_for_every_month_overdue() -> None:
    for purpose in ("m1_late", "m2_plus"):
        found = [each for each in SHIPPED.values() if each.purpose == purpose]
        tones = {each.tone for each in found if (each.language, each.channel) == ("zh", "sms")}
        assert {"clear", "urgent", "help"} <= tones
