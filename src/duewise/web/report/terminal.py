"""The report in a terminal: the same figures as the page, as rich tables, from 80 columns up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from duewise.measure.report import Count, Journey, Report
from duewise.web.report import words
from duewise.web.report.view import KIND_NAMES, reasons

WIDTH_MIN = 80
_NO_BREAK = "\u00a0"  # keeps a term of an equation on one line; textwrap does not break there


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
        mark, style = ("✓", "bold green") if equation.ties else ("✗", "bold red")
        lines.append(f"{mark} ", style=style)
        lines.append("\n    ".join(_equation(equation)) + "\n")
    lines.append(f"  opt-outs {words.number(report.opt_outs)} · {words.cost_terms(report.cost)}: ")
    lines.append(words.cost_total(report.cost))
    return Panel(lines, title="Balance", title_align="left")


def _equation(equation: words.Equation) -> list[str]:
    """`total = term + term`, broken between terms where a narrow terminal needs it."""
    terms = f" +{_NO_BREAK}".join(
        f"{name}{_NO_BREAK}{words.number(n)}" for name, n in equation.terms
    )
    line = f"{equation.name}{_NO_BREAK}{words.number(equation.total)} = {terms}"
    return [part.replace(_NO_BREAK, " ") for part in wrap(line, WIDTH_MIN - 6)]


def _effect(report: Report) -> Group:
    table = _table("Did it work: treated against hold-out", ("outcome", "treated", "hold-out"))
    table.add_column("difference (95 % interval)", overflow="fold")
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
    return Text(figure, style="bold" if is_bold else "").append(f"\n{detail}", style="dim")


def _steps(report: Report) -> Table:
    names = ("proposed", "held_out", "blocked", "deferred", "sent", "delivered")
    table = _table("Steps", ("step",))
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right", vertical="bottom")
    for step in report.steps:
        counts = (words.number(getattr(step, name)) for name in names)
        table.add_row(Text(step.step), *counts)
    return table


def _reasons(report: Report) -> Iterable[RenderableType]:
    for title, _, counts in reasons(report):
        if counts:
            yield _count_table(title, counts)


def _count_table(title: str, counts: Sequence[Count]) -> Table:
    table = _table(title, ("name",))
    table.add_column("count", justify="right")
    table.add_column("meaning", style="dim", overflow="fold")
    for count in counts:
        table.add_row(Text(count.name), words.number(count.count), Text(words.why(count)))
    return table


def _journey(journey: Journey, zone: str) -> Panel:
    grid = Table.grid(padding=(0, 2))
    for style in ("dim", "bold"):
        grid.add_column(style=style, no_wrap=True)
    grid.add_column(overflow="fold")
    for line in journey.lines:
        text = Text(line.text)
        if line.detail:
            text.append(f"\n{line.detail}", style="dim")
        at = words.local_time(line.at, zone)
        grid.add_row(f"{at:%m-%d %H:%M}", KIND_NAMES.get(line.kind, line.kind), text)
    title = Text(f"{journey.title} · {journey.borrower_id}")
    return Panel(grid, title=title, title_align="left")


def _table(title: str, columns: Sequence[str]) -> Table:
    """A table whose texts are folded, never cut."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
