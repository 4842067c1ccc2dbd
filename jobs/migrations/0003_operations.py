"""Bulk operations with their frozen members; edits of a payload as decisions; what makes two failures the same failure."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

# Immutable, and of built-in functions alone, so that an index may rest on it. First line of the error; quoted text and every word with a
# digit in it (numbers, identifiers, hashes) left aside. The type belongs to it: alike is what one fix repairs.
FINGERPRINT = r"""
CREATE FUNCTION jobs_fingerprint(job_type text, error text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT left(md5(job_type || E'\n' || regexp_replace(regexp_replace(
    split_part(left(error, 500), E'\n', 1),
    '(?<![A-Za-z])''[^'']*''|"[^"]*"', '?', 'g'),
    '[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*', '#', 'g')), 12)
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_controls_and_ticks"),
    ]

    operations = [
        migrations.RunSQL(sql=FINGERPRINT, reverse_sql="DROP FUNCTION jobs_fingerprint(text, text)"),
        migrations.CreateModel(
            name="JobOperation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("action", models.CharField(choices=[("retry", "retry"), ("discard", "discard")], max_length=7)),
                ("filter", models.JSONField(db_default=models.Value({}, models.JSONField()))),
                ("preview", models.JSONField(db_default=models.Value({}, models.JSONField()))),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("previewed", "previewed"),
                            ("running", "running"),
                            ("completed", "completed"),
                            ("cancelled", "cancelled"),
                        ],
                        db_default="previewed",
                        max_length=9,
                    ),
                ),
                ("actor", models.CharField(max_length=150)),
                ("reason", models.TextField()),
                ("rate_per_second", models.IntegerField()),
                ("total", models.IntegerField()),
                ("done", models.IntegerField(db_default=0)),
                ("skipped", models.IntegerField(db_default=0)),
                ("errored", models.IntegerField(db_default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("confirmed_by", models.CharField(blank=True, db_default="", max_length=150)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("cancelled_by", models.CharField(blank=True, db_default="", max_length=150)),
                ("cancel_reason", models.TextField(blank=True, db_default="")),
            ],
            options={
                "verbose_name": "bulk operation",
                "db_table": "jobs_operation",
            },
        ),
        migrations.CreateModel(
            name="JobOperationMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job_id", models.BigIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("", "not reached"), ("done", "done"), ("skipped", "skipped"), ("errored", "errored")],
                        db_default="",
                        max_length=7,
                    ),
                ),
                ("detail", models.TextField(blank=True, db_default="")),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "jobs_operation_member",
            },
        ),
        migrations.RemoveConstraint(
            model_name="jobdecision",
            name="jobs_decision_complete",
        ),
        migrations.AddField(
            model_name="jobdecision",
            name="diff",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField())),
        ),
        migrations.AlterField(
            model_name="jobdecision",
            name="decision",
            field=models.CharField(
                choices=[
                    ("retried", "retried"),
                    ("discarded", "discarded"),
                    ("cancelled", "cancelled"),
                    ("edited", "payload edited"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("action__in", ["retry", "discard"]),
                    ("status__in", ["previewed", "running", "completed", "cancelled"]),
                ),
                name="jobs_operation_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("actor", ""), _negated=True), models.Q(("reason", ""), _negated=True)),
                name="jobs_operation_complete",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("confirmed_at__isnull", True), ("confirmed_by", ""), ("status", "previewed")),
                    models.Q(
                        ("confirmed_at__isnull", False),
                        ("status__in", ["running", "completed", "cancelled"]),
                        models.Q(("confirmed_by", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="jobs_operation_runs_when_confirmed",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("status__in", ["completed", "cancelled"])),
                    models.Q(("finished_at__isnull", True), ("status__in", ["previewed", "running"])),
                    _connector="OR",
                ),
                name="jobs_operation_finished_iff_ended",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("status", "cancelled"),
                        models.Q(("cancelled_by", ""), _negated=True),
                        models.Q(("cancel_reason", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("status", "cancelled"), _negated=True), ("cancel_reason", ""), ("cancelled_by", "")
                    ),
                    _connector="OR",
                ),
                name="jobs_operation_cancelled_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("done__gte", 0),
                    ("errored__gte", 0),
                    ("skipped__gte", 0),
                    (
                        "total__gte",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(models.F("done"), "+", models.F("skipped")),
                            "+",
                            models.F("errored"),
                        ),
                    ),
                    models.Q(
                        models.Q(("status", "completed"), _negated=True),
                        (
                            "total",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("done"), "+", models.F("skipped")
                                ),
                                "+",
                                models.F("errored"),
                            ),
                        ),
                        _connector="OR",
                    ),
                ),
                name="jobs_operation_counts_add_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperation",
            constraint=models.CheckConstraint(
                condition=models.Q(("rate_per_second__gte", 1)), name="jobs_operation_rate_positive"
            ),
        ),
        migrations.AddField(
            model_name="jobdecision",
            name="operation",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="jobs.joboperation",
            ),
        ),
        migrations.AddConstraint(
            model_name="jobdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decision__in", ["retried", "discarded", "cancelled", "edited"]),
                    models.Q(("actor", ""), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                ),
                name="jobs_decision_complete",
            ),
        ),
        migrations.AddConstraint(
            model_name="jobdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decision", "edited"), models.Q(("diff", {}), _negated=True)),
                    models.Q(models.Q(("decision", "edited"), _negated=True), ("diff", {})),
                    _connector="OR",
                ),
                name="jobs_decision_diff_iff_edited",
            ),
        ),
        migrations.AddField(
            model_name="joboperationmember",
            name="operation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="members",
                to="jobs.joboperation",
            ),
        ),
        migrations.AddIndex(
            model_name="joboperationmember",
            index=models.Index(
                condition=models.Q(("outcome", "")), fields=["operation", "job_id"], name="jobs_operation_member_next"
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperationmember",
            constraint=models.UniqueConstraint(fields=("operation", "job_id"), name="jobs_operation_member_once"),
        ),
        migrations.AddConstraint(
            model_name="joboperationmember",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("detail", ""), ("ended_at__isnull", True), ("outcome", "")),
                    models.Q(("ended_at__isnull", False), ("outcome__in", ["done", "skipped", "errored"])),
                    _connector="OR",
                ),
                name="jobs_operation_member_ended_iff_outcome",
            ),
        ),
        migrations.AddConstraint(
            model_name="joboperationmember",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome__in", ["", "done"]), models.Q(("detail", ""), _negated=True), _connector="OR"
                ),
                name="jobs_operation_member_says_why",
            ),
        ),
    ]
