"""Pauses of types and services, and the ticks of services: small tables, written by people and once a period."""

import django.db.models.functions.datetime
import django.db.models.lookups
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_queue"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scope", models.CharField(choices=[("type", "job type"), ("service", "service")], max_length=7)),
                ("name", models.CharField(max_length=100)),
                ("actor", models.CharField(max_length=150)),
                ("reason", models.TextField()),
                ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("resumed_at", models.DateTimeField(blank=True, null=True)),
                ("resumed_by", models.CharField(blank=True, db_default="", max_length=150)),
                ("resume_reason", models.TextField(blank=True, db_default="")),
            ],
            options={
                "db_table": "jobs_pause",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("scope__in", ["type", "service"])), name="jobs_pause_scope_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), _negated=True),
                            models.Q(("actor", ""), _negated=True),
                            models.Q(("reason", ""), _negated=True),
                        ),
                        name="jobs_pause_complete",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resume_reason", ""), ("resumed_at__isnull", True), ("resumed_by", "")),
                            models.Q(
                                ("resumed_at__gte", models.F("since")),
                                models.Q(("resumed_by", ""), _negated=True),
                                models.Q(("resume_reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="jobs_pause_resumed_by_somebody",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("resumed_at__isnull", True)),
                        fields=("scope", "name"),
                        name="jobs_pause_one_at_a_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Tick",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("job_type", models.CharField(max_length=100)),
                ("payload", models.JSONField(db_default=models.Value({}, models.JSONField()))),
                ("period_seconds", models.IntegerField()),
                ("next_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("last_job_id", models.BigIntegerField(blank=True, null=True)),
                ("last_error", models.TextField(blank=True, db_default="")),
            ],
            options={
                "db_table": "jobs_tick",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("period_seconds__gte", 1)), name="jobs_tick_period_positive"
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            models.Func("payload", function="jsonb_typeof", output_field=models.TextField()),
                            models.Value("object"),
                        ),
                        name="jobs_tick_payload_is_object",
                    ),
                ],
            },
        ),
    ]
