"""Commands of whoever watches the sending: status, pause, resume, drain, reconcile."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import opened, print_json, print_table, say, wants_json
from duewise.errors import BadInput, DuewiseError, IntegrityBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from duewise.jobs.reconcile import Reconciliation
    from duewise.jobs.routes import Route, Standing

outbox = typer.Typer(no_args_is_help=True, help="What waits and what is on its way; its routes.")
LOOK_AGAIN_S = 0.5
Name = Annotated[str, typer.Argument(metavar="ROUTE", help="A route's name, as status tells it.")]
Why = Annotated[str, typer.Option(help="Why, for whoever looks at the status.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(outbox, name="outbox")


@outbox.command()
def status(context: typer.Context) -> None:
    """What waits, what is on its way, which routes are out, and what each has shown."""
    from duewise.jobs.routes import read_queue, read_routes, read_standings

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        queue = read_queue(conn, now=app.clock.now())
        routes = read_routes(conn, app.routes)
        standings = read_standings(conn, app.ways, now=app.clock.now())
    if wants_json(context):
        print_json(
            {
                "queue": asdict(queue),
                "routes": [asdict(route) for route in routes],
                "standings": [asdict(each) for each in standings],
            }
        )
        return
    waits = asdict(queue)
    print_table("Waiting", list(waits), [list(waits.values())])
    columns = ["route", "state", "sending", "accepted", "unknown"]
    shown = [
        [each.name, _state(each), each.sending, each.accepted, each.unknown] for each in routes
    ]
    print_table("On their way", columns, shown)
    stand = ["route", "kind", "share now", "weight", "why", "delivered", "of", "median s", "cost"]
    print_table("In seven days", stand, [_stands(each) for each in standings])
    for each in routes:
        if each.resume_at is not None:
            say(f"{each.name} is left alone: {each.reason}. {_instead(standings, each.name)}")


@outbox.command()
def pause(context: typer.Context, route: Name, reason: Why = "") -> None:
    """Claim nothing more for a route until it is resumed; what was claimed still leaves."""
    from duewise.jobs.routes import pause as pause_route

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        now = app.clock.now()
        is_new = pause_route(conn, route, reason=reason, now=now, names=app.routes)
    say(f"{route}: paused" if is_new else f"{route}: was paused before")


@outbox.command()
def resume(context: typer.Context, route: Name) -> None:
    """End a route's pause; senders that run on go on by themselves."""
    from duewise.jobs.routes import resume as resume_route

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        is_new = resume_route(conn, route, names=app.routes)
    say(f"{route}: resumed" if is_new else f"{route}: was not paused")


@outbox.command()
def drain(
    context: typer.Context,
    route: Name,
    reason: Why = "",
    seconds: Annotated[float, typer.Option(min=0, help="Wait so long at most.")] = 60.0,
) -> None:
    """Pause a route and wait until all it was given has its receipt; exit code 1 if not in time."""
    from duewise.jobs.routes import pause as pause_route
    from duewise.jobs.routes import wait_until_empty

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        pause_route(conn, route, reason=reason, now=app.clock.now(), names=app.routes)
        tries = 1 + round(seconds / LOOK_AGAIN_S)
        left = wait_until_empty(conn, route, tries=tries, wait=lambda: time.sleep(LOOK_AGAIN_S))
    if left.on_the_way:
        raise DuewiseError(
            f"{route} is paused, and {left.on_the_way:,} are still on their way. "
            "Mend: see that `duewise send` or `receive` runs, and wait longer (--seconds)"
        )
    say(f"{route}: paused and empty")


@outbox.command()
def reconcile(
    context: typer.Context,
    into: Annotated[
        Path | None, typer.Option("--out", help="Each route's days as CSV or Parquet.")
    ] = None,
) -> None:
    """Whether all books tie: every day's proposals, every route's submissions. Exit 1 if not."""
    from duewise.jobs.reconcile import reconcile as reconcile_now

    app = opened(context)
    write = _writer(into) if into else None
    with app.database() as dsn, app.connect(dsn) as conn:
        found = reconcile_now(conn, zone=app.tenant.strategy.timezone)
    if into and write:
        from duewise.store.files import write_atomically

        write_atomically(into, write(found.routes))
    _print(context, found)
    if not found.ties:
        raise IntegrityBroken("the books do not tie: see the rows marked so")


def _writer(path: Path) -> Callable[[pl.DataFrame], bytes]:
    """How a table becomes a file of that name. Raises BadInput."""

    def parquet(frame: pl.DataFrame) -> bytes:
        written = io.BytesIO()
        frame.write_parquet(written)
        return written.getvalue()

    match path.suffix:
        case ".csv":
            return lambda frame: frame.write_csv().encode()
        case ".parquet":
            return parquet
    raise BadInput(
        f"no table is written as {path.suffix or path.name!r}",
        source="--out",
        mend="name it .csv or .parquet",
    )


def _print(context: typer.Context, found: Reconciliation) -> None:
    if wants_json(context):
        days = [{"day": day, **asdict(each), "ties": each.ties} for day, each in found.days.items()]
        print_json({"ties": found.ties, "days": days, "routes": found.routes.to_dicts()})
        return
    days_shown = [
        [day, *asdict(each).values(), "yes" if each.ties else "NO"]
        for day, each in found.days.items()
    ]
    if days_shown:
        first = next(iter(found.days.values()))
        print_table("By the day planned for", ["day", *asdict(first), "ties"], days_shown)
    print_table("By route", found.routes.columns, found.routes.rows())
    if found.ties:
        say("Everything ties.")


def _stands(each: Standing) -> list[object]:
    return [
        each.route,
        each.kind,
        f"{each.share:.1%}",
        each.weight,
        each.weight_reason,
        "" if each.success is None else f"{each.success:.1%}",
        each.ended,
        each.latency_s,
        "" if each.cost is None else f"{each.cost:.4f}",
    ]


def _instead(standings: Sequence[Standing], out: str) -> str:
    """By which routes of its kind its messages leave meanwhile."""
    kinds = {each.kind for each in standings if each.route == out}
    others = [each.route for each in standings if each.kind in kinds and each.share]
    if not others:
        return "Its messages wait: no other route of the kind is open."
    return f"Its messages leave by {', '.join(others)} meanwhile."


def _state(route: Route) -> str:
    if route.paused_at is None:
        return "open"
    if route.resume_at is not None:
        return f"left alone, tried again at {route.resume_at:%H:%M:%S %Z}: {route.reason}"
    return f"paused since {route.paused_at:%Y-%m-%d %H:%M %Z} {route.reason}".rstrip()
