"""Values to show a template with: Li's instalment of 868.40, due on 10 August, four days late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from duewise.message.filters import Value
from duewise.message.template import Sender, Template, render
from duewise.money import Money

_BY_NAME: Mapping[str, Value] = {
    "amount": Money(86840, "CNY"),
    "penalty": Money(450, "CNY"),
    "total": Money(173680, "CNY"),
    "promised": Money(86840, "CNY"),
    "per_term": Money(14474, "CNY"),
    "plan_total": Money(86844, "CNY"),
    "due_date": date(2026, 8, 10),
    "grace_until": date(2026, 8, 13),
    "as_of": date(2026, 8, 14),
    "promised_date": date(2026, 8, 13),
    "report_date": date(2026, 8, 24),
    "days_past_due": 4,
    "loan_count": 2,
    "terms": 6,
    "loan_tail": "L-0016602",
}
_SALUTATIONS = {"zh": "李*女士", "en": "Ms L*"}
_BY_KIND: Mapping[str, Value] = {
    "money": Money(86840, "CNY"),
    "date": date(2026, 8, 10),
    "count": 3,
    "text": "李*女士",
    "tail": "6602",
    "link": "https://pay.example.com/a1b2c3",
}


def example_values(template: Template) -> dict[str, Value]:
    """A value for each variable: that of its name, else one of its kind."""
    named: Mapping[str, Value] = {**_BY_NAME, "salutation": _SALUTATIONS[template.language]}
    return {name: named.get(name, _BY_KIND[kind]) for name, kind in template.variables.items()}


def example(template: Template, sender: Sender) -> str:
    """The message Li would read."""
    return render(template, example_values(template), sender)
