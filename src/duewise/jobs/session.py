"""A worker's session with the database: its number, the lock that proves it alive, its return.

A database that goes away is waited for, within limits; whoever comes back has a new number, for the
lock of the old one went with its session.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from duewise.errors import Unreachable
from duewise.outbox.breaker import Circuit
from duewise.outbox.pace import FIRST
from duewise.outbox.ways import Way
from duewise.store.sql import queries

LOCK_CLASS = 0x44_57  # "DW": the class of all workers' advisory locks
FAILURES_MAX = 20  # one after the other, on a database that does answer
_SQL = queries("outbox")
T = TypeVar("T")

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]


@dataclass(frozen=True)
class Patience:
    """How long a database that went away is waited for; real seconds between the tries."""

    tries_max: int = 120
    wait_s: float = 0.5


PATIENCE = Patience()


@dataclass
class Worker:
    """A session with the database, its number, and what it has done so far.

    `listening_since` is None until receipts are listened to, and again after a time without.
    `circuit`: what the provider says of our account. `has_others`: other routes carry the kind too,
    of which those in `out` are out; `is_left_alone`: ours is, since our last claim; `weighed`: the
    day, and their weights on it.
    `together`: how many messages the next chunk has at most, by how long the last ones took.
    `read_to`: of each lane the last place in its queue, instant and envelope, that this pass took.
    `answers`: a second session for what the gateway answers, so that storing it does not keep the
    next message waiting; opened when it is first needed, and used by one at a time (`storing`).
    """

    connect: Connect
    conn: AsyncConnection[Any]
    owner: int
    listening_since: datetime | None = None
    has_others: bool = False
    is_left_alone: bool = False
    out: frozenset[str] = frozenset()
    weighed: tuple[date, tuple[Way, ...]] | None = None
    together: int = FIRST
    read_to: dict[int, tuple[datetime, int]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    circuit: Circuit = field(default_factory=Circuit)
    answers: AsyncConnection[Any] | None = None
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin_pass(self) -> None:
        """What the last pass found of the route is asked anew, and its queue read from its head."""
        self.is_left_alone = False
        self.read_to.clear()
        self.circuit = replace(self.circuit, is_probe=False)

    @property
    def claims_no_more(self) -> bool:
        """In this pass: the route is left alone, or one message tries it again."""
        return self.is_left_alone or self.circuit.is_probe


@dataclass
class Steady:
    """A session that is replaced where it is lost."""

    conn: AsyncConnection[Any]
    connect: Connect
    patience: Patience
    failures: int = 0

    async def do(self, work: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        """Work that may be begun anew. Raises Unreachable if the database stays away."""
        while True:
            try:
                done = await work(self.conn)
            except psycopg.OperationalError as error:
                self.failures += 1
                if self.failures > FAILURES_MAX:
                    raise Unreachable(f"the database fails again and again: {error}") from error
                self.conn = await another(self.conn, self.connect, self.patience)
            else:
                self.failures = 0
                return done


@asynccontextmanager
async def worker(connect: Connect) -> AsyncIterator[Worker]:
    """A worker with a number and the lock that proves it alive."""
    conn = await connect()
    enlisted = Worker(connect, conn, await _enlist(conn))
    try:
        yield enlisted
    finally:
        await enlisted.conn.close()
        if enlisted.answers is not None:
            await enlisted.answers.close()


async def come_back(sender: Worker, patience: Patience) -> None:
    """A new session and a new number for a worker. Raises Unreachable if none is to be had."""
    for attempt in range(patience.tries_max):
        if attempt:
            await asyncio.sleep(patience.wait_s)
        sender.conn = await another(sender.conn, sender.connect, patience)
        try:
            sender.owner = await _enlist(sender.conn)
        except psycopg.OperationalError:
            continue
        sender.listening_since = None
        return
    raise Unreachable(_AWAY)


async def another(
    lost: AsyncConnection[Any] | None, connect: Connect, patience: Patience
) -> AsyncConnection[Any]:
    """A session, in place of a lost one or the first. Raises Unreachable if there is none."""
    if lost is not None:
        await lost.close()
    for attempt in range(patience.tries_max):
        if attempt:
            await asyncio.sleep(patience.wait_s)
        try:
            return await connect()
        except Unreachable:
            continue
    raise Unreachable(_AWAY)


async def recover(sender: Worker, *, now: datetime) -> None:
    """Take up what workers left behind whose session has ended."""
    ours = {"owner": sender.owner, "lock_class": LOCK_CLASS}
    async with sender.conn.transaction():
        await accept_answered(sender.conn, until=now)
        orphans = await (await sender.conn.execute(_SQL["orphaned_owners"], ours)).fetchall()
        for (owner,) in orphans:
            lost: dict[str, Any] = {"owner": owner, "now": now}
            claims = await (await sender.conn.execute(_SQL["open_claims"], lost)).fetchall()
            lost["claim_ids"] = [claim_id for claim_id, _ in claims]
            lost["envelope_ids"] = [each for _, envelope_ids in claims for each in envelope_ids]
            for step in ("recover_unwired", "adopt_of_lost", "recover_wired", "close_claims"):
                await sender.conn.execute(_SQL[step], lost)
    for (owner,) in orphans:
        values = {"owner": owner, "lock_class": LOCK_CLASS}
        await sender.conn.execute(_SQL["release_lock"], values)


async def accept_answered(conn: AsyncConnection[Any], *, until: datetime) -> None:
    """Tell the envelopes of chunks that were answered by then, in the caller's transaction."""
    claims = await conn.execute(_SQL["answered_claims"], {"until": until})
    for owner, at, envelope_ids in await claims.fetchall():
        values = {"owner": owner, "at": at, "envelope_ids": sorted(envelope_ids)}
        await conn.execute(_SQL["accept_answered"], values)


async def _enlist(conn: AsyncConnection[Any]) -> int:
    row = await (await conn.execute(_SQL["enlist"], {"lock_class": LOCK_CLASS})).fetchone()
    assert row is not None
    return int(row[0])


_AWAY = (
    "the database went away and does not come back. Nothing is lost: what was not sent waits in "
    "it, and what is on the wire is on record as in doubt. Mend: start it, then run this again"
)
