"""The schema of operations."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "loan_id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="loan"),
                ),
                ("borrower_id", models.TextField(db_index=True, verbose_name="borrower")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
            ],
            options={
                "verbose_name": "account",
                "verbose_name_plural": "accounts",
                "db_table": "account",
            },
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("borrower_id", models.TextField(db_index=True, verbose_name="borrower")),
                ("kind", models.TextField(verbose_name="kind")),
                ("opened_at", models.DateTimeField(verbose_name="opened at")),
                ("closed_at", models.DateTimeField(null=True, verbose_name="closed at")),
                ("source", models.TextField(verbose_name="source")),
            ],
            options={
                "verbose_name": "case",
                "verbose_name_plural": "cases",
                "db_table": "case_file",
            },
        ),
        migrations.CreateModel(
            name="EnvelopeChange",
            fields=[
                ("change_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("envelope_id", models.BigIntegerField(db_index=True, verbose_name="envelope")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("old_state", models.TextField(null=True, verbose_name="from")),
                ("new_state", models.TextField(verbose_name="to")),
                ("reason", models.TextField(verbose_name="reason")),
            ],
            options={
                "verbose_name": "state change",
                "verbose_name_plural": "state changes",
                "db_table": "envelope_change",
            },
        ),
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False, verbose_name="feed")),
                ("complete_until", models.DateTimeField(verbose_name="complete until")),
            ],
            options={
                "verbose_name": "feed",
                "verbose_name_plural": "feeds",
                "db_table": "feed",
            },
        ),
        migrations.CreateModel(
            name="PaymentEvent",
            fields=[
                (
                    "payment_id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="payment"),
                ),
                ("loan_id", models.TextField(db_index=True, verbose_name="loan")),
                ("borrower_id", models.TextField(db_index=True, verbose_name="borrower")),
                ("paid_at", models.DateTimeField(verbose_name="paid at")),
                ("known_at", models.DateTimeField(verbose_name="known at")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount (minor units)")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("kind", models.TextField(default="payment", verbose_name="kind")),
                ("reverses", models.TextField(null=True, verbose_name="reverses")),
                ("source", models.TextField(verbose_name="source")),
            ],
            options={
                "verbose_name": "payment",
                "verbose_name_plural": "payments",
                "db_table": "payment_event",
            },
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                (
                    "borrower_id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="borrower"),
                ),
                ("name_sealed", models.BinaryField(null=True)),
                ("phone_sealed", models.BinaryField(null=True)),
                (
                    "number_token",
                    models.TextField(db_index=True, null=True, verbose_name="number token"),
                ),
                ("salutation_sealed", models.BinaryField(null=True)),
                ("email_sealed", models.BinaryField(null=True)),
                ("push_token_sealed", models.BinaryField(null=True)),
                ("wechat_openid_sealed", models.BinaryField(null=True)),
                ("birth_date_sealed", models.BinaryField(null=True)),
                ("locale", models.TextField(default="zh-CN", verbose_name="locale")),
                ("timezone", models.TextField(default="Asia/Shanghai", verbose_name="time zone")),
                ("number_state", models.TextField(default="valid", verbose_name="number state")),
                ("is_wrong_party", models.BooleanField(default=False, verbose_name="wrong party")),
            ],
            options={
                "verbose_name": "person",
                "verbose_name_plural": "people",
                "db_table": "person",
            },
        ),
        migrations.CreateModel(
            name="PlanRun",
            fields=[
                (
                    "plan_id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="plan"),
                ),
                ("as_of", models.DateField(verbose_name="as-of date")),
                ("planned_at", models.DateTimeField(verbose_name="planned at")),
                ("released_at", models.DateTimeField(null=True, verbose_name="released at")),
                ("strategy", models.TextField(verbose_name="strategy")),
                ("strategy_hash", models.TextField(verbose_name="strategy hash")),
                ("rulebook_hash", models.TextField(verbose_name="rulebook hash")),
                ("template_hash", models.TextField(verbose_name="template hash")),
                ("borrowers", models.BigIntegerField(verbose_name="borrowers considered")),
                ("proposals", models.BigIntegerField(verbose_name="proposals")),
                ("held_out", models.BigIntegerField(verbose_name="held out")),
            ],
            options={
                "verbose_name": "plan",
                "verbose_name_plural": "plans",
                "db_table": "plan_run",
            },
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("verdict_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("envelope_id", models.BigIntegerField(db_index=True, verbose_name="envelope")),
                ("gate", models.TextField(verbose_name="gate")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("outcome", models.TextField(verbose_name="outcome")),
                (
                    "rules",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None, verbose_name="rules"
                    ),
                ),
                (
                    "next_allowed_at",
                    models.DateTimeField(null=True, verbose_name="next allowed at"),
                ),
                ("rulebook_hash", models.TextField(verbose_name="rulebook hash")),
                ("facts", models.JSONField(verbose_name="facts")),
            ],
            options={
                "verbose_name": "verdict",
                "verbose_name_plural": "verdicts",
                "db_table": "verdict",
            },
        ),
        migrations.CreateModel(
            name="Envelope",
            fields=[
                (
                    "envelope_id",
                    models.BigAutoField(primary_key=True, serialize=False, verbose_name="envelope"),
                ),
                ("key", models.TextField(unique=True, verbose_name="key")),
                ("plan_id", models.TextField(db_index=True, verbose_name="plan")),
                ("as_of", models.DateField(verbose_name="as-of date")),
                ("borrower_id", models.TextField(db_index=True, verbose_name="borrower")),
                ("loan_id", models.TextField(db_index=True, verbose_name="loan")),
                ("step", models.TextField(verbose_name="step")),
                ("arm", models.TextField(verbose_name="arm")),
                ("propensity", models.FloatField(verbose_name="propensity")),
                ("stage", models.TextField(verbose_name="stage")),
                ("channel", models.TextField(verbose_name="channel")),
                ("template", models.TextField(verbose_name="template")),
                ("template_hash", models.TextField(verbose_name="template hash")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount (minor units)")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("due_date", models.DateField(verbose_name="due date")),
                ("facts", models.JSONField(verbose_name="facts")),
                ("text_sealed", models.BinaryField(null=True)),
                ("parts", models.SmallIntegerField(verbose_name="parts")),
                ("sender_id", models.TextField(verbose_name="sender id")),
                ("number_token", models.TextField(verbose_name="number token")),
                ("not_before", models.DateTimeField(verbose_name="not before")),
                ("valid_until", models.DateTimeField(verbose_name="valid until")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("ready", "ready"),
                            ("sending", "sending"),
                            ("accepted", "accepted"),
                            ("delivered", "delivered"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                            ("unknown", "unknown"),
                            ("held", "held"),
                            ("blocked", "blocked"),
                            ("cancelled", "cancelled"),
                            ("lapsed", "lapsed"),
                        ],
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(default="", verbose_name="reason")),
                ("changed_at", models.DateTimeField(verbose_name="changed at")),
                ("attempt", models.SmallIntegerField(default=0, verbose_name="attempt")),
                ("owner", models.BigIntegerField(null=True, verbose_name="worker")),
                ("wired_at", models.DateTimeField(null=True, verbose_name="on the wire at")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
            ],
            options={
                "verbose_name": "envelope",
                "verbose_name_plural": "envelopes",
                "db_table": "envelope",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "ready")),
                        fields=["not_before", "envelope_id"],
                        name="envelope_ready",
                    ),
                    models.Index(
                        condition=models.Q(("state", "sending")),
                        fields=["owner"],
                        name="envelope_sending",
                    ),
                    models.Index(fields=["as_of", "state"], name="envelope_day"),
                ],
            },
        ),
        migrations.CreateModel(
            name="OptOut",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("borrower_id", models.TextField(verbose_name="borrower")),
                ("channel", models.TextField(verbose_name="channel")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("source", models.TextField(verbose_name="source")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
            ],
            options={
                "verbose_name": "opt-out",
                "verbose_name_plural": "opt-outs",
                "db_table": "opt_out",
                "constraints": [
                    models.UniqueConstraint(fields=("borrower_id", "channel"), name="opt_out_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                ("receipt_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("route", models.TextField(verbose_name="route")),
                ("provider_id", models.TextField(verbose_name="provider id")),
                ("status", models.TextField(verbose_name="status")),
                ("code", models.TextField(default="", verbose_name="code")),
                ("reference", models.TextField(default="", verbose_name="reference")),
                ("at", models.DateTimeField(verbose_name="at")),
                (
                    "envelope_id",
                    models.BigIntegerField(db_index=True, null=True, verbose_name="envelope"),
                ),
            ],
            options={
                "verbose_name": "receipt",
                "verbose_name_plural": "receipts",
                "db_table": "receipt",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route", "provider_id", "status"), name="receipt_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Reply",
            fields=[
                ("reply_id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "borrower_id",
                    models.TextField(db_index=True, null=True, verbose_name="borrower"),
                ),
                ("number_token", models.TextField(verbose_name="number token")),
                ("route", models.TextField(verbose_name="route")),
                ("inbound_id", models.TextField(verbose_name="inbound id")),
                ("text_sealed", models.BinaryField()),
                ("intent", models.TextField(verbose_name="intent")),
                ("action", models.TextField(verbose_name="action")),
                ("at", models.DateTimeField(verbose_name="at")),
            ],
            options={
                "verbose_name": "reply",
                "verbose_name_plural": "replies",
                "db_table": "reply",
                "constraints": [
                    models.UniqueConstraint(fields=("route", "inbound_id"), name="reply_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Submission",
            fields=[
                ("submission_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("envelope_id", models.BigIntegerField(db_index=True, verbose_name="envelope")),
                ("route", models.TextField(verbose_name="route")),
                ("provider_id", models.TextField(verbose_name="provider id")),
                ("part", models.SmallIntegerField(verbose_name="part")),
                ("accepted_at", models.DateTimeField(verbose_name="accepted at")),
            ],
            options={
                "verbose_name": "submission",
                "verbose_name_plural": "submissions",
                "db_table": "submission",
                "constraints": [
                    models.UniqueConstraint(fields=("route", "provider_id"), name="submission_once")
                ],
            },
        ),
    ]
