"""Commands about who is likely to slip: `duewise risk rows`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duewise.cli.common import opened, parse_day, print_json, print_table, progress_bar, wants_json
from duewise.cli.ledger import ProductsFile
from duewise.errors import BadInput

risk = typer.Typer(no_args_is_help=True, help="Who is likely to slip, and what became of them.")


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(risk, name="risk")


@risk.command()
def rows(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    since: Annotated[str, typer.Option("--as-of-from", help="The first day.")],
    until: Annotated[str, typer.Option("--as-of-to", help="The last day.")],
    known: Annotated[
        str, typer.Option("--known-until", help="The last day of which all payments are there.")
    ],
    into: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    every_days: Annotated[int, typer.Option(min=1, help="Days from one to the next.")] = 30,
    products: ProductsFile = None,
) -> None:
    """Write what was known of each open loan on some mornings, and what became of it."""
    from datetime import timedelta

    from duewise.jobs.risk_rows import write_rows
    from duewise.store.book import open_book

    first, last = parse_day(since, source="--as-of-from"), parse_day(until, source="--as-of-to")
    known_until = parse_day(known, source="--known-until")
    if not first <= last <= known_until:
        raise BadInput(
            "the days do not follow each other",
            source="--as-of-from",
            mend="--as-of-from, --as-of-to and --known-until, in this order",
        )
    days = [first + timedelta(days=n) for n in range(0, (last - first).days + 1, every_days)]
    with progress_bar("rows") as step:
        found = write_rows(
            open_book(folder),
            opened(context).products(products),
            days,
            known_until=known_until,
            out=into,
            progress=step,
        )
    if wants_json(context):
        print_json(found.to_dicts())
    else:
        print_table(f"Rows of {len(days)} days", found.columns, [list(row) for row in found.rows()])
