"""What is marked crosses to the wire, and a payment that finds a notice on its way waits for it.

A payment holds every notice that is not marked. One that is marked may be written any moment; so
that none is written after a payment's commit, the payment commits after it was written. A sender
holds an advisory lock from before its chunk's mark until the channel has said what became of each
message; a payment asks for the lock, shared, and gives it back at once. Nobody waits for a sender
that was killed: its locks end with its session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg import AsyncConnection, Connection

from duewise.errors import Unreachable
from duewise.jobs.session import LOCK_CLASS, Connect
from duewise.store.sql import queries

LANES = 2  # chunks of one sender that cross at once
WAIT_MS_MAX = 2_000  # a route that does not answer must not keep payments out
CLASSES = [LOCK_CLASS + 1 + lane for lane in range(LANES)]
_SQL = queries("outbox")
log = structlog.get_logger()


class Crossing(NamedTuple):
    """One chunk's way: the sender's number, and which of its locks stands for it."""

    owner: int
    lock_class: int


@dataclass
class Crossings:
    """The chunks of one sender that cross. The locks are of a session of their own."""

    connect: Connect
    _conn: AsyncConnection[Any] | None = None
    _free: list[int] = field(default_factory=lambda: list(CLASSES))

    async def begin(self, owner: int) -> Crossing:
        """Before the mark is committed. Raises psycopg.OperationalError.

        Where it is cancelled its lock may be held until `close`.
        """
        try:
            self._conn = self._conn or await self.connect()
        except Unreachable as error:
            raise psycopg.OperationalError(str(error)) from error
        crossing = Crossing(owner, self._free.pop())
        try:
            # A wait that is given up must not end the session, and with it the other chunk's lock.
            await asyncio.shield(self._conn.execute(_SQL["cross"], crossing._asdict()))
        except Exception:
            await self._lost(crossing)
            raise
        return crossing

    async def end(self, crossing: Crossing) -> None:
        """The channel has said of every message what became of it, or nothing was marked."""
        if self._conn is None:
            self._free.append(crossing.lock_class)
            return
        try:
            await self._conn.execute(_SQL["crossed"], crossing._asdict())
        except psycopg.OperationalError:
            await self._lost(crossing)  # and the locks with the session
        else:
            self._free.append(crossing.lock_class)

    async def close(self) -> None:
        """No lock is left."""
        if self._conn is not None:
            await self._conn.close()
            self._conn = None

    async def _lost(self, crossing: Crossing) -> None:
        self._free.append(crossing.lock_class)
        await self.close()


def wait_for_crossing(conn: Connection[Any], borrower_ids: Sequence[str]) -> None:
    """Wait until no notice to these borrowers is between its mark and the wire.

    In the transaction that has held what was not marked, and before its commit. A route that does
    not answer is waited for `WAIT_MS_MAX` at most: then it is logged that a notice may follow.
    """
    values = {"borrower_ids": list(borrower_ids)}
    owners = [owner for (owner,) in conn.execute(_SQL["crossing"], values).fetchall()]
    if not owners:
        return
    try:
        with conn.transaction(force_rollback=True):  # and the limit is as it was
            conn.execute(_SQL["wait_so_long"], {"ms": str(WAIT_MS_MAX)})
            for owner in owners:
                for lock_class in CLASSES:
                    conn.execute(_SQL["let_cross"], {"owner": owner, "lock_class": lock_class})
    except psycopg.errors.LockNotAvailable:
        log.warning("payment.not_waited", owners=len(owners), waited_ms=WAIT_MS_MAX)
