"""Rewrite what the shipped templates declare of themselves: parts, reading level, content hash.

`make templates` after an edit; the diff shows whoever approves what has changed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace

from duewise.message.form import level_of
from duewise.message.parts import measure
from duewise.message.template import (
    EXAMPLE_SENDERS,
    SHIPPED,
    Template,
    load_templates,
    worst_case,
)

_DOCUMENT = re.compile(r"^---\n", re.MULTILINE)


def main() -> None:
    """Measure every template and write its figures into its file."""
    templates = load_templates()
    for file in sorted(SHIPPED.glob("*.yaml")):
        documents = _DOCUMENT.split(file.read_text(encoding="utf-8"))
        file.write_text(
            "---\n".join(_measured(each, templates) for each in documents), encoding="utf-8"
        )
    sys.stdout.write(f"{len(templates)} templates measured\n")


def _measured(document: str, templates: dict[str, Template]) -> str:
    """The document with its figures as they are now."""
    found = re.search(r"^name: (\S+)$", document, re.MULTILINE)
    assert found, "a shipped template names itself in a line of its own"
    template = templates[found[1]]
    sender = EXAMPLE_SENDERS[template.locale]
    parts = measure(worst_case(template, sender)).parts if template.channel == "sms" else None
    now = replace(template, reading=level_of(template), parts=parts)
    written = {"reading": now.reading, "parts": now.parts, "approved_hash": now.content_hash}
    for key, value in written.items():
        document = re.sub(rf"^{key}: .*$", f"{key}: {value}", document, flags=re.MULTILINE)
    return document


if __name__ == "__main__":
    main()
