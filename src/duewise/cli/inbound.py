"""Commands for what was told and cannot be taken in: list it, look into it, take it in anew."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from duewise.cli.common import opened, print_json, print_table, say, wants_json
from duewise.errors import BadInput, DuewiseError
from duewise.times import local_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duewise.app import App
    from duewise.jobs.aside import Retried

inbound = typer.Typer(
    no_args_is_help=True, help="What was told and cannot be taken in: look into it, try anew."
)
LISTED = 100


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(inbound, name="inbound")


@inbound.command()
def aside(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the oldest first.")] = LISTED,
) -> None:
    """What is set aside: by which route it came and when, why, and how large it is."""
    from duewise.jobs.aside import list_aside

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        found, total = list_aside(conn, limit=limit)
    if wants_json(context):
        print_json({"total": total, "aside": [asdict(each) for each in found]})
        return
    if not found:
        say("Nothing is set aside.")
        return
    zone = app.tenant.strategy.timezone
    lines = [
        [each.raw_id, each.route, each.kind, local_text(each.at, zone), each.reason, each.octets]
        for each in found
    ]
    print_table("Set aside", ["id", "route", "kind", "at", "reason", "octets"], lines)
    if total > len(found):
        say(f"The oldest {len(found):,} of {total:,}; --limit shows more.")


@inbound.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
) -> None:
    """What one of them tells: numbers are masked, and of a text only what it is taken to mean."""
    from duewise.jobs.aside import show_aside

    app = opened(context)
    with app.database() as dsn, app.connect(dsn) as conn:
        row, told = show_aside(conn, number, app.tenant)
    if wants_json(context):
        print_json(row | {"told": [asdict(each) for each in told]})
        return
    zone = app.tenant.strategy.timezone
    since = local_text(row["at"], zone)
    say(f"{number} by {row['route']} ({row['kind']}) since {since}: {row['reason']}")
    lines = [
        [each.what, local_text(each.at, zone), each.name, each.number or "", each.said]
        for each in told
    ]
    if lines:
        print_table("Told", ["what", "at", "name", "number", "said"], lines)
    else:
        say("It cannot be read: changed, or its key is missing from the workspace's secrets.")


@inbound.command()
def retry(
    context: typer.Context,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Their numbers in the list.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that is set aside.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do it; else only a preview.")] = False,
) -> None:
    """Take in anew what is set aside, once its cause is mended; without --yes say what would be."""
    from duewise.jobs.aside import chosen_ids

    if bool(numbers) == every:
        raise BadInput("take in which", source="ID", mend="give their numbers, or --all")
    app = opened(context)
    with app.database() as dsn:
        with app.connect(dsn) as conn:
            chosen = chosen_ids(conn, None if every else numbers)
        found = asyncio.run(_retried(app, dsn, chosen, is_preview=not is_sure))
    _print(context, found, is_preview=not is_sure)
    left = sum(len(each.left) for each in found)
    if is_sure and left:
        raise DuewiseError(
            f"{left:,} cannot be taken in yet and stay aside. Mend: `duewise inbound show ID`"
        )


async def _retried(app: App, dsn: str, chosen: Sequence[int], *, is_preview: bool) -> list[Retried]:
    from duewise.jobs.aside import retry_aside

    routes = {line.channel.name: line.channel.capabilities for line in app.lines}
    async with await app.connector(dsn)() as conn:
        found = [
            await retry_aside(
                conn,
                raw_id,
                tenant=app.tenant,
                routes=routes,
                now=app.clock.now(),
                is_preview=is_preview,
            )
            for raw_id in chosen
        ]
    return [each for each in found if each is not None]


def _print(context: typer.Context, found: Sequence[Retried], *, is_preview: bool) -> None:
    if wants_json(context):
        print_json({"preview": is_preview, "retried": [asdict(each) for each in found]})
        return
    if not found:
        say("Nothing is set aside.")
        return
    head = "Would be taken in" if is_preview else "Taken in"
    lines = [
        [each.raw_id, each.taken, len(each.left), ", ".join(sorted(set(each.left)))]
        for each in found
    ]
    print_table(head, ["id", "taken in", "left", "because"], lines)
    if is_preview:
        say("Nothing is done yet: --yes does it.")
