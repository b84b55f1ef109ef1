"""How what became of a fit, a card or a watch is told: as tables, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from duewise.cli.common import print_json, print_table, say, wants_json
from duewise.errors import DuewiseError

if TYPE_CHECKING:
    from duewise.jobs.risk import Registered, Watched
    from duewise.risk.inputs import Inconclusive


def conclusive(found: Registered | Inconclusive) -> Registered:
    """What was made of it, or the error that says why nothing was."""
    from duewise.risk.inputs import Inconclusive

    if isinstance(found, Inconclusive):
        raise DuewiseError(f"inconclusive, no model: {found.reason.meaning}")
    return found


def tell(context: typer.Context, found: Registered) -> None:
    """The card of a fit, each guard that was broken, and where its page lies."""
    if wants_json(context):
        print_json({"folder": str(found.folder), **found.card})
        return
    show_card(found.card)
    broken = [guard["says"] for guard in found.card["guards"] if not guard["holds"]]
    for says in broken:
        say(f"Not so: {says}")
    say("Not registered." if broken else "Registered.")
    say(f"{found.folder / 'card.html'}")


def tell_all(context: typer.Context, found: list[Registered] | tuple[str, Inconclusive]) -> None:
    """The same of targets that were fitted together."""
    if isinstance(found, tuple):
        target, why = found
        raise DuewiseError(f"inconclusive, no model of {target}: {why.reason.meaning}")
    if wants_json(context):
        print_json({"models": [{"folder": str(one.folder), **one.card} for one in found]})
        return
    for each in found:
        tell(context, each)


def show_card(card: dict[str, object]) -> None:
    """The figures of a card as tables."""
    for name in ("metrics", "calibration"):
        rows = card[name]
        assert isinstance(rows, list), "a card's tables are lists of rows"
        shown = [[_rounded(value) for value in row.values()] for row in rows]
        print_table(f"{card['target']}, {name}", list(rows[0]), shown)


def tell_watched(context: typer.Context, found: Watched) -> None:
    """What the monitor found, and what is to be used."""
    from duewise.risk.monitor import Finding

    if wants_json(context):
        tables = {"drift": found.drift.to_dicts(), "performance": found.performance.to_dicts()}
        print_json(
            {"in_use": found.in_use, "findings": found.findings, "version": found.version} | tables
        )
        return
    for title, table in (("Drift", found.drift.head(20)), ("Outcomes", found.performance)):
        rows = [[_rounded(value) for value in row] for row in table.rows()]
        print_table(title, table.columns, rows)
    for model, past in found.findings.items():
        for name in past:
            say(f"{model}: {Finding(name).meaning}")
    say(f"To be used: {found.in_use}")


def _rounded(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value
