"""Who approved which text, and who withdrew it: rows that are only ever added."""

from django.db import migrations, models

APPEND_ONLY_SQL = """
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON template_approval
    FOR EACH STATEMENT EXECUTE FUNCTION only_appended();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0019_set_aside"),
    ]

    operations = [
        migrations.CreateModel(
            name="TemplateApproval",
            fields=[
                ("approval_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("template", models.TextField(db_index=True, verbose_name="template")),
                ("content_hash", models.TextField(verbose_name="content hash")),
                ("what", models.TextField(verbose_name="said")),
                ("author", models.TextField(verbose_name="author")),
                ("by", models.TextField(verbose_name="by")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("why", models.TextField(default="", verbose_name="because")),
            ],
            options={
                "verbose_name": "approval",
                "verbose_name_plural": "approvals",
                "db_table": "template_approval",
            },
        ),
        migrations.RunSQL(APPEND_ONLY_SQL, "DROP TRIGGER only_appended ON template_approval"),
    ]
