"""Is all in order: what an operator would check before the first message of the day."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from duewise.channels.base import Channel
from duewise.errors import DuewiseError
from duewise.guard.rule import Rulebook
from duewise.jobs.approvals import as_recorded
from duewise.jobs.audit import examine_chain
from duewise.jobs.interpreter import this_python
from duewise.jobs.operations import feed_complete_until
from duewise.jobs.tenant import Tenant
from duewise.store.audit import Signer
from duewise.store.sql import queries

LEDGER_AGE_MAX = timedelta(seconds=300)
SLOW = "sending takes about a quarter more of the processor; see docs/howto/run-in-production.md"


@dataclass(frozen=True)
class Finding:
    """One thing looked at, and whether it is as it should be; `is_note`: it could be better."""

    subject: str
    is_ok: bool
    text: str
    is_note: bool = False


def examine(
    conn: Connection[Any],
    tenant: Tenant,
    *,
    channels: Sequence[Channel],
    signer: Signer,
    now: datetime,
) -> list[Finding]:
    """Every check, none left out because another failed."""
    return [
        _python(),
        _database(conn),
        _feed(conn, now=now),
        _rules(tenant.rulebook),
        _templates(as_recorded(conn, tenant)),
        Finding("strategy", is_ok=True, text=f"{tenant.strategy.name} v{tenant.strategy.version}"),
        _evidence(conn, signer, now=now),
        _set_aside(conn),
        _accounts(tenant, channels),
        *(asyncio.run(_gateway(channel)) for channel in channels),
    ]


def _python() -> Finding:
    """On which Python this runs; a note where it could be a faster one."""
    version = this_python()
    if version == platform.python_version():
        return Finding("python", is_ok=True, text=version)
    return Finding("python", is_ok=True, text=f"{version}: {SLOW}", is_note=True)


def _database(conn: Connection[Any]) -> Finding:
    row = conn.execute("SHOW server_version").fetchone()
    return Finding("database", is_ok=row is not None, text=f"PostgreSQL {row[0] if row else '?'}")


def _feed(conn: Connection[Any], *, now: datetime) -> Finding:
    complete_until = feed_complete_until(conn)
    if complete_until is None:
        return Finding("payments feed", is_ok=False, text="never heard of; nothing will be sent")
    age = now - complete_until
    text = f"complete until {complete_until.isoformat()}, {age.total_seconds():.0f} s ago"
    return Finding("payments feed", is_ok=age <= LEDGER_AGE_MAX, text=text)


def _evidence(conn: Connection[Any], signer: Signer, *, now: datetime) -> Finding:
    is_ok, text = examine_chain(conn, signer, now=now)
    return Finding("evidence", is_ok=is_ok, text=text)


def _set_aside(conn: Connection[Any]) -> Finding:
    """What was told and cannot be taken in: nobody else has acted upon it."""
    found = conn.execute(queries("inbound")["set_aside"]).fetchall()
    told = [
        f"{count} by {route} since {since.isoformat()} ({reason})"
        for route, reason, count, since in found
    ]
    seen = "; see `duewise inbound aside`"
    text = f"cannot be taken in: {', '.join(told)}{seen}" if told else "nothing"
    return Finding("set aside", is_ok=not told, text=text)


def _rules(rulebook: Rulebook) -> Finding:
    gates = sum(rule.effect is not None for rule in rulebook.rules)
    return Finding(
        "rules",
        is_ok=gates > 0,
        text=f"{len(rulebook.rules)} rules, hash {rulebook.content_hash[:12]}",
    )


def _templates(tenant: Tenant) -> Finding:
    used = {arm.template for step in tenant.strategy.steps for arm in step.arms}
    unapproved = sorted(name for name in used if not tenant.templates[name].is_approved)
    if unapproved:
        return Finding("templates", is_ok=False, text=f"not approved: {', '.join(unapproved)}")
    return Finding("templates", is_ok=True, text=f"{len(used)} in use, all approved")


def _accounts(tenant: Tenant, channels: Sequence[Channel]) -> Finding:
    """Whether each kind of message that the strategy sends has an account to leave by."""
    used = {arm.channel for step in tenant.strategy.steps for arm in step.arms}
    missing = sorted(used - {channel.capabilities.carries for channel in channels})
    if missing:
        text = f"none for {', '.join(missing)}: such messages would lapse; see [routes]"
        return Finding("accounts", is_ok=False, text=text)
    return Finding("accounts", is_ok=True, text=", ".join(channel.name for channel in channels))


async def _gateway(channel: Channel) -> Finding:
    try:
        await channel.open()
        await channel.close()
    except DuewiseError as error:
        return Finding("gateway", is_ok=False, text=str(error))
    return Finding("gateway", is_ok=True, text=f"{channel.name} opens")
