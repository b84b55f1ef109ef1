"""An account that refuses us, not our messages, is left alone: its route is paused, and it is told.

What waits is not spent on it: another account of the kind goes on, or an operator resumes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg
import structlog

from duewise.channels.base import Accepted, Refused, SendResult
from duewise.jobs.session import Worker
from duewise.outbox.breaker import Circuit
from duewise.store.sql import queries

_SQL = queries("route")
log = structlog.get_logger()


async def watch(
    sender: Worker, route: str, results: Sequence[SendResult], *, now: datetime
) -> None:
    """Note what was answered of the account; pause the route once that is enough."""
    sender.circuit = sender.circuit.after(map(_of_account, results))
    if not sender.circuit.is_open:
        return
    reason = f"account refused: {sender.circuit.code}"
    values = {"name": route, "reason": reason, "now": now}
    try:
        async with sender.storing:
            if sender.answers is None:
                return  # the next refusal says it again
            await sender.answers.execute(_SQL["pause"], values)
    except psycopg.OperationalError:
        return
    sender.circuit = Circuit()
    log.error("route.paused", route=route, reason=reason)


def _of_account(result: SendResult) -> tuple[bool, str]:
    if isinstance(result, Refused) and result.is_of_account:
        return False, result.code
    return isinstance(result, Accepted), ""
