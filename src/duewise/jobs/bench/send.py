"""Sending: from a due envelope to the gateway's stored answer and receipts."""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import AsyncConnection

from duewise.channels.base import Channel
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.figure import Figure, rates
from duewise.jobs.bench.road import ALL_DUE, CLEAR, Desk, admit, counted, release_of
from duewise.jobs.bench.send_peers import beside
from duewise.jobs.bench.senders import Done, send_on, senders
from duewise.jobs.bench.spent import server_of, tree_s
from duewise.jobs.chunk import CHUNK_MAX
from duewise.jobs.claim import places_of
from duewise.jobs.demo import gateway_process
from duewise.jobs.ways import ALL_SLOTS
from duewise.store import arrays
from duewise.store.sql import queries

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
    """One run: seconds, parts, and the processor's seconds of senders, database and gateway."""

    took_s: float
    parts: int
    spent: tuple[float, float, float]


def send(desk: Desk) -> list[Figure]:
    """Due envelopes a second to answers and receipts stored; beside the bare SQL, the limit.

    Senders are processes, one a core as `duewise send --workers` starts them, and one alone. The
    gateway is a process of its own, everything is durable, and every receipt must have come.
    """
    figures, best = list[Figure](), None
    for workers in sorted({1, os.cpu_count() or 1}):
        runs = [_turn(desk, workers) for _ in range(max(1, desk.task.sizes.turns // 2))]
        best = min((run for _, run, _ in runs), key=lambda run: run.took_s)
        seconds: list[tuple[float, float | None]] = [(run.took_s, bare) for _, run, bare in runs]
        peer = "the bare SQL of claim, mark and settle, as many sessions"
        note = _note(best, runs[0][0], workers)
        if not figures:
            note += f"; of the sender's: {_profile(desk)}"
        figures.append(rates("send", "envelopes/s", runs[0][0], seconds, peer_name=peer, note=note))
    assert best is not None
    return [*figures, *beside(desk, parts=best.parts, took_s=best.took_s)]


def _turn(desk: Desk, workers: int) -> tuple[int, Sent, float]:
    """Send once, then do the bare SQL on a copy: envelopes, what came of it, seconds."""
    count = make_due(desk, desk.task.sizes.sent)
    desk.conn.execute("CREATE TABLE bare_envelope (LIKE envelope INCLUDING ALL)")
    desk.conn.execute("INSERT INTO bare_envelope SELECT * FROM envelope WHERE state = 'ready'")
    desk.conn.execute("CREATE TABLE bare_waiting (LIKE waiting INCLUDING ALL)")
    desk.conn.execute("INSERT INTO bare_waiting SELECT * FROM waiting")
    desk.conn.execute("VACUUM ANALYZE")  # else the sweep after what was prepared falls into the run
    before = counted(desk, _DELIVERED)
    run = asyncio.run(send_by(desk, workers))
    if counted(desk, _DELIVERED) - before != count:
        raise IntegrityBroken(f"bench send: not all of {count} were delivered")
    began = desk.task.timer()
    asyncio.run(_bare(desk, workers))
    bare_s = desk.task.timer() - began
    desk.conn.execute("DROP TABLE bare_envelope, bare_waiting")
    return count, run, bare_s


def _note(run: Sent, count: int, workers: int) -> str:
    own, database, gateway = (round(spent / count * _US) for spent in run.spent)
    return (
        f"{workers} sender{'s'[: workers - 1]}: {run.parts / count:.2f} parts an envelope, a "
        f"receipt for each: {run.parts / run.took_s:,.0f} parts and as many receipts a second; "
        f"an envelope's processor time: senders {own} µs, database {database} µs, gateway "
        f"{gateway} µs"
    )


def make_due(desk: Desk, envelopes: int) -> int:
    """Release new envelopes that are due at once; how many. Nothing else is due."""
    desk.conn.execute(CLEAR)
    count = release_of(desk, admit(desk, envelopes))
    desk.conn.execute(ALL_DUE)
    return count


async def send_by(desk: Desk, workers: int) -> Sent:
    """Send all that is due by so many processes, and take in every receipt.

    Their start, and that of the gateway, are not measured.
    """
    async with (
        gateway_process(list(desk.gateway)) as ports,
        senders(desk.opened, workers, port=ports["port"]) as go,
    ):
        began, before = desk.task.timer(), _spent(desk)
        done = await go()
        return _sent(desk, done, began, before)


async def send_all(desk: Desk, wrapped: Callable[[Channel], Channel] = lambda it: it) -> Sent:
    """The same by this process; `wrapped` may put something around the channel."""
    outfit = desk.opened()
    async with gateway_process(list(desk.gateway)) as ports:
        channel = wrapped(outfit.channel_at(ports["port"]))
        began, before = desk.task.timer(), _spent(desk)
        done = [await send_on(outfit, channel)]
        return _sent(desk, done, began, before, is_here=True)


def _spent(desk: Desk) -> tuple[float, float, float]:
    """The processor's seconds so far: of the database, of all we started, our own."""
    own = os.times()
    return tree_s(server_of(desk.conn)), tree_s(os.getpid()), own.user + own.system


def _sent(
    desk: Desk,
    done: Sequence[Done],
    began: float,
    before: tuple[float, float, float],
    *,
    is_here: bool = False,
) -> Sent:
    took_s = desk.task.timer() - began
    database, ours, here = (b - a for a, b in zip(before, _spent(desk), strict=True))
    own = sum(each.spent_s for each in done)
    gateway = ours - here - (0.0 if is_here else own)
    return Sent(took_s, sum(each.counts["parts"] for each in done), (own, database, gateway))


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


async def _bare(desk: Desk, sessions: int) -> None:
    """Claim, mark and settle a copy of the envelopes: the statements alone, and no trigger."""
    conns = [await desk.connect() for _ in range(sessions)]
    try:
        await asyncio.gather(*(_bare_in(conn, now=desk.task.noon) for conn in conns))
    finally:
        for conn in conns:
            await conn.close()


async def _bare_in(conn: AsyncConnection[Any], *, now: object) -> None:
    values = {"now": now, "channels": ["sms"], "route": "bare", "limit": CHUNK_MAX, "owner": 1}
    values |= {"slots": ALL_SLOTS, "is_probe": False, "sent_in": None} | places_of({})
    while True:
        async with conn.transaction():
            claimed = await (await conn.execute(_on_copy("due"), values)).fetchall()
            if not claimed:
                return
            ids = arrays.numbers([row[0] for row in claimed])
            await conn.execute(_on_copy("mark_wired"), values | {"envelope_ids": ids})
            gone = "DELETE FROM bare_waiting WHERE envelope_id = ANY(%s::bigint[])"
            await conn.execute(gone, [ids])
        said = {
            "attempts": arrays.numbers([1] * len(claimed)),
            "state": "accepted",
            "reason": "accepted_by_gateway",
            "not_before": None,
            "is_counted": True,
            "owner": 1,
        }
        await conn.execute(_on_copy("settle"), {"now": now, "envelope_ids": ids, **said})


def _on_copy(name: str) -> LiteralString:
    statement = queries("outbox")[name].replace("envelope.", "bare_envelope.")
    statement = statement.replace("UPDATE envelope", "UPDATE bare_envelope")
    statement = statement.replace("FROM waiting w", "FROM bare_waiting w")
    return statement.replace("JOIN envelope e", "JOIN bare_envelope e")
