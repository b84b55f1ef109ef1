"""Up to when a route's rate is leased to its workers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0009_route"),
    ]

    operations = [
        migrations.AddField(
            model_name="route",
            name="free_at",
            field=models.DateTimeField(null=True),
        ),
    ]
