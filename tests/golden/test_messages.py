"""Every shipped template as Li would read it. `make golden` rewrites the file; review the diff."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from duewise.message.parts import measure
from duewise.message.template import EXAMPLE_SENDERS, Template, load_templates, render
from duewise.money import Money

GOLDEN = Path(__file__).parent / "messages.txt"
LI = {
    "loan_tail": "L-0016602",
    "amount": Money(86840, "CNY"),
    "due_date": date(2026, 8, 10),
    "as_of": date(2026, 8, 14),
    "days_past_due": 4,
}
NAMES = {"zh": "李*女士", "en": "Ms L*"}


def rendered(template: Template) -> str:
    values = LI | {"salutation": NAMES[template.language]}
    text = render(template, values, EXAMPLE_SENDERS[template.locale])
    size = measure(text)
    head = f"{template.name} ({template.channel}, {size.encoding}, {size.units} units"
    preview = f"[{template.preview}]\n" if template.preview else ""
    return f"{head}, parts: {size.parts})\n{preview}{text}\n"


def test_it_writes_each_message_as_reviewed() -> None:
    templates = load_templates()
    text = "\n".join(rendered(templates[name]) for name in sorted(templates))
    if os.environ.get("DUEWISE_GOLDEN") == "rewrite":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
