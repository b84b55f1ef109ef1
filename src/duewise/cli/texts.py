"""Commands about texts: lint, parts, what a reply means; and the templates, shown and judged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from duewise.app import App
from duewise.cli.common import opened, out, print_json, print_table, say, wants_json
from duewise.errors import BadInput
from duewise.times import local_date

if TYPE_CHECKING:
    from duewise.message.overview import Overview
    from duewise.message.template import Sender, Template

message = typer.Typer(
    no_args_is_help=True, help="Texts: templates, lint, parts, intent of replies."
)
SHOWN = ["name", "purpose", "parts", "reading", "approved"]  # what fits a narrow terminal
FIELDS = ("name", "purpose", "stage", "tone", "channel", "locale", "parts", "reading")

Profiles = Annotated[
    list[str] | None, typer.Option("--profile", help="Whose forbidden wording; default: in force.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(message, name="message")


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


@message.command("templates")
def list_templates(context: typer.Context) -> None:
    """All templates, the workspace's own among them."""
    found = opened(context).templates
    rows = [_row(found[name]) for name in sorted(found)]
    if wants_json(context):
        for row in rows:
            print_json(row)
        return
    told = [row | {"approved": "yes" if row["approved"] else "no"} for row in rows]
    print_table("Templates", SHOWN, [[row[name] for name in SHOWN] for row in told])


@message.command()
def preview(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="Its name, such as zh.m1_day1.gentle.")],
    locale: Annotated[str | None, typer.Option(help="Only in this language: zh or en.")] = None,
) -> None:
    """A template filled with Li's figures, in every language it is written in, and its price."""
    from duewise.message.overview import siblings

    app = opened(context)
    found = siblings(_named(app, template).name, app.templates)
    wanted = [each for each in found if locale is None or locale.startswith(each.language)]
    if not wanted:
        languages = ", ".join(each.language for each in found)
        message_ = f"{template!r} is not written in {locale!r}"
        raise BadInput(message_, source="--locale", mend=f"use {languages}")
    for each in wanted:
        _show(_seen(app, each), app=app, as_json=wants_json(context))


@message.command()
def approve(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="The name of a template of the workspace.")],
    by: Annotated[str, typer.Option("--by", help="Who approves: another person than its author.")],
) -> None:
    """Approve a template of the workspace in exactly its present wording."""
    from duewise.message.approval import check_approval, write_approval
    from duewise.store.files import write_atomically

    app = opened(context)
    seen = _seen(app, _named(app, template))
    check_approval(seen, approver=by)
    for file in sorted((app.workspace / app.config.templates).glob("*.yaml")):
        written = write_approval(file.read_text(encoding="utf-8"), seen, approver=by)
        if written is not None:
            write_atomically(file, written.encode())
            say(f"{file}: {template} is approved by {by}")
            return
    folder = str(app.workspace / app.config.templates)
    mend = "what ships is approved; to change it, copy it there first"
    raise BadInput(f"{template!r} is not among the workspace's own", source=folder, mend=mend)


@message.command()
def sheet(
    context: typer.Context,
    into: Annotated[Path, typer.Option("--out", help="The HTML file to write.")],
    profile: Profiles = None,
) -> None:
    """The compliance officer's sheet: each template at its worst, and what is amiss with it."""
    from duewise.store.files import write_atomically
    from duewise.web.sheet import render_sheet

    app = opened(context)
    overviews = [_seen(app, app.templates[name], profile or ()) for name in sorted(app.templates)]
    made_at = app.clock.now().strftime("%Y-%m-%d %H:%M UTC")
    profiles = profile or app.config.guard.profiles
    write_atomically(into, render_sheet(overviews, made_at=made_at, profiles=profiles).encode())
    amiss = [each.template.name for each in overviews if each.findings]
    if wants_json(context):
        print_json({"file": str(into), "templates": len(overviews), "with_findings": amiss})
    else:
        say(f"{into}: {len(overviews)} templates, {len(amiss)} with findings")


def _lines(source: str) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return raw.decode("utf-8").splitlines()
    except OSError as error:
        raise BadInput(str(error.strerror), source=source, mend="name a readable file") from error
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=source, mend="save the texts as UTF-8") from error


def _named(app: App, name: str) -> Template:
    if name not in app.templates:
        near = sorted(each for each in app.templates if name.rpartition(".")[0] in each)
        mend = f"use {', '.join(near[:8])}" if near else "see `duewise message templates`"
        raise BadInput(f"unknown template {name!r}", source="TEMPLATE", mend=mend)
    return app.templates[name]


def _row(template: Template) -> dict[str, Any]:
    return {name: getattr(template, name) for name in FIELDS} | {"approved": template.is_approved}


def _seen(app: App, template: Template, profiles: Sequence[str] = ()) -> Overview:
    """The template under the word lists in force, or those of these profiles."""
    from duewise.message.overview import overview

    lexicons = {
        each.name: [pattern.re for pattern in each.patterns]
        for each in app.rulebook(profiles).lexicons
    }
    return overview(template, _sender(app, template), lexicons=lexicons)


def _sender(app: App, template: Template) -> Sender:
    """The lender; before there is a workspace, an invented one who speaks the language."""
    from duewise.message.template import EXAMPLE_SENDERS

    return app.sender if app.has_workspace else EXAMPLE_SENDERS[template.locale]


def _show(seen: Overview, *, app: App, as_json: bool) -> None:
    template, price = seen.template, Decimal(str(app.config.account.price_per_part))
    costs = {
        label: {"parts": size.parts, "price": str(size.parts * price)}
        for label, size in (("example", seen.size), ("worst", seen.worst_size))
        if size
    }
    line = template.subject or template.preview
    if as_json:
        written = {"line": line, "fields": dict(seen.fields), "text": seen.example}
        print_json(_row(template) | written | {"costs": costs, "findings": len(seen.findings)})
        return
    out.rule(f"{template.name} ({template.channel}, {template.purpose}, {template.tone})")
    for each in (f"[{line}]" if line else "", *_fields(seen), seen.example):
        if each:
            say(each)
    currency = app.config.lender.currency
    say(f"reading level {seen.reading}; {template.legal}")
    for label, cost in costs.items():
        say(f"{label}: {cost['parts']} parts, {currency} {cost['price']}")
    for found in seen.findings:
        say(f"finding: {found.rule} ({found.effect}) {found.phrase}: {found.mend}")


def _fields(seen: Overview) -> list[str]:
    return [f"{name}: {value}" for name, value in seen.fields.items()]
