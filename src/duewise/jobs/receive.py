"""What comes back: receipts folded into states, replies read and acted upon; acknowledged last.

The gateway is answered only after our commit, so a crash makes it tell everything again, and what
it tells twice is kept once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from duewise.channels.base import (
    Arrivals,
    Capabilities,
    Channel,
    Delivery,
    Inbound,
    InboundReceipt,
    InboundReply,
    Kind,
)
from duewise.jobs.promises import HELD_BY_PROMISE, promise_values
from duewise.jobs.raw import Shelf, replies_in, take_or_set_aside
from duewise.jobs.receipts import take_receipts
from duewise.jobs.session import Connect, Patience, Steady
from duewise.jobs.tenant import Tenant
from duewise.jobs.wire_gate import COLUMNS
from duewise.message.reply import Intent, read_reply
from duewise.money import to_minor
from duewise.store.people import number_token
from duewise.store.sql import queries
from duewise.times import Clock, local_date

BATCH_MAX = 1_000
BATCH_WAIT_S = 0.02
IDLE_S = 0.2
OF_A_CARRIER = Capabilities(
    parts_max=10, receipts=True, replies=True, idempotent=False, echoes_reference=True
)
OF_THE_NUMBER = ("opt_out", "wrong_person")
_SQL = queries("inbound")


async def receive(
    channel: Channel,
    conn: AsyncConnection[Any],
    *,
    connect: Connect,
    tenant: Tenant,
    clock: Clock,
    stop: asyncio.Event,
    done: Counter[str],
    patience: Patience,
) -> None:
    """Take in what the channel brings until stopped; `done` counts receipts and replies.

    While the database is away nothing is acknowledged. Raises Unreachable if it stays away. `conn`
    is closed at the end; `connect` replaces it where it is lost.
    """
    can, steady = channel.capabilities, Steady(conn, connect, patience)

    async def take(conn: AsyncConnection[Any], told: Sequence[Inbound]) -> None:
        now = clock.now()
        whole = partial(take_in, conn, channel.name, tenant=tenant, now=now, can=can)
        shelf = Shelf(channel.name, can.carries, tenant.keyring, now)
        await take_or_set_aside(conn, told, whole, shelf=shelf)

    try:
        while not stop.is_set():
            batch = await next_batch(channel.inbound)
            await steady.do(partial(take, told=batch.told))
            await batch.ack(done)
        await take(steady.conn, [])
    finally:
        await steady.conn.close()


async def take_in(
    conn: AsyncConnection[Any],
    route: str,
    told: Sequence[Inbound],
    *,
    tenant: Tenant,
    now: datetime,
    can: Capabilities = OF_A_CARRIER,
) -> None:
    """One transaction for all that came: receipts once each, replies once each and acted upon.

    Receipts that came before the answer to their submission was stored are matched here, too, so
    that an empty batch is work as well.
    """
    receipts = [each for each in told if isinstance(each, InboundReceipt)]
    replies = [each for each in told if isinstance(each, InboundReply)]
    async with conn.transaction():
        if receipts or not replies:
            await take_receipts(conn, route, receipts, can, now=now)
        if dead := [r.reference for r in receipts if r.is_address_dead and r.reference.isdecimal()]:
            await _bury(conn, dead, tenant=tenant, now=now)
        for reply in replies:
            await _act_on(conn, route, reply, can=can, tenant=tenant, now=now)


async def _bury(
    conn: AsyncConnection[Any], references: Sequence[str], *, tenant: Tenant, now: datetime
) -> None:
    """Write to these envelopes' addresses no more, unless they have changed meanwhile."""
    ids = [int(reference) for reference in references]
    found = await conn.execute(_SQL["addresses_of"], {"envelope_ids": ids})
    dead = [
        (
            envelope_id,
            tenant.keyring.number_token(
                tenant.keyring.unseal(sealed, column=COLUMNS[kind], borrower_id=borrower_id)
            ),
        )
        for envelope_id, kind, borrower_id, sealed in await found.fetchall()
        if sealed
    ]
    values = {"envelope_ids": [row[0] for row in dead], "tokens": [row[1] for row in dead]}
    await conn.execute(queries("outbox")["bury"], values | {"now": now})


