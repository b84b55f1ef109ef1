"""A plan for people: one page of volumes, hours and budgets that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from duewise.jobs.plan_figures import PlanFigures
from duewise.web.report import words
from duewise.web.report.render import render_page

HOURS = tuple(range(24))


def render_plan(found: PlanFigures, *, currency: str, zone: str) -> str:
    """The page of a finished plan. Amounts are of `currency`, hours of `zone`."""
    manifest = found.manifest
    budgets: Sequence[Mapping[str, Any]] = manifest.get("budgets", ())
    shown = {
        "as_of": manifest["as_of"],
        "strategy": manifest["strategy"],
        "made_of": f"Plan {manifest['plan_id']}, planned at {manifest['planned_at']};"
        f" risk: {manifest.get('risk', words.NOTHING)}",
        "tiles": _tiles(found),
        "tables": [table for table in _tables(found, budgets, currency, zone) if table["rows"]],
    }
    return render_page("plan", shown, _charts(found, budgets))


def _tiles(found: PlanFigures) -> list[dict[str, str]]:
    manifest, goes = found.manifest, int(found.volumes["messages"].sum())
    told = {
        "borrowers": (manifest["borrowers"], "considered"),
        "messages": (goes, "may go as planned"),
        "parts": (int(found.volumes["parts"].sum()), "of them"),
        "stopped": (manifest["proposals"] - goes, "by the guard, for now or for good"),
        "held out": (manifest["held_out"], "for comparison"),
    }
    return [
        {"name": name, "figure": words.number(figure), "note": note}
        for name, (figure, note) in told.items()
    ]


def _tables(
    found: PlanFigures, budgets: Sequence[Mapping[str, Any]], currency: str, zone: str
) -> list[dict[str, Any]]:
    return [
        _table("volumes", "What goes", "By step, channel and tone.", found.volumes),
        _table("hours", "When", f"Hours of {zone} from which the messages may leave.", found.hours),
        _table("stopped", "What the guard stopped", STOPPED, found.stopped),
        _table("reasons", "Who is not written to", "And why.", found.reasons, chart=False),
        {
            "id": "budgets",
            "title": "Budgets",
            "note": "What one more unit of each would be worth.",
            "chart": bool(budgets),
            "columns": ["budget", "of", "limit", "used", "one more is worth"],
            "rows": [_budget(use, currency) for use in budgets],
        },
    ]


STOPPED = "Deferred, held for review or blocked. A message is counted with every rule that fired."


def _budget(use: Mapping[str, Any], currency: str) -> list[str]:
    price = f"{currency} {use['price']:,.2f}"
    return [use["name"], use["of"], words.number(use["limit"]), f"{use['used']:,.10g}", price]


def _table(
    name: str, title: str, note: str, rows: pl.DataFrame, *, chart: bool = True
) -> dict[str, Any]:
    said = [
        [words.number(value) if isinstance(value, int) else str(value) for value in row]
        for row in rows.iter_rows()
    ]
    head = {"id": name, "title": title, "note": note, "columns": rows.columns}
    return head | {"chart": chart and bool(said), "rows": said}


def _charts(found: PlanFigures, budgets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_channel = pl.format("{} · {}", "step", "channel")
    volumes = found.volumes.with_columns(of=by_channel)
    used = [100 * use["used"] / use["limit"] if use["limit"] else 0.0 for use in budgets]
    return {
        "volumes": _stacked(volumes, at="of", by="tone", unit="messages") | {"lying": True},
        "hours": _stacked(found.hours, at="hour", by="channel", unit="messages", ticks=HOURS),
        "stopped": _stacked(found.stopped, at="rule", by="outcome", unit="messages")
        | {"lying": True},
        "budgets": {
            "labels": [use["name"] for use in budgets],
            "sets": [{"label": "used", "data": used}],
            "unit": "% of the limit",
            "lying": True,
        },
    }


def _stacked(
    rows: pl.DataFrame, *, at: str, by: str, unit: str, ticks: Sequence[int] | None = None
) -> dict[str, Any]:
    """A bar for each value of `at`, a colour for each of `by`."""
    labels = list(ticks or rows[at].unique(maintain_order=True))
    sets = []
    for (name,), part in rows.group_by(by, maintain_order=True):
        counts = dict(part.group_by(at).agg(pl.col("messages").sum()).iter_rows())
        sets.append({"label": str(name), "data": [counts.get(label, 0) for label in labels]})
    return {"labels": [str(label) for label in labels], "sets": sets, "unit": unit}
