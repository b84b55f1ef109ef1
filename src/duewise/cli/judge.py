"""Commands that judge cases: the guard."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import (
    opened,
    parse_day,
    parse_moment,
    print_json,
    print_table,
    say,
    wants_json,
)
from duewise.errors import IntegrityBroken

if TYPE_CHECKING:
    from duewise.jobs.blackout import Blackout

guard = typer.Typer(no_args_is_help=True, help="The rules: judge cases, list rules, blackouts.")
FINDINGS_MAX = 20


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(guard, name="guard")


On = Annotated[str | None, typer.Option("--on", metavar="DATE", help="By the rules of that day.")]


@guard.command("check")
def check(
    context: typer.Context,
    cases: Annotated[Path, typer.Argument(help="A case file, schema cg-cases/1.")],
    on: On = None,
) -> None:
    """Judge a case file; one JSON line a check. Fails where a check expects something else."""
    from duewise.guard.case_file import load_cases
    from duewise.guard.cases import run_cases

    verdicts = run_cases(
        load_cases(cases),
        directories=opened(context).profile_folders,
        on=parse_day(on, source="--on") if on else None,
    )
    for verdict in verdicts:
        print_json(verdict.as_dict())
    wrong = [line for verdict in verdicts for line in verdict.disagreements()]
    if wrong:
        raise IntegrityBroken("; ".join(wrong[:FINDINGS_MAX]))


@guard.command()
def rules(
    context: typer.Context,
    profile: Annotated[list[str] | None, typer.Option(help="Default: the workspace's.")] = None,
    on: On = None,
) -> None:
    """Every rule of a profile: what it asks of whom, what follows, and on what authority."""
    from duewise.guard.words import asked_of, asks, in_force

    app = opened(context)
    names = tuple(profile or app.config.guard.profiles)
    rulebook = app.rulebook(tuple(profile or ()))
    if on:
        rulebook = rulebook.on(parse_day(on, source="--on"))
    rows = [
        [
            rule.id,
            asked_of(rule),
            asks(rule),
            rule.effect.word if rule.effect else "timer",
            rule.basis,
            rule.conf,
            ", ".join(rule.src),
            in_force(rule),
            rule.reviewed_by,
        ]
        for rule in rulebook.rules
    ]
    columns = ["rule", "for", "asks", "else", "basis", "conf", "source", "in_force", "reviewed_by"]
    if wants_json(context):
        for row in rows:
            print_json(dict(zip(columns, row, strict=True)))
    else:
        print_table(f"Rules of {', '.join(names)}", columns, rows)


@guard.command()
def blackout(
    context: typer.Context,
    region: Annotated[str, typer.Argument(help="A region's code, or the beginning of several.")],
    until: Annotated[str, typer.Option(help="Its end: an instant with offset.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")],
    start: Annotated[str | None, typer.Option("--from", help="Its start; default now.")] = None,
) -> None:
    """Tell nobody in a region anything until then: at every gate, from the next message on."""
    from duewise.jobs.blackout import listed, order

    app = opened(context)
    now = app.clock.now()
    from_at = parse_moment(start, source="--from") if start else now
    until_at = parse_moment(until, source="--until")
    with app.database() as dsn, app.connect(dsn) as conn:
        number = order(conn, region, from_at=from_at, until_at=until_at, reason=reason, now=now)
        (told,) = (each for each in listed(conn) if each.blackout_id == number)
    if wants_json(context):
        print_json(asdict(told))
    else:
        say(f"Blackout {number}: {told.people} people of {region}, {_anywhere(told)}")


@guard.command()
def blackouts(context: typer.Context) -> None:
    """The blackouts ordered so far, newest first."""
    from duewise.jobs.blackout import listed

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        found = listed(conn)
    if wants_json(context):
        for each in found:
            print_json({**asdict(each), "state": each.state(app.clock.now())})
        return
    rows = [
        [
            *(each.blackout_id, each.region, each.state(app.clock.now()), each.from_at),
            *(each.until_at, each.reason, each.people, each.people_anywhere),
        ]
        for each in found
    ]
    columns = ["number", "region", "state", "from", "until", "reason", "people", "of no region"]
    print_table("Blackouts", columns, rows)


@guard.command()
def lift(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The blackout's number.")],
) -> None:
    """Lift a blackout before its end: what is still valid goes out."""
    from duewise.jobs.blackout import lift as lift_blackout

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        region = lift_blackout(conn, number, now=app.clock.now())
    if wants_json(context):
        print_json({"blackout_id": number, "region": region, "state": "lifted"})
    else:
        say(f"Blackout {number} of {region} is lifted.")


def _anywhere(told: Blackout) -> str:
    return f"and {told.people_anywhere} whose region is not known."
