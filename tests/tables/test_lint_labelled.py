"""Misses and false alarms of the linter, counted on labelled texts in Chinese and English."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from duewise.guard.lexicon import texts_hit
from duewise.guard.profile import load_rulebook
from duewise.guard.truth import unpacked
from duewise.message.lint import lint
from duewise.message.template import EXAMPLE_SENDERS, load_templates, worst_case

LINES = [
    line.split(maxsplit=2)
    for line in Path(__file__).with_name("lint_labelled.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
# What ships is labelled too: nothing in it may be stopped.
SHIPPED = [
    ["pass", "CN" if template.locale.startswith("zh") else "US-REGF", worst]
    for template in load_templates().values()
    for worst in [worst_case(template, EXAMPLE_SENDERS[template.locale])]
]
WORDING = ("zh_", "en_")  # the word lists of what may not be said
LEXICONS = {name: load_rulebook([name]).lexicons for name in ("CN", "US-REGF")}


def effects(profile: str, text: str) -> set[str]:
    """What the linter says of the wording of a text."""
    patterns = {each.name: [p.re for p in each.patterns] for each in LEXICONS[profile]}
    return {found.effect for found in lint(text, stage=None, lexicons=patterns)}


def test_it_misses_nothing_and_raises_no_false_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(label, profile, text, effects(profile, text)) for label, profile, text in LINES]
    rows += [(label, profile, text, effects(profile, text)) for label, profile, text in SHIPPED]
    with capsys.disabled():
        sys.stdout.write("\nprofile  to stop  missed  recall  to pass  false alarms  rate\n")
        for name in LEXICONS:
            stop = [row for row in rows if row[1] == name and row[0] != "pass"]
            let = [row for row in rows if row[1] == name and row[0] == "pass"]
            missed = [row for row in stop if row[0] not in row[3]]
            alarms = [row for row in let if row[3]]
            sys.stdout.write(
                f"{name:8} {len(stop):7} {len(missed):7} {1 - len(missed) / len(stop):7.3f}"
                f" {len(let):8} {len(alarms):13} {len(alarms) / len(let):5.3f}\n"
            )
    assert [row for row in rows if row[0] != "pass" and row[0] not in row[3]] == []
    assert [row for row in rows if row[0] == "pass" and row[3]] == []


@pytest.mark.parametrize("profile", LEXICONS)
def test_it_is_of_one_mind_with_the_guard_about_forbidden_wording(profile: str) -> None:
    texts = [text for label, name, text in LINES if name == profile]
    told = texts_hit(pl.Series(texts), LEXICONS[profile])
    hits = [unpacked(hit.yes, len(texts)) for name, hit in told.items() if name.startswith(WORDING)]
    blocked = ["block" in effects(profile, text) for text in texts]
    assert [any(row) for row in zip(*hits, strict=True)] == blocked


def test_it_labels_enough_of_both_kinds_in_both_languages() -> None:
    for profile, few in (("CN", 30), ("US-REGF", 10)):
        labels = [label for label, name, _ in LINES if name == profile]
        assert labels.count("block") >= few
        assert labels.count("pass") >= few
