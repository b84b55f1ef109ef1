"""What went on the wire together is judged in one row, and so is the move that put it there.

A verdict of the wire's gate that lets an envelope go for the first time is part of its chunk's block,
which the envelope names (`sent_in`). All other verdicts are rows of `verdict_row`, as before. The view
`verdict` shows both alike. Numbers of all blocks come from one sequence.

An envelope's day is found by ranges of pages, so that its mark writes one index entry less.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

RENAMED_SQL = "ALTER TABLE verdict RENAME TO verdict_row;"

VERDICT_SQL = """
CREATE VIEW verdict AS
SELECT verdict_id, envelope_id, gate, at, outcome, rules, next_allowed_at, rulebook_hash, facts
  FROM verdict_row
 UNION ALL
SELECT given.verdict_id, e.envelope_id, 'wire', b.at, 'allow', '{}'::text[], NULL::timestamptz,
       b.rulebook_hash, given.facts::jsonb
  FROM verdict_block b
       CROSS JOIN LATERAL unnest(b.verdict_ids, b.envelope_ids, string_to_array(b.facts, E'\\n'))
                  AS given (verdict_id, envelope_id, facts)
       JOIN envelope e ON e.envelope_id = given.envelope_id AND e.sent_in = b.block_id;

ALTER TABLE verdict_block
    ALTER COLUMN verdict_ids SET STORAGE EXTERNAL,
    ALTER COLUMN envelope_ids SET STORAGE EXTERNAL;
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON verdict_block
    FOR EACH STATEMENT EXECUTE FUNCTION only_appended();
"""

CHANGE_SQL = """
CREATE OR REPLACE VIEW envelope_change AS
SELECT change_id, envelope_id, at, old_state, new_state, reason
  FROM change_row
 UNION ALL
SELECT c.change_id, e.envelope_id, c.at, c.old_state, c.new_state, c.reason
  FROM change_block c
       CROSS JOIN LATERAL unnest(c.envelope_ids) AS moved (envelope_id)
       JOIN envelope e ON e.envelope_id = moved.envelope_id
                      AND c.block_id = ANY (ARRAY[e.sent_in, e.told_in]);

CREATE OR REPLACE FUNCTION envelope_moved() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_hashjoin = on AS $$
DECLARE
    moved record;
BEGIN
    FOR moved IN
        SELECT o.state AS old_state, n.state AS new_state, n.reason, n.changed_at AS at,
               COALESCE(CASE WHEN o.told_in IS NULL THEN n.told_in END,
                        CASE WHEN o.sent_in IS NULL THEN n.sent_in END) AS block_id,
               array_agg(n.envelope_id) AS envelope_ids
          FROM old_rows o JOIN new_rows n USING (envelope_id)
         WHERE o.state <> n.state
         GROUP BY 1, 2, 3, 4, 5
    LOOP
        IF moved.old_state || '>' || moved.new_state <> ALL (envelope_moves()) THEN
            RAISE EXCEPTION 'envelope % may not go from % to %',
                  moved.envelope_ids[1], moved.old_state, moved.new_state
                  USING ERRCODE = 'check_violation', TABLE = 'envelope',
                        CONSTRAINT = 'envelope_moves';
        ELSIF moved.block_id IS NULL THEN
            INSERT INTO change_row (envelope_id, at, old_state, new_state, reason)
            SELECT envelope_id, moved.at, moved.old_state, moved.new_state, moved.reason
              FROM unnest(moved.envelope_ids) AS each (envelope_id);
        ELSE
            INSERT INTO change_block (change_id, block_id, at, old_state, new_state, reason,
                                      envelope_ids)
            VALUES (nextval(pg_get_serial_sequence('change_row', 'change_id')), moved.block_id,
                    moved.at, moved.old_state, moved.new_state, moved.reason, moved.envelope_ids);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0017_receipt_blocks"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(RENAMED_SQL)],
            state_operations=[
                migrations.AlterModelOptions(
                    name="verdict",
                    options={
                        "managed": False,
                        "verbose_name": "verdict",
                        "verbose_name_plural": "verdicts",
                    },
                ),
            ],
        ),
        migrations.AddField(
            model_name="envelope",
            name="sent_in",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="VerdictBlock",
            fields=[
                ("block_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("rulebook_hash", models.TextField()),
                ("first_verdict", models.BigIntegerField()),
                ("last_verdict", models.BigIntegerField()),
                (
                    "verdict_ids",
                    ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "envelope_ids",
                    ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("facts", models.TextField()),
            ],
            options={
                "db_table": "verdict_block",
                "indexes": [models.Index(fields=["last_verdict"], name="verdict_block_last")],
            },
        ),
        migrations.RemoveIndex(model_name="envelope", name="envelope_day"),
        migrations.AddIndex(
            model_name="envelope",
            index=BrinIndex(fields=["as_of"], name="envelope_day", pages_per_range=32),
        ),
        migrations.RunSQL(VERDICT_SQL),
        migrations.RunSQL(CHANGE_SQL),
    ]
