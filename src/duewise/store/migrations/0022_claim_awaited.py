"""A claim of which no receipt can come any more is not asked about again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0021_waiting"),
    ]

    operations = [
        migrations.AddField(
            model_name="claim",
            name="is_awaited",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddIndex(
            model_name="claim",
            index=models.Index(
                fields=["claim_id"],
                name="claim_awaited",
                condition=models.Q(is_awaited=True),
            ),
        ),
    ]
