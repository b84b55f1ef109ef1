"""Commands that judge texts and cases: the guard and the messages."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from duewise.errors import BadInput, IntegrityBroken
from duewise.times import local_date

if TYPE_CHECKING:
    from duewise.jobs.blackout import Blackout

guard = typer.Typer(no_args_is_help=True, help="The rules: judge cases, list rules, blackouts.")
message = typer.Typer(no_args_is_help=True, help="Texts: lint, parts, intent of replies.")
FINDINGS_MAX = 20


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(guard, name="guard")
    app.add_typer(message, name="message")


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


@message.command()
def lint(
    source: Annotated[str, typer.Argument(metavar="FILE", help="One text a line; - for stdin.")],
    profile: Annotated[str, typer.Option(help="Whose forbidden wording.")] = "CN",
    stage: Annotated[
        Literal["pre_due", "due_day", "overdue", "service"] | None,
        typer.Option(help="pre_due, due_day, overdue, service; without, only the wording."),
    ] = None,
) -> None:
    """Findings as JSON lines; a clean text prints nothing. A stage asks for its elements, too."""
    from duewise.guard.profile import load_rulebook
    from duewise.message.lint import lint as lint_text

    lexicons = {
        lexicon.name: [pattern.re for pattern in lexicon.patterns]
        for lexicon in load_rulebook((profile,)).lexicons
    }
    locale = "zh-CN" if profile == "CN" else "en"
    for number, text in enumerate(_lines(source), start=1):
        for found in lint_text(text, stage=stage, channel="sms", locale=locale, lexicons=lexicons):
            print_json(
                {
                    "line": number,
                    "rule": found.rule,
                    "effect": found.effect,
                    "phrase": found.phrase,
                    "span": list(found.span),
                    "mend": found.mend,
                }
            )


@message.command()
def parts() -> None:
    """Standard input, one text a line, to encoding, units and parts as JSON lines."""
    from duewise.message.parts import measure

    for text in _lines("-"):
        size = measure(text)
        print_json({"encoding": size.encoding, "units": size.units, "parts": size.parts})


@message.command()
def intent(context: typer.Context) -> None:
    """Standard input, one reply a line, to what it means as JSON lines."""
    from duewise.message.reply import read_reply

    app = opened(context)
    today = local_date(app.clock.now(), "Asia/Shanghai")
    for text in _lines("-"):
        read = read_reply(text, today=today)
        print_json(
            {
                "intent": read.kind,
                "confidence": read.confidence,
                "action": read.action,
                "date": read.date,
            }
        )


def _lines(source: str) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return raw.decode("utf-8").splitlines()
    except OSError as error:
        raise BadInput(str(error.strerror), source=source, mend="name a readable file") from error
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=source, mend="save the texts as UTF-8") from error
