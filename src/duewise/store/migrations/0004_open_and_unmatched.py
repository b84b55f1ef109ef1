"""Indexes for what time may end, and for receipts that wait for their submission."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0003_worker_number"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="envelope",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "held", "accepted", "unknown"])),
                fields=["state", "valid_until"],
                name="envelope_open",
            ),
        ),
        migrations.AddIndex(
            model_name="receipt",
            index=models.Index(
                condition=models.Q(("envelope_id__isnull", True)),
                fields=["receipt_id"],
                name="receipt_unmatched",
            ),
        ),
    ]
