"""A complaint handler's file: one page in Chinese and English, with the same as data inside it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from django.template import Context, Engine
from django.utils.safestring import SafeString, mark_safe

# In a script element these could end it; as escapes they are the same JSON.
_UNSAFE_IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def render_pack(pack: dict[str, Any]) -> str:
    """The page as one string that asks nothing of any network; every text in it is escaped."""
    text = files("duewise.web").joinpath("pack.html").read_text(encoding="utf-8")
    page = Engine(autoescape=True).from_string(text)
    return page.render(Context(pack | {"data": _data(pack)}, use_l10n=False, use_tz=False))


def _data(pack: dict[str, Any]) -> SafeString:
    text = json.dumps(pack, ensure_ascii=False, sort_keys=True)
    return mark_safe(text.translate(_UNSAFE_IN_SCRIPT))  # noqa: S308 -- escaped here
