"""Why a borrower was, or was not, contacted on a day: read back, never worked out again.

What was considered comes from the journal; what became of it from the database. The text is
unsealed only when the caller hands over the keyring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from psycopg import Connection
from psycopg.rows import dict_row

from duewise.errors import DuewiseError
from duewise.store import journal
from duewise.store.seal import Keyring

Row = Mapping[str, Any]
R = TypeVar("R")


@dataclass(frozen=True)
class PlanFacts:
    """A plan made for the day, with the versions it decided by."""

    plan_id: str
    as_of: date
    planned_at: datetime
    released_at: datetime | None
    strategy: str
    strategy_hash: str
    rulebook_hash: str
    template_hash: str
    borrowers: int
    proposals: int
    held_out: int


@dataclass(frozen=True)
class Considered:
    """One row of the journal: what a plan decided for the borrower, and on what."""

    plan_id: str
    planned_at: datetime
    decision: str
    reason: str
    loan_id: str | None
    step: str | None
    arm: str | None
    propensity: float | None
    hold_out: bool
    stage: str | None
    channel: str | None
    template: str | None
    tone: str | None
    losers: tuple[str, ...]
    days_past_due: int | None
    dpd: int | None
    bucket: str | None
    past_due_minor: int | None
    outstanding_minor: int | None
    amount_minor: int | None
    currency: str | None
    due_date: date | None
    probability_of_default: float | None
    promise: str | None
    promised_date: date | None
    promised_minor: int | None
    broken_promises_90d: int | None
    not_before: datetime | None
    valid_until: datetime | None
    key: str | None
    outcome: str | None
    rules: tuple[str, ...]
    next_allowed_at: datetime | None


@dataclass(frozen=True)
class Finding:
    """The guard's word at one gate, with every rule that fired and the facts it saw."""

    verdict_id: int
    gate: str
    at: datetime
    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: datetime | None
    rulebook_hash: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One change of state, as the database recorded it."""

    at: datetime
    old_state: str | None
    new_state: str
    reason: str


@dataclass(frozen=True)
class PartSubmitted:
    """A part the gateway took, under the gateway's id."""

    accepted_at: datetime
    route: str
    provider_id: str
    part: int


@dataclass(frozen=True)
class PartReceipt:
    """What the gateway said later about a part."""

    at: datetime
    route: str
    provider_id: str
    status: str
    code: str


@dataclass(frozen=True)
class Story:
    """One envelope from intent to end. `text` is None where no key was given or none fits."""

    envelope_id: int
    key: str
    plan_id: str
    loan_id: str
    step: str
    arm: str
    propensity: float
    stage: str
    channel: str
    template: str
    amount_minor: int
    currency: str
    due_date: date
    parts: int
    sender_id: str
    number_token: str
    not_before: datetime
    valid_until: datetime
    state: str
    reason: str
    attempt: int
    created_at: datetime
    wired_at: datetime | None
    facts: Mapping[str, Any]
    text: str | None = None
    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    submissions: tuple[PartSubmitted, ...] = ()
    receipts: tuple[PartReceipt, ...] = ()


@dataclass(frozen=True)
class PaymentNews:
    """A payment or reversal that became known on the day."""

    known_at: datetime
    paid_at: datetime
    payment_id: str
    loan_id: str
    amount_minor: int
    currency: str
    kind: str


@dataclass(frozen=True)
class ReplyNews:
    """What the borrower answered on the day, how it was read and what it set in motion."""

    at: datetime
    intent: str
    action: str
    text: str | None = None


@dataclass(frozen=True)
class PromiseNews:
    """A promise taken down or cancelled on the day; without an amount, of all that is due."""

    promise_id: int
    made_at: datetime
    day: date
    loan_id: str | None
    amount_minor: int | None
    currency: str
    source: str
    cancelled_at: datetime | None
    cancel_reason: str | None


