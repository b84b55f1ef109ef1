"""What callers told: which of it a sender must heed first, and what cannot be taken in, and why."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0017_receipt_blocks"),
    ]

    operations = [
        migrations.AddField(
            "rawinbound", "kind", models.TextField(default="sms", db_default="sms")
        ),
        # Of what an earlier version has left it is not known whether somebody refuses in it.
        migrations.AddField("rawinbound", "replies", models.IntegerField(default=1, db_default=1)),
        migrations.AddField("rawinbound", "reason", models.TextField(null=True)),
        migrations.AddIndex(
            "rawinbound",
            models.Index(
                fields=["raw_id"],
                name="raw_inbound_unheeded",
                condition=models.Q(replies__gt=0, reason__isnull=True),
            ),
        ),
    ]
