"""Chunks of cleared messages: each is put on the wire, written and settled together, two at a time.

While one chunk is on the wire the next is judged and marked, and the answers of the one before are
stored. What is marked and not settled is in doubt after a kill: `FLYING_MAX` chunks at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from duewise.channels.base import Channel, Message
from duewise.jobs.circuit import watch
from duewise.jobs.crossing import LANES, Crossing, Crossings
from duewise.jobs.session import PATIENCE, Patience, Worker
from duewise.jobs.settle import Answers, answers_of, never_left, settle, unsent
from duewise.jobs.tenant import Tenant
from duewise.jobs.ways import Ways
from duewise.jobs.wire_gate import Claimed
from duewise.outbox.pace import next_size
from duewise.times import Clock

CHUNK_MAX = 1_000  # judged and marked together
FLYING_MAX = LANES  # chunks, so at most twice as many are in doubt after a kill
CHUNK_S_MAX = 0.25


@dataclass(frozen=True)
class DeliverySettings:
    """When a doubt may end. Seconds of the injected clock; None: never sent again by itself.

    `ways`: the routes that carry the kind, this one among them.
    `rate_per_s`: parts a second, of all workers of the route together; None: no limit.
    `resend_unknown_after_s` may be set only for a gateway that sends a receipt, carrying our
    reference, for every message it accepted: then a receipt that stays away so long, while we were
    listening all the time, proves that it never did.
    """

    receipt_horizon_s: int = 72 * 3_600
    resend_unknown_after_s: int | None = None
    chunk_max: int = CHUNK_MAX
    rate_per_s: float | None = None
    patience: Patience = PATIENCE
    ways: Ways = field(default_factory=Ways)

    @property
    def chunk(self) -> int:
        """Messages marked together: on a slow route no more than it takes in a quarter of a second.

        >>> DeliverySettings(rate_per_s=30).chunk, DeliverySettings().chunk
        (7, 1000)
        """
        if self.rate_per_s is None:
            return self.chunk_max
        return max(1, min(self.chunk_max, int(self.rate_per_s * CHUNK_S_MAX)))


@dataclass
class Flight:
    """The chunks between their mark and their stored answers. `is_linked`: the link was there."""

    sender: Worker
    channel: Channel
    tenant: Tenant
    clock: Clock
    settings: DeliverySettings
    crossings: Crossings
    is_linked: bool = True
    _flying: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many messages the next chunk has at most."""
        return min(self.sender.together, self.settings.chunk)

    async def room(self) -> None:
        """Wait until another chunk may be marked. Raises what the storing of answers raised."""
        while len(self._flying) >= FLYING_MAX:
            await self._landed(asyncio.FIRST_COMPLETED)

    async def landed(self) -> None:
        """Wait until all chunks are settled. Raises at the end what storing the answers raised."""
        while self._flying:
            await self._landed(asyncio.ALL_COMPLETED)

    def send(self, chunk: Sequence[Claimed], *, claim_id: int, crossing: Crossing) -> None:
        """What is marked is written and settled behind our back."""
        self._flying.add(asyncio.create_task(self._fly(chunk, claim_id, crossing)))

    async def take_back(self, chunk: Sequence[Claimed]) -> None:
        """Nobody knows whether its mark was stored, but we know that nothing was written."""
        said = [unsent(each, "database_lost_before_wire") for each in chunk]
        await self._settle(Answers(0, self.channel.name, said, [], self.clock.now()))

    async def _fly(self, going: Sequence[Claimed], claim_id: int, crossing: Crossing) -> None:
        """Write, wait for the answers, store them."""
        channel, loop = self.channel, asyncio.get_running_loop()
        began, written = loop.time(), asyncio.Event()
        messages = [_message(each, tenant=self.tenant) for each in going]
        sending = asyncio.create_task(channel.send_many(messages, written=written.set))
        sending.add_done_callback(lambda _: written.set())
        try:
            await written.wait()
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            await self.crossings.end(crossing)
        # Answers take their time however few are asked for at once: only a write tells the pace.
        took_s = 0.0 if sending.done() else loop.time() - began
        self.sender.together = next_size(
            self.sender.together, written=len(going), took_s=took_s, most=self.settings.chunk
        )
        results = await sending
        now = self.clock.now()
        self.is_linked &= not any(map(never_left, results))
        await self._settle(answers_of(going, results, claim_id, channel.name, now=now))
        await watch(self.sender, channel.name, results, now=now)

    async def _settle(self, answers: Answers) -> None:
        await settle(self.sender, answers, patience=self.settings.patience)

    async def _landed(self, return_when: str) -> None:
        done, self._flying = await asyncio.wait(self._flying, return_when=return_when)
        for task in done:
            task.result()


@asynccontextmanager
async def flight(
    sender: Worker, channel: Channel, *, tenant: Tenant, clock: Clock, settings: DeliverySettings
) -> AsyncIterator[Flight]:
    """Chunks may be sent in the block; at its end, whatever ends it, each of them is settled."""
    crossings = Crossings(sender.connect)
    chunks = Flight(sender, channel, tenant, clock, settings, crossings)
    try:
        yield chunks
    finally:
        try:
            await chunks.landed()
        finally:
            await crossings.close()


def _message(claimed: Claimed, *, tenant: Tenant) -> Message:
    return Message(
        claimed.envelope_id,
        str(claimed.envelope_id),
        claimed.address,
        claimed.sender_id or tenant.sender_id,
        claimed.text,
        claimed.valid_until,
        claimed.title,
    )
