"""What all commands share: the global options, progress bars, ways to print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from duewise.app import App, open_app
from duewise.errors import BadInput
from duewise.times import parse_instant

if TYPE_CHECKING:
    from duewise.errors import DuewiseError
    from duewise.jobs.plan_day import Progress as OnProgress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Repayment notices that are timely, personal, lawful and measured.",
)
COLUMNS_MAX = 6  # of a table that does not fit, before its rows are shown upright
WIDTH_MAX = 10_000
out = Console()
err = Console(stderr=True)


@dataclass
class Globals:
    """The global options of this call."""

    workspace: Path
    clock: str | None
    as_json: bool


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 -- Typer calls it so
    if is_asked:
        out.print(f"duewise {version('duewise')}", highlight=False)
        raise typer.Exit


@app.callback()
def set_globals(
    context: typer.Context,
    workspace: Annotated[
        Path, typer.Option(envvar="DUEWISE_WORKSPACE", help="The workspace folder.")
    ] = Path(),
    clock: Annotated[
        str | None,
        typer.Option(envvar="DUEWISE_CLOCK", help="INSTANT, INSTANT*RATE or INSTANT*RATE@SINCE."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show_version: Annotated[  # noqa: ARG001 -- answered by its callback
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="The version."),
    ] = False,
) -> None:
    """Remember the global options for the command that follows."""
    context.obj = Globals(workspace, clock, as_json)


def opened(context: typer.Context) -> App:
    """The application of this call."""
    given: Globals = context.obj
    return open_app(given.workspace, clock=given.clock)


def wants_json(context: typer.Context) -> bool:
    """Whether the caller asked for JSON."""
    given: Globals = context.obj
    return given.as_json


def parse_day(text: str, *, source: str) -> date:
    """A calendar date, as the option `source` gave it. Raises BadInput for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        mend = "write it as 2017-06-15"
        raise BadInput(f"{text!r} is no date", source=source, mend=mend) from error


def parse_moment(text: str, *, source: str) -> datetime:
    """An instant with its offset, as the option `source` gave it. Raises BadInput otherwise."""
    try:
        return parse_instant(text)
    except ValueError as error:
        mend = "write it as 2017-06-15T09:00+08:00"
        raise BadInput(f"{text!r} is no instant", source=source, mend=mend) from error


def say(text: str) -> None:
    """One line for people, as it is: paths are neither wrapped nor read as markup."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def say_unread(unread: Mapping[str, int], of: str) -> None:
    """Warn of each column that holds what no model can read."""
    for name, count in unread.items():
        say(
            f"Warning: {name!r} of {count:,} {of} holds what the model cannot read; it is taken for"
            " missing. See `duewise risk monitor`, or fit the model anew."
        )


def say_if_compiling() -> None:
    """Tell people at a terminal what the first ledger on a machine waits for."""
    from duewise.book.compiled import is_kept

    if err.is_terminal and not is_kept():
        err.print("The ledger is compiled for this machine: about half a minute, once.")


def print_json(value: object) -> None:
    """One JSON value on one line of standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: list[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people; numbers to the right. Too wide a one is shown row by row, upright."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric and rows else "left")
    for row in rows:
        table.add_row(*("" if cell is None else _shown(cell) for cell in row))
    wanted = out.measure(table, options=out.options.update(max_width=WIDTH_MAX)).maximum
    is_wide = len(columns) > COLUMNS_MAX and wanted > out.width
    out.print(_upright(title, columns, rows) if is_wide else table)


def _upright(title: str, columns: list[str], rows: Sequence[Sequence[object]]) -> Group:
    """A block a row, its first cell the heading; what is empty is left out."""
    blocks: list[RenderableType] = [Text(title, style="italic")]
    for first, *rest in rows:
        block = Table.grid(padding=(0, 2))
        for column, cell in zip(columns[1:], rest, strict=True):
            if cell not in (None, ""):
                block.add_row(f"  {column}", Text(_shown(cell)))
        blocks += [Text(f"\n{first}", style="bold"), block]
    return Group(*blocks)


def _shown(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


@contextmanager
def progress_bar(label: str) -> Iterator[OnProgress]:
    """A progress bar on standard error, at a terminal; the block calls `step(done, total)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def step(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield step


def fail(error: DuewiseError) -> NoReturn:
    """Say what is wrong on standard error and leave with its exit code."""
    err.print(f"duewise: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(error.exit_code)
