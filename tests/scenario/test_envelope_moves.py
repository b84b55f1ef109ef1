"""The database's own watch over envelopes: which moves it allows, and what it writes down."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from duewise.outbox.envelope import MOVES, State

Connection = psycopg.Connection[tuple[Any, ...]]
NOON = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)

ADD = """
INSERT INTO envelope (key, plan_id, as_of, borrower_id, loan_id, step, arm, propensity, stage,
                      channel, template, template_hash, amount_minor, currency, due_date, facts,
                      parts, sender_id, number_token, not_before, valid_until, state, reason,
                      changed_at, attempt, created_at)
VALUES (%(key)s, 'plan', '2026-03-01', 'Li', 'L1', 'before_due', 'gentle', 1, 'pre_due', 'sms',
        'zh.before_due.gentle', 'hash', 86840, 'CNY', '2026-03-04', '{}', 1, '10690000', 'token',
        %(now)s, %(now)s, %(state)s, 'released', %(now)s, 0, %(now)s)
RETURNING envelope_id
"""
MOVE = """
UPDATE envelope SET state = %(state)s, reason = %(reason)s, changed_at = %(now)s
 WHERE envelope_id = %(id)s
"""


def add(conn: Connection, state: State = State.READY, key: str = "Li|before_due|1") -> int:
    row = conn.execute(ADD, {"key": key, "now": NOON, "state": state.value}).fetchone()
    assert row is not None
    return int(row[0])


def move(conn: Connection, envelope_id: int, state: State, reason: str = "because") -> None:
    conn.execute(MOVE, {"id": envelope_id, "state": state.value, "reason": reason, "now": LATER})


def changes(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT old_state, new_state, reason, at FROM envelope_change ORDER BY change_id"
    ).fetchall()


def test_it_has_the_same_table_of_moves_as_the_code(conn: Connection) -> None:
    row = conn.execute("SELECT envelope_moves()").fetchone()
    assert row is not None
    assert set(row[0]) == {f"{old}>{new}" for old, states in MOVES.items() for new in states}


@pytest.mark.parametrize("old", State)
def test_it_allows_the_moves_of_the_table_and_no_other(conn: Connection, old: State) -> None:
    refused = set()
    for new in set(State) - {old}:
        envelope_id = add(conn, old, key=f"{old}|{new}")
        try:
            with conn.transaction():
                move(conn, envelope_id, new)
        except psycopg.errors.CheckViolation:
            refused.add(new)
    assert refused == set(State) - {old} - MOVES[old]


def test_it_writes_down_every_change_with_its_reason_and_instant(conn: Connection) -> None:
    envelope_id = add(conn)
    move(conn, envelope_id, State.SENDING, "claimed")
    move(conn, envelope_id, State.ACCEPTED, "accepted")
    assert changes(conn) == [
        (None, "ready", "released", NOON),
        ("ready", "sending", "claimed", LATER),
        ("sending", "accepted", "accepted", LATER),
    ]


def test_it_writes_nothing_when_the_state_stays(conn: Connection) -> None:
    envelope_id = add(conn)
    move(conn, envelope_id, State.READY, "said again")
    conn.execute("UPDATE envelope SET attempt = attempt + 1")
    assert len(changes(conn)) == 1


def test_it_refuses_a_whole_statement_for_one_forbidden_move(conn: Connection) -> None:
    add(conn, State.READY, key="one")
    add(conn, State.DELIVERED, key="two")
    conn.commit()
    with pytest.raises(psycopg.errors.CheckViolation, match="may not go from delivered to held"):
        conn.execute("UPDATE envelope SET state = 'held'")
    conn.rollback()
    assert conn.execute("SELECT state FROM envelope ORDER BY key").fetchall() == [
        ("ready",),
        ("delivered",),
    ]


def test_it_queues_what_waits_and_nothing_else(conn: Connection) -> None:
    for old in State:
        for new in State:
            if new in {old, *MOVES[old]}:
                move(conn, add(conn, old, key=f"{old}|{new}"), new)
    conn.execute("UPDATE envelope SET not_before = not_before + interval '1 h' WHERE attempt = 0")
    conn.execute("UPDATE envelope SET lane = 0, valid_until = now() WHERE key LIKE 'unknown%'")
    columns = "envelope_id, state, channel, lane, not_before, valid_until"
    queued = conn.execute(f"SELECT {columns} FROM waiting ORDER BY 1".encode()).fetchall()
    waits = "FROM envelope WHERE state IN ('ready', 'held', 'unknown') ORDER BY 1"
    assert queued == conn.execute(f"SELECT {columns} {waits}".encode()).fetchall()
    assert {row[1] for row in queued} == {"ready", "held", "unknown"}


def test_it_marks_an_envelope_without_writing_into_its_indexes(conn: Connection) -> None:
    move(conn, add(conn), State.SENDING)
    hot = "SELECT pg_stat_get_xact_tuples_hot_updated('envelope'::regclass)"
    assert conn.execute(hot).fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_row SET reason = 'another'",
        "DELETE FROM change_row",
        "TRUNCATE change_row",
        "UPDATE verdict_row SET outcome = 'allow'",
        "DELETE FROM verdict_row",
        "TRUNCATE verdict_block",
        "DELETE FROM receipt_row",
        "UPDATE receipt_block SET codes = '{}'",
        "DELETE FROM change_block",
    ],
)
def test_it_only_ever_adds_to_the_record(conn: Connection, statement: str) -> None:
    add(conn)
    with pytest.raises(psycopg.errors.RestrictViolation, match="only ever added"):
        conn.execute(statement.encode())


def test_it_gives_a_receipt_its_envelope_once(conn: Connection) -> None:
    conn.execute(
        "INSERT INTO receipt_row (route, provider_id, status, code, reference, at)"
        " VALUES ('smpp', '0A1', 'delivered', '', '', %s)",
        [NOON],
    )
    conn.execute("UPDATE receipt_row SET envelope_id = 1")
    for change in ("envelope_id = 2", "envelope_id = NULL", "status = 'failed'"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="given its envelope, once"), conn.transaction():  # fmt: skip
            conn.execute(f"UPDATE receipt_row SET {change}".encode())
