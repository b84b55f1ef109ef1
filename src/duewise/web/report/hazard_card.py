"""The card of a hazard of paying for people: one page that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duewise.risk.hazard_check import GAIN, OURS, SCORE
from duewise.web.report.model_card import made_of, table_of, verdict
from duewise.web.report.render import render_page


def render_hazard_card(card: Mapping[str, Any]) -> str:
    """The page of a card of `jobs.risk_hazard.fit`."""
    tables = [
        table_of("guards", "Guards", GUARDS, card["guards"]),
        table_of("metrics", "Figures", FIGURES, card["metrics"]),
        table_of("calibration", "Calibration", CALIBRATION, card["calibration"], chart=True),
        table_of("groups", "Groups", GROUPS, card["groups"]),
    ]
    parts = ", ".join(f"{name} {weight:.2f}" for name, weight in card["parts"].items())
    shown = {
        "target": card["target"],
        "version": card["version"],
        "verdict": verdict(card),
        "made_of": made_of(card, f"{parts or 'a rate alone'}, by {card['calibrated_by']}"),
        "tiles": _tiles(card),
        "tables": [table for table in tables if table["rows"]],
    }
    return render_page("model_card", shown, {"calibration": _curve(card)})


GUARDS = "All must hold, or the model is not registered."
FIGURES = (
    "On later mornings of borrowers it had not seen: the Brier score, the mean over days 3, 7, 14"
    " and 30; and how much lower it is than that of everybody's usual share. 95 % intervals."
)
CALIBRATION = "Of the mornings before each horizon: foreseen and paid. A slope of 1 is exact."
GROUPS = "Foreseen and paid by day 30. None of these columns is a feature."


def _tiles(card: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = {(row["model"], row["metric"]): row for row in card["metrics"]}
    score, gain = rows[OURS, SCORE], rows[OURS, GAIN]
    slopes = [row["slope"] for row in card["calibration"] if row["model"] == OURS]
    return [
        {
            "name": "integrated Brier",
            "figure": f"{score['point']:.4f}",
            "note": f"95 %: {score['low']:.4f} to {score['high']:.4f}",
        },
        {
            "name": "lower than usual",
            "figure": f"{gain['point']:.1%}",
            "note": f"95 %: {gain['low']:.1%} to {gain['high']:.1%}",
        },
        {
            "name": "calibration slopes",
            "figure": f"{min(slopes):.2f} to {max(slopes):.2f}",
            "note": "1 is exact",
        },
    ]


def _curve(card: Mapping[str, Any]) -> dict[str, Any]:
    ours = [row for row in card["calibration"] if row["model"] == OURS]
    lines = [
        {"label": label, "data": [{"x": row["horizon"], "y": row[name]} for row in ours]}
        for label, name in (("foreseen", "probability"), ("paid", "paid"))
    ]
    return {"x": "days after the due date", "y": "share that has paid", "lines": lines}
