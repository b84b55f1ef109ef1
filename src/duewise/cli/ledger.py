"""Commands about what is owed: `duewise ledger BOOK --as-of D --out DIR`, and what explains it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperGroup

from duewise.cli.common import (
    opened,
    out,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)

if TYPE_CHECKING:
    from duewise.jobs.rolls import Rolls


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


# ---- over a range of days ------------------------------------------------------------------------

Since = Annotated[str, typer.Option("--from", help="The first day.")]
Until = Annotated[str, typer.Option("--to", help="The last day; what was known by its end counts.")]
Every = Literal["month", "week", "day"]
RulesOf = Annotated[
    str | None, typer.Option(help="Buckets by the table of this day; default: of each day's own.")
]


@ledger.command()
def rolls(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    since: Since,
    until: Until,
    into: Annotated[Path, typer.Option("--out", help="Where the files go.")],
    every: Annotated[Every, typer.Option(help="Look on the first day of each.")] = "month",
    rules_of: RulesOf = None,
    by: Annotated[
        Literal["count", "balance"], typer.Option(help="Shares of loans, or of what they owe.")
    ] = "count",
    products: ProductsFile = None,
) -> None:
    """Show how loans move between buckets, and how late each month's loans became.

    Writes rolls.parquet, transitions.parquet, vintages.parquet, and rolls.html for people.
    """
    from duewise.book.history import dates_between
    from duewise.jobs.rolls import find_rolls, write_rolls
    from duewise.store.book import open_book
    from duewise.web.report.rolls import render_rolls, show_rolls

    dates = dates_between(
        parse_day(since, source="--from"), parse_day(until, source="--to"), every=every
    )
    rules = parse_day(rules_of, source="--rules-of") if rules_of else None
    book = open_book(folder)
    with progress_bar("rolls") as step:
        found = find_rolls(
            book,
            opened(context).products(products),
            dates,
            rules_of=rules,
            progress=step,
        )
    write_rolls(found, into, currency=book.currency)
    (into / "rolls.html").write_text(render_rolls(found, by=by), encoding="utf-8")
    if wants_json(context):
        print_json(_as_json(found, by=by))
    else:
        out.print(show_rolls(found, by=by))
        say(f"{into / 'rolls.html'} has the curves, the Parquet files beside it every figure.")


def _as_json(found: Rolls, *, by: str) -> dict[str, object]:
    totals = found.changes.select("change", "loans", "balance_minor").group_by("change").sum()
    return {
        "dates": [str(day) for day in found.dates],
        "by": by,
        "roll_rates": found.pooled.to_dicts(),
        "changes": totals.sort("change").to_dicts(),
        "vintages": found.vintages.to_dicts(),
    }


@ledger.command()
def history(
    context: typer.Context,
    loan_id: Annotated[str, typer.Argument(metavar="LOAN", help="The loan's id.")],
    book: Annotated[Path, typer.Option(help="The book's folder.")],
    since: Since,
    until: Until,
    every: Annotated[Every, typer.Option(help="Look on the first day of each.")] = "day",
    rules_of: RulesOf = None,
    products: ProductsFile = None,
) -> None:
    """Say in which bucket a loan was, day by day, under the rules of the time or of another day."""
    from duewise.book.history import dates_between
    from duewise.jobs.rolls import loan_history
    from duewise.store.book import open_book

    dates = dates_between(
        parse_day(since, source="--from"), parse_day(until, source="--to"), every=every
    )
    rules = parse_day(rules_of, source="--rules-of") if rules_of else None
    found = loan_history(
        open_book(book), opened(context).products(products), loan_id, dates, rules_of=rules
    )
    if wants_json(context):
        print_json(found.to_dicts())
    else:
        print_table(f"Loan {loan_id}", found.columns, found.rows())
