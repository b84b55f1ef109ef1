"""Whose turn a message is, where several routes carry its kind: asked at every claim.

Every worker reads the same rows, and so finds the same route for a message. What waits for a route
that is out leaves by the others at once, which is logged and shown (`routes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row

from duewise.jobs.session import Worker
from duewise.outbox.breaker import PROBE_FIRST_S, PROBE_MOST_S, Circuit
from duewise.outbox.ways import SLOTS, Ranges, Record, Way, share_out, weigh
from duewise.store.sql import queries

ALL_SLOTS, NO_SLOTS = f"{{[0,{SLOTS})}}", "{}"
LEARN_DAYS = 7
_SQL = queries("route")
log = structlog.get_logger()


@dataclass(frozen=True)
class Ways:
    """The routes that carry one kind of message, in the order of the settings.

    `is_learned`: their weights are learned, of days that are over (UTC), by each worker alike.
    """

    ways: tuple[Way, ...] = ()
    is_learned: bool = False


@dataclass(frozen=True)
class Turn:
    """What a route may claim: slots as a multirange, "{}" for nothing; a probe is one message."""

    slots: str = ALL_SLOTS
    is_probe: bool = False


async def turn_of(sender: Worker, route: str, kind: str, ways: Ways, *, now: datetime) -> Turn:
    """The turn of a route at its claim; takes the right to probe if there is one to be had."""
    out = await _out(sender, route, ways, now=now)
    is_probe = out.get(route, False) and await _take_probe(sender, route, kind, now=now)
    if is_probe != sender.circuit.is_probe:
        sender.circuit = Circuit(is_probe=is_probe)
    if is_probe:
        return Turn(is_probe=True)
    return Turn(await slots_of(sender, route, ways, now=now, out=out))


async def slots_of(
    sender: Worker,
    route: str,
    ways: Ways,
    *,
    now: datetime,
    out: Mapping[str, bool] | None = None,
) -> str:
    """The slots of a route at an instant, as a multirange; nothing is taken by asking."""
    if out is None:
        out = await _out(sender, route, ways, now=now)
    if not sender.has_others:
        return ALL_SLOTS
    known = await _weighed(sender, ways, now=now)
    return multirange(share_out(known, out=out)[route])


async def _out(sender: Worker, route: str, ways: Ways, *, now: datetime) -> dict[str, bool]:
    """The routes that nothing leaves by now; of each, whether it may be tried again."""
    names = [way.name for way in ways.ways] or [route]
    sender.has_others = len(names) > 1
    values = {"names": names, "now": now}
    rows = await (await sender.conn.execute(_SQL["out"], values)).fetchall()
    if sender.has_others:
        _tell(sender, {name: reason for name, reason, _ in rows}, names)
    return {name: bool(is_half_open) for name, _, is_half_open in rows}


async def _take_probe(sender: Worker, route: str, kind: str, *, now: datetime) -> bool:
    values = {"name": route, "channel": kind, "now": now}
    values |= {"first_s": PROBE_FIRST_S, "most_s": PROBE_MOST_S}
    return (await sender.conn.execute(_SQL["take_probe"], values)).rowcount > 0


def multirange(ranges: Ranges) -> str:
    """Ranges as PostgreSQL writes them.

    >>> multirange(((0, 700), (900, 1000))), multirange(())
    ('{[0,700),[900,1000)}', '{}')
    """
    return "{" + ",".join(f"[{start},{stop})" for start, stop in ranges) + "}"


def _tell(sender: Worker, out: dict[str, str], names: Sequence[str]) -> None:
    """Say once, by each worker, that a route's messages leave by others, and that it is back."""
    for name in out.keys() - sender.out:
        log.error("route.fallback", route=name, reason=out[name], others=[*names])
    for name in sender.out - out.keys():
        log.warning("route.back", route=name)
    sender.out = frozenset(out)


async def _weighed(sender: Worker, ways: Ways, *, now: datetime) -> tuple[Way, ...]:
    """The routes with the weights of the day: learned from days that are over, or as given."""
    if not ways.is_learned:
        return ways.ways
    today = now.astimezone(UTC).date()
    if sender.weighed is None or sender.weighed[0] != today:
        records = await read_records(sender.conn, until=today)
        learned = {each.name: each for each in weigh(ways.ways, records)}
        for each in learned.values():
            log.info("route.weighed", route=each.name, weight=each.weight, reason=each.reason)
        known = tuple(replace(way, weight=learned[way.name].weight) for way in ways.ways)
        sender.weighed = (today, known)
    return sender.weighed[1]


async def read_records(conn: AsyncConnection[Any], *, until: date) -> list[Record]:
    """What became of each route's messages in the days before one."""
    async with conn.cursor(row_factory=class_row(Record)) as cursor:
        return await (await cursor.execute(_SQL["records"], days_before(until))).fetchall()


def days_before(until: date) -> dict[str, date]:
    """The days by which routes are known, up to one."""
    return {"since": until - timedelta(days=LEARN_DAYS), "until": until}
