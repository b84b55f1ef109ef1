"""Contacts made elsewhere (an agency's, a call, a letter): taken into the log that caps count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import Connection

from duewise.errors import BadInput
from duewise.jobs.lines import Form, Wrong, past_instant, read_lines
from duewise.store.phone import PhoneFault, normalise_phone
from duewise.store.seal import Keyring
from duewise.store.sql import queries

COLUMNS = ("contact_id", "borrower_id", "at", "channel", "dir", "outcome", "stage", "actor")
MORE_COLUMNS = ("number", "loan_id", "flags")
REQUIRED = ("contact_id", "borrower_id", "at", "channel", "dir", "actor")
DIRECTIONS = ("out", "in")
CHANNELS = (
    *("sms", "push", "wechat", "email", "voice_human", "voice_ai", "voice_notice"),
    *("visit", "social_public"),
)
STAGES = (
    *("pre_due", "due_day", "overdue", "statutory", "service", "marketing"),
    *("contact_restore", "optout_confirm"),
)
OUTCOMES = ("conversation", "connected", "no_answer", "busy", "rejected", "seen", "granted")
_WORDS: Mapping[str, Sequence[str]] = {
    "channel": CHANNELS,
    "dir": DIRECTIONS,
    "outcome": OUTCOMES,
    "stage": STAGES,
}
_SQL = queries("inbound")


@dataclass(frozen=True)
class Contact:
    """One contact; `flags` are separated by spaces, `actor` is `own` or the agency's name."""

    contact_id: str
    borrower_id: str
    at: datetime
    channel: str
    dir: str
    actor: str
    outcome: str | None = None
    stage: str | None = None
    number_token: str | None = None
    loan_id: str | None = None
    flags: str = ""


@dataclass(frozen=True)
class Recorded:
    """Contacts that were new, that were known before, and claims taken back because of them."""

    recorded: int
    duplicates: int
    unclaimed: int


def record_contacts(
    conn: Connection[Any], contacts: Sequence[Contact], *, now: datetime
) -> Recorded:
    """Record contacts, each once; what was judged without them and not written is judged again.

    Raises BadInput, and records none, for a borrower nobody knows.
    """
    columns = {
        "contact_ids": [each.contact_id for each in contacts],
        "borrower_ids": [each.borrower_id for each in contacts],
        "ats": [each.at for each in contacts],
        "channels": [each.channel for each in contacts],
        "dirs": [each.dir for each in contacts],
        "outcomes": [each.outcome for each in contacts],
        "stages": [each.stage for each in contacts],
        "actors": [each.actor for each in contacts],
        "number_tokens": [each.number_token for each in contacts],
        "loan_ids": [each.loan_id for each in contacts],
        "flags": [each.flags for each in contacts],
    }
    with conn.transaction():
        strangers = conn.execute(_SQL["strangers"], columns).fetchone()
        if strangers:
            mend = "import the book that has this borrower first"
            raise BadInput(f"unknown borrower {strangers[0]!r}", mend=mend)
        added = conn.execute(_SQL["add_contacts"], columns | {"now": now}).fetchall()
        borrowers = sorted({borrower_id for (borrower_id,) in added})
        taken_back = conn.execute(_SQL["unclaim"], {"borrower_ids": borrowers, "now": now})
        return Recorded(len(added), len(contacts) - len(added), taken_back.rowcount)


def read_contacts(path: Path, *, keyring: Keyring, now: datetime) -> list[Contact]:
    """The contacts of a CSV file. Raises BadInput with the line of the first one that is wrong."""
    form = Form((*COLUMNS, *MORE_COLUMNS), REQUIRED, partial(_contact, keyring=keyring, now=now))
    return [contact for _, contact in read_lines(path, form)]


def _contact(given: Mapping[str, str], *, keyring: Keyring, now: datetime) -> Contact:
    for name, known in _WORDS.items():
        if given.get(name) and given[name] not in known:
            raise Wrong(f"unknown {name} {given[name]!r}", f"use {', '.join(known)}")
    return Contact(
        contact_id=given["contact_id"],
        borrower_id=given["borrower_id"],
        at=past_instant(given["at"], now),
        channel=given["channel"],
        dir=given["dir"],
        actor=given["actor"],
        outcome=given.get("outcome") or None,
        stage=given.get("stage") or None,
        number_token=_token(given.get("number", ""), keyring),
        loan_id=given.get("loan_id") or None,
        flags=given.get("flags", ""),
    )


def _token(number: str, keyring: Keyring) -> str | None:
    if not number:
        return None
    known = normalise_phone(number)
    if isinstance(known, PhoneFault):
        raise Wrong(f"the number is {known.value}", "write it as +8613800138000, or leave it out")
    return keyring.number_token(known)
