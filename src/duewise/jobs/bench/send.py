"""Sending: from a due envelope to the gateway's stored answer and receipts."""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection

from duewise.channels.base import Channel
from duewise.errors import IntegrityBroken
from duewise.garbage import spare_collector
from duewise.jobs.bench.figure import Figure, rates
from duewise.jobs.bench.road import ALL_DUE, CLEAR, Desk, admit, counted, release_of
from duewise.jobs.bench.send_peers import beside
from duewise.jobs.bench.spent import server_of, tree_s
from duewise.jobs.chunk import CHUNK_MAX, DeliverySettings
from duewise.jobs.claim import places_of
from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_line
from duewise.jobs.demo import gateway_process
from duewise.jobs.ways import ALL_SLOTS
from duewise.store.sql import queries
from duewise.times import ManualClock

LINGER_S = 30.0
_US = 1_000_000
_DELIVERED: LiteralString = "FROM envelope WHERE state = 'delivered'"
# Where the sender's time goes, by what is in the path of a function; the first that fits counts.
_STAGES = {
    "wire and codec": ("duewise/channels", "duewise/message"),
    "gate and evidence": ("duewise/guard", "jobs/gate", "jobs/wire_gate", "jobs/verdicts",
                          "duewise/engine", "polars", "json", "store/seal"),
    "database": ("psycopg", "duewise/jobs", "duewise/store"),
}  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """One run: seconds, parts, and the processor's seconds of sender, database and gateway."""

    took_s: float
    parts: int
    spent: tuple[float, float, float]


def send(desk: Desk) -> list[Figure]:
    """Due envelopes a second to answers and receipts stored; beside the bare SQL, the limit.

    The gateway is a process of its own, everything is durable, and every receipt must have come.
    """
    seconds: list[tuple[float, float | None]] = []
    runs: list[Sent] = []
    for _ in range(max(1, desk.task.sizes.turns // 2)):
        count = make_due(desk, desk.task.sizes.sent)
        desk.conn.execute("CREATE TABLE bare_envelope (LIKE envelope INCLUDING ALL)")
        desk.conn.execute("INSERT INTO bare_envelope SELECT * FROM envelope WHERE state = 'ready'")
        desk.conn.execute("CREATE TABLE bare_waiting (LIKE waiting INCLUDING ALL)")
        desk.conn.execute("INSERT INTO bare_waiting SELECT * FROM waiting")
        before = counted(desk, _DELIVERED)
        runs.append(asyncio.run(send_all(desk)))
        if counted(desk, _DELIVERED) - before != count:
            raise IntegrityBroken(f"bench send: not all of {count} were delivered")
        began = desk.task.timer()
        _bare(desk.conn, now=desk.task.noon)
        seconds.append((runs[-1].took_s, desk.task.timer() - began))
        desk.conn.execute("DROP TABLE bare_envelope, bare_waiting")
    best = min(runs, key=lambda run: run.took_s)
    own, database, gateway = (round(spent / count * _US) for spent in best.spent)
    note = (
        f"{best.parts / count:.2f} parts an envelope, a receipt for each part: "
        f"{best.parts / best.took_s:,.0f} parts and as many receipts a second; processor time an "
        f"envelope: sender {own} µs, database {database} µs, gateway {gateway} µs; of the "
        f"sender's: {_profile(desk)}"
    )
    peer = "the bare SQL of claim, mark and settle"
    ours = rates("send", "envelopes/s", count, seconds, peer_name=peer, note=note)
    return [ours, *beside(desk, parts=best.parts, took_s=best.took_s)]


def make_due(desk: Desk, envelopes: int) -> int:
    """Release new envelopes that are due at once; how many. Nothing else is due."""
    desk.conn.execute(CLEAR)
    count = release_of(desk, admit(desk, envelopes))
    desk.conn.execute(ALL_DUE)
    return count


async def send_all(desk: Desk, wrapped: Callable[[Channel], Channel] = lambda it: it) -> Sent:
    """Send all that is due to a gateway process and take in every receipt.

    `wrapped` may put something around the channel. The gateway's start and end are not measured.
    """
    spare_collector()
    clock = ManualClock(desk.task.noon)
    server, us = server_of(desk.conn), os.getpid()
    async with gateway_process(list(desk.gateway)) as ports:
        before = os.times(), tree_s(server), tree_s(us)
        began = desk.task.timer()
        done = await run_line(
            wrapped(desk.channel_at(ports["port"], clock)),
            connect=desk.connect,
            tenant=desk.task.tenant,
            clock=clock,
            settings=DeliverySettings(),
            run=Run(stop=asyncio.Event(), linger_s=LINGER_S),
        )
        took_s, after = desk.task.timer() - began, (os.times(), tree_s(server), tree_s(us))
    own = after[0].user + after[0].system - before[0].user - before[0].system
    database, gateway = after[1] - before[1], after[2] - before[2] - own
    return Sent(took_s, done["parts"], (own, database, gateway))


def _profile(desk: Desk) -> str:
    """Shares of the sender's own time, told by a profiler, which makes Python look slower."""
    make_due(desk, desk.task.sizes.envelopes // 4)
    profiler = cProfile.Profile()
    profiler.runcall(asyncio.run, send_all(desk))
    spent: Counter[str] = Counter()
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    for (path, _line, name), (_calls, _all_calls, own_s, _cumulative, _callers) in stats.items():
        if "poll" not in name:  # waiting
            spent[_stage(path)] += own_s
    return ", ".join(f"{name} {share / spent.total():.0%}" for name, share in spent.most_common())


def _stage(path: str) -> str:
    for stage, marks in _STAGES.items():
        if any(mark in path for mark in marks):
            return stage
    return "event loop and built-ins"


def _bare(conn: Connection[Any], *, now: object) -> None:
    """Claim, mark and settle a copy of the envelopes: the statements alone, and no trigger."""
    while True:
        values = {"now": now, "channels": ["sms"], "route": "bare", "limit": CHUNK_MAX, "owner": 1}
        values |= {"slots": ALL_SLOTS, "is_probe": False, "sent_in": None} | places_of({})
        claimed = conn.execute(_on_copy("due"), values).fetchall()
        if not claimed:
            return
        ids = [row[0] for row in claimed]
        conn.execute(_on_copy("mark_wired"), values | {"envelope_ids": ids})
        conn.execute("DELETE FROM bare_waiting WHERE envelope_id = ANY(%s)", [ids])
        said = {
            "attempts": [1] * len(ids),
            "state": "accepted",
            "reason": "accepted_by_gateway",
            "not_before": None,
            "is_counted": True,
            "owner": 1,
        }
        conn.execute(_on_copy("settle"), {"now": now, "envelope_ids": ids, **said})


def _on_copy(name: str) -> LiteralString:
    statement = queries("outbox")[name].replace("envelope.", "bare_envelope.")
    statement = statement.replace("UPDATE envelope", "UPDATE bare_envelope")
    statement = statement.replace("FROM waiting w", "FROM bare_waiting w")
    return statement.replace("JOIN envelope e", "JOIN bare_envelope e")
