"""The report as one HTML file that asks nothing of any network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from django.template import Context, Engine
from django.utils.safestring import SafeString, mark_safe

from duewise.measure.report import Report
from duewise.web.report.view import charts, view

# Chart.js and its licence (MIT), as the console's theme ships them.
_CHART = files("unfold").joinpath("static/unfold/js/chart")
CHART_LIBRARY, CHART_LICENCE = _CHART.joinpath("chart.js"), _CHART.joinpath("LICENSE")
_HERE = files("duewise.web.report")
# In a script element these could end it, or start a comment; as escapes they are the same JSON.
_UNSAFE_IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def render_html(report: Report) -> str:
    """The whole page in one string, style and scripts in it; all text of the report is escaped."""
    return render_page("report", view(report), charts(report))


def render_page(name: str, shown: dict[str, Any], figures: dict[str, Any]) -> str:
    """`name`.html, a body for page.html, with what it shows; `name`.js draws its charts."""
    page = Engine(dirs=[str(_HERE)], autoescape=True).get_template(f"{name}.html")
    inlined = {
        "style": _trusted(_text("report.css")),
        "licence": _trusted(CHART_LICENCE.read_text(encoding="utf-8")),
        "library": _trusted(CHART_LIBRARY.read_text(encoding="utf-8")),
        "script": _trusted(_text(f"{name}.js")),
        "charts": _as_script_data(figures),
    }
    # Every figure is a text by now: nothing is localised, so no settings are asked for.
    return page.render(Context(shown | inlined, use_l10n=False, use_tz=False))


def _text(name: str) -> str:
    return _HERE.joinpath(name).read_text(encoding="utf-8")


def _trusted(text: str) -> SafeString:
    """Our own style and scripts, which may not hold the end of their element."""
    assert "</script" not in text, "a script that ends its own element"
    assert "</style" not in text, "a style that ends its own element"
    return mark_safe(text)  # noqa: S308 — package files, never text of a report


def _as_script_data(figures: dict[str, Any]) -> SafeString:
    return mark_safe(json.dumps(figures).translate(_UNSAFE_IN_SCRIPT))  # noqa: S308 — escaped here
