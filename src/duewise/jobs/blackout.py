"""Regional blackouts: after a disaster nobody there is told that money is due.

Every gate asks the table anew, so an order holds for the next message that is about to leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from duewise.errors import BadInput
from duewise.store.sql import queries

LISTED_MAX = 200
_SQL = queries("blackout")


@dataclass(frozen=True)
class Blackout:
    """An order: `people` live in its region, and `people_anywhere` in none that is known."""

    blackout_id: int
    region: str
    from_at: datetime
    until_at: datetime
    reason: str
    ordered_at: datetime
    lifted_at: datetime | None
    people: int
    people_anywhere: int

    def state(self, now: datetime) -> str:
        """lifted, over, ahead, or in force."""
        if self.lifted_at is not None:
            return "lifted"
        if self.until_at <= now:
            return "over"
        return "ahead" if self.from_at > now else "in force"


def order(
    conn: Connection[Any],
    region: str,
    *,
    from_at: datetime,
    until_at: datetime,
    reason: str,
    now: datetime,
) -> int:
    """Order a blackout; its number. Raises BadInput for an order that could not take effect."""
    if not region.strip() or not reason.strip():
        raise BadInput("region and reason must be told", mend="write --reason 'flood, order 12'")
    if until_at <= max(from_at, now):
        raise BadInput(
            "the blackout would be over before it begins", source="--until", mend="name a later end"
        )
    values = {"region": region.strip(), "from_at": from_at, "until_at": until_at}
    row = conn.execute(_SQL["order"], {**values, "reason": reason, "now": now}).fetchone()
    assert row is not None, "an insert returns its number"
    return int(row[0])


def lift(conn: Connection[Any], blackout_id: int, *, now: datetime) -> str:
    """Lift a blackout before its end; its region. Raises BadInput if there is none to lift."""
    row = conn.execute(_SQL["lift"], {"blackout_id": blackout_id, "now": now}).fetchone()
    if row is None:
        raise BadInput(
            f"no blackout {blackout_id} is in force or ahead", mend="see `duewise guard blackouts`"
        )
    return str(row[0])


def listed(conn: Connection[Any]) -> list[Blackout]:
    """The last orders, newest first."""
    with conn.cursor(row_factory=class_row(Blackout)) as cursor:
        return cursor.execute(_SQL["listed"], {"limit": LISTED_MAX}).fetchall()
