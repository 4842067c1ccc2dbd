"""Redemption runs and their lines. Empty tables, nothing to move."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("bonds", "0002_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MaturityRun",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("plt_token_id", models.CharField(max_length=128, verbose_name="PLT symbol")),
                ("face_value_per_token", models.DecimalField(decimal_places=18, max_digits=38)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("awaiting_approval", "Awaiting Approval"),
                            ("scheduled", "Scheduled"),
                            ("executing", "Executing"),
                            ("paused", "Paused"),
                            ("insufficient_liquidity", "Insufficient Liquidity"),
                            ("completed", "Completed"),
                            ("needs_attention", "Needs Attention"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="draft",
                        max_length=24,
                    ),
                ),
                ("terms", models.JSONField()),
                ("terms_hash", models.CharField(max_length=64)),
                ("plan_hash", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("error_message", models.TextField(blank=True)),
                ("wait_reason", models.TextField(blank=True)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="maturity_runs", to="bonds.bond"
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="maturity_runs",
                        to="bonds.snapshot",
                    ),
                ),
                (
                    "triggered_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "maturity_jobs",
                "ordering": ["-created_at"],
                "permissions": [("trigger_maturityrun", "Can start a redemption (burns tokens and moves money)")],
            },
        ),
        migrations.CreateModel(
            name="MaturityPayment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("holder", models.CharField(max_length=60)),
                ("bond_tokens_held_raw", models.DecimalField(decimal_places=0, max_digits=78)),
                ("amount_units", models.DecimalField(decimal_places=0, max_digits=78)),
                (
                    "burn_status",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("ready", "Ready"),
                            ("signed", "Signed"),
                            ("submitted", "Submitted"),
                            ("burned", "Burned"),
                            ("held", "Held"),
                            ("needs_review", "Needs Review"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="planned",
                        max_length=12,
                    ),
                ),
                ("burned_at", models.DateTimeField(blank=True, null=True)),
                ("calculation_details", models.JSONField()),
                (
                    "payment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="maturity_line",
                        to="bonds.payment",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lines", to="maturity.maturityrun"
                    ),
                ),
            ],
            options={
                "db_table": "maturity_payments",
                "ordering": ["run", "position"],
            },
        ),
        migrations.AddConstraint(
            model_name="maturityrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "draft",
                            "awaiting_approval",
                            "scheduled",
                            "executing",
                            "paused",
                            "insufficient_liquidity",
                            "completed",
                            "needs_attention",
                            "cancelled",
                        ],
                    )
                ),
                name="maturity_maturityrun_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturityrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("face_value_per_token__gt", 0)), name="maturity_maturityrun_face_value_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="maturityrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("completed_at__isnull", False), ("status__in", ("completed", "cancelled"))),
                    models.Q(
                        models.Q(("status__in", ("completed", "cancelled")), _negated=True),
                        ("completed_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="maturity_maturityrun_completed_iff_terminal",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturityrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "needs_attention"), _negated=True),
                    models.Q(("error_message", ""), _negated=True),
                    _connector="OR",
                ),
                name="maturity_maturityrun_attention_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturityrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "cancelled"), _negated=True),
                fields=("bond",),
                name="maturity_maturityrun_one_per_bond",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.UniqueConstraint(
                fields=("run", "position"), name="maturity_maturitypayment_position_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.UniqueConstraint(
                fields=("run", "holder"), name="maturity_maturitypayment_one_per_holder"
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "burn_status__in",
                        ["planned", "ready", "signed", "submitted", "burned", "held", "needs_review", "cancelled"],
                    )
                ),
                name="maturity_maturitypayment_burn_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_units__gte", 0)), name="maturity_maturitypayment_amount_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("bond_tokens_held_raw__gt", 0)), name="maturity_maturitypayment_tokens_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("burn_status", "burned"), ("burned_at__isnull", False)),
                    models.Q(models.Q(("burn_status", "burned"), _negated=True), ("burned_at__isnull", True)),
                    _connector="OR",
                ),
                name="maturity_maturitypayment_burned_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="maturitypayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("payment__isnull", True), ("burn_status", "burned"), _connector="OR"),
                name="maturity_maturitypayment_paid_after_burn",
            ),
        ),
    ]
