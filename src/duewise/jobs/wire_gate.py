"""What the wire's gate sees: the claimed envelopes on facts re-read in the claim's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from psycopg import AsyncCursor

from duewise.frames import INSTANT, empty
from duewise.jobs.gate import Known, Ruling, rule_on
from duewise.jobs.operations import (
    ADDRESSES,
    CASES,
    CONTACT_DAYS,
    case_frame,
    contact_frame,
)
from duewise.jobs.tenant import Tenant
from duewise.store.sql import queries

_SQL = queries("outbox")
# Where the address of each kind of message is sealed.
COLUMNS = {"sms": "phone", "push": "push_token", "wechat": "wechat_openid", "email": "email"}
# Without a word from the payments feed the ledger is older than any rule allows.
NEVER_HEARD = timedelta(days=3_650)


@dataclass(frozen=True)
class Claimed:
    """A claimed envelope, unsealed for the wire. Never logged, never shown: it is personal.

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


async def judge_claimed(
    cursor: AsyncCursor[dict[str, Any]],
    envelopes: Sequence[dict[str, Any]],
    *,
    tenant: Tenant,
    now: datetime,
) -> tuple[list[Claimed], list[Ruling]]:
    """The claimed envelopes and the guard's ruling on each, in one order."""
    ids = [row["envelope_id"] for row in envelopes]
    await cursor.execute(_SQL["wire_facts"], {"envelope_ids": ids})
    facts = {row["envelope_id"]: row for row in await cursor.fetchall()}
    claimed = [_unsealed(row, facts[row["envelope_id"]], tenant=tenant) for row in envelopes]
    messages = pl.DataFrame(
        [
            _message_row(row, facts[row["envelope_id"]], each.text, now=now)
            for row, each in zip(envelopes, claimed, strict=True)
        ],
        schema_overrides={
            "now": INSTANT,
            "valid_until": INSTANT,
            "due_date": pl.Date,
            "penalty_multiplier": pl.Float64,
            "annual_rate": pl.Float64,
        },
        infer_schema_length=None,
    )
    known = Known(
        addresses=_addresses(envelopes, facts),
        contacts=await _contacts(cursor, envelopes, now=now),
        cases=await _cases(cursor, envelopes, now=now),
        ledger_age=await _ledger_age(cursor, now=now),
    )
    return claimed, rule_on(messages, known, tenant=tenant)


def _unsealed(row: dict[str, Any], fact: dict[str, Any], *, tenant: Tenant) -> Claimed:
    keyring, borrower_id = tenant.keyring, row["borrower_id"]
    column = COLUMNS[row["channel"]]
    sealed = fact[f"{column}_sealed"]  # None: it was taken away, and its state says so
    address = keyring.unseal(sealed, column=column, borrower_id=borrower_id) if sealed else ""
    template = tenant.templates.get(row["template"])
    return Claimed(
        envelope_id=row["envelope_id"],
        key=row["key"],
        address=address,
        sender_id=row["sender_id"],
        text=keyring.unseal(row["text_sealed"], column="text", borrower_id=borrower_id),
        valid_until=row["valid_until"],
        attempt=row["attempt"],
        parts=row["parts"],
        token=row["number_token"] if column == "phone" else keyring.number_token(address),
        title=(template.subject or template.preview or "") if template else "",
    )


def _message_row(
    row: dict[str, Any], fact: dict[str, Any], text: str, *, now: datetime
) -> dict[str, Any]:
    planned = row["facts"]
    due_date: date = row["due_date"]
    return {
        "key": row["key"],
        "borrower_id": row["borrower_id"],
        "loan_id": row["loan_id"],
        "number_token": row["number_token"],
        "stage": row["stage"],
        "channel": row["channel"],
        "template": row["template"],
        "text": text,
        "amount_minor": row["amount_minor"],
        "paid_minor": fact["paid_minor"],
        "due_date": due_date,
        "grace_days": planned["grace_days"],
        "tolerance_minor": planned["tolerance_minor"],
        "annual_rate": planned["annual_rate"],
        "penalty_multiplier": planned["penalty_multiplier"],
        "valid_until": row["valid_until"],
        "now": now,
    }


def _addresses(
    envelopes: Sequence[dict[str, Any]], facts: dict[int, dict[str, Any]]
) -> pl.DataFrame:
    found = [
        (
            row["borrower_id"],
            row["channel"],
            row["number_token"],
            _number_state(row, facts[row["envelope_id"]]),
            "debtor",
            facts[row["envelope_id"]]["is_wrong_party"],
            facts[row["envelope_id"]]["opted_out"],
            facts[row["envelope_id"]]["timezone"],
        )
        for row in envelopes
    ]
    return pl.DataFrame(found, schema=dict(ADDRESSES), orient="row")


def _number_state(row: dict[str, Any], fact: dict[str, Any]) -> str:
    state: str = fact["number_state"]
    return state if fact[f"{COLUMNS[row['channel']]}_sealed"] else "missing"


async def _contacts(
    cursor: AsyncCursor[dict[str, Any]], envelopes: Sequence[dict[str, Any]], *, now: datetime
) -> pl.DataFrame:
    await cursor.execute(
        _SQL["contact_log"],
        {
            "borrower_ids": [row["borrower_id"] for row in envelopes],
            "now": now,
            "since": now - timedelta(days=CONTACT_DAYS),
            "except_ids": [row["envelope_id"] for row in envelopes],
        },
    )
    return contact_frame(await cursor.fetchall())


async def _cases(
    cursor: AsyncCursor[dict[str, Any]], envelopes: Sequence[dict[str, Any]], *, now: datetime
) -> pl.DataFrame:
    borrower_ids = [row["borrower_id"] for row in envelopes]
    await cursor.execute(_SQL["open_cases"], {"borrower_ids": borrower_ids, "now": now})
    rows = await cursor.fetchall()
    return case_frame(rows) if rows else empty(CASES)


async def _ledger_age(cursor: AsyncCursor[dict[str, Any]], *, now: datetime) -> timedelta:
    await cursor.execute(_SQL["feed_complete_until"])
    row = await cursor.fetchone()
    return now - row["complete_until"] if row else NEVER_HEARD
