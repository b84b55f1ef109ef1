"""Contacts made elsewhere (an agency's, a call, a letter): taken into the log that caps count."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from duewise.errors import BadInput
from duewise.store.phone import PhoneFault, normalise_phone
from duewise.store.seal import Keyring
from duewise.store.sql import queries
from duewise.times import parse_instant

CONTACTS_MAX = 100_000  # of one file: it is taken in one transaction
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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, source=str(path), keyring=keyring, now=now)
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=str(path), mend="save it as UTF-8") from error


def _read(file: Iterable[str], *, source: str, keyring: Keyring, now: datetime) -> list[Contact]:
    reader = csv.DictReader(file, strict=True)
    found: list[Contact] = []
    try:
        _check_head(reader.fieldnames or (), source)
        for row in reader:
            found.append(_contact(row, keyring=keyring, now=now))
            _check_size(found)
    except (_Wrong, csv.Error) as error:
        mend = error.mend if isinstance(error, _Wrong) else "save it as CSV again"
        raise BadInput(str(error), source=source, line=reader.line_num, mend=mend) from None
    return found


class _Wrong(Exception):
    """What is wrong in the line just read, and what to do about it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def _check_head(names: Sequence[str], source: str) -> None:
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in (*COLUMNS, *MORE_COLUMNS)]
    if missing or unknown:
        said = f"no column {missing[0]!r}" if missing else f"unknown column {unknown[0]!r}"
        mend = f"the columns are {', '.join((*COLUMNS, *MORE_COLUMNS))}"
        raise BadInput(said, source=source, line=1, mend=mend)


def _check_size(found: Sequence[Contact]) -> None:
    if len(found) > CONTACTS_MAX:
        raise _Wrong("too many lines for one file", f"split it: {CONTACTS_MAX:,} at most")


def _contact(row: dict[str | Any, str | Any], *, keyring: Keyring, now: datetime) -> Contact:
    if None in row or None in row.values():
        raise _Wrong("this line has not as many fields as the first", "quote what holds a comma")
    given = {name: value.strip() for name, value in row.items()}
    for name in REQUIRED:
        if not given[name]:
            raise _Wrong(f"no {name}", "fill it in")
    for name, known in _WORDS.items():
        if given.get(name) and given[name] not in known:
            raise _Wrong(f"unknown {name} {given[name]!r}", f"use {', '.join(known)}")
    return Contact(
        contact_id=given["contact_id"],
        borrower_id=given["borrower_id"],
        at=_instant(given["at"], now),
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
        raise _Wrong(f"the number is {known.value}", "write it as +8613800138000, or leave it out")
    return keyring.number_token(known)


def _instant(text: str, now: datetime) -> datetime:
    try:
        at = parse_instant(text)
    except ValueError as error:
        raise _Wrong(f"{text!r} is no instant", "write it as 2026-08-14T09:20+08:00") from error
    if at > now:
        raise _Wrong(f"{text} has not come yet", "only contacts already made belong here")
    return at
