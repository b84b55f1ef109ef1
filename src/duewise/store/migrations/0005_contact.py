"""Contacts made elsewhere: caps count them with our own, so their rows are only ever added."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0004_open_and_unmatched"),
    ]

    operations = [
        migrations.CreateModel(
            name="Contact",
            fields=[
                (
                    "contact_id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="contact"),
                ),
                ("borrower_id", models.TextField(verbose_name="borrower")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("known_at", models.DateTimeField(verbose_name="known at")),
                ("channel", models.TextField(verbose_name="channel")),
                ("dir", models.TextField(verbose_name="direction")),
                ("outcome", models.TextField(null=True, verbose_name="outcome")),
                ("stage", models.TextField(null=True, verbose_name="stage")),
                ("actor", models.TextField(verbose_name="actor")),
                ("number_token", models.TextField(null=True, verbose_name="number token")),
                ("loan_id", models.TextField(null=True, verbose_name="loan")),
                (
                    "flags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None, verbose_name="flags"
                    ),
                ),
            ],
            options={
                "verbose_name": "contact",
                "verbose_name_plural": "contacts",
                "db_table": "contact",
                "indexes": [models.Index(fields=["borrower_id", "at"], name="contact_log")],
            },
        ),
        migrations.RunSQL(
            "CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON contact"
            " FOR EACH STATEMENT EXECUTE FUNCTION only_appended()",
            "DROP TRIGGER only_appended ON contact",
        ),
    ]
