"""Routes that are tried again, lanes of the queue, and what is accepted after its claim was dropped.

`resume_at`: when a route that was left alone by itself is tried again, and how often it has been.
`lane`: what leaves first under a tight rate, in the index that the claim reads.
"""

from django.db import migrations, models

# A doubt may end by a late answer or a receipt of one part, days after its claim was dropped; the
# horizon of its receipts is looked for in claims. Rare, so it is looked at row by row.
ACCEPTED_LATE_SQL = """
CREATE FUNCTION envelope_accepted_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO claim (owner, envelope_ids, at, settled_at)
    VALUES (0, ARRAY[NEW.envelope_id], NEW.changed_at, NEW.changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER envelope_accepted_late AFTER UPDATE ON envelope
    FOR EACH ROW WHEN (OLD.state = 'unknown' AND NEW.state = 'accepted')
    EXECUTE FUNCTION envelope_accepted_late();
"""

# A subscription message of WeChat uses up one grant of its follower, who gives one with a tap. Grants
# are contacts that came in; what was put on the wire since the first of them has used one up, unless it
# was refused. NULL: nobody's grants are told of, so that none are counted.
GRANTS_SQL = """
CREATE INDEX contact_granted ON contact (borrower_id, at) WHERE outcome = 'granted';

CREATE FUNCTION wechat_grants_left(who text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (SELECT 1 FROM contact WHERE outcome = 'granted') THEN
               (SELECT count(*) FROM contact WHERE borrower_id = who AND outcome = 'granted')
             - (SELECT count(*) FROM envelope e
                 WHERE e.borrower_id = who AND e.channel = 'wechat'
                   AND e.wired_at >= (SELECT min(at) FROM contact
                                       WHERE borrower_id = who AND outcome = 'granted')
                   AND NOT (e.state = 'failed' AND e.reason LIKE 'refused%')) END
$$;
"""

# What waits at this moment: statutory notices are required, and due today is soon too late.
LANES_SQL = """
UPDATE envelope
   SET lane = CASE stage WHEN 'statutory' THEN 0 ELSE 1 END
 WHERE open_as IN ('ready', 'held') AND stage IN ('statutory', 'due_day')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0015_promise"),
    ]

    operations = [
        migrations.AddField(
            model_name="route",
            name="resume_at",
            field=models.DateTimeField(null=True, verbose_name="tried again at"),
        ),
        migrations.AddField(
            model_name="route",
            name="probes",
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL(ACCEPTED_LATE_SQL),
        migrations.RunSQL(GRANTS_SQL),
        migrations.AddField(
            model_name="envelope",
            name="lane",
            field=models.SmallIntegerField(db_default=2, default=2, verbose_name="lane"),
        ),
        migrations.RunSQL(LANES_SQL),
        migrations.RemoveIndex(model_name="envelope", name="envelope_ready"),
        migrations.AddIndex(
            model_name="envelope",
            index=models.Index(
                fields=["lane", "not_before", "envelope_id"],
                name="envelope_ready",
                condition=models.Q(open_as="ready"),
            ),
        ),
    ]
