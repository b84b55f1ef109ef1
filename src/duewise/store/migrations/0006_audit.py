"""Evidence: records wait in `unsealed`, and stand in batches that are only ever added."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0005_contact"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditBatch",
            fields=[
                (
                    "number",
                    models.BigIntegerField(primary_key=True, serialize=False, verbose_name="batch"),
                ),
                ("first", models.BigIntegerField(unique=True, verbose_name="first record")),
                ("records", models.IntegerField(verbose_name="records")),
                ("from_at", models.DateTimeField(verbose_name="from")),
                ("until_at", models.DateTimeField(verbose_name="until")),
                (
                    "verdict_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None, verbose_name="verdicts"
                    ),
                ),
                ("first_verdict", models.BigIntegerField(verbose_name="lowest verdict")),
                ("last_verdict", models.BigIntegerField(verbose_name="highest verdict")),
                ("sealed_at", models.DateTimeField(verbose_name="sealed at")),
                ("root", models.BinaryField()),
                ("previous", models.BinaryField()),
                ("key", models.BinaryField()),
                ("signature", models.BinaryField()),
                ("leaves", models.BinaryField()),
                ("body", models.BinaryField()),
            ],
            options={
                "verbose_name": "audit batch",
                "verbose_name_plural": "audit batches",
                "db_table": "audit_batch",
            },
        ),
        migrations.CreateModel(
            name="Unsealed",
            fields=[
                ("unsealed_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(verbose_name="at")),
                (
                    "verdict_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None, verbose_name="verdicts"
                    ),
                ),
                ("body", models.BinaryField()),
            ],
            options={
                "verbose_name": "unsealed records",
                "verbose_name_plural": "unsealed records",
                "db_table": "unsealed",
            },
        ),
        # Bodies come compressed: to try it again would cost and gain nothing.
        migrations.RunSQL(
            "ALTER TABLE audit_batch ALTER COLUMN body SET STORAGE EXTERNAL;"
            "ALTER TABLE unsealed ALTER COLUMN body SET STORAGE EXTERNAL;"
            "CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_batch"
            " FOR EACH STATEMENT EXECUTE FUNCTION only_appended()"
        ),
    ]
