"""Commands for people who ask: why, how well, is all in order, and the console."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from duewise.cli.common import (
    opened,
    out,
    parse_day,
    print_json,
    print_table,
    say,
    wants_json,
)
from duewise.errors import BadInput, IntegrityBroken
from duewise.times import local_date

if TYPE_CHECKING:
    from duewise.jobs.doctor import Finding


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (explain, report, serve, doctor):
        app.command()(command)


def explain(
    context: typer.Context,
    envelope: Annotated[int | None, typer.Argument(help="An envelope's number.")] = None,
    borrower: Annotated[str | None, typer.Option(help="A borrower.")] = None,
    date: Annotated[str | None, typer.Option(help="A day; default today.")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="en or zh.")] = "en",
) -> None:
    """Why this was, or was not, sent: read from the records, nothing recomputed."""
    from duewise.jobs.explain import explanation_text, load_words
    from duewise.store.explain import day_of_envelope
    from duewise.store.explain import explain as read

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        if envelope is not None:
            found = day_of_envelope(conn, envelope)
            if found is None:
                raise BadInput(f"there is no envelope {envelope}", mend="see the console's list")
            borrower, day = found
        elif borrower is not None:
            zone = app.tenant.strategy.timezone
            day = parse_day(date, source="--date") if date else local_date(app.clock.now(), zone)
        else:
            raise BadInput(
                "explain whom", mend="give an envelope's number, or --borrower B --date D"
            )
        told = read(
            conn,
            workspace=app.workspace,
            borrower_id=borrower,
            as_of=day,
            keyring=app.keyring,
        )
    if wants_json(context):
        print_json(asdict(told))
    else:
        say(explanation_text(told, words=load_words(language)))


def report(context: typer.Context) -> None:
    """Balance, effect and cost so far, and report.html in the workspace."""
    from duewise.jobs.report import read_report
    from duewise.web.report import render_html, render_terminal

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        told = read_report(conn, app.book(), app.tenant, now=app.clock.now())
    path = app.workspace / "report.html"
    path.write_text(render_html(told), encoding="utf-8")
    if wants_json(context):
        print_json(asdict(told))
    else:
        out.print(render_terminal(told))
        say(f"The whole report: {path}")
    if not told.balance.ties:
        raise IntegrityBroken("the outbox does not balance")


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Default: the settings'.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: the settings'.")] = None,
    admin: Annotated[
        str | None, typer.Option(help="Make this operator an administrator, with a new password.")
    ] = None,
) -> None:
    """The console, the API with its OpenAPI page, health and metrics."""
    from duewise.app import run_web

    app = opened(context)
    web = app.config.web
    with app.database(migrated=False) as dsn:
        run_web(app, dsn, host=host or web.host, port=port or web.port, admin=admin, say=say)


def doctor(context: typer.Context) -> None:
    """Check Python, settings, strategy, rules, texts, database, feed, evidence and gateway."""
    from duewise.jobs.doctor import examine

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        findings = examine(
            conn,
            app.tenant,
            channels=[line.channel for line in app.lines],
            signer=app.signer,
            now=app.clock.now(),
        )
    rows = [[finding.subject, _mark(finding), finding.text] for finding in findings]
    if wants_json(context):
        print_json([asdict(finding) for finding in findings])
    else:
        print_table("Doctor", ["what", "", "finding"], rows)
    if not all(finding.is_ok for finding in findings):
        raise IntegrityBroken("not all is in order")


def _mark(finding: Finding) -> str:
    if not finding.is_ok:
        return "!"
    return "note" if finding.is_note else "ok"
