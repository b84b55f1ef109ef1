"""A chunk that was accepted as a whole is answered by one row; its envelopes are told later."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0013_raw_inbound"),
    ]

    operations = [
        migrations.AddField(
            model_name="claim",
            name="is_answered",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="claim",
            index=models.Index(
                fields=["claim_id"],
                name="claim_answered",
                condition=models.Q(is_answered=True),
            ),
        ),
    ]
