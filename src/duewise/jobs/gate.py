"""The second and third gate: what the guard's word on a composed message means for its envelope."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from duewise.engine.facts import CaseFacts, message_facts
from duewise.guard.judge import judge
from duewise.jobs.tenant import Tenant
from duewise.outbox.envelope import State

# A deferral without a computable instant (a stale ledger) is asked again after this long.
ASK_AGAIN_S = 60
# The facts kept with a verdict: those that a later reader cannot find in the envelope itself.
_KEPT = (
    "now",
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


@dataclass(frozen=True)
class Ruling:
    """One message's verdict and what follows from it. State READY means: it may go on."""

    key: str
    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: datetime | None
    state: State
    reason: str
    not_before: datetime | None
    facts: str


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
    kept = [name for name in _KEPT if name in judged.columns]
    columns = ["key", "now", "outcome", "rules", "next_allowed_at"]
    return [
        _ruling(
            verdict, {name: fact[name] for name in kept}, has_text=text is not None, until=until
        )
        for verdict, fact, text, until in zip(
            judged.select(columns).iter_rows(named=True),
            judged.select(kept).iter_rows(named=True),
            messages["text"],
            messages["valid_until"],
            strict=True,
        )
    ]


def _ruling(
    verdict: Mapping[str, Any], facts: Mapping[str, Any], *, has_text: bool, until: datetime
) -> Ruling:
    outcome, rules = verdict["outcome"], tuple(verdict["rules"])
    next_allowed_at = verdict["next_allowed_at"]
    state, reason, not_before = State.READY, outcome, None
    named = f"{outcome}: {', '.join(rules)}"
    if not has_text:
        state, reason = State.BLOCKED, "missing_variable"
    elif outcome == "block":
        state, reason = State.BLOCKED, named
    elif outcome in {"review", "redact"}:
        state, reason = State.HELD, named
    elif outcome == "defer":
        reason = named
        not_before = next_allowed_at or verdict["now"] + timedelta(seconds=ASK_AGAIN_S)
        if not_before >= until:
            state, reason, not_before = State.LAPSED, f"deferred past validity: {named}", None
    return Ruling(
        key=verdict["key"],
        outcome=outcome,
        rules=rules,
        next_allowed_at=next_allowed_at,
        state=state,
        reason=reason,
        not_before=not_before,
        facts=json.dumps(dict(facts), default=str, sort_keys=True),
    )


def verdict_values(
    rulings: list[Ruling], envelope_ids: list[int], *, gate: str, now: datetime, tenant: Tenant
) -> dict[str, Any]:
    """The parameters of the statement `add_verdicts`."""
    return {
        "gate": gate,
        "now": now,
        "rulebook_hash": tenant.rulebook.content_hash,
        "envelope_ids": envelope_ids,
        "outcomes": [ruling.outcome for ruling in rulings],
        "rules": [",".join(ruling.rules) for ruling in rulings],
        "next_allowed_at": [ruling.next_allowed_at for ruling in rulings],
        "facts": [ruling.facts for ruling in rulings],
    }
