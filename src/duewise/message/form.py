"""What a channel wants of a message's form, and what a template declares of itself beside it.

WeChat's field lengths are the platform's; those of push are ours: what a phone shows unfolded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from duewise.message.elements import elements_of, shows_debt
from duewise.message.examples import example
from duewise.message.parts import measure
from duewise.message.reading import LEVEL_MAX, rare_characters, reading_level
from duewise.message.template import (
    EXAMPLE_SENDERS,
    Sender,
    Template,
    render_keywords,
    worst_case,
    worst_values,
)

CHARACTERS_MAX: Mapping[str, Mapping[str, int]] = {
    "push": {"preview": 24, "text": 360},
    "wechat": {"preview": 24, "text": 360},
    "email": {"subject": 48, "text": 2_000},
}
KEYWORD_PATTERNS: Mapping[str, str] = {  # WeChat's field types, by the name before their number
    "thing": ".{1,20}",
    "phrase": r"[\u4e00-\u9fff]{1,5}",
    "character_string": r"[\x20-\x7e]{1,32}",
    "number": r"\d{1,32}",
    "amount": r"[¥$€£]?\d{1,10}(?:\.\d{1,2})?元?",
    "date": r"\d{4}年\d{1,2}月\d{1,2}日",
}
_NEUTRAL = "say no more than 您有一条账户消息 / Account message"


@dataclass(frozen=True)
class Flaw:
    """One thing to mend in a template, whatever its wording."""

    rule: str
    effect: str
    phrase: str
    mend: str


def flaws_of(template: Template, sender: Sender) -> Iterator[Flaw]:
    """What the channel or the template's own declarations are at odds with."""
    worst = worst_case(template, sender)
    found = elements_of(worst, locale=template.locale)
    for element in template.elements:
        if element not in found:
            mend = "say it, or do not declare it under elements"
            yield Flaw("missing_element", "block", element, mend)
    yield from _lines(template, worst)
    yield from _keywords(template, sender)
    yield from _measures(template)


def _lines(template: Template, worst: str) -> Iterator[Flaw]:
    """The text and the lines seen before it is opened."""
    lines = {"preview": template.preview, "subject": template.subject, "text": worst}
    for name, limit in CHARACTERS_MAX.get(template.channel, {}).items():
        line = lines[name]
        if not line:
            yield Flaw(f"no_{name}", "block", template.channel, f"give it a {name}")
        elif len(line) > limit:
            mend = f"shorten the {name} to {limit} characters"
            yield Flaw(f"{name}_too_long", "review", f"{len(line)} characters", mend)
    for name in ("preview", "subject"):
        line = lines[name]
        if line and shows_debt(line, locale=template.locale):
            yield Flaw(f"{name}_shows_debt", "redact", line, _NEUTRAL)
        if line and "{{" in line:
            mend = "no name and no figure stands where others can read it"
            yield Flaw(f"{name}_is_personal", "block", line, mend)


def _keywords(template: Template, sender: Sender) -> Iterator[Flaw]:
    if template.channel == "wechat" and not template.keywords:
        yield Flaw("no_keywords", "block", "wechat", "give it the fields of the filed template")
    filled = render_keywords(template, worst_values(template), sender)
    for name, text in filled.items():
        kind = name.rstrip("0123456789")
        pattern = KEYWORD_PATTERNS.get(kind)
        if pattern is None or kind == name:
            mend = f"name it as filed: {', '.join(KEYWORD_PATTERNS)} and a number"
            yield Flaw("unknown_keyword", "block", name, mend)
        elif not re.fullmatch(pattern, text):
            yield Flaw("keyword_unfit", "block", f"{name}: {text}", f"fit it to {pattern}")


def _measures(template: Template) -> Iterator[Flaw]:
    """What is declared of length and reading, against what is measured for the example sender."""
    sender = EXAMPLE_SENDERS[template.locale]
    parts = measure(worst_case(template, sender)).parts if template.channel == "sms" else None
    if template.parts is not None and template.parts != parts:
        yield Flaw("declared_parts", "review", f"{parts}", "declare the parts measured")
    level = level_of(template)
    if template.reading is not None and template.reading != level:
        yield Flaw("declared_reading", "review", f"{level}", "declare the level measured")
    if level > LEVEL_MAX[template.language]:
        yield Flaw("hard_to_read", "review", f"{level}", "write shorter sentences, plainer words")
    if rare := rare_characters(template.text):
        yield Flaw("rare_characters", "review", "".join(rare), "use everyday characters")


def level_of(template: Template) -> float:
    """The reading level of the message as Li would read it, whoever sends it."""
    text = example(template, EXAMPLE_SENDERS[template.locale])
    return reading_level(text, template.language)
