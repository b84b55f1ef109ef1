"""Routes at the operator's hand: what is on its way, a pause, and waiting until a route is empty.

A pause is asked for at every claim, by every worker: what was claimed before it still leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from duewise.errors import BadInput
from duewise.jobs.ways import Ways, days_before
from duewise.outbox.ways import SLOTS, Record, Weight, share_out, weigh
from duewise.store.sql import queries

_SQL = queries("route")


@dataclass(frozen=True)
class Route:
    """A way out: whether it is paused, and how many messages are on it without an end.

    `resume_at`: it was left alone by itself, and is tried again then.
    """

    name: str
    paused_at: datetime | None = None
    reason: str = ""
    sending: int = 0
    accepted: int = 0
    unknown: int = 0
    resume_at: datetime | None = None

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


@dataclass(frozen=True)
class Standing:
    """What a route has shown in the last seven days, and the share of its kind that it gets now.

    `weight_reason`: why it has that weight; `cost`: major units a delivered message, by its parts.
    """

    route: str
    kind: str
    weight: float
    weight_reason: str
    share: float
    ended: int
    delivered: int
    success: float | None
    latency_s: float | None
    cost: float | None


def read_standings(
    conn: Connection[Any], kinds: Mapping[str, Ways], *, now: datetime
) -> list[Standing]:
    """How the routes of each kind stand; a route out of order has no share."""
    today = now.astimezone(UTC).date()
    rows = conn.execute(_SQL["out"], {"names": _names(kinds), "now": now}).fetchall()
    out = {name for name, _, _ in rows}
    shown = {each.name: each for each in _records(conn, today + timedelta(days=1))}
    learned = _records(conn, today) if any(each.is_learned for each in kinds.values()) else []
    return [
        standing
        for kind, ways in kinds.items()
        for standing in _standings(kind, ways, shown=shown, learned=learned, out=out)
    ]


def _names(kinds: Mapping[str, Ways]) -> list[str]:
    return [way.name for ways in kinds.values() for way in ways.ways]


def _records(conn: Connection[Any], until: date) -> list[Record]:
    with conn.cursor(row_factory=class_row(Record)) as cursor:
        return cursor.execute(_SQL["records"], days_before(until)).fetchall()


def _standings(
    kind: str,
    ways: Ways,
    *,
    shown: Mapping[str, Record],
    learned: Sequence[Record],
    out: Collection[str],
) -> list[Standing]:
    weights = [Weight(way.name, way.weight, "as given") for way in ways.ways]
    if ways.is_learned:
        weights = list(weigh(ways.ways, learned))
    weighed = [replace(way, weight=its.weight) for way, its in zip(ways.ways, weights, strict=True)]
    slots = share_out(weighed, out=out)
    found = []
    for way, its in zip(weighed, weights, strict=True):
        record = shown.get(way.name) or Record(way.name)
        share = sum(stop - start for start, stop in slots[way.name]) / SLOTS
        delivered, ended = record.delivered, record.ended
        found.append(
            Standing(
                route=way.name,
                kind=kind,
                weight=round(way.weight, 3),
                weight_reason=its.reason,
                share=0.0 if way.name in out else share,
                ended=ended,
                delivered=delivered,
                success=round(delivered / ended, 4) if ended else None,
                latency_s=None if record.latency_s is None else round(record.latency_s, 1),
                cost=way.price * record.parts_each * ended / delivered if delivered else None,
            )
        )
    return found


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


def paused_routes(conn: Connection[Any]) -> list[tuple[str, datetime | None]]:
    """The routes for which nothing is claimed now, and when one is tried again by itself."""
    return conn.execute(_SQL["paused"]).fetchall()


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
