"""What borrowers promised, and which replies a person has seen to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0014_answered_claim"),
    ]

    operations = [
        migrations.CreateModel(
            name="Promise",
            fields=[
                (
                    "promise_id",
                    models.BigAutoField(primary_key=True, serialize=False, verbose_name="promise"),
                ),
                ("ref", models.TextField(unique=True)),
                ("borrower_id", models.TextField(db_index=True, verbose_name="borrower")),
                ("loan_id", models.TextField(null=True, verbose_name="loan")),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                ("known_at", models.DateTimeField(verbose_name="known at")),
                ("day", models.DateField(verbose_name="promised day")),
                (
                    "amount_minor",
                    models.BigIntegerField(null=True, verbose_name="amount (minor units)"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("source", models.TextField(verbose_name="source")),
                ("reply_id", models.BigIntegerField(null=True, verbose_name="reply")),
                ("cancelled_at", models.DateTimeField(null=True, verbose_name="cancelled at")),
                ("cancel_reason", models.TextField(null=True, verbose_name="cancelled because")),
            ],
            options={
                "verbose_name": "promise",
                "verbose_name_plural": "promises",
                "db_table": "promise",
            },
        ),
        migrations.AddField(
            model_name="reply",
            name="done_at",
            field=models.DateTimeField(null=True, verbose_name="seen to at"),
        ),
        migrations.AddField(
            model_name="reply",
            name="done_by",
            field=models.TextField(null=True, verbose_name="seen to by"),
        ),
    ]
