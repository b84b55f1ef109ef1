"""Regions in which nobody is told anything for a while, and where a borrower lives."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0006_audit"),
    ]

    operations = [
        migrations.AddField(
            model_name="person",
            name="region",
            field=models.TextField(null=True, verbose_name="region"),
        ),
        migrations.CreateModel(
            name="Blackout",
            fields=[
                ("blackout_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("region", models.TextField(verbose_name="region")),
                ("from_at", models.DateTimeField(verbose_name="from")),
                ("until_at", models.DateTimeField(verbose_name="until")),
                ("reason", models.TextField(verbose_name="reason")),
                ("ordered_at", models.DateTimeField(verbose_name="ordered at")),
                ("lifted_at", models.DateTimeField(null=True, verbose_name="lifted at")),
            ],
            options={
                "verbose_name": "blackout",
                "verbose_name_plural": "blackouts",
                "db_table": "blackout",
            },
        ),
    ]
