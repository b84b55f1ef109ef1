"""Every shipped template as Li would read it. `make golden` rewrites the file; review the diff."""

from __future__ import annotations

import os
from pathlib import Path

from duewise.message.examples import example, example_values
from duewise.message.parts import measure
from duewise.message.template import (
    EXAMPLE_SENDERS,
    Template,
    load_templates,
    render_keywords,
)

GOLDEN = Path(__file__).parent / "messages.txt"


def rendered(template: Template) -> str:
    sender = EXAMPLE_SENDERS[template.locale]
    text = example(template, sender)
    size = measure(text)
    head = f"{template.name} ({template.channel}, {size.encoding}, {size.units} units"
    seen = template.preview or template.subject
    fields = render_keywords(template, example_values(template), sender)
    lines = [f"[{seen}]"] if seen else []
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\n".join([f"{head}, parts: {size.parts})", *lines, text, ""])


def test_it_writes_each_message_as_reviewed() -> None:
    templates = load_templates()
    text = "\n".join(rendered(templates[name]) for name in sorted(templates))
    if os.environ.get("DUEWISE_GOLDEN") == "rewrite":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
