"""Commands of the daily road after the plan: release, send, receive, and the gateway simulator."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from duewise.app import pinned
from duewise.cli.common import (
    Globals,
    err,
    opened,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
)
from duewise.cli.running import Interruptible, run_until_signal
from duewise.errors import Unreachable
from duewise.times import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from duewise.app import App
    from duewise.channels.base import Channel
    from duewise.config import CmppSection, SmppSection

WORKERS_MAX = 64
SEAL_EVERY_S = 10.0
T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (release, send, receive, contacts, gateway):
        app.command()(command)


def release(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="PLAN", help="A finished plan's folder.")],
) -> None:
    """Turn a plan's proposals into envelopes, judged again. Twice is once."""
    from duewise.jobs.ingest import advance_feed
    from duewise.jobs.release import release_plan
    from duewise.store.audit import seal

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn, progress_bar("release") as step:
        now = app.clock.now()
        if app.config.ledger.feed == "replay":
            advance_feed(conn, app.book(), now=now)
        counts = release_plan(conn, folder, app.tenant, now=now, progress=step)
        seal(conn, app.signer, now=app.clock.now())
    _print_counts("Released", counts, as_json=wants_json(context))


def send(
    context: typer.Context,
    until_empty: Annotated[
        bool, typer.Option(help="Stop when nothing is waiting; otherwise run on.")
    ] = True,
    linger_s: Annotated[float, typer.Option(min=0, help="Wait for late receipts.")] = 3.0,
    workers: Annotated[int, typer.Option(min=1, max=WORKERS_MAX, help="Processes.")] = 1,
) -> None:
    """Send what is due, judged a third time on facts read that moment; take in receipts."""
    from duewise.jobs.deliver import Run
    from duewise.jobs.delivery_line import run_lines
    from duewise.jobs.routes import paused_routes

    app = opened(context)
    if workers > 1:
        ours = ["send", "--until-empty" if until_empty else "--no-until-empty"]
        counts = _by_crew(context, app, [*ours, "--linger-s", str(linger_s)], workers)
        _print_counts("Sent", counts, as_json=wants_json(context))
        return
    with app.database() as dsn, progress_bar("send") as step:
        counts = run_until_signal(
            lambda stop: _sealing(
                app,
                dsn,
                run_lines(
                    [(line.channel, line.settings) for line in app.lines],
                    connect=app.connector(dsn),
                    tenant=app.tenant,
                    clock=Interruptible(app.clock, stop),
                    run=Run(
                        stop=stop,
                        until_empty=until_empty,
                        linger_s=linger_s,
                        on_pass=lambda done, waiting: step(done.total(), done.total() + waiting),
                        before_pass=_catching_up(app, dsn),
                    ),
                ),
            )
        )
        with app.connect(dsn) as conn:
            paused = paused_routes(conn)
    for route, resume_at in paused:
        until = f"`duewise outbox resume {route}`"
        until = f"it takes a message again, or {until}" if resume_at else until
        err.print(f"{route} is paused: nothing leaves by it until {until}")
    _print_counts("Sent", counts, as_json=wants_json(context))


@asynccontextmanager
async def _hooks(app: App, channels: Sequence[Channel]) -> AsyncIterator[None]:
    """Where providers call, if any of the accounts is called at all."""
    from duewise.channels.heard import Listener
    from duewise.channels.hooks import hooks

    called = [each for each in channels if isinstance(each, Listener)]
    if not called:
        yield
        return
    at = app.config.hooks
    async with hooks(called, host=at.host, port=at.port, public_url=at.public_url) as port:
        err.print(f"Providers call http://{at.host}:{port}/hooks/ACCOUNT", highlight=False)
        yield


def _by_crew(context: typer.Context, app: App, command: list[str], workers: int) -> Counter[str]:
    """The same command in several processes that share one clock and, if it is ours, one server."""
    from duewise.jobs.crew import run_crew

    given: Globals = context.obj
    ours = [sys.executable, "-c", "from duewise.cli import main; main()", "--json"]
    ours += ["--workspace", str(app.workspace)]
    if given.clock:
        ours += ["--clock", pinned(given.clock)]
    with app.database():
        return run_until_signal(lambda stop: run_crew([*ours, *command], workers, stop=stop))


def receive(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long; default: run on.")
    ] = None,
) -> None:
    """Take in receipts and replies only: from carriers, and where providers call."""
    from duewise.jobs.delivery_line import listening

    app = opened(context)
    done: Counter[str] = Counter()

    async def run(stop: asyncio.Event, dsn: str) -> Counter[str]:
        channels = [line.channel for line in app.lines]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                listening(
                    channels,
                    connect=app.connector(dsn),
                    tenant=app.tenant,
                    clock=app.clock,
                    done=done,
                )
            )
            await stack.enter_async_context(_hooks(app, channels))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=seconds)
        return done

    with app.database() as dsn:
        counts = run_until_signal(lambda stop: run(stop, dsn))
    _print_counts("Received", counts, as_json=wants_json(context))


