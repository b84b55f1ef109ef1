"""Commands about who is likely to slip: fit a model and judge it, report, monitor, score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import (
    opened,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)
from duewise.errors import DuewiseError

if TYPE_CHECKING:
    from duewise.jobs.risk import Registered, Watched
    from duewise.risk.fit import Columns
    from duewise.risk.reasons import Words

risk = typer.Typer(no_args_is_help=True, help="Who is likely to slip, why, and how sure that is.")

FrameFile = Annotated[Path, typer.Argument(metavar="FRAME", help="A Parquet file of features.")]
Target = Annotated[str, typer.Option(help="The column of the outcome, 0 or 1.")]
Dictionary = Annotated[
    Path | None, typer.Option(help="A CSV file: name, sign, reason_en, reason_zh.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(risk, name="risk")


@risk.command()
def fit(
    context: typer.Context,
    frame: FrameFile,
    target: Target,
    groups: Annotated[str, typer.Option(help="The column of the borrower.")] = "borrower_id",
    as_of: Annotated[
        str | None, typer.Option("--time", help="The column of the row's date: split by it.")
    ] = None,
    known_after_days: Annotated[
        int, typer.Option(help="So many days later the outcome is known.")
    ] = 60,
    money: Annotated[str | None, typer.Option(help="The column of what is owed.")] = None,
    protected: Annotated[
        list[str] | None, typer.Option(help="A column that may not be a feature; repeat it.")
    ] = None,
    dictionary: Dictionary = None,
    folds: Annotated[int, typer.Option(help="Folds of borrowers.", min=2, max=20)] = 5,
    seed: Annotated[int, typer.Option(help="The seed of all chance.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the boosting.", min=1)] = 1,
    quick: Annotated[
        bool, typer.Option(help="Fewer and larger steps: a tenth of the time.")
    ] = False,
) -> None:
    """Judge a model of these features, write its card, and register it unless a guard breaks."""
    from duewise.jobs import risk as jobs
    from duewise.risk.boosting import QUICK, Settings
    from duewise.risk.fit import Columns
    from duewise.risk.inputs import Inconclusive
    from duewise.web.report.model_card import render_model_card

    app = opened(context)
    given = Columns(target, groups, as_of, known_after_days, money, tuple(protected or ()))
    with progress_bar("fit") as step:
        asked = jobs.Request(
            app.workspace,
            _signed(given, dictionary),
            app.clock.now(),
            render_model_card,
            seed,
            folds,
            replace(QUICK if quick else Settings(), threads=threads),
            step,
        )
        found = jobs.fit(frame, asked)
    if isinstance(found, Inconclusive):
        raise DuewiseError(f"inconclusive, no model: {found.reason.meaning}")
    _tell(context, found)


def _signed(columns: Columns, dictionary: Path | None) -> Columns:
    from duewise.jobs.risk import read_dictionary

    return replace(columns, signs=read_dictionary(dictionary)[0]) if dictionary else columns


def _tell(context: typer.Context, found: Registered) -> None:
    if wants_json(context):
        print_json({"folder": str(found.folder), **found.card})
        return
    _show(found.card)
    broken = [guard["says"] for guard in found.card["guards"] if not guard["holds"]]
    for says in broken:
        say(f"Not so: {says}")
    say("Not registered." if broken else "Registered.")
    say(f"{found.folder / 'card.html'}")


def _show(card: dict[str, object]) -> None:
    """The figures of a card as tables."""
    for name in ("metrics", "calibration"):
        rows = card[name]
        assert isinstance(rows, list), "a card's tables are lists of rows"
        shown = [[_rounded(value) for value in row.values()] for row in rows]
        print_table(f"{card['target']}, {name}", list(rows[0]), shown)


def _rounded(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value


@risk.command()
def report(context: typer.Context, target: Target) -> None:
    """The card of the model in use: its figures, and where its page lies."""
    from duewise.store import models_registry as registry

    workspace = opened(context).workspace
    version = registry.version_of(registry.load(workspace, target))
    card = registry.load_card(workspace, target, version)
    if wants_json(context):
        print_json({**card, "in_use": registry.in_use(workspace, target)})
        return
    _show(card)
    say(f"In use: {registry.in_use(workspace, target)}")
    say(str(workspace / registry.FOLDER / target / version / "card.html"))


@risk.command()
def monitor(
    context: typer.Context,
    frame: FrameFile,
    target: Target,
    segment: Annotated[str, typer.Option(help="The column to divide accounts by.")] = "product",
) -> None:
    """Whether the model still fits: drift, calibration by segment, and what is to be used now."""
    from duewise.jobs import risk as jobs

    app = opened(context)
    found = jobs.monitor(
        frame, workspace=app.workspace, target=target, segment=segment, now=app.clock.now()
    )
    _watched(context, found)


def _watched(context: typer.Context, found: Watched) -> None:
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


@risk.command()
def score(
    context: typer.Context,
    frame: FrameFile,
    target: Target,
    into: Annotated[Path, typer.Option("--out", help="Where the scores go, as Parquet.")],
    dictionary: Dictionary = None,
) -> None:
    """Score accounts by the model in use, each with its three reasons in both languages."""
    from duewise.jobs import risk as jobs

    words: Words = jobs.read_dictionary(dictionary)[1] if dictionary else {}
    found = jobs.score(frame, workspace=opened(context).workspace, target=target, words=words)
    found.write_parquet(into)
    if wants_json(context):
        print_json({"rows": len(found), "out": str(into)})
    else:
        say(f"{len(found):,} accounts scored: {into}")
