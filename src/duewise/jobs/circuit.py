"""An account that refuses us, not our messages, is left alone: its route is out, and it is told.

What waits is not spent on it: another route of the kind takes over. Now and then one message tries
it again (`ways.turn_of` lets one worker do so), and the first that is taken brings the route back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import structlog

from duewise.channels.base import Accepted, Refused, SendResult
from duewise.jobs.session import Worker
from duewise.jobs.settle import never_left
from duewise.outbox.breaker import PROBE_FIRST_S, Circuit
from duewise.store.sql import queries

_SQL = queries("route")
log = structlog.get_logger()


async def watch(
    sender: Worker, route: str, results: Sequence[SendResult], *, now: datetime
) -> None:
    """Note what was answered of the account; leave the route alone, or bring it back."""
    is_away = sender.has_others and all(map(never_left, results))
    circuit = sender.circuit.after(map(_of_account, results)).seen(is_away=is_away)
    sender.circuit = circuit
    is_proved = circuit.is_probe and any(isinstance(each, Accepted) for each in results)
    if not (circuit.is_open or is_proved):
        return
    try:
        async with sender.storing:
            if sender.answers is None:
                return  # the next answer says it again
            if is_proved:
                await sender.answers.execute(_SQL["end_probing"], {"name": route})
            else:
                await sender.answers.execute(_SQL["leave_alone"], _left(route, circuit, now=now))
    except psycopg.OperationalError:
        return
    sender.circuit, sender.is_left_alone = Circuit(), not is_proved
    if is_proved:
        log.warning("route.resumed", route=route)
    elif circuit.is_probe:
        log.warning("route.still_refused", route=route, code=circuit.code)
    else:
        log.error("route.paused", route=route, reason=_reason(circuit))


def _left(route: str, circuit: Circuit, *, now: datetime) -> dict[str, object]:
    return left_alone(route, _reason(circuit), now=now)


def left_alone(route: str, reason: str, *, now: datetime) -> dict[str, object]:
    """The values of `leave_alone`: out from now on, and tried again before long."""
    resume_at = now + timedelta(seconds=PROBE_FIRST_S)
    return {"name": route, "reason": reason, "now": now, "resume_at": resume_at}


def _reason(circuit: Circuit) -> str:
    return f"account refused: {circuit.code}" if circuit.refusals else "link away"


def _of_account(result: SendResult) -> tuple[bool, str]:
    if isinstance(result, Refused) and result.is_of_account:
        return False, result.code
    return isinstance(result, Accepted), ""
