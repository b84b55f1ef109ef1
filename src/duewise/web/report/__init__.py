"""The report as people see it: one self-contained HTML file, and the same in the terminal."""

from duewise.web.report.render import CHART_LIBRARY, render_html
from duewise.web.report.terminal import render_terminal

__all__ = ["CHART_LIBRARY", "render_html", "render_terminal"]
