"""The command that makes a day's plan, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import (
    opened,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    say_if_compiling,
    say_unread,
    wants_json,
)
from duewise.times import local_date

if TYPE_CHECKING:
    from duewise.engine.share_out import SharedOut
    from duewise.engine.spread import Load
    from duewise.jobs.tenant import Tenant

WORKERS_MAX = 64


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(plan)


def plan(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="BOOK", help="The book's folder.")],
    into: Annotated[Path, typer.Option("--out", help="The plan's folder.")],
    as_of: Annotated[str | None, typer.Option(help="The day planned for; default today.")] = None,
    strategy: Annotated[Path | None, typer.Option(help="Default: the workspace's.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=WORKERS_MAX, help="Processes.")] = 1,
) -> None:
    """Decide for every borrower: a message or the reason for none. Nothing is sent."""
    from duewise.jobs.ingest import advance_feed
    from duewise.jobs.plan_day import plan_book

    app = opened(context)
    tenant = app.tenant_with(strategy) if strategy else app.tenant
    now = app.clock.now()
    day = parse_day(as_of, source="--as-of") if as_of else local_date(now, tenant.strategy.timezone)
    book = app.book(folder)
    say_if_compiling()
    with app.database() as dsn, app.connect(dsn) as conn, progress_bar("plan") as step:
        if app.config.ledger.feed == "replay":
            advance_feed(conn, book, now=now)
        summary = plan_book(
            conn, book, tenant, as_of=day, now=now, out=into, workers=workers, progress=step
        )
    page = _write_page(into, tenant)
    head = {
        "plan_id": summary.plan_id,
        "as_of": summary.as_of.isoformat(),
        "borrowers": summary.borrowers,
        "proposals": summary.proposals,
        "held_out": summary.held_out,
        "risk": summary.risk,
    }
    rows = [list(row) for row in summary.by_step.iter_rows()]
    if wants_json(context):
        budgets = [asdict(use) for use in summary.budgets.uses] if summary.budgets else []
        loads = [asdict(load) for load in summary.loads]
        more = {"by_step": summary.by_step.to_dicts(), "budgets": budgets, "loads": loads}
        print_json(head | more | {"unread": dict(summary.unread)})
        return
    print_table(f"Plan {summary.plan_id} for {day}", summary.by_step.columns, rows)
    if summary.budgets:
        _print_budgets(summary.budgets, currency=tenant.currency)
    _say_loads(summary.loads)
    say_unread(summary.unread, "borrowers")
    say(
        f"{summary.borrowers:,} borrowers considered, {summary.proposals:,} proposals,"
        f" {summary.held_out:,} held out. Risk: {summary.risk}.\n"
        f"The whole plan, with plots: {page}   Next: duewise release {into}"
    )


def _write_page(folder: Path, tenant: Tenant) -> Path:
    """The plan's report beside it."""
    from duewise.jobs.plan_figures import plan_figures
    from duewise.store.files import write_atomically
    from duewise.web.report.plan import render_plan

    zone = tenant.strategy.timezone
    text = render_plan(plan_figures(folder, zone=zone), currency=tenant.currency, zone=zone)
    path = folder / "plan.html"
    write_atomically(path, text.encode())
    return path


def _say_loads(loads: Sequence[Load]) -> None:
    """Which routes could not carry an hour of the plan, and what became of it."""
    from duewise.engine.spread import in_words

    for load in loads:
        if load.moved or load.left_over:
            say(in_words(load))


def _print_budgets(shared: SharedOut, *, currency: str) -> None:
    """What each budget came to, and what one more unit of it would be worth."""
    from duewise.engine.share_out import in_words

    rows = [
        [use.name, f"{use.limit:,} {use.of}", f"{use.used:,.10g}", f"{currency} {use.price:,.2f}"]
        for use in shared.uses
    ]
    print_table("Budgets", ["budget", "limit", "used", "one more is worth"], rows)
    for use in shared.uses:
        say(in_words(use, currency))
