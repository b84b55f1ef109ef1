"""A template as whoever approves it sees it: filled, at its worst, measured, and what is amiss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duewise.message.elements import elements_of
from duewise.message.examples import example, example_values
from duewise.message.form import level_of
from duewise.message.lint import Finding, lint_template
from duewise.message.parts import TextSize, measure
from duewise.message.template import (
    Sender,
    Template,
    render_keywords,
    worst_case,
    worst_values,
)


@dataclass(frozen=True)
class Overview:
    """`size` is that of the example, `worst_size` that of `worst`; both None but for an SMS."""

    template: Template
    example: str
    fields: Mapping[str, str]
    worst: str
    worst_fields: Mapping[str, str]
    size: TextSize | None
    worst_size: TextSize | None
    reading: float
    elements: tuple[str, ...]
    findings: tuple[Finding, ...]


def overview(
    template: Template, sender: Sender, *, lexicons: Mapping[str, Sequence[str]] | None = None
) -> Overview:
    """All there is to see of a template under these word lists."""
    shown, worst = example(template, sender), worst_case(template, sender)
    is_sms = template.channel == "sms"
    return Overview(
        template=template,
        example=shown,
        fields=render_keywords(template, example_values(template), sender),
        worst=worst,
        worst_fields=render_keywords(template, worst_values(template), sender),
        size=measure(shown) if is_sms else None,
        worst_size=measure(worst) if is_sms else None,
        reading=level_of(template),
        elements=tuple(sorted(elements_of(worst, locale=template.locale))),
        findings=tuple(lint_template(template, sender, lexicons=lexicons)),
    )


def siblings(name: str, templates: Mapping[str, Template]) -> list[Template]:
    """The template, then the same message in the other languages.

    >>> from duewise.message.template import load_templates
    >>> [each.name for each in siblings("en.m2.help", load_templates())]
    ['en.m2.help', 'zh.m2.help']
    """
    meant = name.partition(".")[2]
    others = [each for each in templates if each != name and each.partition(".")[2] == meant]
    return [templates[each] for each in (name, *sorted(others))]
