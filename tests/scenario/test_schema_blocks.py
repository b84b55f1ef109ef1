"""What was stored a row at a time, before there were blocks, reads the same after the migration."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from duewise.store.connection import connect
from duewise.store.schema import django_database, migrate

ALIAS = "before_blocks"
ROWS = """
INSERT INTO envelope (key, plan_id, as_of, borrower_id, loan_id, step, arm, propensity, stage, channel,
                      template, template_hash, amount_minor, currency, due_date, facts, parts,
                      sender_id, number_token, not_before, valid_until, state, reason, changed_at,
                      attempt, wired_at, route, created_at)
VALUES ('Li|1', 'plan-1', '2026-08-14', 'Li', 'Li-1001', 'm1', 'a', 1, 'overdue', 'sms', 't', 'h',
        86840, 'CNY', '2026-08-13', '{}', 1, '1069', 'token', '2026-08-14T04:00Z',
        '2026-08-15T04:00Z', 'ready', 'released', '2026-08-14T00:30Z', 1, '2026-08-14T04:00Z', 'smpp',
        '2026-08-14T00:30Z');
UPDATE envelope SET state = 'sending', reason = 'claimed', changed_at = '2026-08-14T04:00Z';
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT envelope_id, 'smpp', '0a1', 1, '2026-08-14T04:00Z' FROM envelope;
INSERT INTO receipt (route, provider_id, status, code, reference, at, envelope_id)
SELECT 'smpp', '0a1', 'delivered', '000', '', '2026-08-14T04:01Z', envelope_id FROM envelope;
INSERT INTO verdict (envelope_id, gate, at, outcome, rules, rulebook_hash, facts)
SELECT envelope_id, 'wire', '2026-08-14T04:00Z', 'allow', '{}', 'h', '{"acct.paid": 0}' FROM envelope;
"""
READS = (
    "SELECT * FROM receipt",
    "SELECT * FROM envelope_change ORDER BY change_id",
    "SELECT * FROM submission",
    "SELECT * FROM verdict",
)
# As many more, which wait, and one that does not.
WAITS = """
CREATE TEMP TABLE more AS SELECT * FROM envelope;
INSERT INTO envelope
SELECT (jsonb_populate_record(m, jsonb_build_object('envelope_id', 100 + place, 'key', e.state,
                                                    'state', e.state))).*
  FROM more m, unnest('{ready,held,unknown,lapsed}'::text[]) WITH ORDINALITY AS e (state, place);
"""


@pytest.fixture
def before(empty_dsn: str, template_dsn: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A database as the version before blocks left it. The template sets Django up."""
    assert template_dsn
    connections.settings |= connections.configure_settings(
        {"default": connections.settings["default"], ALIAS: django_database(empty_dsn)}
    )
    with django_db_blocker.unblock():
        call_command("migrate", "store", "0016", database=ALIAS, interactive=False, verbosity=0)
        connections[ALIAS].close()
    yield empty_dsn
    del connections[ALIAS], connections.settings[ALIAS]


def test_it_reads_the_same_after_the_migration(
    before: str, django_db_blocker: DjangoDbBlocker
) -> None:
    with connect(before) as conn:
        conn.execute(ROWS)
        conn.execute(WAITS)
        told = [conn.execute(read).fetchall() for read in READS]
    assert all(told)
    with django_db_blocker.unblock():
        migrate(before)
    with connect(before) as conn:
        assert [conn.execute(read).fetchall() for read in READS] == told
        queued = conn.execute("SELECT state, lane FROM waiting ORDER BY envelope_id").fetchall()
        assert queued == [("ready", 2), ("held", 2), ("unknown", 2)]
        conn.execute(
            "UPDATE envelope SET state = 'delivered', reason = 'receipt: 000', told_in = 7"
            " WHERE state = 'sending'"
        )
        moved = conn.execute(f"{READS[1]} DESC LIMIT 1").fetchall()
    assert moved[0][0] > told[1][-1][0], "numbers go on where they stood"
    assert moved[0][3:] == ("sending", "delivered", "receipt: 000")
