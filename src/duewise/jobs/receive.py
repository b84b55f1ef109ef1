"""What comes back: receipts folded into states, replies read and acted upon; acknowledged last.

The gateway is answered only after our commit, so a crash makes it tell everything again, and what
it tells twice is kept once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from psycopg import AsyncConnection

from duewise.channels.base import (
    Capabilities,
    Channel,
    Delivery,
    InboundReceipt,
    InboundReply,
    Kind,
)
from duewise.jobs.promises import HELD_BY_PROMISE, promise_values
from duewise.jobs.raw import Shelf, take_or_set_aside
from duewise.jobs.session import Connect, Patience, Steady
from duewise.jobs.tenant import Tenant
from duewise.jobs.wire_gate import COLUMNS
from duewise.message.parts import PARTS_MAX
from duewise.message.reply import Intent, read_reply
from duewise.money import to_minor
from duewise.outbox.envelope import State, is_allowed
from duewise.outbox.receipt import fold_receipts
from duewise.store import arrays
from duewise.store.people import number_token
from duewise.store.sql import queries
from duewise.times import Clock, local_date

BATCH_MAX = 500
BATCH_WAIT_S = 0.02
IDLE_S = 0.2
OF_A_CARRIER = Capabilities(
    parts_max=10, receipts=True, replies=True, idempotent=False, echoes_reference=True
)
OF_THE_NUMBER = ("opt_out", "wrong_person")
_SQL = queries("inbound")
_STATES = {state.value: state for state in State}


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

    async def take(conn: AsyncConnection[Any], batch: Sequence[Delivery]) -> None:
        now = clock.now()
        whole = partial(take_in, conn, channel.name, tenant=tenant, now=now, can=can)
        shelf = Shelf(channel.name, can.carries, tenant.keyring, now)
        await take_or_set_aside(conn, batch, whole, shelf=shelf)

    try:
        while not stop.is_set():
            batch = await next_batch(channel.inbound)
            await steady.do(partial(take, batch=batch))
            done.update(
                "reply" if isinstance(d.inbound, InboundReply) else "receipt" for d in batch
            )
            for delivery in batch:
                await delivery.ack()
        await take(steady.conn, [])
    finally:
        await steady.conn.close()


async def take_in(
    conn: AsyncConnection[Any],
    route: str,
    batch: Sequence[Delivery],
    *,
    tenant: Tenant,
    now: datetime,
    can: Capabilities = OF_A_CARRIER,
) -> None:
    """One transaction for all that came: receipts once each, replies once each and acted upon.

    Receipts that came before the answer to their submission was stored are matched here, too, so
    that an empty batch is work as well.
    """
    receipts = [d.inbound for d in batch if isinstance(d.inbound, InboundReceipt)]
    replies = [d.inbound for d in batch if isinstance(d.inbound, InboundReply)]
    async with conn.transaction():
        matched: set[int] = set()
        if receipts:
            added = await conn.execute(
                _SQL["add_receipts"],
                {
                    "route": route,
                    "provider_ids": arrays.texts([r.provider_id for r in receipts]),
                    "statuses": arrays.texts([r.status for r in receipts]),
                    "codes": arrays.texts([r.code for r in receipts]),
                    "references": arrays.texts([r.reference for r in receipts]),
                    "ats": arrays.instants(r.at for r in receipts),
                },
            )
            new = await added.fetchall()
            matched = {row[0] for row in new} - {None}
            matched -= await _fold_whole(conn, new, can, now=now)
        if receipts or not replies:
            found = await conn.execute(_SQL["match_receipts"], {"route": route})
            matched |= {row[0] for row in await found.fetchall()}
            await _fold(conn, can, matched, now=now)
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


async def _fold_whole(
    conn: AsyncConnection[Any], new: Sequence[tuple[Any, ...]], can: Capabilities, *, now: datetime
) -> set[int]:
    """The usual end: all parts of a message delivered, told together. Who has come to it.

    `new`: envelope, provider id, status and code of receipts that were not known before.
    """
    whole: dict[tuple[int, str], list[int]] = {}
    for envelope_id, (parts, code) in _delivered(new).items():
        whole.setdefault((parts if can.counts_parts else 1, code), []).append(envelope_id)
    ended: set[int] = set()
    for (parts, code), envelope_ids in whole.items():
        values = {
            "envelope_ids": arrays.numbers(sorted(envelope_ids)),
            # Where one id stands for the whole message its parts do not matter.
            "parts": [parts] if can.counts_parts else list(range(PARTS_MAX + 1)),
            "reason": f"receipt: {code}",
            "now": now,
        }
        found = await conn.execute(_SQL["fold_whole"], values)
        ended |= {row[0] for row in await found.fetchall()}
    return ended


def _delivered(new: Sequence[tuple[Any, ...]]) -> dict[int, tuple[int, str]]:
    """How many parts of each envelope are delivered, and the last code; none that has other news.

    >>> _delivered([(7, "a", "delivered", "000"), (7, "b", "delivered", "000"),
    ...             (8, "c", "delivered", "000"), (8, "d", "failed", "001")])
    {7: (2, '000')}
    """
    told: dict[int, tuple[int, str]] = {}
    other: set[int | None] = {None}
    for envelope_id, _, status, code in new:
        if status != "delivered":
            other.add(envelope_id)
        elif envelope_id is not None:
            parts, before = told.get(envelope_id, (0, ""))
            told[envelope_id] = (parts + 1, code or before)
    return {name: said for name, said in told.items() if name not in other}


async def _fold(
    conn: AsyncConnection[Any], can: Capabilities, matched: Collection[int], *, now: datetime
) -> None:
    """Where the envelopes stand to whom a receipt was matched just now."""
    if not matched:
        return
    values: dict[str, Any] = {"envelope_ids": arrays.numbers(sorted(matched)), "now": now}
    locked = await (await conn.execute(_SQL["lock_envelopes"], values)).fetchall()
    if not all(is_told for is_told, _ in locked):
        await conn.execute(_SQL["adopt_submissions"], values)
    if any(is_queued for _, is_queued in locked):
        for step in ("take_off_queue", "back_in_doubt"):
            await conn.execute(_SQL[step], values)
    rows = await (await conn.execute(_SQL["receipts_of"], values)).fetchall()
    for (state, code), envelope_ids in _proved(rows, can).items():
        values |= {"envelope_ids": arrays.numbers(envelope_ids), "state": state.value}
        await conn.execute(_SQL["fold_receipts"], values | {"reason": f"receipt: {code}"})


def _proved(
    rows: Sequence[tuple[Any, ...]], can: Capabilities
) -> dict[tuple[State, str], list[int]]:
    """The envelopes that move, by the state that their receipts prove and the last code of these.

    `rows`: envelope, state, parts and, of a receipt, provider id, status and code.
    """
    known: dict[int, list[tuple[str, str]]] = {}
    of: dict[int, tuple[State, int, str]] = {}
    for envelope_id, state, parts, provider_id, status, code in rows:
        known.setdefault(envelope_id, []).append((provider_id, status))
        of[envelope_id] = (_STATES[state], parts, code or of.get(envelope_id, ("", 0, ""))[2])
    proved: dict[tuple[State, str], list[int]] = {}
    for envelope_id, receipts in known.items():
        old, parts, code = of[envelope_id]
        state = fold_receipts(parts if can.counts_parts else 1, receipts)
        if state is not None and is_allowed(old, state):
            proved.setdefault((state, code), []).append(envelope_id)
    return proved


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
    intent = read_reply(text, today=local_date(now, tenant.strategy.timezone))
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
        await _promise(conn, intent, borrower_id, reply_id=known[0], tenant=tenant, now=now)


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
        made_at=now,
        source="reply",
        reply_id=reply_id,
        tenant=tenant,
        now=now,
    )
    await conn.execute(queries("promise")["add"], values)
    held = {"borrower_ids": [borrower_id], "reason": HELD_BY_PROMISE, "now": now}
    await conn.execute(_SQL["hold_unsent"], held)


async def next_batch(
    inbound: asyncio.Queue[Delivery], *, gather_s: float = BATCH_WAIT_S
) -> list[Delivery]:
    """What is waiting, at most `BATCH_MAX`; an empty list if nothing comes for a moment.

    `gather_s`: what comes so soon after the first is taken with it.
    """
    try:
        first = await asyncio.wait_for(inbound.get(), timeout=IDLE_S)
    except TimeoutError:
        return []
    batch = [first]
    await asyncio.sleep(gather_s if inbound.empty() else 0)
    while len(batch) < BATCH_MAX and not inbound.empty():
        batch.append(inbound.get_nowait())
    return batch
