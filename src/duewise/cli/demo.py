"""The demo: everything, on nothing."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duewise.app import App, demo_app
from duewise.cli.common import (
    out,
    parse_day,
    print_json,
    print_table,
    progress_bar,
    say,
    say_if_compiling,
)
from duewise.errors import BadInput, IntegrityBroken

if TYPE_CHECKING:
    from duewise.sim.lender import Lender

MARK = ".duewise-demo"
BORROWERS_MAX = 1_000_000
BORROWERS_PER_PARTITION = 50_000
DAYS_MAX = 366


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(demo)
    app.command()(simulate)


def demo(
    borrowers: Annotated[int, typer.Option(min=1, max=BORROWERS_MAX)] = 20_000,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX)] = 14,
    start: Annotated[str, typer.Option(help="The first simulated day.")] = "2026-06-01",
    seed: Annotated[int, typer.Option(help="Of the synthetic lender.")] = 1,
    folder: Annotated[
        Path, typer.Option(help="Its workspace; an earlier demo is replaced.")
    ] = Path("demo"),
    serve: Annotated[bool, typer.Option(help="Leave the console open.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The last line is JSON.")] = False,
) -> None:
    """A synthetic lender's fortnight: plan, judge, send over SMPP, receive, measure."""
    from duewise.jobs.report import read_report, summary
    from duewise.sim.lender import synthetic_lender
    from duewise.web.report import render_html, render_terminal

    began = time.monotonic()
    first = parse_day(start, source="--start")
    _make_room(folder)
    with progress_bar("lender") as step:
        lender = synthetic_lender(borrowers, seed=seed, start=first)
        step(1, 1)
    app = demo_app(folder, first)
    with app.database() as dsn:
        _import(app, dsn, lender)
        _play(app, dsn, lender, first=first, days=days, seed=seed)
        with app.connect(dsn) as conn:
            told = read_report(conn, app.book(), app.tenant, now=app.clock.now())
        path = folder / "report.html"
        path.write_text(render_html(told), encoding="utf-8")
        if not as_json:
            out.print(render_terminal(told))
        say(f"The whole report: {path}   The gateway's own log: {folder / 'gateway.jsonl'}")
        figures = summary(told) | {"wall_s": round(time.monotonic() - began, 1)}
        if as_json:
            print_json(figures)
        else:
            say(f"{figures['wall_s']} s in all.")
        if not told.balance.ties:
            raise IntegrityBroken("the outbox does not balance")
    if serve:
        _serve(app)


def simulate(
    borrowers: Annotated[int, typer.Option(min=100, max=BORROWERS_MAX)] = 5_000,
    days: Annotated[int, typer.Option(min=40, max=DAYS_MAX)] = 60,
    seed: Annotated[int, typer.Option(help="Of the synthetic lender.")] = 1,
) -> None:
    """Live the synthetic lender with and without reminders; its moments against their targets."""
    from duewise.sim.lender import synthetic_lender
    from duewise.sim.moments import TARGETS, live, moments

    lender = synthetic_lender(borrowers, seed=seed, start=date(2026, 6, 1))
    control = live(lender.twin(), days=days, seed=seed)
    reminded = live(lender, days=days, seed=seed, reminder_days=1)
    reached = moments(control) | {
        name: value
        for name, value in moments(reminded, control).items()
        if name in {"reminder_effect", "opt_out_share", "reply_share"}
    }
    rows: list[list[object]] = [
        [name, f"{reached[name]:.4f}", f"{target.low} … {target.high}", target.source]
        for name, target in TARGETS.items()
    ]
    print_table("Synthetic lender", ["moment", "reached", "target", "source"], rows)


def _make_room(folder: Path) -> None:
    """Make room, and mark the place; only a folder that a demo made is ever removed."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise BadInput(
                "this folder is there and no demo made it",
                source=str(folder),
                mend="name another with --folder",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def _import(app: App, dsn: str, lender: Lender) -> None:
    """The synthetic lender's tables, as files, through the same door as any lender's."""
    from duewise.jobs.load_book import load_book
    from duewise.sim.files import MAPPING, source_tables

    source = app.workspace / "source"
    source.mkdir()
    for name, frame in source_tables(lender).items():
        frame.write_parquet(source / f"{name}.parquet")
    with app.connect(dsn) as conn, progress_bar("import") as step:
        load_book(
            conn,
            source,
            MAPPING,
            app.workspace / "book",
            keyring=app.keyring,
            now=app.clock.now(),
            progress=step,
            partitions=1 + lender.borrowers.height // BORROWERS_PER_PARTITION,
        )


def _play(app: App, dsn: str, lender: Lender, *, first: date, days: int, seed: int) -> None:
    from duewise.channels.gateway.control import GatewayControl
    from duewise.jobs.demo import Stage, gateway_process, play
    from duewise.times import ManualClock

    clock = app.clock
    assert isinstance(clock, ManualClock)
    command = [sys.executable, "-c", "from duewise.cli import main; main()"]
    command += ["--workspace", str(app.workspace), "--clock", clock.now().isoformat()]
    command += ["gateway", "--port", "0", "--manual-clock", "--delay-s", "240"]

    async def run(step: Any) -> None:  # noqa: ANN401 -- a progress callback
        async with gateway_process(command) as ports:
            control = await GatewayControl.open("127.0.0.1", ports["control_port"])
            with app.connect(dsn) as conn:
                stage = Stage(
                    conn=conn,
                    connect=app.connector(dsn),
                    book=app.book(),
                    tenant=app.tenant,
                    channel=app.channel(port=ports["port"]),
                    control=control,
                    clock=clock,
                    settings=app.delivery,
                    plans=app.workspace / "plans",
                    signer=app.signer,
                )
                async with control:
                    await play(stage, lender, start=first, days=days, seed=seed, on_day=step)

    say_if_compiling()
    with progress_bar("days") as step:
        asyncio.run(run(step))
    assert clock.now().date() >= first + timedelta(days=days - 1)


def _serve(app: App) -> None:
    from duewise.app import run_web

    web = app.config.web
    with app.database(migrated=False) as dsn:
        run_web(app, dsn, host=web.host, port=web.port, admin="admin", say=say)
