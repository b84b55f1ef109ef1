"""Approval by a second person, bound to the hash of what they saw: in the file, and on record.

The hash is of the whole content, so an edit of any word withdraws the approval by itself. Of a text
that was ever on record the record alone counts; of any other the file's own signature does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import yaml

from duewise.errors import BadInput
from duewise.message.overview import Overview
from duewise.message.template import Template

_DOCUMENT = re.compile(r"^(---[ \t]*\n)", re.MULTILINE)


@dataclass(frozen=True)
class Approval:
    """What somebody said of a text in one wording. `what`: approved or withdrawn."""

    template: str
    content_hash: str
    what: str
    author: str
    by: str
    at: datetime
    why: str


def by_record(
    templates: Mapping[str, Template], last_words: Iterable[Approval]
) -> dict[str, Template]:
    """The templates, those on record approved by nothing but the record.

    `last_words`: of each wording of a text the last that was said of it.
    """
    words = {(each.template, each.content_hash): each for each in last_words}
    on_record = {name for name, _ in words}
    return {
        name: _recorded(template, words) if name in on_record else template
        for name, template in templates.items()
    }


def _recorded(template: Template, words: Mapping[tuple[str, str], Approval]) -> Template:
    content_hash = template.content_hash
    said = words.get((template.name, content_hash))
    if said is None or said.what != "approved":
        return replace(template, approver="", approved_hash="")
    return replace(template, approver=said.by, approved_hash=content_hash)


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
