"""What a borrower has told and nobody has acted upon yet is acted upon before anything is sent.

Who calls us is answered once it is stored, and it is taken in a moment later, by the process that
was called. Where that one was killed in between, nobody who has refused is written to meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from psycopg import AsyncConnection

from duewise.channels.base import InboundReply
from duewise.jobs.raw import UNREADABLE, Shelf, set_row_aside, take_or_set_aside, unpack
from duewise.jobs.receive import OF_A_CARRIER, take_in
from duewise.jobs.tenant import Tenant
from duewise.store.sql import queries

_SQL = queries("inbound")


async def heed_replies(conn: AsyncConnection[Any], *, tenant: Tenant, now: datetime) -> None:
    """Act upon the replies that are stored raw, of all routes; whoever is at it is waited for.

    Their receipts are left to the process that was called; it finds the replies known.
    """
    while await _is_any_left(conn):
        async with conn.transaction():
            rows = await (await conn.execute(_SQL["raw_replies"])).fetchall()
            for raw_id, route, kind, body in rows:
                try:
                    told = unpack(body, tenant.keyring, route=route)
                except UNREADABLE as error:
                    await set_row_aside(conn, raw_id, reason=type(error).__name__)
                    continue
                replies = [each for each in told if isinstance(each, InboundReply)]
                can = replace(OF_A_CARRIER, carries=kind)
                take = partial(take_in, conn, route, tenant=tenant, now=now, can=can)
                shelf = Shelf(route, kind, tenant.keyring, now)
                await take_or_set_aside(conn, replies, take, shelf=shelf)
            await conn.execute(_SQL["heeded"], {"raw_ids": [row[0] for row in rows]})


async def _is_any_left(conn: AsyncConnection[Any]) -> bool:
    row = await (await conn.execute(_SQL["any_unheeded"])).fetchone()
    assert row is not None
    return bool(row[0])
