"""The report in a terminal: the same figures as the page, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from duewise.measure.report import Count, Journey, Report
from duewise.web.report import words
from duewise.web.report.view import KIND_NAMES


def render_terminal(report: Report) -> Group:
    """Something `rich.console.Console.print` shows; no text of the report is read as markup."""
    return Group(
        *_head(report),
        _balance(report),
        _effect(report),
        _steps(report),
        *_reasons(report),
        *(_journey(journey, report.zone) for journey in report.journeys),
    )


def _head(report: Report) -> Iterable[RenderableType]:
    yield Text(report.lender, style="bold")
    yield Text(
        f"{words.period(report)} ({report.zone}) · {words.number(report.borrowers)} borrowers, "
        f"{words.number(report.loans)} loans",
        style="dim",
    )


def _balance(report: Report) -> Panel:
    lines = Text()
    for equation in words.equations(report.balance):
        terms = " + ".join(f"{name} {words.number(count)}" for name, count in equation.terms)
        mark, style = ("✓", "bold green") if equation.ties else ("✗", "bold red")
        lines.append(f"{mark} ", style=style)
        lines.append(f"{equation.name} {words.number(equation.total)} = {terms}\n")
    lines.append(f"  opt-outs {words.number(report.opt_outs)} · {words.cost_terms(report.cost)}: ")
    lines.append(words.cost_total(report.cost))
    return Panel(lines, title="Balance", title_align="left")


def _effect(report: Report) -> Group:
    table = _table("Did it work: treated against hold-out", ("outcome", "treated", "hold-out"))
    table.add_column("difference (95 % interval)")
    for effect in report.effects:
        table.add_row(
            Text(words.late_name(effect.outcome)),
            _with_detail(*words.rate(effect.treated)),
            _with_detail(*words.rate(effect.hold_out)),
            _with_detail(*words.difference_of(effect), is_bold=words.is_sure(effect)),
        )
    ratio_style = "bold red" if report.sample_ratio.is_mismatch else "dim"
    return Group(
        table,
        Text(words.sample_ratio(report), style=ratio_style),
        Text(f"Cost of one late borrower less: {words.cost_per_prevented(report.cost)}"),
    )


def _with_detail(figure: str, detail: str, *, is_bold: bool = False) -> Text:
    return Text(figure, style="bold" if is_bold else "").append(f" ({detail})", style="dim")


def _steps(report: Report) -> Table:
    names = ("proposed", "held_out", "allowed", "blocked", "deferred", "sent", "delivered")
    table = _table("Steps", ("step", "stage"))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for step in report.steps:
        counts = (words.number(getattr(step, name)) for name in names)
        table.add_row(Text(step.step), Text(step.stage), *counts)
    return table


def _reasons(report: Report) -> Iterable[RenderableType]:
    for title, counts in (
        ("Blocked, by rule", report.blocked),
        ("Held, by reason", report.held),
        ("Replies, by intent", report.replies),
    ):
        if counts:
            yield _count_table(title, counts)


def _count_table(title: str, counts: Sequence[Count]) -> Table:
    table = _table(title, ("name",))
    table.add_column("count", justify="right")
    table.add_column("meaning", style="dim")
    for count in counts:
        table.add_row(Text(count.name), words.number(count.count), Text(count.meaning))
    return table


def _journey(journey: Journey, zone: str) -> Panel:
    grid = Table.grid(padding=(0, 2))
    for style in ("dim", "bold", ""):
        grid.add_column(style=style)
    for line in journey.lines:
        text = Text(line.text)
        if line.detail:
            text.append(f"\n{line.detail}", style="dim")
        at = words.local_time(line.at, zone)
        grid.add_row(f"{at:%m-%d %H:%M}", KIND_NAMES.get(line.kind, line.kind), text)
    title = Text(f"{journey.title} · {journey.borrower_id}")
    return Panel(grid, title=title, title_align="left")


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    return table
