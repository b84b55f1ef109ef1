"""Payments that race with sending: nothing is handed to the wire once one is committed."""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString, cast

from duewise.channels.base import Channel, Message, SendResult, nobody
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.figure import Figure, Timer, rates
from duewise.jobs.bench.road import Desk
from duewise.jobs.bench.send import make_due, send_all
from duewise.jobs.ingest import Payment, record_payments
from duewise.jobs.operations import rows
from duewise.money import Money

TOLD_TOGETHER = 10
_MS = 1_000
_HELD: LiteralString = "SELECT envelope_id FROM envelope WHERE state = 'held'"
# In an order that has nothing to do with that of sending.
_READY: LiteralString = (
    "SELECT envelope_id, loan_id FROM envelope WHERE state = 'ready' ORDER BY md5(key)"
)


@dataclass
class Race:
    """Payments one after the other, and when each was committed and each message written."""

    desk: Desk
    due: Sequence[dict[str, Any]]
    paid_at: dict[int, float] = field(default_factory=dict)
    took_ms: list[float] = field(default_factory=list)
    written_at: dict[int, float] = field(default_factory=dict)

    def pay(self) -> None:
        """Record the payments, a handful in each transaction, as a core system tells them."""
        task = self.desk.task
        for start in range(0, len(self.due), TOLD_TOGETHER):
            told = self.due[start : start + TOLD_TOGETHER]
            payments = [
                Payment(
                    payment_id=f"race-{row['loan_id']}",
                    loan_id=row["loan_id"],
                    paid_at=task.noon,
                    amount=Money(100, task.tenant.currency).major,
                )
                for row in told
            ]
            began = task.timer()
            record_payments(self.desk.conn, payments, now=task.noon)
            ended = task.timer()
            self.took_ms.append((ended - began) * _MS)
            self.paid_at |= dict.fromkeys((row["envelope_id"] for row in told), ended)

    def late(self) -> set[int]:
        """Messages that were written after the commit of a payment of theirs."""
        return {
            number for number, at in self.paid_at.items() if self.written_at.get(number, at) > at
        }


@dataclass
class Noting:
    """A channel that notes when the last of the messages with it was written."""

    channel: Channel
    written_at: dict[int, float]
    timer: Timer

    def __getattr__(self, name: str) -> object:
        return getattr(self.channel, name)

    async def send_many(
        self, messages: Sequence[Message], *, written: Callable[[], None] = nobody
    ) -> list[SendResult]:
        def note() -> None:
            now = self.timer()
            self.written_at |= dict.fromkeys((message.envelope_id for message in messages), now)
            written()

        results = await self.channel.send_many(messages, written=note)
        if messages and messages[-1].envelope_id not in self.written_at:
            note()
        return results


def race(desk: Desk) -> list[Figure]:
    """Half of those who are due pay while all are sent; nobody's notice may be written after it."""
    task = desk.task
    count = make_due(desk, 2 * task.sizes.raced)
    running = Race(desk, rows(desk.conn, _READY, {})[: task.sizes.raced])
    payer = threading.Thread(target=running.pay)

    def noted(channel: Channel) -> Channel:
        payer.start()
        return cast("Channel", Noting(channel, running.written_at, task.timer))

    took = asyncio.run(send_all(desk, noted)).took_s
    payer.join()
    held = {row["envelope_id"] for row in rows(desk.conn, _HELD, {})} & running.paid_at.keys()
    if wrong := running.late() | held & running.written_at.keys():
        raise IntegrityBroken(f"bench race: {len(wrong)} were written after a payment's commit")
    median, longest = statistics.median(running.took_ms), max(running.took_ms)
    late = statistics.quantiles(running.took_ms, n=100)[-1]
    note = (
        f"{len(running.due):,} payments at once: {len(held):,} held their notice, the others' was "
        f"written before; after a payment's commit 0; {TOLD_TOGETHER} payments together "
        f"took {median:.1f} ms (median), {late:.1f} ms (p99), {longest:.1f} ms at most"
    )
    return [rates("race", "envelopes/s", count, [(took, None)], note=note)]
