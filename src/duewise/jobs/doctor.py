"""Is all in order: what an operator would check before the first message of the day."""

from __future__ import annotations

import asyncio
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from duewise.channels.base import Channel
from duewise.errors import DuewiseError
from duewise.guard.rule import Rulebook
from duewise.jobs.approvals import as_recorded
from duewise.jobs.audit import examine_chain
from duewise.jobs.operations import feed_complete_until
from duewise.jobs.tenant import Tenant
from duewise.store.audit import Signer
from duewise.store.sql import queries

LEDGER_AGE_MAX = timedelta(seconds=300)
OF_THE_SYSTEM = "/usr"  # its packagers profile in ways of their own, which leave no sign
UNPROFILED = (
    "configured without --enable-optimizations: sending takes about a quarter more of the"
    " processor; see docs/howto/run-in-production.md"
)


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
        python(
            sysconfig.get_config_vars(), version=platform.python_version(), base=sys.base_prefix
        ),
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


def python(built: Mapping[str, Any], *, version: str, base: str) -> Finding:
    """On which Python this runs; a note where no sign is of a build by profile.

    `built` is how, as sysconfig has it; `base` is where it is installed. Debian's Python shows
    nothing of the profile that it was built by, so of a system's own nothing more is said.

    >>> python({"CONFIG_ARGS": "'--enable-optimizations'"}, version="3.13.1", base="/opt").is_note
    False
    >>> python({"CONFIG_ARGS": "'--prefix=/opt'"}, version="3.13.1", base="/opt").is_note
    True
    >>> python({"CONFIG_ARGS": "'--prefix=/usr'"}, version="3.13.1", base="/usr").text
    '3.13.1'
    """
    said = str(built.get("CONFIG_ARGS") or "")
    how = " ".join(str(built.get(name) or "") for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS"))
    is_profiled = any(sign in how for sign in ("--enable-optimizations", "-fprofile-"))
    if not said or is_profiled or base == OF_THE_SYSTEM:
        return Finding("python", is_ok=True, text=version)
    return Finding("python", is_ok=True, text=f"{version}, {UNPROFILED}", is_note=True)


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
