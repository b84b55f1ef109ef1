"""A model card for people: one page that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duewise.risk.guards import SERVED
from duewise.web.report import words
from duewise.web.report.render import render_page


def render_model_card(card: Mapping[str, Any]) -> str:
    """The page of a card (`risk.card.model_card`, with its version)."""
    what = f"{words.number(card['trees'])} trees"
    shown = {
        "target": card["target"],
        "version": card["version"],
        "verdict": verdict(card),
        "made_of": made_of(card, what),
        "tiles": _tiles(card),
        "tables": [table for table in _tables(card) if table["rows"]],
    }
    return render_page("model_card", shown, {"calibration": _curve(card), "gains": _gains(card)})


def verdict(card: Mapping[str, Any]) -> str:
    """Whether it was registered, and what did not hold."""
    broken = [guard["says"] for guard in card["guards"] if not guard["holds"]]
    if not broken:
        return "Registered: every guard holds."
    return f"Not registered. It does not hold that {'; nor that '.join(broken)}."


def made_of(card: Mapping[str, Any], what: str) -> str:
    """Of what rows, how it was judged, and by which versions."""
    source = card["source"]
    window = f", {source['first_date']} to {source['last_date']}" if source["first_date"] else ""
    return (
        f"Of {words.number(source['rows'])} rows of {words.number(source['borrowers'])} borrowers"
        f"{window}; {source['name']}, SHA-256 {source['sha256'][:12]}…; judged {card['split']};"
        f" {len(card['features'])} features, {what};"
        f" made {card['made_at']} by {', '.join(' '.join(v) for v in card['versions'].items())}."
    )


def _tiles(card: Mapping[str, Any]) -> list[dict[str, str]]:
    tiles = [
        {
            "name": row["metric"].replace("_", "-"),
            "figure": _four(row["point"]),
            "note": f"95 %: {_four(row['low'])} to {_four(row['high'])}",
        }
        for row in card["metrics"]
        if row["model"] == SERVED
    ]
    error = next(row for row in card["calibration"] if row["model"] == SERVED)
    noise = f"noise alone: {_four(error['ece_floor'])}, at most {_four(error['ece_floor_high'])}"
    slope = {"name": "calibration slope", "figure": f"{error['slope']:.3f}", "note": "1 is exact"}
    ece = {"name": "calibration error", "figure": _four(error["ece"]), "note": noise}
    return [*tiles, ece, slope]


def _tables(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    served = [row for row in card["curve"] if row["model"] == SERVED]
    gained = [row for row in card["gains"] if row["model"] == SERVED]
    return [
        table_of(
            "guards", "Guards", "All must hold, or the model is not registered.", card["guards"]
        ),
        table_of(
            "metrics", "Figures", "On rows no model had seen, with 95 % intervals.", card["metrics"]
        ),
        table_of("differences", "Less boosting", "Paired, on the same rows.", card["differences"]),
        table_of("calibration", "Calibration", CALIBRATION, served, chart=True),
        table_of("gains", "Money at risk", GAINS, gained, chart=bool(gained)),
        table_of("groups", "Groups", GROUPS, card["groups"]),
        table_of("weights", "What weighs", WEIGHTS, card["weights"]),
        table_of(
            "scorecard",
            "Scorecard",
            f"Start from {card['scorecard']['base']}, add the points; more is less risk.",
            card["scorecard"]["points"],
        ),
    ]


CALIBRATION = "Bins of equal mass. On the diagonal a probability means what it says."
GAINS = "Accounts ranked by their expected amount late: what share of the money that came late."
GROUPS = "Bias within two of its errors is noise. None of these columns is a feature."
WEIGHTS = "The mean size of a feature's share in the log-odds."


def table_of(
    name: str, title: str, note: str, rows: Sequence[Mapping[str, Any]], *, chart: bool = False
) -> dict[str, Any]:
    """A table of rows alike; no rows, no table."""
    columns = [key for key in rows[0] if key != "name"] if rows else []
    return {
        "id": name,
        "title": title,
        "note": note,
        "chart": chart,
        "columns": [column.replace("_", " ") for column in columns],
        "rows": [[_said(row[column]) for column in columns] for row in rows],
    }


def _curve(card: Mapping[str, Any]) -> dict[str, Any]:
    models = list(dict.fromkeys(row["model"] for row in card["curve"]))
    lines = [
        {"label": model, "data": _points(card["curve"], model, "probability", "observed")}
        for model in models
    ]
    top = max(row["probability"] for row in card["curve"])
    exact = {"label": "exact", "data": [{"x": 0, "y": 0}, {"x": top, "y": top}]}
    return {"x": "probability", "y": "share that came late", "lines": [*lines, exact]}


def _gains(card: Mapping[str, Any]) -> dict[str, Any]:
    lines = [
        {"label": name, "data": _points(card["gains"], SERVED, "share", name)}
        for name in ("captured", "perfect")
    ]
    return {"x": "share of accounts", "y": "share of the money that came late", "lines": lines}


def _points(
    rows: Sequence[Mapping[str, Any]], model: str, x: str, y: str
) -> list[dict[str, float]]:
    return [{"x": row[x], "y": row[y]} for row in rows if row["model"] == model]


def _said(value: object) -> str:
    if value is None:
        return words.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _four(value) if isinstance(value, float) else str(value)


def _four(value: float) -> str:
    return f"{value:.4f}"
