"""Promises taken down and withdrawn. Whether they are kept is the ledger's to say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from psycopg import Connection

from duewise.errors import BadInput
from duewise.jobs.lines import Form, Wrong, past_instant, read_lines
from duewise.jobs.tenant import Tenant
from duewise.money import to_minor
from duewise.store.sql import queries
from duewise.times import local_date

HELD_BY_PROMISE = "reply_promise"
DAYS_AHEAD_MAX = 366
REQUIRED = ("promise_ref", "borrower_id", "day")
COLUMNS = (*REQUIRED, "loan_id", "amount", "made_at", "source")
_SQL = queries("promise")


class PromiseIn(Protocol):
    """A promise as we are told it; `amount` in decimal major units, None: all that is asked for.

    Without `loan_id` it is of all the borrower's loans. `promise_ref` names it: twice is once.
    """

    @property
    def promise_ref(self) -> str: ...
    @property
    def borrower_id(self) -> str: ...
    @property
    def loan_id(self) -> str | None: ...
    @property
    def day(self) -> date: ...
    @property
    def amount(self) -> Decimal | None: ...
    @property
    def made_at(self) -> datetime | None: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class Promise:
    """The plain form of `PromiseIn`; `made_at` None: just now."""

    promise_ref: str
    borrower_id: str
    day: date
    loan_id: str | None = None
    amount: Decimal | None = None
    made_at: datetime | None = None
    source: str = "desk"


@dataclass(frozen=True)
class ToldIn:
    """The file that promises were read from, and the line of each."""

    file: str
    lines: Sequence[int]


@dataclass(frozen=True)
class Taken:
    """How many promises were new, how many known before, how many envelopes were held."""

    recorded: int
    duplicates: int
    held: int


def read_promises(path: Path, *, now: datetime) -> tuple[list[Promise], ToldIn]:
    """The promises of a CSV file, and where each stands in it.

    Raises BadInput with the line of the first one that is wrong.
    """
    found = read_lines(path, Form(COLUMNS, REQUIRED, partial(_promise, now=now)))
    return [promise for _, promise in found], ToldIn(str(path), [line for line, _ in found])


def record_promises(
    conn: Connection[Any],
    promises: Sequence[PromiseIn],
    *,
    tenant: Tenant,
    now: datetime,
    told_in: ToldIn | None = None,
) -> Taken:
    """Take promises down and hold what is unsent to their borrowers, in one transaction.

    Raises BadInput, and records none, for a borrower or loan nobody knows, a day that was over when
    the promise was made or lies more than a year ahead, or an amount not above zero. With `told_in`
    it names the line.
    """
    with conn.transaction():
        owners = _owners(conn, promises)
        added = []
        for number, each in enumerate(promises):
            try:
                _check_known(each, *owners)
                values = _values(each, tenant=tenant, now=now)
            except BadInput as error:
                if told_in is None:
                    raise
                raise BadInput(
                    error.message,
                    source=told_in.file,
                    line=told_in.lines[number],
                    mend=error.mend,
                ) from None
            if conn.execute(_SQL["add"], values).fetchone():
                added.append(each.borrower_id)
        held = conn.execute(
            queries("inbound")["hold_unsent"],
            {"borrower_ids": sorted(set(added)), "reason": HELD_BY_PROMISE, "now": now},
        )
        return Taken(len(added), len(promises) - len(added), held.rowcount)


def withdraw_promise(conn: Connection[Any], promise_id: int, *, now: datetime) -> str:
    """Cancel a promise; whose it was. Raises BadInput where there is none that stands."""
    found = conn.execute(_SQL["withdraw"], {"promise_id": promise_id, "now": now}).fetchone()
    if found is None:
        mend = "see `duewise promise list`"
        raise BadInput(f"no promise {promise_id} that stands", mend=mend)
    return str(found[0])


def _owners(
    conn: Connection[Any], promises: Sequence[PromiseIn]
) -> tuple[frozenset[str], Mapping[str, str]]:
    """The borrowers of these whom nobody knows, and whose the loans are."""
    borrowers = {"borrower_ids": [each.borrower_id for each in promises]}
    strangers = conn.execute(queries("inbound")["strangers"], borrowers).fetchall()
    loans = [each.loan_id for each in promises if each.loan_id is not None]
    found = conn.execute(queries("planning")["accounts"], {"loan_ids": loans}).fetchall()
    owner = {loan_id: borrower_id for loan_id, borrower_id, _ in found}
    return frozenset(row[0] for row in strangers), owner


def _check_known(promise: PromiseIn, strangers: Collection[str], owner: Mapping[str, str]) -> None:
    mend = "import the book that has it first"
    if promise.borrower_id in strangers:
        raise BadInput(f"unknown borrower {promise.borrower_id!r}", mend=mend)
    if promise.loan_id is not None and owner.get(promise.loan_id) != promise.borrower_id:
        raise BadInput(f"{promise.borrower_id!r} has no loan {promise.loan_id!r}", mend=mend)


def _promise(given: Mapping[str, str], *, now: datetime) -> Promise:
    """A line of a file. Raises Wrong."""
    return Promise(
        promise_ref=given["promise_ref"],
        borrower_id=given["borrower_id"],
        day=_day(given["day"]),
        loan_id=given.get("loan_id") or None,
        amount=_amount(given.get("amount", "")),
        made_at=past_instant(given["made_at"], now) if given.get("made_at") else None,
        source=given.get("source") or "file",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Wrong(f"{text!r} is no day", "write it as 2026-08-21") from error


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text) if text else None
    except InvalidOperation as error:
        raise Wrong(f"{text!r} is no amount", "write it as 500.00") from error
    if amount is not None and not amount.is_finite():
        raise Wrong(f"{text!r} is no amount", "write it as 500.00")
    return amount


def _values(promise: PromiseIn, *, tenant: Tenant, now: datetime) -> dict[str, Any]:
    made_at = promise.made_at or now
    where = f"promise {promise.promise_ref!r}"
    if made_at.tzinfo is None or made_at > now:
        raise BadInput(f"{where}: made_at is no instant of the past", mend="give it an offset")
    made_on = local_date(made_at, tenant.strategy.timezone)
    if not made_on <= promise.day <= made_on + timedelta(days=DAYS_AHEAD_MAX):
        mend = f"a day from {made_on} on, at most a year ahead"
        raise BadInput(f"{where}: nobody promises {promise.day}", mend=mend)
    amount = None if promise.amount is None else to_minor(promise.amount, tenant.currency)
    if amount is not None and amount <= 0:
        raise BadInput(f"{where}: the amount is not above zero", mend="leave it out for all")
    return promise_values(
        ref=promise.promise_ref,
        borrower_id=promise.borrower_id,
        day=promise.day,
        amount_minor=amount,
        made_at=made_at,
        source=promise.source,
        tenant=tenant,
        now=now,
    ) | {"loan_id": promise.loan_id}


def promise_values(
    *,
    ref: str,
    borrower_id: str,
    day: date,
    amount_minor: int | None,
    made_at: datetime,
    source: str,
    tenant: Tenant,
    now: datetime,
    reply_id: int | None = None,
) -> dict[str, Any]:
    """What the statement `add` is given; of a reply, the loan is that of the last notice."""
    return {
        "ref": ref,
        "borrower_id": borrower_id,
        "loan_id": None,
        "of_last_notice": reply_id is not None,
        "made_at": made_at,
        "now": now,
        "today": local_date(now, tenant.strategy.timezone),
        "day": day,
        "amount_minor": amount_minor,
        "currency": tenant.currency,
        "source": source,
        "reply_id": reply_id,
    }
