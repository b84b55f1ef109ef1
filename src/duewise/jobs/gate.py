"""The second and third gate: what the guard's word on a composed message means for its envelope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from duewise.engine.facts import CaseFacts, message_facts
from duewise.frames import INSTANT
from duewise.guard.evidence_facts import facts_texts, history_texts
from duewise.guard.judge import judge
from duewise.jobs.tenant import Tenant
from duewise.outbox.envelope import State

# A deferral without a computable instant (a stale ledger) is asked again after this long.
ASK_AGAIN_S = 60
# The facts kept with a verdict: those that a later reader cannot find in the envelope itself.
_KEPT = (
    "now",
    "msg.validity_ctl",
    "acct.amount_due",
    "acct.paid",
    "acct.ledger_age_s",
    "acct.due_date",
    "to.number_state",
    "to.wrong_party",
    "consent.channel_optout",
)


@dataclass(frozen=True)
class Known:
    """What operations know at a gate, re-read for it."""

    addresses: pl.DataFrame
    contacts: pl.DataFrame
    cases: pl.DataFrame
    ledger_age: timedelta


class Ruling(NamedTuple):
    """One message's verdict and what follows from it. State READY means: it may go on."""

    key: str
    borrower_id: str
    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: datetime | None
    state: State
    reason: str
    not_before: datetime | None
    facts: str
    seen: str
    history: str
    text_token: str | None


class _Verdict(NamedTuple):
    """What the guard says of one message."""

    key: str
    borrower_id: str
    now: datetime
    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: datetime | None


class _Seen(NamedTuple):
    """What the gate saw of one message: for the record, and the facts that explanations show.

    `is_approved`: its text is, whatever the rules of the place ask of texts.
    """

    kept: str
    facts: str
    history: str
    text_token: str | None
    is_approved: bool


def rule_on(messages: pl.DataFrame, known: Known, *, tenant: Tenant) -> list[Ruling]:
    """A ruling per message, in their order. `messages` as `message_facts` needs them."""
    if messages.is_empty():
        return []
    facts = message_facts(
        messages,
        addresses=known.addresses,
        cases=CaseFacts(known.cases),
        templates=tenant.templates,
        sender=tenant.sender,
        lender=tenant.lender,
        ledger_age=known.ledger_age,
    )
    judged = judge(facts, known.contacts, rulebook=tenant.rulebook)
    verdicts = map(
        _Verdict,
        judged["key"].to_list(),
        judged["borrower_id"].to_list(),
        instants(judged["now"]),
        judged["outcome"].to_list(),
        map(tuple, judged["rules"].to_list()),
        instants(judged["next_allowed_at"]),
    )
    return [
        _ruling(verdict, seen, until=until)
        for verdict, seen, until in zip(
            verdicts,
            _seen(messages, facts, known, tenant),
            instants(messages["valid_until"]),
            strict=True,
        )
    ]


def instants(column: pl.Series) -> list[Any]:
    """The values of a column of instants: each is made once, for many are alike."""
    numbers = column.cast(pl.Int64).to_list()
    distinct = list(set(numbers))
    each = pl.Series(distinct, dtype=pl.Int64).cast(column.dtype).to_list()
    known = dict(zip(distinct, each, strict=True))
    return [known[number] for number in numbers]


def _seen(
    messages: pl.DataFrame, facts: pl.DataFrame, known: Known, tenant: Tenant
) -> Iterator[_Seen]:
    return map(
        _Seen,
        _kept_texts(facts),
        facts_texts(facts),
        history_texts(messages["borrower_id"].to_list(), known.contacts),
        tenant.keyring.text_tokens(messages["text"].to_list()),
        facts["msg.template_ok"].to_list(),
    )


def _kept_texts(facts: pl.DataFrame) -> list[str]:
    """Of each message the facts that explanations show, as a JSON object."""
    kept = facts.select(name for name in sorted(_KEPT) if name in facts.columns)
    told = kept.with_columns(
        pl.col(pl.Date).dt.strftime("%Y-%m-%d"),
        pl.col(INSTANT).dt.strftime("%Y-%m-%d %H:%M:%S%.f+00:00"),
    )
    return told.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def _ruling(verdict: _Verdict, seen: _Seen, *, until: datetime) -> Ruling:
    outcome, rules, next_allowed_at = verdict.outcome, verdict.rules, verdict.next_allowed_at
    state, reason, not_before = State.READY, outcome, None
    named = f"{outcome}: {', '.join(rules)}"
    if seen.text_token is None:
        state, reason = State.BLOCKED, "missing_variable"
    elif outcome == "block":
        state, reason = State.BLOCKED, named
    elif not seen.is_approved:
        state, reason = State.BLOCKED, "unapproved_text"
    elif outcome in {"review", "redact"}:
        state, reason = State.HELD, named
    elif outcome == "defer":
        reason = named
        not_before = next_allowed_at or verdict.now + timedelta(seconds=ASK_AGAIN_S)
        if not_before >= until:
            state, reason, not_before = State.LAPSED, f"deferred past validity: {named}", None
    return Ruling(
        key=verdict.key,
        borrower_id=verdict.borrower_id,
        outcome=outcome,
        rules=rules,
        next_allowed_at=next_allowed_at,
        state=state,
        reason=reason,
        not_before=not_before,
        facts=seen.kept,
        seen=seen.facts,
        history=seen.history,
        text_token=seen.text_token,
    )
