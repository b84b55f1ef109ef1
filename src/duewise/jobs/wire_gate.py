"""What the wire's gate sees: the envelopes that are due, on facts read while they are locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import polars as pl
from psycopg import AsyncConnection

from duewise.frames import INSTANT, Schema, empty
from duewise.jobs.approvals import LAST_WORDS, ruled
from duewise.jobs.gate import Known, Ruling, instant_column, rule_on
from duewise.jobs.operations import (
    ADDRESSES,
    CASES,
    CONTACT_DAYS,
    CONTACTS,
    case_frame,
)
from duewise.jobs.tenant import Tenant
from duewise.store import arrays
from duewise.store.connection import ask_together
from duewise.store.sql import queries

_SQL = queries("outbox")
# Where the address of each kind of message is sealed.
COLUMNS = {"sms": "phone", "push": "push_token", "wechat": "wechat_openid", "email": "email"}
# Without a word from the payments feed the ledger is older than any rule allows.
NEVER_HEARD = timedelta(days=3_650)
_NEVER = datetime.max.replace(tzinfo=UTC)  # of facts that do not say when they were known
_MESSAGES: Schema = {
    "key": pl.String,
    "borrower_id": pl.String,
    "loan_id": pl.String,
    "number_token": pl.String,
    "stage": pl.String,
    "channel": pl.String,
    "template": pl.String,
    "text": pl.String,
    "amount_minor": pl.Int64,
    "paid_minor": pl.Int64,
    "due_date": pl.Date,
    "grace_days": pl.Int64,
    "tolerance_minor": pl.Int64,
    "annual_rate": pl.Float64,
    "penalty_multiplier": pl.Float64,
    "valid_until": INSTANT,
    "now": INSTANT,
}
Columns: TypeAlias = Mapping[str, Sequence[Any]]


class Claimed(NamedTuple):
    """An envelope for the wire, unsealed. Never logged, never shown: it is personal.

    `token` is the blind index of its address.
    """

    envelope_id: int
    key: str
    address: str
    sender_id: str
    text: str
    valid_until: datetime
    attempt: int
    parts: int
    token: str = ""
    title: str = ""

    def __repr__(self) -> str:
        return f"Claimed({self.envelope_id})"


async def judge_due(
    conn: AsyncConnection[Any], due: Columns, *, tenant: Tenant, now: datetime
) -> tuple[list[Claimed], list[Ruling]]:
    """The envelopes that are due and the guard's ruling on each, in one order.

    `due`: the columns of the statement of that name, of one channel; read in its transaction.
    """
    (channel,) = set(due["channel"])
    told = await _ask(conn, due, channel, now=now)
    claimed = _unsealed(due, column=COLUMNS[channel], tenant=tenant)
    known = Known(
        addresses=_addresses(due, *_refused(told.refusals, channel)),
        contacts=_frame(told.contacts, CONTACTS),
        cases=_cases(told.cases),
        ledger_age=now - told.feed[0][0] if told.feed else NEVER_HEARD,
    )
    paid = dict(told.paid)
    given = due | {  # type: ignore[operator]
        "text": [each.text or None for each in claimed],
        "paid_minor": [paid.get(envelope_id, 0) for envelope_id in due["envelope_id"]],
        "valid_until": instant_column(due["valid_until"]),
        "now": instant_column([now]).new_from_index(0, len(claimed)),
    }
    messages = pl.DataFrame({name: given[name] for name in _MESSAGES}, schema=dict(_MESSAGES))
    return claimed, rule_on(messages, known, tenant=ruled(tenant, told.approvals))


class _Told(NamedTuple):
    """What the database says at the gate, statement by statement."""

    refusals: list[tuple[Any, ...]]
    paid: list[tuple[Any, ...]]
    contacts: list[tuple[Any, ...]]
    cases: list[tuple[Any, ...]]
    feed: list[tuple[Any, ...]]
    approvals: list[tuple[Any, ...]]


async def _ask(conn: AsyncConnection[Any], due: Columns, channel: str, *, now: datetime) -> _Told:
    borrower_ids = arrays.texts(due["borrower_id"])
    due_loans = {
        "envelope_ids": arrays.numbers(due["envelope_id"]),
        "loan_ids": arrays.texts(due["loan_id"]),
        "known_ats": arrays.instants(at or _NEVER for at in due["known_at"]),
    }
    written_to = {
        "borrower_ids": borrower_ids,
        "now": now,
        "since": now - timedelta(days=CONTACT_DAYS),
        "except_ids": [],  # these are not on the wire yet
    }
    told = await ask_together(
        conn,
        (_SQL["refusals"], {"borrower_ids": borrower_ids, "channels": [channel]}),
        (_SQL["paid_since"], due_loans),
        (_SQL["contact_log"], written_to),
        (_SQL["open_cases"], {"borrower_ids": borrower_ids, "now": now}),
        (_SQL["feed_complete_until"], {}),
        (LAST_WORDS, {}),
    )
    return _Told(*told)


def _unsealed(due: Columns, *, column: str, tenant: Tenant) -> list[Claimed]:
    keyring, borrower_ids = tenant.keyring, due["borrower_id"]
    # A sealed address that is None was taken away, and the envelope's gate is told so.
    opened = keyring.unseal_column(due["address_sealed"], column=column, borrower_ids=borrower_ids)
    addresses = [address or "" for address in opened]
    texts = keyring.unseal_column(due["text_sealed"], column="text", borrower_ids=borrower_ids)
    titles = {name: _title(tenant, name) for name in set(due["template"])}
    return list(
        map(
            Claimed,
            due["envelope_id"],
            due["key"],
            addresses,
            due["sender_id"],
            [text or "" for text in texts],
            due["valid_until"],
            due["attempt"],
            due["parts"],
            due["number_token"] if column == "phone" else keyring.number_tokens(addresses),
            [titles[name] for name in due["template"]],
        )
    )


def _title(tenant: Tenant, template: str) -> str:
    found = tenant.templates.get(template)
    return (found.subject or found.preview or "") if found else ""


def _addresses(due: Columns, opted_out: set[str], states_told: Mapping[str, str]) -> pl.DataFrame:
    borrower_ids = due["borrower_id"]
    is_number = due["channel"][0] == "sms"
    states = [
        "missing" if sealed is None else states_told.get(borrower_id, state)
        for sealed, borrower_id, state in zip(
            due["address_sealed"],
            borrower_ids,
            due["number_state"] if is_number else ["valid"] * len(borrower_ids),
            strict=True,
        )
    ]
    return pl.DataFrame(
        {
            "borrower_id": borrower_ids,
            "channel": due["channel"],
            "number_token": due["number_token"],
            "number_state": states,
            "role": ["debtor"] * len(borrower_ids),
            "wrong_party": due["is_wrong_party"],
            "opted_out": [borrower_id in opted_out for borrower_id in borrower_ids],
            "timezone": due["timezone"],
        },
        schema=dict(ADDRESSES),
    )


def _refused(refusals: Sequence[tuple[Any, ...]], channel: str) -> tuple[set[str], dict[str, str]]:
    """The borrowers who want nothing more, and whose address is of no use, and why."""
    opted_out, states = set[str](), dict[str, str]()
    for borrower_id, _, what in refusals:
        if what == "opted_out":
            opted_out.add(borrower_id)
        else:
            states[borrower_id] = what
    # A number says so of itself, among the person's columns.
    return opted_out, states if channel != "sms" else {}


def _frame(found: Sequence[tuple[Any, ...]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(found, schema=dict(schema), orient="row") if found else empty(schema)


def _cases(found: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    if not found:
        return empty(CASES)
    return case_frame([{"borrower_id": who, "kind": kind} for who, kind in found])
