"""When a route that was left alone by itself is tried again, and how often it has been."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0012_dead_address"),
    ]

    operations = [
        migrations.AddField(
            model_name="route",
            name="resume_at",
            field=models.DateTimeField(null=True, verbose_name="tried again at"),
        ),
        migrations.AddField(
            model_name="route",
            name="probes",
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
    ]
