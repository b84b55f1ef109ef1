"""By which route an envelope left, and what an operator has ordered for a route."""

from django.db import migrations, models

SENT_BEFORE = """
UPDATE envelope SET route = s.route
  FROM (SELECT DISTINCT ON (envelope_id) envelope_id, route FROM submission
         ORDER BY envelope_id, submission_id DESC) AS s
 WHERE envelope.envelope_id = s.envelope_id AND envelope.wired_at IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0008_lean_envelope"),
    ]

    operations = [
        migrations.CreateModel(
            name="Route",
            fields=[
                (
                    "name",
                    models.TextField(primary_key=True, serialize=False, verbose_name="route"),
                ),
                ("paused_at", models.DateTimeField(null=True, verbose_name="paused at")),
                ("reason", models.TextField(default="", verbose_name="reason")),
            ],
            options={
                "verbose_name": "route",
                "verbose_name_plural": "routes",
                "db_table": "route",
            },
        ),
        migrations.AddField(
            model_name="envelope",
            name="route",
            field=models.TextField(null=True, verbose_name="route"),
        ),
        migrations.RunSQL(SENT_BEFORE),
    ]
