"""Addresses, other than numbers, at which nothing is received any more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0011_open_envelopes"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeadAddress",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("borrower_id", models.TextField(verbose_name="borrower")),
                ("channel", models.TextField(verbose_name="channel")),
                ("token", models.TextField(verbose_name="address token")),
                ("at", models.DateTimeField(verbose_name="at")),
            ],
            options={
                "verbose_name": "dead address",
                "verbose_name_plural": "dead addresses",
                "db_table": "dead_address",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("borrower_id", "channel"), name="dead_address_once"
                    )
                ],
            },
        ),
    ]
