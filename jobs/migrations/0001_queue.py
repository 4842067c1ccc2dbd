"""The queue: jobs, attempts that went wrong, decisions, workers; and how PostgreSQL keeps a table of short-lived rows lean."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.lookups
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("job_type", models.CharField(max_length=100)),
                ("service", models.CharField(db_default="", max_length=100)),
                ("payload", models.JSONField(db_default=models.Value({}, models.JSONField()))),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("processing", "Processing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("retrying", "Retrying"),
                        ],
                        db_default="pending",
                        max_length=10,
                    ),
                ),
                ("priority", models.SmallIntegerField(db_default=0)),
                ("run_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("attempts", models.IntegerField(db_default=0)),
                ("max_retries", models.IntegerField(db_default=5)),
                ("rescue_count", models.SmallIntegerField(db_default=0)),
                ("children_open", models.IntegerField(db_default=0)),
                ("unique_key", models.CharField(blank=True, max_length=255, null=True)),
                ("wait_reason", models.TextField(db_default="")),
                ("processed_by", models.CharField(db_default="", max_length=200)),
                ("worker_id", models.UUIDField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("note", models.TextField(db_default="")),
                ("last_error", models.TextField(db_default="")),
                (
                    "resolution",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "none"),
                            ("retried", "Retried"),
                            ("discarded", "Discarded"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="",
                        max_length=10,
                    ),
                ),
                ("resolved_by", models.CharField(blank=True, db_default="", max_length=150)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution_reason", models.TextField(blank=True, db_default="")),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "db_table": "job_queue",
                "permissions": (("review_job", "Can retry, discard and cancel jobs"),),
            },
        ),
        migrations.CreateModel(
            name="JobAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("failed", "failed"),
                            ("rescued", "rescued: its worker was lost"),
                            ("interrupted", "interrupted: its worker was stopping"),
                            ("stale", "stale result rejected"),
                        ],
                        max_length=12,
                    ),
                ),
                ("error", models.TextField(db_default="")),
                ("traceback", models.TextField(db_default="")),
                ("worker", models.CharField(db_default="", max_length=200)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="history", to="jobs.job"
                    ),
                ),
            ],
            options={
                "db_table": "jobs_attempt",
            },
        ),
        migrations.CreateModel(
            name="JobDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "decision",
                    models.CharField(
                        choices=[
                            ("", "none"),
                            ("retried", "Retried"),
                            ("discarded", "Discarded"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor", models.CharField(max_length=150)),
                ("reason", models.TextField()),
                ("decided_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="jobs.job"
                    ),
                ),
            ],
            options={
                "db_table": "jobs_decision",
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("host", models.CharField(max_length=150)),
                ("pid", models.IntegerField()),
                ("services", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                (
                    "job_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        db_default=models.Value(
                            [],
                            django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                        ),
                        size=None,
                    ),
                ),
                ("rss_bytes", models.BigIntegerField(db_default=0)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("heartbeat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "jobs_worker",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("heartbeat_at__gte", models.F("started_at"))),
                        name="jobs_worker_beats_after_start",
                    ),
                    models.CheckConstraint(condition=models.Q(("pid__gt", 0)), name="jobs_worker_pid_positive"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.F("job_type"),
                models.OrderBy(models.F("priority"), descending=True),
                models.F("run_at"),
                models.F("id"),
                condition=models.Q(("status__in", ("pending", "retrying"))),
                name="jobs_job_due",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "processing")), fields=["lease_expires_at"], name="jobs_job_leased"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "completed")), fields=["finished_at"], name="jobs_job_completed"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "failed")), fields=["finished_at"], name="jobs_job_failed"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)), fields=["parent"], name="jobs_job_children"
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "processing", "completed", "failed", "retrying"])),
                name="jobs_job_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("status__in", ("completed", "failed"))),
                    models.Q(
                        models.Q(("status__in", ("completed", "failed")), _negated=True), ("finished_at__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="jobs_job_finished_iff_terminal",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("lease_expires_at__isnull", False),
                        ("lease_token__isnull", False),
                        ("status", "processing"),
                        ("worker_id__isnull", False),
                    ),
                    models.Q(
                        models.Q(("status", "processing"), _negated=True),
                        ("lease_expires_at__isnull", True),
                        ("lease_token__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="jobs_job_lease_iff_processing",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("wait_reason", ""), ("status", "pending"), _connector="OR"),
                name="jobs_job_waits_only_pending",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("attempts__gte", 0), ("children_open__gte", 0), ("max_retries__gte", 0), ("rescue_count__gte", 0)
                ),
                name="jobs_job_counts_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.Exact(
                    models.Func("payload", function="jsonb_typeof", output_field=models.TextField()),
                    models.Value("object"),
                ),
                name="jobs_job_payload_is_object",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("parent__isnull", True), models.Q(("parent", models.F("id")), _negated=True), _connector="OR"
                ),
                name="jobs_job_not_own_parent",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("resolution", ""),
                        ("resolution_reason", ""),
                        ("resolved_at__isnull", True),
                        ("resolved_by", ""),
                    ),
                    models.Q(
                        ("resolution__in", ["retried", "discarded", "cancelled"]),
                        ("resolved_at__isnull", False),
                        models.Q(("resolved_by", ""), _negated=True),
                        models.Q(("resolution_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="jobs_job_resolution_complete",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("resolution__in", ("", "retried")), ("status", "failed"), _connector="OR"),
                name="jobs_job_given_up_is_failed",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resolution__in", ("", "retried")), ("unique_key__isnull", False)),
                fields=("job_type", "unique_key"),
                name="jobs_job_unique_key",
            ),
        ),
        migrations.AddConstraint(
            model_name="jobattempt",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["failed", "rescued", "interrupted", "stale"])),
                name="jobs_attempt_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="jobattempt",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="jobs_attempt_number_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="jobdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decision__in", ["retried", "discarded", "cancelled"]),
                    models.Q(("actor", ""), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                ),
                name="jobs_decision_complete",
            ),
        ),
        # Every row is written three times within its short life: leave room on the page for the new versions, and vacuum by
        # thousands of dead rows rather than by a fifth of the table. The workers' rows are few and beaten every few seconds.
        migrations.RunSQL(
            sql="""
            ALTER TABLE job_queue SET (
                fillfactor = 70,
                autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
                autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05,
                autovacuum_vacuum_cost_delay = 0
            );
            ALTER TABLE jobs_worker SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
            """,
            reverse_sql="""
            ALTER TABLE job_queue RESET (
                fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
                autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor, autovacuum_vacuum_cost_delay
            );
            ALTER TABLE jobs_worker RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
            """,
        ),
    ]
