"""Routes at the operator's hand: what is on its way, a pause, and waiting until a route is empty.

A pause is asked for at every claim, by every worker: what was claimed before it still leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from duewise.errors import BadInput
from duewise.store.sql import queries

_SQL = queries("route")


@dataclass(frozen=True)
class Route:
    """A way out: whether it is paused, and how many messages are on it without an end."""

    name: str
    paused_at: datetime | None = None
    reason: str = ""
    sending: int = 0
    accepted: int = 0
    unknown: int = 0

    @property
    def on_the_way(self) -> int:
        """What was handed over, and has no receipt yet."""
        return self.sending + self.accepted + self.unknown


@dataclass(frozen=True)
class Queue:
    """Envelopes that have not left: due now, due later, held, claimed and not written."""

    due: int
    later: int
    held: int
    claimed: int


def read_queue(conn: Connection[Any], *, now: datetime) -> Queue:
    """What waits at an instant."""
    with conn.cursor(row_factory=class_row(Queue)) as cursor:
        found = cursor.execute(_SQL["queue"], {"now": now}).fetchone()
    assert found is not None
    return found


def read_routes(conn: Connection[Any], names: Sequence[str]) -> list[Route]:
    """The routes of the settings, and all others that were ever used."""
    with conn.cursor(row_factory=class_row(Route)) as cursor:
        found = {each.name: each for each in cursor.execute(_SQL["routes"]).fetchall()}
    return [found.get(name) or Route(name) for name in sorted({*names, *found})]


def pause(
    conn: Connection[Any], name: str, *, reason: str, now: datetime, names: Sequence[str]
) -> bool:
    """Let nothing more be claimed for a route; False if it was paused before. Raises BadInput."""
    _be_known(conn, name, names)
    return conn.execute(_SQL["pause"], {"name": name, "reason": reason, "now": now}).rowcount > 0


def resume(conn: Connection[Any], name: str, *, names: Sequence[str]) -> bool:
    """End a pause; False if there was none. Raises BadInput."""
    _be_known(conn, name, names)
    return conn.execute(_SQL["resume"], {"name": name}).rowcount > 0


def paused_routes(conn: Connection[Any]) -> list[str]:
    """The names of the routes for which nothing is claimed now."""
    return [name for (name,) in conn.execute(_SQL["paused"]).fetchall()]


async def take_turn(conn: AsyncConnection[Any], name: str, *, seconds: float) -> None:
    """Lease the next `seconds` of a route's rate, which all its workers share; wait for them."""
    values = {"name": name, "seconds": seconds}
    row = await (await conn.execute(_SQL["lease_slots"], values)).fetchone()
    assert row is not None
    await asyncio.sleep(max(row[0], 0.0))


def wait_until_empty(
    conn: Connection[Any], name: str, *, tries: int, wait: Callable[[], None]
) -> Route:
    """Look again and again until nothing is on a route's way; how it stood at the last look."""
    for attempt in range(tries):
        if attempt:
            wait()
        (route,) = [each for each in read_routes(conn, (name,)) if each.name == name]
        if not route.on_the_way:
            break
    return route


def _be_known(conn: Connection[Any], name: str, names: Sequence[str]) -> None:
    known = [route.name for route in read_routes(conn, names)]
    if name not in known:
        raise BadInput(f"no route {name!r}", source="ROUTE", mend=f"one of {', '.join(known)}")
