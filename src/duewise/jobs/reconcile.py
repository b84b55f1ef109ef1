"""Do the books tie? Both equations of the outbox, day by day, and each route's part of a bill.

Each side is counted by itself: what was planned by the plans' own rows, what was submitted by the
mark for the wire, what became of it by the state.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from psycopg import Connection

from duewise.jobs.operations import rows
from duewise.outbox.envelope import SUBMITTED, Balance, State, balance
from duewise.store.sql import queries

_SQL = queries("route")
ROUTES = {
    "day": pl.Date,
    "route": pl.String,
    "submitted": pl.Int64,
    "delivered": pl.Int64,
    "failed": pl.Int64,
    "expired": pl.Int64,
    "unknown": pl.Int64,
    "parts_submitted": pl.Int64,
    "parts_accepted": pl.Int64,
    "parts_delivered": pl.Int64,
    "ties": pl.Boolean,
}


@dataclass(frozen=True)
class Reconciliation:
    """Both equations: by the day planned for, and by route and the day put on the wire.

    `routes` holds one row a route and day, columns as `ROUTES`; parts are what a carrier bills.
    """

    days: dict[date, Balance]
    routes: pl.DataFrame

    @property
    def ties(self) -> bool:
        """Every day and every route ties."""
        return all(each.ties for each in self.days.values()) and bool(self.routes["ties"].all())


def reconcile(conn: Connection[Any], *, zone: str) -> Reconciliation:
    """The books as they stand, read at one moment; `zone` says where a day ends."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return Reconciliation(_days(conn), _routes(conn, zone))


def _days(conn: Connection[Any]) -> dict[date, Balance]:
    counts: defaultdict[date, dict[State, int]] = defaultdict(dict)
    submitted: defaultdict[date, int] = defaultdict(int)
    for row in rows(conn, _SQL["states_by_day"], {}):
        counts[row["day"]][State(row["state"])] = row["envelopes"]
        submitted[row["day"]] += row["submitted"]
    planned = {row["day"]: row["planned"] for row in rows(conn, _SQL["planned_by_day"], {})}
    return {
        day: balance(counts[day], planned=planned.get(day, 0), submitted=submitted[day])
        for day in sorted({*counts, *planned})
    }


def _routes(conn: Connection[Any], zone: str) -> pl.DataFrame:
    keys = ["day", "route"]
    sent = pl.DataFrame(rows(conn, _SQL["sent_by_route"], {"zone": zone}))
    parts = pl.DataFrame(rows(conn, _SQL["parts_by_route"], {"zone": zone}))
    if sent.is_empty():
        return pl.DataFrame(schema=ROUTES)
    if parts.is_empty():
        parts = sent.select(*keys, parts_accepted=0, parts_delivered=0)
    became = pl.sum_horizontal(SUBMITTED)
    found = sent.join(parts, on=keys, how="left").with_columns(
        pl.col("parts_accepted", "parts_delivered").fill_null(0),
        ties=pl.col("submitted") == became,
    )
    return found.select(pl.col(name).cast(kind) for name, kind in ROUTES.items()).sort(keys)
