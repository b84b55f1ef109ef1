"""Three borrowers' days, told message by message from the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from duewise.jobs.explain import Words, amount, load_words, meaning, reason_meaning
from duewise.jobs.operations import rows
from duewise.measure.report import Journey, Line
from duewise.store.sql import queries

if TYPE_CHECKING:
    from psycopg import Connection

    from duewise.jobs.tenant import Tenant

JOURNEYS_MAX = 3
LINES_MAX = 40
# In the order in which they are told. Each title is true of every borrower the query finds for it.
TITLES: Mapping[str, str] = {
    "reminded_then_paid": "Reminded step by step, then paid",
    "paid_in_time": "Paid before the next notice left: it was taken back",
    "asked_for_help": "Asked for help: a case was opened",
    "opted_out": "Wanted no more messages: none followed",
    "reminded": "Reminded, step by step",
}
# A state as the kind of a line; the other states bear the same name.
_KINDS = {"accepted": "sent", "expired": "failed", "lapsed": "silence", "reversal": "payment"}
_SQL = queries("report")


def journeys(conn: Connection[Any], tenant: Tenant) -> list[Journey]:
    """Stories of different kinds and borrowers, as far as they happened."""
    found = rows(conn, _SQL["journey_candidates"], {"each": JOURNEYS_MAX})
    words = load_words("en")
    told = []
    for kind, borrower_id in _chosen(found):
        moments = rows(conn, _SQL["journey"], {"borrower_id": borrower_id})[:LINES_MAX]
        lines = [_line(moment, borrower_id, tenant, words) for moment in moments]
        told.append(Journey(TITLES[kind], borrower_id, lines))
    return told


def _chosen(found: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Kind and borrower: the first of each kind who is not told of yet."""
    chosen: dict[str, str] = {}
    order = list(TITLES)
    for row in sorted(found, key=lambda row: order.index(row["kind"])):
        if row["kind"] not in chosen.values() and row["borrower_id"] not in chosen:
            chosen[row["borrower_id"]] = row["kind"]
    return [(kind, borrower_id) for borrower_id, kind in chosen.items()][:JOURNEYS_MAX]


def _line(moment: Mapping[str, Any], borrower_id: str, tenant: Tenant, words: Words) -> Line:
    state, reason = moment["kind"], moment["reason"]
    kind = _KINDS.get(state, state)
    match kind:
        case "payment":
            said = amount(moment["amount_minor"], moment["currency"])
            detail = "" if state == "payment" else meaning(words, "kind", state)
        case "reply":
            said = _text(moment, moment["number_token"], tenant)
            action = meaning(words, "action", moment["action"])
            detail = f"{meaning(words, 'intent', reason)}: {action}"
        case "sent":
            said = _text(moment, borrower_id, tenant)
            detail = f"step {moment['step']}, arm {moment['arm']}"
        case "delivered" | "failed" | "unknown":
            said, detail = meaning(words, "state", state), ""
        case _:
            said = f"step {moment['step']}: {meaning(words, 'state', state)}"
            detail = reason_meaning(words, reason)
    return Line(moment["at"], kind, said, detail)


def _text(moment: Mapping[str, Any], owner: str, tenant: Tenant) -> str:
    sealed = moment["text_sealed"]
    return tenant.keyring.unseal(sealed, column="text", borrower_id=owner) if sealed else ""
