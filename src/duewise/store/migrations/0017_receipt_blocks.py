"""Receipts of whole messages are kept a block at a time, and so are the moves that they lead to.

Most receipts come for all parts of a message within one batch, and each says "delivered". They are one
row a batch, without an index: their envelope names the block (`told_in`). All other receipts are rows
of `receipt_row`, as before. The view `receipt` shows both alike; so does `envelope_change`.

A submission is looked up by the gateway's id and by its envelope, and never by its number.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

RENAMED_SQL = """
ALTER TABLE receipt RENAME TO receipt_row;
ALTER TABLE envelope_change RENAME TO change_row;
ALTER TABLE submission DROP CONSTRAINT submission_pkey;
"""

RECEIPT_SQL = """
CREATE VIEW receipt AS
SELECT receipt_id, route, provider_id, status, code, reference, at, envelope_id
  FROM receipt_row
 UNION ALL
SELECT b.receipt_id, b.route, told.provider_id, 'delivered',
       CASE WHEN cardinality(b.codes) = 1 THEN b.codes[1] ELSE told.code END,
       CASE WHEN cardinality(b.refs) = 1 THEN b.refs[1] ELSE told.reference END,
       timestamptz 'epoch' + told.at_us * interval '1 microsecond', e.envelope_id
  FROM receipt_block b
       CROSS JOIN LATERAL unnest(b.envelope_ids, b.provider_ids, b.codes, b.refs, b.at_us)
                  AS told (envelope_id, provider_id, code, reference, at_us)
       JOIN envelope e ON e.envelope_id = told.envelope_id AND e.told_in = b.block_id;
"""

CHANGE_SQL = """
CREATE VIEW envelope_change AS
SELECT change_id, envelope_id, at, old_state, new_state, reason
  FROM change_row
 UNION ALL
SELECT c.change_id, e.envelope_id, c.at, c.old_state, c.new_state, c.reason
  FROM change_block c
       CROSS JOIN LATERAL unnest(c.envelope_ids) AS moved (envelope_id)
       JOIN envelope e ON e.envelope_id = moved.envelope_id AND e.told_in = c.block_id;

CREATE OR REPLACE FUNCTION envelope_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_row (envelope_id, at, old_state, new_state, reason)
    SELECT envelope_id, created_at, NULL, state, reason FROM new_rows;
    RETURN NULL;
END $$;
"""

# Moves are checked and recorded by their kind: a statement has one kind of move, or a few. Where it
# gives the envelopes their block, one row tells of all of them.
MOVED_SQL = """
CREATE OR REPLACE FUNCTION envelope_moved() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_hashjoin = on AS $$
DECLARE
    moved record;
BEGIN
    FOR moved IN
        SELECT o.state AS old_state, n.state AS new_state, n.reason, n.changed_at AS at,
               CASE WHEN o.told_in IS NULL THEN n.told_in END AS block_id,
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

# To compress a block costs as much as to write it, and only takes a fifth of the room of rows as it is.
STORAGE_SQL = "".join(
    f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL;\n"
    for table, columns in {
        "receipt_block": ("envelope_ids", "provider_ids", "codes", "refs", "at_us"),
        "change_block": ("envelope_ids",),
    }.items()
    for column in columns
)

APPENDED_SQL = "".join(
    f"CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION only_appended();\n"
    for table in ("receipt_block", "change_block")
)


def _array(base: Any) -> Any:
    return ArrayField(base_field=base, size=None)


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0016_several_routes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(RENAMED_SQL)],
            state_operations=[
                migrations.AlterModelOptions(
                    name="receipt",
                    options={
                        "managed": False,
                        "verbose_name": "receipt",
                        "verbose_name_plural": "receipts",
                    },
                ),
                migrations.RemoveConstraint(model_name="receipt", name="receipt_once"),
                migrations.RemoveIndex(model_name="receipt", name="receipt_unmatched"),
                migrations.AlterModelOptions(
                    name="envelopechange",
                    options={
                        "managed": False,
                        "verbose_name": "state change",
                        "verbose_name_plural": "state changes",
                    },
                ),
            ],
        ),
        migrations.AddField(
            model_name="envelope",
            name="told_in",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="ReceiptBlock",
            fields=[
                ("block_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("route", models.TextField()),
                ("taken_at", models.DateTimeField()),
                ("receipt_id", models.BigIntegerField()),
                ("envelope_ids", _array(models.BigIntegerField())),
                ("provider_ids", _array(models.TextField())),
                ("codes", _array(models.TextField())),
                ("refs", _array(models.TextField())),
                ("at_us", _array(models.BigIntegerField())),
            ],
            options={"db_table": "receipt_block"},
        ),
        migrations.CreateModel(
            name="ChangeBlock",
            fields=[
                ("change_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("block_id", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("old_state", models.TextField()),
                ("new_state", models.TextField()),
                ("reason", models.TextField()),
                ("envelope_ids", _array(models.BigIntegerField())),
            ],
            options={
                "db_table": "change_block",
                "indexes": [models.Index(fields=["block_id"], name="change_block_of")],
            },
        ),
        migrations.RunSQL(RECEIPT_SQL),
        migrations.RunSQL(CHANGE_SQL),
        migrations.RunSQL(MOVED_SQL),
        migrations.RunSQL(STORAGE_SQL),
        migrations.RunSQL(APPENDED_SQL),
    ]