@dataclass(frozen=True)
class Explanation:
    """Everything on record about one borrower and one as-of date."""

    borrower_id: str
    as_of: date
    timezone: str
    plans: tuple[PlanFacts, ...] = ()
    considered: tuple[Considered, ...] = ()
    stories: tuple[Story, ...] = ()
    payments: tuple[PaymentNews, ...] = ()
    replies: tuple[ReplyNews, ...] = ()
    promises: tuple[PromiseNews, ...] = ()
    problems: tuple[str, ...] = ()  # journal_unreadable, text_sealed


_PLANS = """
SELECT plan_id, as_of, planned_at, released_at, strategy, strategy_hash, rulebook_hash,
       template_hash, borrowers, proposals, held_out
  FROM plan_run WHERE as_of = %(as_of)s ORDER BY planned_at, plan_id
"""
_ENVELOPES = """
SELECT envelope_id, key, plan_id, loan_id, step, arm, propensity, stage, channel, template,
       amount_minor, currency, due_date, parts, sender_id, number_token, not_before, valid_until,
       state, reason, attempt, created_at, wired_at, facts, text_sealed
  FROM envelope WHERE borrower_id = %(borrower_id)s AND as_of = %(as_of)s ORDER BY envelope_id
"""
_FINDINGS = """
SELECT envelope_id, verdict_id, gate, at, outcome, rules, next_allowed_at, rulebook_hash, facts
  FROM verdict WHERE envelope_id = ANY(%(ids)s) ORDER BY verdict_id
"""
_CHANGES = """
SELECT envelope_id, at, old_state, new_state, reason
  FROM envelope_change WHERE envelope_id = ANY(%(ids)s) ORDER BY change_id
"""
_SUBMISSIONS = """
SELECT envelope_id, accepted_at, route, provider_id, part
  FROM submission WHERE envelope_id = ANY(%(ids)s) ORDER BY part, submission_id
"""
_RECEIPTS = """
SELECT envelope_id, at, route, provider_id, status, code
  FROM receipt WHERE envelope_id = ANY(%(ids)s) ORDER BY at, receipt_id, provider_id
"""
# Events belong to the day on which they were known, by the calendar of the borrower.
_PAYMENTS = """
SELECT known_at, paid_at, payment_id, loan_id, amount_minor, currency, kind
  FROM payment_event
 WHERE borrower_id = %(borrower_id)s
   AND (known_at AT TIME ZONE %(timezone)s)::date = %(as_of)s
 ORDER BY known_at, payment_id
"""
_REPLIES = """
SELECT at, intent, action, text_sealed, number_token
  FROM reply
 WHERE borrower_id = %(borrower_id)s AND (at AT TIME ZONE %(timezone)s)::date = %(as_of)s
 ORDER BY at, reply_id
"""
_PROMISES = """
SELECT promise_id, made_at, day, loan_id, amount_minor, currency, source, cancelled_at,
       cancel_reason
  FROM promise
 WHERE borrower_id = %(borrower_id)s
   AND %(as_of)s IN ((known_at AT TIME ZONE %(timezone)s)::date,
                     (cancelled_at AT TIME ZONE %(timezone)s)::date)
 ORDER BY promise_id
"""
_TIMEZONE = "SELECT timezone FROM person WHERE borrower_id = %(borrower_id)s"
_ENVELOPE_DAY = "SELECT borrower_id, as_of FROM envelope WHERE envelope_id = %(envelope_id)s"


def explain(
    conn: Connection[Any],
    *,
    workspace: Path,
    borrower_id: str,
    as_of: date,
    keyring: Keyring | None = None,
) -> Explanation:
    """What is on record about a borrower and a day.

    `workspace` holds the journal. Without `keyring` no text is unsealed. An unknown borrower or a
    day without a plan gives an Explanation with empty parts.
    """
    asked: dict[str, Any] = {"borrower_id": borrower_id, "as_of": as_of}
    zones = _rows(conn, _TIMEZONE, asked)
    asked["timezone"] = zones[0]["timezone"] if zones else "UTC"
    considered, problems = _considered(workspace, borrower_id, as_of)
    envelopes = _rows(conn, _ENVELOPES, asked)
    stories = _stories(conn, envelopes, borrower_id, keyring)
    if keyring and any(
        row["text_sealed"] and story.text is None
        for row, story in zip(envelopes, stories, strict=True)
    ):
        problems = (*problems, "text_sealed")
    return Explanation(
        borrower_id=borrower_id,
        as_of=as_of,
        timezone=asked["timezone"],
        plans=tuple(_record(PlanFacts, row) for row in _rows(conn, _PLANS, asked)),
        considered=considered,
        stories=stories,
        payments=tuple(_record(PaymentNews, row) for row in _rows(conn, _PAYMENTS, asked)),
        replies=tuple(_reply(row, keyring) for row in _rows(conn, _REPLIES, asked)),
        promises=tuple(_record(PromiseNews, row) for row in _rows(conn, _PROMISES, asked)),
        problems=problems,
    )


