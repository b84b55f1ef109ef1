"""Everything a complaint handler needs about one borrower, gathered: for one file in two languages.

Personal is only what is marked so: the name, the number with its middle left out, and the texts. No
key, password or token is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import Connection

from duewise.errors import BadInput, IntegrityBroken
from duewise.guard.evidence import instant_text
from duewise.guard.words import asks
from duewise.jobs.audit import prove_verdict
from duewise.jobs.explain import amount, load_words, meaning, reason_meaning
from duewise.jobs.operations import rows
from duewise.jobs.tenant import Tenant
from duewise.store import journal
from duewise.store.audit import Signer, checkpoint
from duewise.store.explain import Considered, Finding, Story, explain
from duewise.store.phone import masked_number
from duewise.store.seal import CannotUnseal
from duewise.store.sql import queries

SCHEMA = "complaint/1"
_SQL = queries("audit")
Both = dict[str, str]


def make_pack(
    conn: Connection[Any], tenant: Tenant, signer: Signer, borrower_id: str, *, now: datetime
) -> dict[str, Any]:
    """All notices, sent or not, with verdicts and proofs, and all that was heard.

    Raises BadInput for a borrower nobody knows.
    """
    asked = {"borrower_id": borrower_id}
    people = rows(conn, _SQL["pack_person"], asked)
    if not people:
        raise BadInput(f"unknown borrower {borrower_id!r}", mend="see the console's list")
    days = _days(conn, tenant, borrower_id, now=now)
    told = [
        explain(
            conn,
            workspace=tenant.workspace,
            borrower_id=borrower_id,
            as_of=day,
            keyring=tenant.keyring,
        )
        for day in days
    ]
    end = checkpoint(conn, signer, now=now)
    return {
        "schema": SCHEMA,
        "borrower": borrower_id,
        "made_at": instant_text(now),
        "timezone": people[0]["timezone"],
        "personal": _person(people[0], tenant),
        "rulebook": {"profiles": list(tenant.rulebook.names), "version": tenant.rulebook.version},
        "evidence": {
            "records": end.records,
            "chain": end.chain.hex(),
            "key": end.key.hex(),
        },
        "considered": [_considered(row, each.as_of) for each in told for row in each.considered],
        "notices": [_notice(conn, story) for each in told for story in each.stories],
        "rules": _rules(tenant, [story for each in told for story in each.stories]),
        "replies": [_reply(row, tenant) for row in rows(conn, _SQL["pack_replies"], asked)],
        "payments": [_payment(row) for row in rows(conn, _SQL["pack_payments"], asked)],
        "cases": [
            _plain(row) | {"means": _both("case", row["kind"])}
            for row in rows(conn, _SQL["pack_cases"], asked)
        ],
        "approvals": [
            _plain(row) | {"means": _both("approval", row["what"])}
            for row in rows(conn, _SQL["pack_approvals"], asked)
        ],
        "opt_outs": [_plain(row) for row in rows(conn, _SQL["pack_opt_outs"], asked)],
        "contacts": [_plain(row) for row in rows(conn, _SQL["pack_contacts"], asked)],
    }


def _days(conn: Connection[Any], tenant: Tenant, borrower_id: str, *, now: datetime) -> list[date]:
    """The days on which the borrower was considered or had an envelope."""
    found = rows(conn, _SQL["pack_days"], {"borrower_id": borrower_id})
    considered = journal.read(
        tenant.workspace,
        since=date.min,
        until=now.date() + timedelta(days=2),
        borrower_id=borrower_id,
        columns=["as_of"],
    ).collect()
    return sorted({row["as_of"] for row in found} | set(considered["as_of"]))


def _person(row: Mapping[str, Any], tenant: Tenant) -> dict[str, Any]:
    borrower_id = row["borrower_id"]
    name = _unsealed(row["name_sealed"], tenant, column="name", owner=borrower_id)
    phone = _unsealed(row["phone_sealed"], tenant, column="phone", owner=borrower_id)
    return {
        "name": name,
        "phone_masked": phone and masked_number(phone),
        "number_state": row["number_state"],
        "is_wrong_party": row["is_wrong_party"],
    }


def _considered(row: Considered, as_of: date) -> dict[str, Any]:
    """A day on which the strategy decided, with its reason where it proposed nothing."""
    return {
        "as_of": as_of.isoformat(),
        "planned_at": instant_text(row.planned_at),
        "decision": row.decision,
        "means": _both("decision", row.decision),
        "reason": row.reason,
        "because": _reason(row.reason),
        "step": row.step,
    }


def _notice(conn: Connection[Any], story: Story) -> dict[str, Any]:
    return {
        "envelope": story.envelope_id,
        "loan": story.loan_id,
        "stage": _both("stage", story.stage),
        "channel": _both("channel", story.channel),
        "sender": story.sender_id,
        "template": story.template,
        "asks_for": amount(story.amount_minor, story.currency),
        "due_date": story.due_date.isoformat(),
        "state": story.state,
        "means": _both("state", story.state),
        "because": _reason(story.reason),
        "wired_at": story.wired_at and instant_text(story.wired_at),
        "personal_text": story.text,
        "verdicts": [_verdict(conn, finding) for finding in story.findings],
        "changes": [
            {
                "at": instant_text(change.at),
                "state": _both("state_name", change.new_state),
                "because": _reason(change.reason),
            }
            for change in story.changes
        ],
        "receipts": [
            {
                "at": instant_text(receipt.at),
                "route": receipt.route,
                "provider_id": receipt.provider_id,
                "status": _both("receipt", receipt.status),
                "code": receipt.code,
            }
            for receipt in story.receipts
        ],
    }


def _verdict(conn: Connection[Any], finding: Finding) -> dict[str, Any]:
    return {
        "verdict": finding.verdict_id,
        "gate": _both("gate", finding.gate),
        "at": instant_text(finding.at),
        "outcome": finding.outcome,
        "means": _both("outcome", finding.outcome),
        "rules": list(finding.rules),
        "next_allowed_at": finding.next_allowed_at and instant_text(finding.next_allowed_at),
        "facts": dict(finding.facts),
        "proof": _proof(conn, finding.verdict_id),
    }


def _proof(conn: Connection[Any], verdict_id: int) -> str | None:
    """The file that `audit proof` would write; None where it is not sealed, or not intact."""
    try:
        text, _ = prove_verdict(conn, verdict_id)
    except (BadInput, IntegrityBroken):
        return None
    return text.decode()


def _rules(tenant: Tenant, stories: list[Story]) -> list[dict[str, Any]]:
    """Each rule that spoke, in words, with what stands behind it."""
    spoke = {rule for story in stories for finding in story.findings for rule in finding.rules}
    return [
        {
            "rule": rule.id,
            "title": _both("rule", rule.id),
            "asks": asks(rule),
            "effect": rule.effect.word if rule.effect else "timer",
            "basis": rule.basis,
            "confidence": rule.conf,
            "source": list(rule.src),
        }
        for rule in tenant.rulebook.rules
        if rule.id in spoke
    ]


def _reply(row: Mapping[str, Any], tenant: Tenant) -> dict[str, Any]:
    # A reply is sealed under the number it came from.
    text = _unsealed(row["text_sealed"], tenant, column="text", owner=row["number_token"])
    return {
        "at": instant_text(row["at"]),
        "intent": _both("intent", row["intent"]),
        "action": _both("action", row["action"]),
        "personal_text": text,
    }


def _payment(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "paid_at": instant_text(row["paid_at"]),
        "known_at": instant_text(row["known_at"]),
        "payment": row["payment_id"],
        "loan": row["loan_id"],
        "amount": amount(row["amount_minor"], row["currency"]),
        "kind": _both("kind", row["kind"]),
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: instant_text(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _unsealed(sealed: bytes | None, tenant: Tenant, *, column: str, owner: str) -> str | None:
    if sealed is None:
        return None
    try:
        return tenant.keyring.unseal(sealed, column=column, borrower_id=owner)
    except CannotUnseal:
        return None


def _both(kind: str, code: str) -> Both:
    return {language: meaning(load_words(language), kind, code) for language in ("zh", "en")}


def _reason(reason: str) -> Both:
    return {language: reason_meaning(load_words(language), reason) for language in ("zh", "en")}
