"""Moves of an envelope that touch no index, checked and recorded a statement at a time.

PostgreSQL writes a new version of a row beside the old one, and no index entry, where no indexed
column has changed. So no index may hold the state. `open_as` says what is still to be done with an
envelope, and changes once on the usual way: with the mark for the wire. What was claimed is known by
one row a claim, not by an index over the claimed.
"""

import django.contrib.postgres.fields
from django.db import migrations, models

# What an envelope is open as: to be claimed (or claimed, and not written yet), held, in doubt.
OPEN_SQL = """
CREATE FUNCTION envelope_open_as(state text, wired_at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN state IN ('ready', 'held', 'unknown') THEN state
                WHEN state = 'sending' AND wired_at IS NULL THEN 'ready' END
$$;

CREATE FUNCTION envelope_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.open_as := envelope_open_as(NEW.state, NEW.wired_at);
    RETURN NEW;
END $$;

UPDATE envelope SET open_as = envelope_open_as(state, wired_at)
 WHERE envelope_open_as(state, wired_at) IS NOT NULL;

CREATE TRIGGER envelope_opened BEFORE INSERT OR UPDATE ON envelope
    FOR EACH ROW WHEN (NEW.open_as IS DISTINCT FROM envelope_open_as(NEW.state, NEW.wired_at))
    EXECUTE FUNCTION envelope_opened();

ALTER TABLE envelope SET (fillfactor = 50);
"""

# The plan of a trigger is made once a session, for whatever number of rows came first: without the
# setting a statement of a million rows might get the plan of one of one row.
MOVED_SQL = """
DROP TRIGGER envelope_moved ON envelope;

CREATE OR REPLACE FUNCTION envelope_moved() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_hashjoin = on AS $$
DECLARE
    wrong record;
BEGIN
    SELECT o.envelope_id, o.state AS old_state, n.state AS new_state INTO wrong
      FROM old_rows o JOIN new_rows n USING (envelope_id)
     WHERE o.state <> n.state AND o.state || '>' || n.state <> ALL (envelope_moves())
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'envelope % may not go from % to %',
              wrong.envelope_id, wrong.old_state, wrong.new_state
              USING ERRCODE = 'check_violation', TABLE = 'envelope', CONSTRAINT = 'envelope_moves';
    END IF;
    INSERT INTO envelope_change (envelope_id, at, old_state, new_state, reason)
    SELECT n.envelope_id, n.changed_at, o.state, n.state, n.reason
      FROM old_rows o JOIN new_rows n USING (envelope_id)
     WHERE o.state <> n.state;
    RETURN NULL;
END $$;

CREATE TRIGGER envelope_moved AFTER UPDATE ON envelope
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION envelope_moved();
"""

# Claims of workers that live at this moment, and what awaits its receipt, as if claimed at once.
CLAIMED_SQL = """
INSERT INTO claim (owner, envelope_ids, at)
SELECT owner, array_agg(envelope_id ORDER BY envelope_id), max(changed_at)
  FROM envelope WHERE state = 'sending' AND owner IS NOT NULL GROUP BY owner;

INSERT INTO claim (owner, envelope_ids, at, settled_at)
SELECT 0, array_agg(envelope_id ORDER BY envelope_id), min(changed_at), min(changed_at)
  FROM envelope WHERE state = 'accepted' GROUP BY envelope_id / 1000;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0010_route_rate"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="envelope", name="envelope_plan"),
        migrations.RemoveIndex(model_name="envelope", name="envelope_ready"),
        migrations.RemoveIndex(model_name="envelope", name="envelope_sending"),
        migrations.RemoveIndex(model_name="envelope", name="envelope_open"),
        migrations.RemoveIndex(model_name="envelope", name="envelope_day"),
        migrations.AddField(
            model_name="envelope",
            name="open_as",
            field=models.TextField(null=True),
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                ("claim_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("owner", models.BigIntegerField()),
                (
                    "envelope_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                ("at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "claim"},
        ),
        migrations.RunSQL(OPEN_SQL),
        migrations.RunSQL(MOVED_SQL),
        migrations.RunSQL(CLAIMED_SQL),
        migrations.AddIndex(
            model_name="envelope",
            index=models.Index(
                fields=["not_before", "envelope_id"],
                name="envelope_ready",
                condition=models.Q(open_as="ready"),
            ),
        ),
        migrations.AddIndex(
            model_name="envelope",
            index=models.Index(
                fields=["open_as", "valid_until"],
                name="envelope_open",
                condition=models.Q(open_as__isnull=False),
            ),
        ),
        migrations.AddIndex(
            model_name="envelope",
            index=models.Index(fields=["as_of"], name="envelope_day"),
        ),
        migrations.AddIndex(
            model_name="claim",
            index=models.Index(
                fields=["owner"],
                name="claim_unsettled",
                condition=models.Q(settled_at__isnull=True),
            ),
        ),
    ]
