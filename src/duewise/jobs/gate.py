"""The second and third gate: what the guard's word on a composed message means for its envelope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
_EPOCH, _US = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NO_TEXT = "missing_variable"
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


class Word(NamedTuple):
    """The guard's word on a message."""

    outcome: str
    rules: tuple[str, ...]
    next_allowed_at: datetime | None


class Move(NamedTuple):
    """Where that leaves its envelope. READY: it may go on, at once or from `not_before`."""

    state: State
    reason: str
    not_before: datetime | None


_GOES_ON = Move(State.READY, "allow", None)


class Seen(NamedTuple):
    """What the gate saw of it.

    `facts` is what explanations show; `all_facts` and `history` are for the record, as canonical
    JSON, and `text_token` stands for the text.
    """

    facts: str = "{}"
    all_facts: str = "{}"
    history: str = "[]"
    text_token: str | None = None


class Ruling(NamedTuple):
    """One message's verdict, what follows from it, and what it was given on."""

    key: str
    borrower_id: str
    word: Word
    move: Move
    seen: Seen


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
    borrower_ids = messages["borrower_id"].to_list()
    tokens = tenant.keyring.text_tokens(messages["text"].to_list())
    words = list(
        map(
            Word,
            judged["outcome"].to_list(),
            map(tuple, judged["rules"].to_list()),
            instants(judged["next_allowed_at"]),
        )
    )
    flaws = map(_flaw, tokens, facts["msg.template_ok"].to_list())
    moves = map(_move, words, flaws, instants(judged["now"]), instants(messages["valid_until"]))
    histories = history_texts(borrower_ids, known.contacts)
    seen = map(Seen, _kept_texts(facts), facts_texts(facts), histories, tokens)
    return list(map(Ruling, messages["key"].to_list(), borrower_ids, words, moves, seen))


def instants(column: pl.Series) -> list[Any]:
    """The values of a column of instants: each is made once, for many are alike."""
    numbers = column.cast(pl.Int64).to_list()
    distinct = list(set(numbers))
    each = pl.Series(distinct, dtype=pl.Int64).cast(column.dtype).to_list()
    known = dict(zip(distinct, each, strict=True))
    return [known[number] for number in numbers]


def instant_column(values: Sequence[datetime]) -> pl.Series:
    """The other way round."""
    known = {at: (at - _EPOCH) // _US for at in set(values)}
    return pl.Series([known[at] for at in values], dtype=pl.Int64).cast(INSTANT)


def _kept_texts(facts: pl.DataFrame) -> list[str]:
    """Of each message the facts that explanations show, as a JSON object."""
    kept = facts.select(name for name in sorted(_KEPT) if name in facts.columns)
    told = kept.with_columns(
        pl.col(pl.Date).dt.strftime("%Y-%m-%d"),
        pl.col(INSTANT).dt.strftime("%Y-%m-%d %H:%M:%S%.f+00:00"),
    )
    return told.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def _flaw(text_token: str | None, is_approved: bool) -> str | None:  # noqa: FBT001 -- of a column
    """What stops a message whatever the rules of the place ask of texts."""
    if text_token is None:
        return _NO_TEXT
    return None if is_approved else "unapproved_text"


def _move(word: Word, flaw: str | None, now: datetime, until: datetime) -> Move:
    """What follows from the guard's word on a message at `now`, of use until then."""
    outcome, rules, next_allowed_at = word
    if outcome == "allow" and flaw is None:
        return _GOES_ON
    named = f"{outcome}: {', '.join(rules)}"
    if flaw and (flaw == _NO_TEXT or outcome != "block"):
        return Move(State.BLOCKED, flaw, None)
    if outcome == "defer":
        not_before = next_allowed_at or now + timedelta(seconds=ASK_AGAIN_S)
        if not_before >= until:
            return Move(State.LAPSED, f"deferred past validity: {named}", None)
        return Move(State.READY, named, not_before)
    return Move(State.BLOCKED if outcome == "block" else State.HELD, named, None)
