"""Commands about texts: lint, parts, what a reply means; and the templates, shown and judged."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from duewise.app import App
from duewise.cli.common import opened, out, print_json, print_table, say, wants_json
from duewise.errors import BadInput
from duewise.times import local_date, local_text

if TYPE_CHECKING:
    from duewise.message.approval import Approval
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
    found = _on_record(opened(context))
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
    why: Annotated[str, typer.Option("--because", help="A word on it, kept on record.")] = "",
) -> None:
    """Approve a template in exactly its present wording: on record, and in the workspace's file."""
    from duewise.jobs.approvals import as_recorded, record
    from duewise.message.approval import check_approval

    app = opened(context)
    seen = _seen(app, _named(app, template))
    check_approval(seen, approver=by)
    file = _sign(app, seen, by)
    with app.database() as dsn, app.connect(dsn) as conn:
        if file is None and as_recorded(conn, app.tenant).templates[template].is_approved:
            folder = str(app.workspace / app.config.templates)
            mend = "what ships is approved; to change it, copy it there first"
            message_ = f"{template!r} is not among the workspace's own"
            raise BadInput(message_, source=folder, mend=mend)
        record(conn, seen.template, by=by, why=why, now=app.clock.now())
    say(f"{template} is approved by {by}{f', {file}' if file else ''}")


@message.command()
def withdraw(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="Its name.")],
    by: Annotated[str, typer.Option("--by", help="Who withdraws.")],
    why: Annotated[str, typer.Option("--because", help="Why.")],
) -> None:
    """Withdraw the approval of a template's present wording: what is unsent does not leave."""
    from duewise.jobs.approvals import withdraw as take_back

    app = opened(context)
    chosen = _named(app, template)
    with app.database() as dsn, app.connect(dsn) as conn:
        take_back(conn, chosen, by=by, why=why, now=app.clock.now())
    say(f"{template} is withdrawn by {by}")


@message.command()
def approvals(
    context: typer.Context,
    template: Annotated[str | None, typer.Argument(help="Only of this one.")] = None,
) -> None:
    """Who approved or withdrew which text, when and why: the record, the latest first."""
    from duewise.jobs.approvals import told

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        found = told(conn, template)
    if wants_json(context):
        print_json([asdict(each) for each in found])
        return
    zone, texts = app.tenant.strategy.timezone, app.templates
    rows = [
        [
            local_text(each.at, zone),
            each.template,
            each.what,
            each.by,
            each.author,
            each.content_hash[:12],
            "yes" if _is_present(each, texts) else "no",
            each.why,
        ]
        for each in found
    ]
    columns = ["at", "text", "said", "by", "author", "wording", "as it is now", "because"]
    print_table("Approvals", columns, rows)


def _is_present(said: Approval, texts: Mapping[str, Template]) -> bool:
    """Whether it was said of the text in its present wording."""
    return said.template in texts and texts[said.template].content_hash == said.content_hash


def _sign(app: App, seen: Overview, by: str) -> Path | None:
    """Write the approval into the workspace's file that has the template, if one has."""
    from duewise.message.approval import write_approval
    from duewise.store.files import write_atomically

    for file in sorted((app.workspace / app.config.templates).glob("*.yaml")):
        written = write_approval(file.read_text(encoding="utf-8"), seen, approver=by)
        if written is not None:
            write_atomically(file, written.encode())
            return file
    return None


def _on_record(app: App) -> Mapping[str, Template]:
    """The templates, approved as the record has it; before there is a workspace as they ship."""
    from duewise.jobs.approvals import as_recorded

    if not app.has_workspace:
        return app.templates
    with app.database() as dsn, app.connect(dsn) as conn:
        return as_recorded(conn, app.tenant).templates


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
    lexicons = _lexicons(app, profile or ())
    texts = _on_record(app)
    overviews = [_under(app, texts[name], lexicons) for name in sorted(texts)]
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


def _seen(app: App, template: Template) -> Overview:
    """The template under the word lists in force."""
    return _under(app, template, _lexicons(app))


def _under(app: App, template: Template, lexicons: Mapping[str, Sequence[str]]) -> Overview:
    from duewise.message.overview import overview

    return overview(template, _sender(app, template), lexicons=lexicons)


def _lexicons(app: App, profiles: Sequence[str] = ()) -> Mapping[str, Sequence[str]]:
    """The word lists in force, or those of these profiles. Raises BadInput."""
    lexicons = app.rulebook(profiles).lexicons
    return {each.name: [pattern.re for pattern in each.patterns] for each in lexicons}


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
