"""Numbers for workers: each takes one, and holds an advisory lock on it while its session lives."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """A sequence that starts again from 1 when it has used up what an advisory lock can hold."""

    dependencies: ClassVar = [("store", "0002_triggers")]

    operations: ClassVar = [
        migrations.RunSQL(
            "CREATE SEQUENCE worker_number AS integer MINVALUE 1 CYCLE",
            "DROP SEQUENCE worker_number",
        )
    ]
