"""Commands about the book and the workspace."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import (
    opened,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)
from duewise.errors import BadInput, IntegrityBroken
from duewise.times import parse_instant

if TYPE_CHECKING:
    from duewise.store.book_import import ImportReport

AMOUNT_MAX = 10**12  # of one payment, in major units
book = typer.Typer(no_args_is_help=True, help="The loan book: import, check, payments.")


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(init)
    app.add_typer(book, name="book")


def init(
    directory: Annotated[Path, typer.Argument(help="A new folder.")],
    licence: Annotated[
        str | None, typer.Option(help="Licence class of the lender, e.g. micro_loan.")
    ] = None,
) -> None:
    """Lay out a workspace: settings, strategy, folders for own templates and rules."""
    from duewise.app import new_workspace

    new_workspace(directory, licence=licence)
    say(f"A workspace is ready in {directory}. Its settings: {directory / 'duewise.toml'}")


@book.command("import")
def import_(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="A file or folder of CSV or Parquet.")],
    mapping: Annotated[str, typer.Option(help="A mapping file, or the name of a shipped one.")],
    into: Annotated[Path, typer.Option(help="The book's folder.")],
) -> None:
    """Load a lender's tables into a book; bad rows are listed, totals must tie."""
    from duewise.jobs.load_book import load_book

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn, progress_bar("import") as step:
        report = load_book(
            conn,
            source,
            mapping,
            into,
            keyring=app.keyring,
            now=app.clock.now(),
            progress=step,
        )
    _print_import(report, as_json=wants_json(context))


@book.command()
def check(
    context: typer.Context, folder: Annotated[Path, typer.Argument(help="The book's folder.")]
) -> None:
    """Check a book: schema, totals, orphans, partitions, order."""
    from duewise.store.book import check_book

    report = check_book(folder)
    if wants_json(context):
        print_json({"ok": report.ok, "findings": list(report.findings)})
    for finding in report.findings if not wants_json(context) else ():
        say(f"- {finding}")
    if not report.ok:
        raise IntegrityBroken(f"{folder}: {len(report.findings)} findings")
    if not wants_json(context):
        say(f"{folder}: in order")


@book.command()
def pay(
    context: typer.Context,
    loan: Annotated[str, typer.Argument(help="The loan that was paid.")],
    amount: Annotated[str, typer.Argument(help="Decimal, in major units.")],
    payment: Annotated[str, typer.Option(help="The payment's id in the core system.")],
    at: Annotated[str | None, typer.Option(help="When it was paid; default now.")] = None,
    reverses: Annotated[str | None, typer.Option(help="The payment this takes back.")] = None,
) -> None:
    """Record a payment; what is unsent to its borrower is held and planned again at once."""
    from duewise.jobs.ingest import Payment, record_payments
    from duewise.jobs.replan import replan_held

    app = opened(context)
    now = app.clock.now()
    event = Payment(
        payment_id=payment,
        loan_id=loan,
        paid_at=_instant(at, now),
        amount=_decimal(amount),
        kind="reversal" if reverses else "payment",
        reverses=reverses,
    )
    with app.database() as dsn, app.connect(dsn) as conn:
        result = record_payments(conn, [event], now=now)
        again = replan_held(conn, app.book(), app.tenant, now=now) if result.held else {}
    said = {
        "recorded": result.recorded,
        "duplicates": result.duplicates,
        "held": result.held,
        "renewed": again.get("renewed", 0),
        "cancelled": again.get("cancelled", 0),
    }
    print_json(said) if wants_json(context) else print_table(
        "Payment", list(said), [list(said.values())]
    )


def _print_import(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
        return
    print_table(report.title, report.columns, report.rows)
    for line in report.lines:
        say(line)


def _instant(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        return parse_instant(text)
    except ValueError as error:
        mend = "write it as 2017-06-15T09:00+08:00"
        raise BadInput(str(error), source="--at", mend=mend) from error


def _decimal(text: str) -> Decimal:
    mend = "write 868.40"
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is no amount", source="AMOUNT", mend=mend) from error
    if not amount.is_finite() or abs(amount) > AMOUNT_MAX:
        raise BadInput(f"{text!r} is no amount of one payment", source="AMOUNT", mend=mend)
    return amount
