"""What callers told, stored before they are answered, and taken in a moment later."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0012_dead_address"),
    ]

    operations = [
        migrations.CreateModel(
            name="RawInbound",
            fields=[
                ("raw_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("route", models.TextField()),
                ("body", models.BinaryField()),
                ("at", models.DateTimeField()),
            ],
            options={"db_table": "raw_inbound"},
        ),
        # It comes sealed: to compress it would cost and gain nothing.
        migrations.RunSQL("ALTER TABLE raw_inbound ALTER COLUMN body SET STORAGE EXTERNAL"),
    ]
