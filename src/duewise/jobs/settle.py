"""The gateway's answers, stored: each leads to a state, and none is lost with the database away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg import AsyncConnection

from duewise.channels.base import Accepted, Refused, SendResult, Unknown
from duewise.errors import Unreachable
from duewise.jobs.session import Patience, Worker, another
from duewise.jobs.wire_gate import Claimed
from duewise.outbox.envelope import State
from duewise.outbox.retry import Retry, after_refusal, backoff_s
from duewise.store import arrays
from duewise.store.sql import queries

# Refusals of the channel itself: the message never left us, so it was no attempt.
NEVER_LEFT = frozenset({"not_bound", "link_lost", "not_open", "unreachable", "login_refused"})
TRY_AGAIN_S = 5
STORE_TRIES_MAX = 5
_Word: TypeAlias = tuple[State, str, datetime | None, bool]
_Submission: TypeAlias = tuple[int, str, int]
_SQL = queries("outbox")


class Said(NamedTuple):
    """What became of one attempt on an envelope. `attempt` tells it from earlier and later ones.

    `dead_token` names the address that takes nothing any more.
    """

    envelope_id: int
    attempt: int
    state: State
    reason: str
    not_before: datetime | None = None
    is_counted: bool = True
    dead_token: str | None = None


@dataclass(frozen=True)
class Answers:
    """What became of a chunk; claim 0: of none.

    `said`: of all that were not accepted. `accepted`: envelope and attempt of those that were.
    `submissions`: envelope, the gateway's id, part.
    """

    claim_id: int
    route: str
    said: Sequence[Said]
    submissions: Sequence[_Submission]
    now: datetime
    accepted: Sequence[tuple[int, int]] = ()

    @property
    def is_all_accepted(self) -> bool:
        """Whether every message of a claim was accepted, under ids that prove it."""
        named = {envelope_id for envelope_id, _, _ in self.submissions}
        return self.claim_id > 0 and not self.said and named.issuperset(dict(self.accepted))


def never_left(result: SendResult) -> bool:
    """Whether the link was away, and the message for certain still here.

    >>> never_left(Refused("not_bound", is_permanent=False))
    True
    """
    return isinstance(result, Refused) and result.code in NEVER_LEFT


def answers_of(
    going: Sequence[Claimed],
    results: Sequence[SendResult],
    claim_id: int,
    route: str,
    *,
    now: datetime,
) -> Answers:
    """What the results of a chunk's messages, in their order, lead to."""
    accepted, said, submissions = list[tuple[int, int]](), list[Said](), list[_Submission]()
    for each, result in zip(going, results, strict=True):
        if isinstance(result, Accepted):
            accepted.append((each.envelope_id, each.attempt))
            parts = enumerate(result.provider_ids, start=1)
            submissions += [(each.envelope_id, provider_id, part) for part, provider_id in parts]
        else:
            said.append(_said_of(each, result, now=now))
    return Answers(claim_id, route, said, submissions, now, accepted)


def _said_of(claimed: Claimed, result: Refused | Unknown, *, now: datetime) -> Said:
    """The state that an answer leads to, and when to try again where it may."""
    match result:
        case Refused(is_permanent=True):
            said = _said(claimed, State.FAILED, f"refused: {result.code}")
            return said._replace(dead_token=claimed.token) if result.is_address_dead else said
        case Refused() if never_left(result):
            not_before = now + timedelta(seconds=TRY_AGAIN_S)
            return unsent(claimed, f"refused_for_now: {result.code}", not_before)
        case Refused():
            next_step = after_refusal(
                attempt=claimed.attempt,
                now=now,
                valid_until=claimed.valid_until,
                # Whom the gateway throttles for a second it may throttle for a minute.
                retry_after_s=max(result.retry_after_s or 0, backoff_s(attempt=claimed.attempt)),
                code=result.code,
            )
            if isinstance(next_step, Retry):
                reason = f"refused_for_now: {result.code}"
                return _said(claimed, State.READY, reason, next_step.not_before)
            return _said(claimed, State.FAILED, next_step.reason)
        case _:
            return _said(claimed, State.UNKNOWN, f"in_doubt: {result.reason}")


def unsent(claimed: Claimed, reason: str, not_before: datetime | None = None) -> Said:
    """Marked for the wire, and for certain not written: ready again, and no attempt counted."""
    return Said(
        claimed.envelope_id, claimed.attempt, State.READY, reason, not_before, is_counted=False
    )


