"""Three borrowers' days, told message by message from the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duewise.jobs.operations import rows
from duewise.measure.report import Journey, Line
from duewise.money import Money, format_money
from duewise.store.sql import queries

if TYPE_CHECKING:
    from psycopg import Connection

    from duewise.jobs.tenant import Tenant

JOURNEYS_MAX = 3
LINES_MAX = 40
TITLES: Mapping[str, str] = {
    "paid_in_time": "Paid before the message went: it was taken back",
    "asked_for_help": "Asked for help: the next notice waited",
    "reminded": "Reminded, step by step",
    "opted_out": "Did not want SMS: there were no more",
}
_SQL = queries("report")


def journeys(conn: Connection[Any], tenant: Tenant) -> list[Journey]:
    """Stories of different kinds, as far as they happened."""
    told = []
    for row in rows(conn, _SQL["journey_candidates"], {})[:JOURNEYS_MAX]:
        moments = rows(conn, _SQL["journey"], {"borrower_id": row["borrower_id"]})
        lines = [_line(moment, row["borrower_id"], tenant) for moment in moments[:LINES_MAX]]
        told.append(Journey(TITLES[row["kind"]], row["borrower_id"], lines))
    return told


def _line(moment: dict[str, Any], borrower_id: str, tenant: Tenant) -> Line:
    kind, detail = moment["kind"], moment["detail"] or ""
    if kind == "payment":
        amount = Money(moment["amount_minor"], tenant.currency)
        return Line(moment["at"], kind, f"paid {format_money(amount, locale='en')}", detail)
    if moment["text_sealed"] is None:
        return Line(moment["at"], kind, detail)
    sealed_for = moment["number_token"] if kind == "reply" else borrower_id
    text = tenant.keyring.unseal(moment["text_sealed"], column="text", borrower_id=sealed_for)
    return Line(moment["at"], kind, text, detail)
