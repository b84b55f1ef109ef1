"""The benchmarks: what the stages cost on this machine, beside a peer where one exists."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.app import App, demo_app
from duewise.cli.common import err, out, print_json, print_table, wants_json
from duewise.errors import BadInput
from duewise.times import ManualClock

if TYPE_CHECKING:
    from duewise.config import Config
    from duewise.jobs.bench.book import Task
    from duewise.jobs.bench.figure import Figure, Machine
    from duewise.jobs.bench.road import Desk
    from duewise.jobs.bench.senders import Outfit

AS_OF = date(2026, 8, 14)  # a Friday, no holiday
ON_FRAMES = ("ledger", "risk", "plan", "allocate", "guard", "render", "seal", "wire")
ON_A_DATABASE = ("release", "send", "race", "hold", "audit", "calls", "receipts")
NAMES = ON_FRAMES + ON_A_DATABASE
ON_REQUEST = ("risk-fit",)  # a minute and more of both cores
# Every message arrives, at once: what is measured is ours.
_THOUSAND = 1_000
_GATEWAY = "gateway --port 0 --delay-s 0 --failed 0 --expired 0 --silent 0"


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(bench)


def bench(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(NAMES)}; or {', '.join(ON_REQUEST)}, else left out."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Smaller sizes, under 40 s in all.")] = False,
    waiting: Annotated[
        int, typer.Option(min=0, help="Envelopes that wait while `hold` is measured.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the stages on this machine, on invented data, each beside its peer."""
    from duewise.jobs.bench.book import Task
    from duewise.jobs.bench.figure import FULL, QUICK, this_machine

    known = NAMES + ON_REQUEST
    if only is not None and only not in known:
        raise BadInput(f"no benchmark {only!r}", source="--only", mend=f"use {', '.join(known)}")
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="duewise-bench-") as folder:
        app = demo_app(Path(folder) / "workspace", AS_OF)
        sizes = replace(QUICK if quick else FULL, waiting=waiting)
        task = Task(app.tenant, sizes, AS_OF, timer=time.perf_counter)
        figures = run(app, task, (only,) if only else NAMES)
    if as_json or wants_json(context):
        print_json({"machine": asdict(machine), "figures": [each.as_json() for each in figures]})
    else:
        _print(machine, figures)


def run(app: App, task: Task, names: tuple[str, ...]) -> list[Figure]:
    """The figures of these benchmarks; a database is started only if one of them needs it."""
    from duewise.jobs.bench import (
        allocation,
        audit,
        calls,
        core,
        judged,
        ledger,
        planned,
        race,
        receipts,
        risk,
        road,
        send,
        wire,
    )
    from duewise.jobs.bench.figure import alone

    stages = {
        "ledger": ledger.ledger,
        "risk": risk.risk,
        "risk-fit": risk.risk_fit,
        "plan": planned.plan,
        "guard": judged.guard,
        "render": core.render,
        "seal": core.seal,
        "allocate": allocation.allocation,
        "wire": wire.wire,
    }
    stored = {
        "release": road.release,
        "send": send.send,
        "race": race.race,
        "hold": road.hold,
        "audit": audit.audit,
        "calls": calls.calls,
        "receipts": receipts.receipts,
    }
    figures: list[Figure] = []
    for name in (name for name in names if name in stages):
        err.print(f"{name} …", style="dim")
        figures += alone(partial(stages[name], task))
    if any(name in stored for name in names):
        with _desk(app, task) as desk:
            for name in (name for name in names if name in stored):
                err.print(f"{name} …", style="dim")
                figures += alone(partial(stored[name], desk))
    return figures


@contextmanager
def _desk(app: App, task: Task) -> Iterator[Desk]:
    from duewise.jobs.bench.road import Desk

    command = [sys.executable, "-c", "from duewise.cli import main; main()"]
    command += ["--workspace", str(app.workspace), "--clock", task.noon.isoformat()]
    with app.database() as dsn, app.connect(dsn) as conn:
        yield Desk(
            task,
            conn,
            connect=app.connector(dsn),
            channel_at=lambda port, clock: replace(app, clock=clock).channel(port=port),
            opened=partial(_outfit, app.workspace, app.config, dsn, task.noon),
            gateway=[*command, *_GATEWAY.split()],
        )


def _outfit(workspace: Path, config: Config, dsn: str, now: datetime) -> Outfit:
    """What a sender needs, made in the process that it runs in."""
    from duewise.jobs.bench.senders import Outfit

    app = App(workspace, config, ManualClock(now))
    return Outfit(app.tenant, app.clock, app.connector(dsn), lambda port: app.channel(port=port))


def _print(machine: Machine, figures: list[Figure]) -> None:
    out.print(
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, Python {machine.python},"
        f" load average {machine.load_1m}",
        highlight=False,
    )
    columns = ["benchmark", "size", "unit", "ours", "peer", "ratio", "foreign cores"]
    rows = [
        [
            figure.bench,
            figure.size,
            figure.unit,
            _three(figure.ours),
            _three(figure.peer),
            figure.ratio and f"{figure.ratio:.2f}",
            f"{figure.foreign_cores:.2f}" + ("" if figure.is_conclusive else " !"),
        ]
        for figure in figures
    ]
    print_table("Benchmarks", columns, rows)
    for figure in figures:
        said = [figure.peer_name and f"peer {figure.peer_name}", figure.note]
        if any(said):
            out.print(f"{figure.bench}: {'; '.join(filter(None, said))}", highlight=False)
    out.print("A ratio above 1 is in our favour, and the median of pairs that took turns.")
    if not all(figure.is_conclusive for figure in figures):
        out.print("! inconclusive: others kept the machine busy. Run it again on a quiet one.")


def _three(value: float | None) -> str | None:
    """Three significant digits, thousands apart."""
    if value is None:
        return None
    return f"{value:,.0f}" if value >= _THOUSAND else f"{value:.3g}"
