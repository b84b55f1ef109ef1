"""What waits lies in a table of its own, so that no move of an envelope touches its indexes.

`waiting` has a narrow row for each envelope that is ready, held or unknown. Until now the queues
were indexes over the envelopes themselves, and whatever left one was written into all the others.
The database keeps the two in step; whoever locks an envelope has its row of the queue with it.
"""

from django.db import migrations, models

WAITING_SQL = """
INSERT INTO waiting (envelope_id, state, channel, lane, not_before, valid_until)
SELECT envelope_id, state, channel, lane, not_before, valid_until
  FROM envelope WHERE state IN ('ready', 'held', 'unknown');

-- What was taken off leaves entries at the head of the queue, until it is swept; it is soon swept.
ALTER TABLE waiting SET (autovacuum_vacuum_scale_factor = 0.02);

CREATE FUNCTION envelope_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO waiting (envelope_id, state, channel, lane, not_before, valid_until)
    SELECT envelope_id, state, channel, lane, not_before, valid_until
      FROM new_rows WHERE state IN ('ready', 'held', 'unknown');
    RETURN NULL;
END $$;
CREATE TRIGGER envelope_waits AFTER INSERT ON envelope
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION envelope_waits();

CREATE FUNCTION envelope_put_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE waiting
       SET channel = NEW.channel, lane = NEW.lane, not_before = NEW.not_before,
           valid_until = NEW.valid_until
     WHERE envelope_id = NEW.envelope_id;
    RETURN NULL;
END $$;
CREATE TRIGGER envelope_put_off AFTER UPDATE ON envelope
    FOR EACH ROW WHEN (OLD.state = NEW.state AND NEW.state IN ('ready', 'held', 'unknown')
                       AND (OLD.channel, OLD.lane, OLD.not_before, OLD.valid_until)
                           IS DISTINCT FROM
                           (NEW.channel, NEW.lane, NEW.not_before, NEW.valid_until))
    EXECUTE FUNCTION envelope_put_off();
"""

# A function's plans are made once a session, for whatever number of rows came first: it goes by index.
MOVED_SQL = """
DROP TRIGGER envelope_opened ON envelope;
DROP FUNCTION envelope_opened();
DROP FUNCTION envelope_open_as(text, timestamptz);

CREATE OR REPLACE FUNCTION envelope_moved() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_hashjoin = on SET enable_seqscan = off AS $$
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
        IF moved.old_state IN ('ready', 'held', 'unknown') THEN
            DELETE FROM waiting WHERE envelope_id = ANY (moved.envelope_ids);
        END IF;
        IF moved.new_state IN ('ready', 'held', 'unknown') THEN
            INSERT INTO waiting (envelope_id, state, channel, lane, not_before, valid_until)
            SELECT envelope_id, state, channel, lane, not_before, valid_until
              FROM envelope WHERE envelope_id = ANY (moved.envelope_ids);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0020_template_approval"),
    ]

    operations = [
        migrations.CreateModel(
            name="Waiting",
            fields=[
                ("envelope_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("state", models.TextField()),
                ("channel", models.TextField()),
                ("lane", models.SmallIntegerField()),
                ("not_before", models.DateTimeField()),
                ("valid_until", models.DateTimeField()),
            ],
            options={"db_table": "waiting"},
        ),
        migrations.RunSQL(WAITING_SQL),
        migrations.RunSQL(MOVED_SQL),
        migrations.RemoveIndex(model_name="envelope", name="envelope_ready"),
        migrations.RemoveIndex(model_name="envelope", name="envelope_open"),
        migrations.RemoveField(model_name="envelope", name="open_as"),
        migrations.AddIndex(
            model_name="waiting",
            index=models.Index(
                fields=["lane", "not_before", "envelope_id"],
                name="waiting_ready",
                condition=models.Q(state="ready"),
            ),
        ),
        migrations.AddIndex(
            model_name="waiting",
            index=models.Index(fields=["state", "valid_until"], name="waiting_until"),
        ),
    ]
