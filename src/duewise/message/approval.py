"""Approval by a second person: their name and the hash of what they saw, written into the file.

The hash is of the whole content, so an edit of any word withdraws the approval by itself.
"""

from __future__ import annotations

import re
from dataclasses import replace

import yaml

from duewise.errors import BadInput
from duewise.message.overview import Overview

_DOCUMENT = re.compile(r"^(---[ \t]*\n)", re.MULTILINE)


def check_approval(seen: Overview, *, approver: str) -> None:
    """Raises BadInput if this person may not approve, or nobody may."""
    template = seen.template
    if not approver.strip():
        raise BadInput("nobody approves", source="--by", mend="name who does")
    if approver == template.author:
        mend = "let somebody else approve"
        raise BadInput(f"{approver} wrote {template.name!r}", source="--by", mend=mend)
    blocked = [f"{each.rule} {each.phrase}" for each in seen.findings if each.effect == "block"]
    if blocked:
        mend = "correct the text: `duewise message preview` shows each finding"
        raise BadInput(f"{template.name!r} has findings: {'; '.join(blocked)}", mend=mend)


def write_approval(text: str, seen: Overview, *, approver: str) -> str | None:
    """The file's text with the approval in the template's document; None if it is not in there.

    Whatever else the file holds stays as it was written, comments too.
    """
    pieces = _DOCUMENT.split(text)
    for place in range(0, len(pieces), 2):
        content = yaml.safe_load(pieces[place])
        if isinstance(content, dict) and content.get("name") == seen.template.name:
            pieces[place] = _signed(pieces[place], seen, approver)
            return "".join(pieces)
    return None


def _signed(document: str, seen: Overview, approver: str) -> str:
    signed = replace(seen.template, approver=approver)
    for key, value in (("approver", approver), ("approved_hash", signed.content_hash)):
        line = f"{key}: {yaml.safe_dump(value, allow_unicode=True).splitlines()[0]}"
        document, found = re.subn(
            rf"^{key}:.*$", line.replace("\\", r"\\"), document, count=1, flags=re.MULTILINE
        )
        if not found:
            document = f"{document.rstrip()}\n{line}\n"
    return document
