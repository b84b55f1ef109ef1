"""The figures of the dashboard, the API's balance and the metrics: counts, one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection

from duewise.outbox.envelope import BALANCE, SUBMITTED, Balance, State, balance

_BY_STATE = "SELECT state, count(*) FROM envelope WHERE as_of = %(as_of)s GROUP BY state"
# Both are counted from the log of changes, not from the states they must tie with.
_PLANNED = """
SELECT count(*) FROM change_row c JOIN envelope e USING (envelope_id)
 WHERE e.as_of = %(as_of)s AND c.old_state IS NULL
"""
# Of the blocks of changes only those that the day's envelopes name.
_SUBMITTED = """
WITH of_day AS MATERIALIZED (
    SELECT envelope_id, sent_in, told_in FROM envelope WHERE as_of = %(as_of)s
), block AS (
    SELECT sent_in AS block_id FROM of_day UNION SELECT told_in FROM of_day
), change AS (
    SELECT envelope_id, change_id, new_state FROM change_row JOIN of_day USING (envelope_id)
     UNION ALL
    SELECT d.envelope_id, c.change_id, c.new_state
      FROM change_block c JOIN block USING (block_id)
           CROSS JOIN LATERAL unnest(c.envelope_ids) AS moved (envelope_id)
           JOIN of_day d ON d.envelope_id = moved.envelope_id
                        AND c.block_id = ANY (ARRAY[d.sent_in, d.told_in])
)
SELECT count(*) FROM (
       SELECT DISTINCT ON (envelope_id) new_state FROM change ORDER BY envelope_id, change_id DESC
       ) AS last
 WHERE new_state = ANY(%(sent)s)
"""
_BY_DAY = """
SELECT as_of, state, count(*) FROM envelope
 WHERE as_of > %(as_of)s - %(days)s AND as_of <= %(as_of)s GROUP BY as_of, state
"""
_FEEDS = "SELECT name, complete_until FROM feed ORDER BY name"
_ALL_STATES = "SELECT state, count(*) FROM envelope GROUP BY state"
_RECEIPTS = """
SELECT status, sum(receipts)::bigint
  FROM (SELECT status, count(*) AS receipts FROM receipt_row GROUP BY status
         UNION ALL
        SELECT 'delivered', sum(cardinality(provider_ids)) FROM receipt_block) AS kept
 WHERE receipts > 0 GROUP BY status
"""
_DUE = """
SELECT count(*), min(not_before) FROM waiting
 WHERE state = 'ready' AND not_before <= %(now)s
"""
_SENT = sorted(state.value for name in SUBMITTED for state in BALANCE[name])


@dataclass(frozen=True)
class FeedAge:
    """How old a source of facts is, in seconds."""

    name: str
    complete_until: datetime
    age_s: float


def balance_on(conn: Connection[Any], as_of: date) -> Balance:
    """The outbox's two equations over the envelopes of an as-of date."""
    asked = {"as_of": as_of, "sent": _SENT}
    return balance(
        counts_on(conn, as_of),
        planned=_count(conn, _PLANNED, asked),
        submitted=_count(conn, _SUBMITTED, asked),
    )


def counts_on(conn: Connection[Any], as_of: date) -> Mapping[State, int]:
    """How many envelopes of an as-of date stand in each state; absent states are zero."""
    rows = conn.execute(_BY_STATE.encode(), {"as_of": as_of}).fetchall()
    return {State(state): count for state, count in rows}


def counts_by_day(
    conn: Connection[Any], as_of: date, *, days: int
) -> Mapping[date, Mapping[State, int]]:
    """The same for each of the last `days` days up to `as_of` that has envelopes."""
    found: dict[date, dict[State, int]] = {}
    rows = conn.execute(_BY_DAY.encode(), {"as_of": as_of, "days": days}).fetchall()
    for day, state, count in rows:
        found.setdefault(day, {})[State(state)] = count
    return dict(sorted(found.items()))


def feed_ages(conn: Connection[Any], now: datetime) -> Sequence[FeedAge]:
    """Every feed with the seconds since the instant up to which it is complete."""
    rows = conn.execute(_FEEDS.encode()).fetchall()
    return [FeedAge(name, until, (now - until).total_seconds()) for name, until in rows]


def all_counts(conn: Connection[Any]) -> Mapping[State, int]:
    """How many envelopes stand in each state, over all days; every state is named."""
    rows = conn.execute(_ALL_STATES.encode()).fetchall()
    return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}


def receipt_counts(conn: Connection[Any]) -> Mapping[str, int]:
    """How many receipts were kept, by status."""
    return {str(status): count for status, count in conn.execute(_RECEIPTS.encode()).fetchall()}


def due(conn: Connection[Any], now: datetime) -> tuple[int, float]:
    """How many envelopes wait past their hour, and the seconds the oldest has waited."""
    row = conn.execute(_DUE.encode(), {"now": now}).fetchone()
    assert row is not None, "an aggregate has one row"
    count, oldest = row
    return count, (now - oldest).total_seconds() if oldest else 0.0


def _count(conn: Connection[Any], query: str, asked: Mapping[str, Any]) -> int:
    row = conn.execute(query.encode(), asked).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0])
