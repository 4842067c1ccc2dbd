"""Coupons, the runs that pay them and the lines of each run. Empty tables, nothing to move."""

import uuid

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models

import yields.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("bonds", "0002_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        BtreeGistExtension(),  # equality beside range overlap in one exclusion constraint
        migrations.CreateModel(
            name="YieldConfig",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "yield_type",
                    models.CharField(
                        choices=[
                            ("fixed", "Fixed"),
                            ("variable", "Variable"),
                            ("fixed_variable", "fixed and variable"),
                        ],
                        max_length=14,
                    ),
                ),
                ("interest_period_start", models.DateField()),
                ("interest_period_end", models.DateField(help_text="the first day that no longer counts")),
                (
                    "coupon_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=18,
                        help_text="fraction per year: 0.05 is 5 %",
                        max_digits=38,
                        null=True,
                    ),
                ),
                ("high_rate_confirmed", models.BooleanField(default=False)),
                (
                    "variable_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=18,
                        help_text="fraction of the profit: 0.10 is 10 %",
                        max_digits=38,
                        null=True,
                    ),
                ),
                ("profits_before_tax", models.DecimalField(blank=True, decimal_places=18, max_digits=38, null=True)),
                (
                    "profit_basis",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("total", "total, divided by the supply at the record block"),
                            ("per_token", "per token"),
                        ],
                        max_length=9,
                    ),
                ),
                ("profit_currency", models.CharField(blank=True, max_length=10)),
                (
                    "fx_rate",
                    models.DecimalField(
                        blank=True, decimal_places=18, max_digits=38, null=True, verbose_name="FX rate"
                    ),
                ),
                ("fx_source", models.CharField(blank=True, max_length=200, verbose_name="FX source")),
                (
                    "day_count",
                    models.CharField(
                        choices=[
                            ("ACT/365F", "ACT/365F"),
                            ("ACT/360", "ACT/360"),
                            ("ACT/ACT-ISDA", "ACT/ACT-ISDA"),
                            ("ACT/ACT-ICMA", "ACT/ACT-ICMA"),
                            ("30E/360", "30E/360"),
                            ("30/360-US", "30/360-US"),
                        ],
                        default="ACT/365F",
                        max_length=12,
                    ),
                ),
                ("yield_time", models.DateTimeField(help_text="earliest execution, UTC")),
                (
                    "record_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="whoever holds at this moment is paid; empty: the end of the UTC day before yield time",
                        null=True,
                    ),
                ),
                (
                    "rounding",
                    models.CharField(
                        choices=[("down", "Down"), ("half_up", "Half Up"), ("half_even", "Half Even")],
                        default="down",
                        max_length=9,
                    ),
                ),
                (
                    "payment_sequence",
                    models.PositiveIntegerField(help_text="1 for the first coupon of the bond, 2 for the second"),
                ),
                (
                    "payment_frequency",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        choices=[(1, "1"), (2, "2"), (4, "4"), (12, "12")],
                        help_text="coupons per year",
                        null=True,
                    ),
                ),
                ("fiscal_year_end", models.CharField(blank=True, help_text="MM-DD", max_length=5)),
                ("version", models.PositiveIntegerField(default=1)),
                ("superseded_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="yield_configs", to="bonds.bond"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "supersedes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="superseded_by",
                        to="yields.yieldconfig",
                    ),
                ),
            ],
            options={
                "db_table": "yield_configs",
                "ordering": ["-interest_period_start", "-version"],
            },
        ),
        migrations.CreateModel(
            name="YieldDistribution",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("period_start", models.DateField()),
                ("period_end", models.DateField()),
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
                ("terms", models.JSONField(help_text="what the run computes with, frozen when it started")),
                ("terms_hash", models.CharField(max_length=64)),
                ("expected_recipients", models.PositiveIntegerField(help_text="holders at the moment of the trigger")),
                (
                    "expected_units",
                    models.DecimalField(
                        decimal_places=0, help_text="estimate at the moment of the trigger", max_digits=78
                    ),
                ),
                ("plan_hash", models.CharField(blank=True, max_length=64)),
                ("total_recipients", models.PositiveIntegerField(blank=True, null=True)),
                ("total_units", models.DecimalField(blank=True, decimal_places=0, max_digits=78, null=True)),
                (
                    "exact_liability",
                    models.TextField(blank=True, help_text="n/d in the PLT's currency, before rounding"),
                ),
                (
                    "rounding_residual",
                    models.TextField(blank=True, help_text="n/d in the PLT's currency, stays with the issuer"),
                ),
                ("job", models.BigIntegerField(blank=True, help_text="id of the orchestrating job", null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("error_message", models.TextField(blank=True)),
                ("wait_reason", models.TextField(blank=True)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="yield_distributions", to="bonds.bond"
                    ),
                ),
                (
                    "config",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="yields.yieldconfig"
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="yield_distributions",
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
                "db_table": "yield_distribution_jobs",
                "ordering": ["-created_at"],
                "permissions": [("trigger_yielddistribution", "Can start a yield distribution (moves money)")],
            },
        ),
        migrations.CreateModel(
            name="YieldPayment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("holder", models.CharField(max_length=60)),
                ("bond_tokens_held_raw", models.DecimalField(decimal_places=0, max_digits=78)),
                ("exact_numerator", models.TextField()),
                ("exact_denominator", models.TextField()),
                ("amount_units", models.DecimalField(decimal_places=0, max_digits=78)),
                ("calculation_details", models.JSONField()),
                (
                    "payment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="yield_line",
                        to="bonds.payment",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lines", to="yields.yielddistribution"
                    ),
                ),
            ],
            options={
                "db_table": "yield_payments",
                "ordering": ["run", "position"],
            },
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("yield_type__in", ["fixed", "variable", "fixed_variable"])),
                name="yields_yieldconfig_type_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("day_count__in", ["ACT/365F", "ACT/360", "ACT/ACT-ISDA", "ACT/ACT-ICMA", "30E/360", "30/360-US"])
                ),
                name="yields_yieldconfig_day_count_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("rounding__in", ["down", "half_up", "half_even"])),
                name="yields_yieldconfig_rounding_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("payment_frequency__isnull", True), ("payment_frequency__in", (1, 2, 4, 12)), _connector="OR"
                ),
                name="yields_yieldconfig_frequency_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("day_count", "ACT/ACT-ICMA"), _negated=True),
                    ("payment_frequency__isnull", False),
                    _connector="OR",
                ),
                name="yields_yieldconfig_icma_has_frequency",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("interest_period_start__lt", models.F("interest_period_end"))),
                name="yields_yieldconfig_period_not_empty",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("record_at__isnull", True), ("record_at__lte", models.F("yield_time")), _connector="OR"
                ),
                name="yields_yieldconfig_record_before_yield",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("coupon_rate__isnull", True),
                    models.Q(("coupon_rate__gte", 0), ("coupon_rate__lte", 1)),
                    _connector="OR",
                ),
                name="yields_yieldconfig_coupon_rate_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("coupon_rate__isnull", True),
                    ("coupon_rate__lte", "0.25"),
                    ("high_rate_confirmed", True),
                    _connector="OR",
                ),
                name="yields_yieldconfig_high_rate_confirmed",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("coupon_rate__isnull", True), ("yield_type", "variable")),
                    models.Q(models.Q(("yield_type", "variable"), _negated=True), ("coupon_rate__isnull", False)),
                    _connector="OR",
                ),
                name="yields_yieldconfig_coupon_rate_fits_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("profit_basis", ""),
                        ("profit_currency", ""),
                        ("profits_before_tax__isnull", True),
                        ("variable_rate__isnull", True),
                        ("yield_type", "fixed"),
                    ),
                    models.Q(
                        models.Q(("yield_type", "fixed"), _negated=True),
                        ("profits_before_tax__isnull", False),
                        ("variable_rate__isnull", False),
                        ("profit_basis__in", ["total", "per_token"]),
                        models.Q(("profit_currency", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="yields_yieldconfig_profit_fits_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("variable_rate__isnull", True),
                    models.Q(("variable_rate__gte", 0), ("variable_rate__lte", 1)),
                    _connector="OR",
                ),
                name="yields_yieldconfig_variable_rate_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("profits_before_tax__isnull", True), ("profits_before_tax__gte", 0), _connector="OR"
                ),
                name="yields_yieldconfig_profit_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("fx_rate__isnull", True), ("fx_source", "")),
                    models.Q(
                        ("fx_rate__gt", 0),
                        models.Q(("fx_source", ""), _negated=True),
                        models.Q(("profit_currency", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="yields_yieldconfig_fx_rate_has_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("supersedes__isnull", True), ("version", 1)),
                    models.Q(("supersedes__isnull", False), ("version__gt", 1)),
                    _connector="OR",
                ),
                name="yields_yieldconfig_version_follows",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldconfig",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("superseded_at__isnull", True)),
                expressions=[
                    (models.F("bond"), "="),
                    (
                        yields.models.DateRange(
                            models.F("interest_period_start"),
                            models.F("interest_period_end"),
                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                        ),
                        "&&",
                    ),
                ],
                name="yields_yieldconfig_no_overlap",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
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
                name="yields_yielddistribution_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_start__lt", models.F("period_end"))),
                name="yields_yielddistribution_period_not_empty",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("completed_at__isnull", False), ("status__in", ("completed", "cancelled"))),
                    models.Q(
                        models.Q(("status__in", ("completed", "cancelled")), _negated=True),
                        ("completed_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="yields_yielddistribution_completed_iff_terminal",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "needs_attention"), _negated=True),
                    models.Q(("error_message", ""), _negated=True),
                    _connector="OR",
                ),
                name="yields_yielddistribution_attention_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "insufficient_liquidity"), _negated=True),
                    models.Q(("wait_reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="yields_yielddistribution_liquidity_wait_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("exact_liability", ""),
                        ("plan_hash", ""),
                        ("rounding_residual", ""),
                        ("total_recipients__isnull", True),
                        ("total_units__isnull", True),
                    ),
                    models.Q(
                        models.Q(("plan_hash", ""), _negated=True),
                        models.Q(("exact_liability", ""), _negated=True),
                        models.Q(("rounding_residual", ""), _negated=True),
                        ("snapshot__isnull", False),
                        ("total_recipients__isnull", False),
                        ("total_units__gte", 0),
                    ),
                    _connector="OR",
                ),
                name="yields_yielddistribution_plan_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "completed"), _negated=True),
                    models.Q(("plan_hash", ""), _negated=True),
                    _connector="OR",
                ),
                name="yields_yielddistribution_completed_has_plan",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "cancelled"), _negated=True),
                fields=("bond", "period_start", "period_end"),
                name="yields_yielddistribution_one_per_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="yielddistribution",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("status", "cancelled"), _negated=True),
                expressions=[
                    (models.F("bond"), "="),
                    (
                        yields.models.DateRange(
                            models.F("period_start"),
                            models.F("period_end"),
                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                        ),
                        "&&",
                    ),
                ],
                name="yields_yielddistribution_no_overlap",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.UniqueConstraint(fields=("run", "position"), name="yields_yieldpayment_position_once"),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.UniqueConstraint(fields=("run", "holder"), name="yields_yieldpayment_one_per_holder"),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_units__gte", 0)), name="yields_yieldpayment_amount_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("bond_tokens_held_raw__gt", 0)), name="yields_yieldpayment_tokens_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_units__gt", 0), ("payment__isnull", True), _connector="OR"),
                name="yields_yieldpayment_nothing_due_no_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="yieldpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("exact_denominator__regex", "^[1-9][0-9]*$"), ("exact_numerator__regex", "^[0-9]+$")
                ),
                name="yields_yieldpayment_exact_is_fraction",
            ),
        ),
    ]