def day_of_envelope(conn: Connection[Any], envelope_id: int) -> tuple[str, date] | None:
    """The borrower and as-of date of an envelope; None if there is no such envelope."""
    rows = _rows(conn, _ENVELOPE_DAY, {"envelope_id": envelope_id})
    return (rows[0]["borrower_id"], rows[0]["as_of"]) if rows else None


def _considered(
    workspace: Path, borrower_id: str, as_of: date
) -> tuple[tuple[Considered, ...], tuple[str, ...]]:
    try:
        rows = journal.read(workspace, since=as_of, borrower_id=borrower_id).collect().to_dicts()
    except (OSError, pl.exceptions.PolarsError):
        return (), ("journal_unreadable",)
    considered = (_record(Considered, {**row, **_no_nulls(row)}) for row in rows)
    return tuple(sorted(considered, key=_by_time)), ()


def _no_nulls(row: Row) -> Row:
    return {
        "reason": row["reason"] or "",
        "losers": row["losers"] or [],
        "rules": row["rules"] or [],
    }


def _by_time(row: Considered) -> tuple[datetime, str]:
    return row.planned_at, row.plan_id


def _stories(
    conn: Connection[Any], envelopes: Sequence[Row], borrower_id: str, keyring: Keyring | None
) -> tuple[Story, ...]:
    asked = {"ids": [row["envelope_id"] for row in envelopes]}
    findings = _by_envelope(Finding, _rows(conn, _FINDINGS, asked))
    changes = _by_envelope(Change, _rows(conn, _CHANGES, asked))
    submissions = _by_envelope(PartSubmitted, _rows(conn, _SUBMISSIONS, asked))
    receipts = _by_envelope(PartReceipt, _rows(conn, _RECEIPTS, asked))
    stories = []
    for row in envelopes:
        own = {
            "text": _unsealed(row["text_sealed"], keyring, owner=borrower_id),
            "findings": findings[row["envelope_id"]],
            "changes": changes[row["envelope_id"]],
            "submissions": submissions[row["envelope_id"]],
            "receipts": receipts[row["envelope_id"]],
        }
        stories.append(_record(Story, {**row, **own}))
    return tuple(stories)


def _reply(row: Row, keyring: Keyring | None) -> ReplyNews:
    # A reply is sealed under the number it came from: who it belongs to may be learned later.
    text = _unsealed(row["text_sealed"], keyring, owner=row["number_token"])
    return _record(ReplyNews, {**row, "text": text})


def _unsealed(sealed: bytes | None, keyring: Keyring | None, *, owner: str) -> str | None:
    """The text, or None where there is none, no keyring, or none of its keys fits."""
    if sealed is None or keyring is None:
        return None
    try:
        return keyring.unseal(sealed, column="text", borrower_id=owner)
    except DuewiseError:
        return None


def _by_envelope(kind: type[R], rows: Iterable[Row]) -> Mapping[int, tuple[R, ...]]:
    grouped: defaultdict[int, tuple[R, ...]] = defaultdict(tuple)
    for row in rows:
        grouped[row["envelope_id"]] += (_record(kind, row),)
    return grouped


def _record(kind: type[R], row: Row) -> R:
    """The dataclass from the columns of its names; a list becomes a tuple."""
    values = {item.name: row.get(item.name) for item in fields(kind)}  # type: ignore[arg-type]
    frozen = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return kind(**frozen)


def _rows(conn: Connection[Any], query: str, asked: Mapping[str, Any]) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(query.encode(), asked).fetchall())
