"""Commands about what is owed: `duewise ledger BOOK --as-of D --out DIR`, and what explains it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    say_if_compiling,
    wants_json,
)

if TYPE_CHECKING:
    import polars as pl

    from duewise.app import App
    from duewise.jobs.rolls import Rolls
    from duewise.store.book import Book


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
    say_if_compiling()
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


# ---- where a figure comes from -----------------------------------------------------------------


@ledger.command()
def explain(
    context: typer.Context,
    loan: Annotated[str, typer.Argument(help="The loan asked about.")],
    as_of: Annotated[str, typer.Option(help="The day asked about.")],
    folder: Annotated[
        Path | None, typer.Option("--book", help="The book's folder; default: the workspace's.")
    ] = None,
    products: ProductsFile = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="en or zh.")] = "en",
) -> None:
    """How a loan's figures came about: terms, schedule, each payment's parts, each day's penalty.

    Payments that became known since the book was made count too, where there is a workspace.
    """
    from dataclasses import asdict

    from duewise.jobs.explain import load_words
    from duewise.jobs.explain_loan import explain_loan
    from duewise.jobs.explain_loan_text import loan_text

    app, day = opened(context), parse_day(as_of, source="--as-of")
    book = app.book(folder)
    later = _known_since(app, book, loan, day)
    told = explain_loan(book, app.products(products), loan, as_of=day, later=later)
    if wants_json(context):
        print_json(asdict(told))
    else:
        say(loan_text(told, words=load_words(language)))


def _known_since(app: App, book: Book, loan: str, day: date) -> pl.DataFrame | None:
    """What operations had heard of the loan's payments by the end of the day; None without them."""
    from duewise.jobs.ledger_files import end_of
    from duewise.jobs.operations import payments_of

    borrower = book.borrower_of(loan)
    if borrower is None or not app.has_workspace:
        return None
    with app.database() as dsn, app.connect(dsn) as conn:
        return payments_of(conn, [borrower], known_at=end_of(day, book.timezone))


@ledger.command()
def notices(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(help="The first as-of date looked at.")] = None,
    until: Annotated[str | None, typer.Option(help="The as-of date before which to stop.")] = None,
    loan: Annotated[str | None, typer.Option(help="Only notices about this loan.")] = None,
) -> None:
    """Notices that were wrong by what is known now: what each said, what was true, and why.

    With --json a line a notice.
    """
    from duewise.jobs.wrong_notices import find_wrong_notices

    app = opened(context)
    days = {
        name: parse_day(given, source=f"--{name}") if given else None
        for name, given in (("since", since), ("until", until))
    }
    count = 0
    with app.database() as dsn, app.connect(dsn) as conn:
        for found in find_wrong_notices(
            conn, app.book(), app.tenant.products, now=app.clock.now(), loan_id=loan, **days
        ):
            count += 1
            print_json(found) if wants_json(context) else say(_wrong(found))
    if not wants_json(context):
        say(f"{count:,} wrong notices" if count else "No notice was wrong.")


def _wrong(found: dict[str, Any]) -> str:
    """A wrong notice as one paragraph."""
    from duewise.jobs.explain import amount

    def figures(prefix: str) -> str:
        minor = found[f"{prefix}amount_minor"]
        return (
            f"{amount(minor, found['currency'])}, {found[f'{prefix}days_past_due']} days past due,"
            f" {found[f'{prefix}bucket']}, due {found[f'{prefix}due_date'] or '-'}"
        )

    head = f"{found['as_of']}  envelope {found['envelope_id']} ({found['state']})"
    whose = f"{head} to {found['borrower_id']} about {found['loan_id']}"
    lines = [whose, f"  said  {figures('')}", f"  true  {figures('true_')}"]
    lines += [
        f"  since {news['known_at']}: {news['kind']} {news['payment_id']} of"
        f" {amount(news['amount_minor'], found['currency'])}, of {news['paid_at']}"
        for news in found["news"]
    ]
    return "\n".join(lines)