def contacts(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, a contact a line.")],
) -> None:
    """Take in contacts made elsewhere (agency, calls), for caps count them. Twice is once."""
    from duewise.jobs.contacts import read_contacts, record_contacts

    app = opened(context)
    now = app.clock.now()
    told = read_contacts(source, keyring=app.keyring, now=now)
    with app.database() as dsn, app.connect(dsn) as conn:
        counts = Counter(asdict(record_contacts(conn, told, now=now)))
    _print_counts("Contacts", counts, as_json=wants_json(context))


def gateway(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    failed: Annotated[float, typer.Option(min=0, max=1, help="Share undeliverable.")] = 0.03,
    expired: Annotated[float, typer.Option(min=0, max=1, help="Share expired.")] = 0.01,
    silent: Annotated[float, typer.Option(min=0, max=1, help="Share without receipt.")] = 0.005,
    drop: Annotated[float, typer.Option(min=0, max=1, help="Share that loses the link.")] = 0.0,
    delay_s: Annotated[float, typer.Option(min=0, help="Longest delay of a receipt.")] = 2.0,
    seed: Annotated[str, typer.Option(help="Of its chance.")] = "gateway",
    manual_clock: Annotated[bool, typer.Option(help="The clock moves by control only.")] = False,
) -> None:
    """Run the bundled gateway simulator (SMPP or CMPP); prints its ports as one JSON line."""
    from duewise.accounts import account_password
    from duewise.channels.gateway import GatewaySettings, run_gateway

    app = opened(context)
    carrier, account = _simulated(app)
    settings = GatewaySettings(
        protocol=carrier,
        port=account.port if port is None else port,
        control_port=control_port,
        seed=seed,
        failed_share=failed,
        expired_share=expired,
        silent_share=silent,
        drop_share=drop,
        delay_s=(0.0, delay_s),
        accounts={account.login: account_password(carrier, app.workspace, app.config)},
    )
    clock = ManualClock(app.clock.now()) if manual_clock else app.clock

    async def run(stop: asyncio.Event) -> None:
        serving = asyncio.create_task(
            run_gateway(
                settings,
                clock=clock,
                log_path=app.workspace / "gateway.jsonl",
                ready=lambda ports: print_json(asdict(ports)),
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        if not serving.cancelled():
            serving.result()

    run_until_signal(run)


def _simulated(app: App) -> tuple[Literal["smpp", "cmpp"], SmppSection | CmppSection]:
    """Which carrier the simulator is: the one in use, or SMPP where texts leave by a provider."""
    if app.config.carrier == "cmpp":
        return "cmpp", app.config.cmpp
    return "smpp", app.config.smpp


def _catching_up(app: App, dsn: str) -> Callable[[datetime], Awaitable[None]]:
    """Before each pass: payments the clock has reached become known, the held is planned again."""
    from duewise.jobs.ingest import advance_feed
    from duewise.jobs.replan import has_held, replan_held

    def catch_up(now: datetime) -> None:
        with app.connect(dsn) as conn:
            if app.config.ledger.feed == "replay":
                advance_feed(conn, app.book(), now=now)
            if has_held(conn, now=now):
                replan_held(conn, app.book(), app.tenant, now=now)

    async def before_pass(now: datetime) -> None:
        await asyncio.to_thread(catch_up, now)

    return before_pass


async def _sealing(app: App, dsn: str, work: Awaitable[T]) -> T:
    """Do the work, and beside it seal what it decides; the rest when it is done.

    A database that is away is left to the work: what could not be sealed waits in it.
    """
    from psycopg import OperationalError

    from duewise.store.audit import seal

    def seal_now() -> None:
        with suppress(OperationalError, Unreachable), app.connect(dsn) as conn:
            seal(conn, app.signer, now=app.clock.now())

    async def keep_sealing() -> None:
        while not done.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), timeout=SEAL_EVERY_S)
            await asyncio.to_thread(seal_now)

    done = asyncio.Event()
    sealer = asyncio.create_task(keep_sealing())
    try:
        return await work
    finally:
        done.set()
        await sealer


def _print_counts(title: str, counts: Counter[str], *, as_json: bool) -> None:
    ordered = dict(sorted(counts.items()))
    if as_json:
        sys.stdout.write(json.dumps(ordered) + "\n")
    elif ordered:
        print_table(title, list(ordered), [list(ordered.values())])
    else:
        say(f"{title}: nothing")
