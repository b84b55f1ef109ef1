"""The compliance officer's sheet: every template at its worst, on one page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from django.template import Context, Engine

from duewise.message.overview import Overview


def render_sheet(overviews: Sequence[Overview], *, made_at: str, profiles: Sequence[str]) -> str:
    """The page as one string that asks nothing of any network; every text in it is escaped."""
    text = files("duewise.web").joinpath("sheet.html").read_text(encoding="utf-8")
    shown = {
        "templates": [_shown(each) for each in overviews],
        "made_at": made_at,
        "profiles": profiles,
        "amiss": sum(bool(each.findings) for each in overviews),
        "unapproved": sum(not each.template.is_approved for each in overviews),
    }
    page = Engine(autoescape=True).from_string(text)
    return page.render(Context(shown, use_l10n=False, use_tz=False))


def _shown(each: Overview) -> dict[str, Any]:
    """What the page asks of one template; a required element stands beside whether it is there."""
    template = each.template
    return {
        "template": template,
        "lang": template.language,
        "line": template.subject or template.preview,
        "worst": each.worst,
        "fields": list(each.worst_fields.items()),
        "size": each.worst_size,
        "reading": each.reading,
        "required": [(name, name in each.elements) for name in template.elements],
        "also": [name for name in each.elements if name not in template.elements],
        "findings": each.findings,
        "hash": template.content_hash[:16],
    }
