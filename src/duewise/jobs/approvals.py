"""Approvals of texts on record: said once each, never changed; the last word on a wording counts.

Every gate asks anew, so that a text which is withdrawn stops what was planned with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import class_row

from duewise.errors import BadInput
from duewise.jobs.tenant import Tenant
from duewise.message.approval import Approval, by_record
from duewise.message.template import Template
from duewise.store.sql import queries

TOLD_MAX = 1_000
_SQL = queries("approval")
LAST_WORDS: Final = _SQL["last_words"]


def record(conn: Connection[Any], template: Template, *, by: str, why: str, now: datetime) -> None:
    """Put an approval of exactly this wording on record. Whether they may is asked before."""
    _add(conn, template, "approved", by=by, why=why, now=now)


def withdraw(
    conn: Connection[Any], template: Template, *, by: str, why: str, now: datetime
) -> None:
    """Withdraw whatever approval this wording has. Raises BadInput without a name or a reason."""
    if not by.strip() or not why.strip():
        raise BadInput("who withdraws, and why", mend="say --by PERSON --because REASON")
    _add(conn, template, "withdrawn", by=by, why=why, now=now)


def told(conn: Connection[Any], template: str | None = None) -> list[Approval]:
    """What was said of one text or of all, the latest first, TOLD_MAX at most."""
    with conn.cursor(row_factory=class_row(Approval)) as cursor:
        asked = {"template": template, "limit": TOLD_MAX}
        return cursor.execute(_SQL["told"], asked).fetchall()


def as_recorded(conn: Connection[Any], tenant: Tenant) -> Tenant:
    """The tenant, its texts approved as the record has it."""
    return ruled(tenant, conn.execute(LAST_WORDS).fetchall())


def ruled(tenant: Tenant, last_words: Sequence[tuple[Any, ...]]) -> Tenant:
    """The same, by the rows of `LAST_WORDS`, each an `Approval`."""
    if not last_words:
        return tenant
    said = [Approval(*row) for row in last_words]
    return replace(tenant, templates=by_record(tenant.templates, said))


def _add(
    conn: Connection[Any], template: Template, what: str, *, by: str, why: str, now: datetime
) -> None:
    values = {"template": template.name, "content_hash": template.content_hash, "what": what}
    conn.execute(_SQL["add"], values | {"author": template.author, "by": by, "at": now, "why": why})