async def _act_on(
    conn: AsyncConnection[Any],
    route: str,
    reply: InboundReply,
    *,
    can: Capabilities,
    tenant: Tenant,
    now: datetime,
) -> None:
    token = number_token(reply.source, tenant.keyring)
    if reply.reference.isdecimal():
        found = await conn.execute(_SQL["borrower_written_to"], {"id": int(reply.reference)})
    else:
        found = await conn.execute(_SQL["borrowers_of_number"], {"number_token": token})
    borrowers = [row[0] for row in await found.fetchall()]
    borrower_id = borrowers[0] if borrowers else None
    text = reply.text.encode("utf-8", "replace").decode()  # half a character is none
    told_at = min(reply.at, now)  # taken in late, it still speaks of the day on which it was told
    intent = read_reply(text, today=local_date(told_at, tenant.strategy.timezone))
    action = intent.action if borrower_id else "unknown_number"
    added = await conn.execute(
        _SQL["add_reply"],
        {
            "borrower_id": borrower_id,
            "number_token": token,
            "route": route,
            "inbound_id": reply.inbound_id,
            "text_sealed": tenant.keyring.seal(text, column="text", borrower_id=token),
            "intent": intent.kind,
            "action": action,
            "at": reply.at,
        },
    )
    known = await added.fetchone()
    if known is None:
        return
    # Who refuses a number, or is a stranger to us, speaks for everybody we reach by it.
    for each in borrowers if intent.kind in OF_THE_NUMBER else borrowers[:1]:
        await _carry_out(conn, intent, each, kind=can.carries, now=now)
    if intent.action == "record_promise" and borrower_id:
        made = {"reply_id": known[0], "made_at": told_at}
        await _promise(conn, intent, borrower_id, **made, tenant=tenant, now=now)


async def _carry_out(
    conn: AsyncConnection[Any], intent: Intent, borrower_id: str, *, kind: Kind, now: datetime
) -> None:
    values: dict[str, Any] = {
        "borrower_id": borrower_id,
        "borrower_ids": [borrower_id],
        "at": now,
        "now": now,
        "channel": None,
        "source": "reply",
        "kind": intent.kind,
    }
    match intent.kind:
        case "opt_out":
            values["channel"] = kind
            await conn.execute(_SQL["opt_out"], values)
            await conn.execute(_SQL["cancel_unsent"], values | {"reason": "opted_out"})
        case "wrong_person":
            await conn.execute(_SQL["mark_wrong_party"], values)
            await conn.execute(_SQL["cancel_unsent"], values | {"reason": "wrong_person"})
        case "hardship" | "dispute":
            await conn.execute(_SQL["open_case"], values)
            await conn.execute(_SQL["hold_unsent"], values | {"reason": f"reply_{intent.kind}"})
        case "paid":
            await conn.execute(_SQL["hold_unsent"], values | {"reason": "reply_paid"})


async def _promise(
    conn: AsyncConnection[Any],
    intent: Intent,
    borrower_id: str,
    *,
    reply_id: int,
    made_at: datetime,
    tenant: Tenant,
    now: datetime,
) -> None:
    """Take the promise down; what is unsent waits until it is planned again on it."""
    assert intent.date is not None, "without a day it is no promise to record"
    minor = None if intent.amount is None else to_minor(intent.amount, tenant.currency)
    values = promise_values(
        ref=f"reply/{reply_id}",
        borrower_id=borrower_id,
        day=intent.date,
        amount_minor=minor,
        made_at=made_at,
        source="reply",
        reply_id=reply_id,
        tenant=tenant,
        now=now,
    )
    await conn.execute(queries("promise")["add"], values)
    held = {"borrower_ids": [borrower_id], "reason": HELD_BY_PROMISE, "now": now}
    await conn.execute(_SQL["hold_unsent"], held)


class Batch(NamedTuple):
    """What is taken in together, and the deliveries that it came with."""

    told: Sequence[Inbound]
    deliveries: Sequence[Delivery]

    async def ack(self, done: Counter[str]) -> None:
        """Acknowledge it, once it is stored, and count it."""
        replies = replies_in(self.told)
        done += Counter(receipt=len(self.told) - replies, reply=replies)
        for delivery in self.deliveries:
            await delivery.ack()


async def next_batch(inbound: Arrivals, *, gather_s: float = BATCH_WAIT_S) -> Batch:
    """What is waiting, up to the delivery that makes it `BATCH_MAX`; nothing if none comes soon.

    `gather_s`: what comes so soon after the first is taken with it.
    """
    try:
        first = await asyncio.wait_for(inbound.get(), timeout=IDLE_S)
    except TimeoutError:
        return Batch((), ())
    told, deliveries = list(first.inbound), [first]
    await asyncio.sleep(gather_s if inbound.empty() else 0)
    while len(told) < BATCH_MAX and not inbound.empty():
        deliveries.append(inbound.get_nowait())
        told += deliveries[-1].inbound
    return Batch(told, deliveries)
