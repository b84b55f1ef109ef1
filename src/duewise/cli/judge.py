"""Commands that judge texts and cases: the guard and the messages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from duewise.cli.common import opened, parse_day, print_json, print_table, wants_json
from duewise.errors import BadInput, IntegrityBroken
from duewise.times import local_date

guard = typer.Typer(no_args_is_help=True, help="The rules: judge cases, list rules.")
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


@message.command()
def lint(
    source: Annotated[str, typer.Argument(metavar="FILE", help="One text a line; - for stdin.")],
    profile: Annotated[str, typer.Option(help="Whose forbidden wording.")] = "CN",
    stage: Annotated[
        Literal["pre_due", "due_day", "overdue", "service"],
        typer.Option(help="pre_due, due_day, overdue, service."),
    ] = "overdue",
) -> None:
    """Findings as JSON lines; a clean text prints nothing."""
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
