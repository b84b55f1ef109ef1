"""Commands about what is owed: `duewise ledger BOOK --as-of D --out DIR`, and what explains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from duewise.cli.common import (
    opened,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)


class _WithDefault(TyperGroup):
    """A group whose name alone, followed by no subcommand, means its `write`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        is_known = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if is_known else ["write", *args])


ledger = typer.Typer(
    cls=_WithDefault, no_args_is_help=True, help="What is owed on a day, and since when."
)

ProductsFile = Annotated[
    Path | None, typer.Option(help="A product file; default: the workspace's, or the shipped.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(ledger, name="ledger")


@ledger.command()
def write(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    as_of: Annotated[str, typer.Option(help="The day asked about.")],
    into: Annotated[Path, typer.Option("--out", help="Where the Parquet files go.")],
    products: ProductsFile = None,
) -> None:
    """Write what is owed on a day: instalments.parquet, loans.parquet, borrowers.parquet.

    `duewise ledger BOOK` is the same: the word may be left out.
    """
    from duewise.jobs.ledger_files import FINDINGS, write_ledger
    from duewise.store.book import open_book

    day = parse_day(as_of, source="--as-of")
    with progress_bar("ledger") as step:
        summary = write_ledger(
            open_book(folder),
            opened(context).products(products),
            as_of=day,
            out=into,
            progress=step,
        )
    if wants_json(context):
        print_json({**summary.rows, "findings": summary.findings})
        return
    print_table(f"Ledger on {day}", list(summary.rows), [list(summary.rows.values())])
    for name, count in summary.findings.items():
        if count:
            say(f"{count:,} {FINDINGS[name]}.")