async def settle(sender: Worker, answers: Answers, *, patience: Patience) -> None:
    """Store what was said; while the database is away, keep it and try again.

    Raises Unreachable if it stays away.
    """
    count = len(answers.said) + len(answers.accepted)
    async with sender.storing:
        for _ in range(STORE_TRIES_MAX):
            try:
                conn = sender.answers or await another(None, sender.connect, patience)
                sender.answers = conn
                await _store(conn, sender.owner, answers)
            except psycopg.OperationalError:
                await conn.close()
                sender.answers = None
            except Unreachable as error:
                raise _not_stored(count) from error
            else:
                sender.done.update(each.state.value for each in answers.said)
                sender.done[State.ACCEPTED.value] += len(answers.accepted)
                sender.done["parts"] += len(answers.submissions)
                return
    raise _not_stored(count)


def _not_stored(answers: int) -> Unreachable:
    return Unreachable(
        f"the database went away and does not come back; {answers:,} answers of the gateway could "
        "not be stored. Nothing is lost: they are on record as in doubt, and their receipts tell. "
        "Mend: start it, then run this command again"
    )


async def _store(conn: AsyncConnection[Any], owner: int, answers: Answers) -> None:
    said, submissions, now = answers.said, answers.submissions, answers.now
    envelope_ids, provider_ids, numbers = (
        zip(*submissions, strict=True) if submissions else [()] * 3
    )
    parts = {
        "route": answers.route,
        "now": now,
        "envelope_ids": arrays.numbers(envelope_ids),
        "provider_ids": arrays.texts(provider_ids),
        "parts": arrays.numbers(numbers),
    }
    if answers.is_all_accepted and await _store_accepted(conn, owner, answers, parts):
        return
    async with conn.transaction():
        # First the envelopes, whose locks keep receipts from being folded side by side.
        taken = [Said(*each, State.ACCEPTED, "accepted_by_gateway") for each in answers.accepted]
        for (state, reason, not_before, is_counted), group in _alike([*taken, *said]).items():
            values = {
                "now": now,
                "envelope_ids": arrays.numbers(one.envelope_id for one in group),
                "attempts": arrays.numbers(one.attempt for one in group),
                "state": state.value,
                "reason": reason,
                "not_before": not_before,
                "is_counted": is_counted,
                "owner": owner,
            }
            await conn.execute(_SQL["settle"], values)
        if dead := [(each.envelope_id, each.dead_token) for each in said if each.dead_token]:
            ids, tokens = (list(column) for column in zip(*dead, strict=True))
            values = {"envelope_ids": ids, "tokens": tokens, "now": now}
            await conn.execute(_SQL["bury"], values)
        if submissions:
            await conn.execute(_SQL["drop_adopted"], parts)
            await conn.execute(_SQL["add_submissions"], parts)
        values = {"claim_ids": [answers.claim_id], "owner": owner, "now": now}
        await conn.execute(_SQL["close_claims"], values)


async def _store_accepted(
    conn: AsyncConnection[Any], owner: int, answers: Answers, parts: dict[str, Any]
) -> bool:
    """The usual answer, appended: no envelope is written. False if the claim is not ours any more.

    Most envelopes are written next by their receipts, the others by `accept_answered`.
    """
    try:
        return await _append_accepted(conn, owner, answers, parts, step="add_new_submissions")
    except psycopg.errors.UniqueViolation:  # a receipt had proved one of them, or an id came again
        return await _append_accepted(conn, owner, answers, parts, step="add_submissions")


async def _append_accepted(
    conn: AsyncConnection[Any], owner: int, answers: Answers, parts: dict[str, Any], *, step: str
) -> bool:
    values = {"claim_id": answers.claim_id, "owner": owner, "now": answers.now}
    async with conn.transaction():
        ours = await (await conn.execute(_SQL["answer_claim"], values)).fetchone()
        if ours is not None:
            async with conn.pipeline():
                await conn.execute(_SQL["drop_adopted"], parts)
                await conn.execute(_SQL[step], parts)
        return ours is not None


def _alike(said: Sequence[Said]) -> dict[_Word, list[Said]]:
    """By what was said, whoever it was said of; nearly always one group."""
    groups: dict[_Word, list[Said]] = {}
    for each in sorted(said, key=attrgetter("envelope_id")):
        word = (each.state, each.reason, each.not_before, each.is_counted)
        groups.setdefault(word, []).append(each)
    return groups


def _said(claimed: Claimed, state: State, reason: str, not_before: datetime | None = None) -> Said:
    return Said(claimed.envelope_id, claimed.attempt, state, reason, not_before)
