"""What was set aside: listed, shown with everything personal masked, and taken in anew.

A row is taken in and dropped in one transaction; what still cannot be taken in stays under its
number, so nothing is lost, and to try twice changes nothing. Rows that `receive` has yet to take in
are not looked at here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from psycopg import AsyncConnection, Connection

from duewise.channels.base import Capabilities, Inbound, InboundReceipt
from duewise.errors import BadInput
from duewise.jobs.operations import rows
from duewise.jobs.raw import UNREADABLE, pack, take_or_set_aside, unpack
from duewise.jobs.receive import OF_A_CARRIER, take_in
from duewise.jobs.tenant import Tenant
from duewise.message.reply import read_reply
from duewise.store.phone import masked_number
from duewise.store.sql import queries
from duewise.times import local_date

CHARACTERS_SHOWN = 40
_PERSONAL = re.compile(r"\S+@\S+|\+?\d{7,}")
_SQL = queries("aside")
_INBOUND = queries("inbound")


@dataclass(frozen=True)
class Aside:
    """A row that is set aside; `octets` is its size, sealed."""

    raw_id: int
    route: str
    kind: str
    at: datetime
    reason: str
    octets: int


@dataclass(frozen=True)
class Told:
    """One thing told, masked. `said` is a status and a code, or what we understand by a reply."""

    what: str
    at: datetime
    name: str
    number: str | None
    said: str


@dataclass(frozen=True)
class Retried:
    """What became, or would become, of a row: how much is taken in, and why the rest is not."""

    raw_id: int
    taken: int
    left: tuple[str, ...]


@dataclass
class _Tray:
    """What could not be taken in this time; its row keeps it."""

    left: list[tuple[Inbound, str]] = field(default_factory=list)

    async def put(
        self, conn: AsyncConnection[Any], told: Sequence[Inbound], *, reason: str
    ) -> None:
        del conn
        self.left += [(each, reason) for each in told]


def list_aside(conn: Connection[Any], *, limit: int) -> tuple[list[Aside], int]:
    """The oldest rows that are set aside, and how many there are in all."""
    found = conn.execute(_SQL["aside"], {"limit": limit}).fetchall()
    return [Aside(*row[:-1]) for row in found], found[0][-1] if found else 0


def show_aside(
    conn: Connection[Any], raw_id: int, tenant: Tenant
) -> tuple[dict[str, Any], list[Told]]:
    """A row's columns and what is told in it; nothing of it where it cannot be read.

    Raises BadInput where nothing is set aside under that number.
    """
    found = rows(conn, _SQL["aside_row"], {"raw_id": raw_id})
    if not found:
        raise _unknown([raw_id])
    row = dict(found[0])
    body = row.pop("body")
    try:
        told = unpack(body, tenant.keyring, route=row["route"])
    except UNREADABLE:
        told = []
    zone = tenant.strategy.timezone
    return row | {"octets": len(body)}, [_masked(each, zone) for each in told]


def chosen_ids(conn: Connection[Any], raw_ids: Sequence[int] | None) -> list[int]:
    """These numbers in their order, or all under which something is set aside (None).

    Raises BadInput where nothing is set aside under one of them.
    """
    wanted = None if raw_ids is None else list(raw_ids)
    found = [row[0] for row in conn.execute(_SQL["aside_ids"], {"raw_ids": wanted}).fetchall()]
    if missing := sorted(set(raw_ids or ()) - set(found)):
        raise _unknown(missing)
    return found


async def retry_aside(
    conn: AsyncConnection[Any],
    raw_id: int,
    *,
    tenant: Tenant,
    routes: Mapping[str, Capabilities],
    now: datetime,
    is_preview: bool,
) -> Retried | None:
    """Take a row in anew; None if it is gone meanwhile. A preview does all of it and takes it back.

    `routes` are what the accounts can do; a route that is no more is taken for a carrier.
    """
    async with conn.transaction(force_rollback=is_preview):
        row = await (await conn.execute(_SQL["hold_aside"], {"raw_id": raw_id})).fetchone()
        if row is None:
            return None
        route, kind, reason, body = row
        try:
            told = unpack(body, tenant.keyring, route=route)
        except UNREADABLE as error:
            result = Retried(raw_id, 0, (type(error).__name__,))
            kept = {"raw_id": raw_id, "body": body, "reason": type(error).__name__}
            await conn.execute(_SQL["keep_aside"], kept)
        else:
            can = routes.get(route) or replace(OF_A_CARRIER, carries=kind)
            take, tray = partial(take_in, conn, route, tenant=tenant, now=now, can=can), _Tray()
            await take_or_set_aside(conn, told, take, shelf=tray)
            reasons = tuple(why for _, why in tray.left)
            result = Retried(raw_id, len(told) - len(reasons), reasons)
            if tray.left:
                body = pack([each for each, _ in tray.left], tenant.keyring, route=route)
                kept = {"raw_id": raw_id, "body": body, "reason": ", ".join(sorted(set(reasons)))}
                await conn.execute(_SQL["keep_aside"], kept)
            else:
                await conn.execute(_INBOUND["drop_raw"], {"raw_ids": [raw_id]})
    if not is_preview:
        _log("inbound.retried", raw_id, route=route, before=reason, result=result)
    return result


def _log(event: str, raw_id: int, *, route: str, before: str, result: Retried) -> None:
    # On standard error: on standard output is the command's answer.
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    left = {"left": len(result.left), "reasons": sorted(set(result.left))}
    log.info(event, raw_id=raw_id, route=route, before=before, taken=result.taken, **left)


def _unknown(raw_ids: Sequence[int]) -> BadInput:
    names = ", ".join(map(str, raw_ids))
    mend = "see `duewise inbound aside`; what was taken in is there no more"
    return BadInput(f"nothing is set aside under {names}", source="ID", mend=mend)


def _masked(told: Inbound, zone: str) -> Told:
    if isinstance(told, InboundReceipt):
        said = f"{told.status} {_shown(_PERSONAL.sub('****', told.code))}".rstrip()
        return Told("receipt", told.at, _shown(told.provider_id), None, said)
    text = told.text.encode("utf-8", "replace").decode()
    intent = read_reply(text, today=local_date(told.at, zone))
    said = f"{intent.kind}, of {len(text):,} characters"
    return Told("reply", told.at, _shown(told.inbound_id), masked_number(told.source), said)


def _shown(text: str) -> str:
    """A name that may hold anything, fit for a terminal: escaped, and not longer than a line."""
    start = text[:CHARACTERS_SHOWN].encode("unicode_escape").decode()
    return start if len(text) <= CHARACTERS_SHOWN else f"{start}… ({len(text):,} characters)"
