"""Commands of the desk: promises to pay, and the replies that wait for a person."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from duewise.cli.common import opened, parse_day, print_json, print_table, say, wants_json
from duewise.errors import BadInput
from duewise.times import local_date, local_text

promise = typer.Typer(no_args_is_help=True, help="Promises to pay: take down, tell, withdraw.")


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(promise, name="promise")
    app.command()(replies)


@promise.command()
def record(
    context: typer.Context,
    borrower: Annotated[str, typer.Option(help="Who promises.")],
    by: Annotated[str, typer.Option(help="The day by which they pay.")],
    amount: Annotated[str | None, typer.Option(help="How much; default all that is due.")] = None,
    loan: Annotated[str | None, typer.Option(help="Of which loan; default all.")] = None,
    taken_by: Annotated[str, typer.Option(help="Who took it down.")] = "desk",
) -> None:
    """Take down what a borrower promised on the telephone. Notices rest until then."""
    from duewise.jobs.promises import Promise, record_promises

    app = opened(context)
    now = app.clock.now()
    told = Promise(
        promise_ref=f"{taken_by}/{borrower}/{loan or ''}/{by}/{now.isoformat()}",
        borrower_id=borrower,
        day=parse_day(by, source="--by"),
        loan_id=loan,
        amount=_amount(amount),
        source=taken_by,
    )
    with app.database() as dsn, app.connect(dsn) as conn:
        found = record_promises(conn, [told], tenant=app.tenant, now=now)
    say(f"Taken down: {borrower} pays by {told.day}. {found.held} unsent message(s) held.")


@promise.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, a promise a line.")],
) -> None:
    """Take down the promises of a file, all or none. Told twice is once."""
    from duewise.jobs.promises import read_promises, record_promises

    app = opened(context)
    now = app.clock.now()
    told, told_in = read_promises(file, now=now)
    with app.database() as dsn, app.connect(dsn) as conn:
        found = record_promises(conn, told, tenant=app.tenant, now=now, told_in=told_in)
    if wants_json(context):
        print_json(asdict(found))
        return
    say(
        f"Taken down: {found.recorded} promise(s), {found.duplicates} known before."
        f" {found.held} unsent message(s) held."
    )


@promise.command()
def withdraw(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="PROMISE", help="Its number in the list.")],
) -> None:
    """Cancel a promise: it counts as never made, neither kept nor broken."""
    from duewise.jobs.promises import withdraw_promise

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        borrower = withdraw_promise(conn, number, now=app.clock.now())
    say(f"Withdrawn: promise {number} of {borrower}.")


@promise.command("list")
def list_promises(
    context: typer.Context,
    borrower: Annotated[str | None, typer.Option(help="Only this borrower's.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only these: open, kept, broken or cancelled.")
    ] = None,
) -> None:
    """Promises of the last 90 days and to come, as the ledger has them today."""
    from duewise.jobs.explain import amount, load_words, meaning
    from duewise.jobs.worklist import promises_told

    app = opened(context)
    now, zone = app.clock.now(), app.tenant.strategy.timezone
    day = local_date(now, zone)
    with app.database() as dsn, app.connect(dsn) as conn:
        found = promises_told(
            conn, app.book(), app.tenant, as_of=day, now=now, borrower_id=borrower
        )
    if state is not None:
        found = found.filter(state=state)
    if wants_json(context):
        print_json(found.to_dicts())
        return
    words, currency = load_words("en"), app.tenant.currency
    lines = [
        [
            row["promise_id"],
            row["borrower_id"],
            row["loan_id"] or "all",
            row["day"],
            "all due" if row["amount_minor"] is None else amount(row["amount_minor"], currency),
            row["state"],
            meaning(words, "promise_reason", row["why"]),
        ]
        for row in found.iter_rows(named=True)
    ]
    columns = ["promise", "borrower", "loan", "by", "amount", "state", "because"]
    print_table(f"Promises on {day}", columns, lines)


def replies(
    context: typer.Context,
    done: Annotated[int | None, typer.Option(help="A reply somebody has seen to.")] = None,
    by: Annotated[str, typer.Option(help="Who has.")] = "desk",
) -> None:
    """Replies that wait for a person, opened for you; --done takes one off the list."""
    from duewise.jobs.explain import load_words, meaning
    from duewise.jobs.worklist import see_to, waiting_replies

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        if done is not None:
            see_to(conn, done, by=by, now=app.clock.now())
        found = waiting_replies(conn, app.tenant)
    if wants_json(context):
        print_json([asdict(each) for each in found])
        return
    words, zone = load_words("en"), app.tenant.strategy.timezone
    lines = [
        [
            each.reply_id,
            local_text(each.at, zone),
            each.borrower_id,
            meaning(words, "intent", each.intent),
            each.text,
        ]
        for each in found
    ]
    print_table("Wait for a person", ["reply", "at", "borrower", "says", "text"], lines)


def _amount(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is no amount", source="--amount", mend="write 500.00") from error
