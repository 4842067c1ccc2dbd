"""What a coupon is (config), one paying of it (the run) and what each holder is owed by it (the line). Never pays: that is bonds'."""

import uuid
from collections.abc import Collection

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from bonds.models import Bond, Payment, Snapshot
from bonds.models.bond import RATE, UNITS
from bonds.models.run import SHOWN_STATUS, TERMINAL, RunStatus

FREQUENCIES = (1, 2, 4, 12)
HIGH_RATE = "0.25"  # a coupon rate above it is more often a percent typed as a fraction than a coupon


class YieldType(models.TextChoices):
    FIXED = "fixed"
    VARIABLE = "variable"
    FIXED_VARIABLE = "fixed_variable", "fixed and variable"


class ProfitBasis(models.TextChoices):
    TOTAL = "total", "total, divided by the supply at the record block"
    PER_TOKEN = "per_token", "per token"


class DayCount(models.TextChoices):
    ACT_365F = "ACT/365F", "ACT/365F"
    ACT_360 = "ACT/360", "ACT/360"
    ACT_ACT_ISDA = "ACT/ACT-ISDA", "ACT/ACT-ISDA"
    ACT_ACT_ICMA = "ACT/ACT-ICMA", "ACT/ACT-ICMA"
    THIRTY_E_360 = "30E/360", "30E/360"
    THIRTY_360_US = "30/360-US", "30/360-US"


class Rounding(models.TextChoices):
    DOWN = "down"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"


class DateRange(Func):
    """The interest period as PostgreSQL's own range type, so that the database can refuse overlaps."""

    function = "daterange"
    output_field = DateRangeField()


def _no_overlap(name: str, start: str, end: str, condition: Q) -> ExclusionConstraint:
    return ExclusionConstraint(
        name=name,
        expressions=[
            (F("bond"), RangeOperators.EQUAL),
            (DateRange(F(start), F(end), RangeBoundary()), RangeOperators.OVERLAPS),
        ],
        condition=condition,
    )


class YieldConfig(models.Model):
    """One coupon of one bond. Rates are fractions per year (0.05 is 5 %); the period is half-open, in UTC days.

    `record_at` empty means the end of the UTC day before `yield_time`. `fx_rate` is units of the bond's currency for one unit of
    `profit_currency`, with its source, and only where the two differ. A config with a run is never changed: a new version supersedes it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="yield_configs")
    yield_type = models.CharField(max_length=14, choices=YieldType)
    interest_period_start = models.DateField()
    interest_period_end = models.DateField(help_text="the first day that no longer counts")
    coupon_rate = models.DecimalField(**RATE, null=True, blank=True, help_text="fraction per year: 0.05 is 5 %")
    high_rate_confirmed = models.BooleanField(default=False)
    variable_rate = models.DecimalField(**RATE, null=True, blank=True, help_text="fraction of the profit: 0.10 is 10 %")
    profits_before_tax = models.DecimalField(**RATE, null=True, blank=True)
    profit_basis = models.CharField(max_length=9, choices=ProfitBasis, blank=True)
    profit_currency = models.CharField(max_length=10, blank=True)
    fx_rate = models.DecimalField("FX rate", **RATE, null=True, blank=True)
    fx_source = models.CharField("FX source", max_length=200, blank=True)
    day_count = models.CharField(max_length=12, choices=DayCount, default=DayCount.ACT_365F)
    yield_time = models.DateTimeField(help_text="earliest execution, UTC")
    record_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="whoever holds at this moment is paid; empty: the end of the UTC day before yield time",
    )
    rounding = models.CharField(max_length=9, choices=Rounding, default=Rounding.DOWN)
    payment_sequence = models.PositiveIntegerField(help_text="1 for the first coupon of the bond, 2 for the second")
    payment_frequency = models.PositiveSmallIntegerField(
        null=True, blank=True, choices=[(number, str(number)) for number in FREQUENCIES], help_text="coupons per year"
    )
    fiscal_year_end = models.CharField(max_length=5, blank=True, help_text="MM-DD")
    version = models.PositiveIntegerField(default=1)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    superseded_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "yield_configs"
        ordering = ["-interest_period_start", "-version"]
        constraints = [
            models.CheckConstraint(name="yields_yieldconfig_type_known", condition=Q(yield_type__in=YieldType.values)),
            models.CheckConstraint(
                name="yields_yieldconfig_day_count_known", condition=Q(day_count__in=DayCount.values)
            ),
            models.CheckConstraint(name="yields_yieldconfig_rounding_known", condition=Q(rounding__in=Rounding.values)),
            models.CheckConstraint(
                name="yields_yieldconfig_frequency_known",
                condition=Q(payment_frequency__isnull=True) | Q(payment_frequency__in=FREQUENCIES),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_icma_has_frequency",
                condition=~Q(day_count=DayCount.ACT_ACT_ICMA) | Q(payment_frequency__isnull=False),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_period_not_empty",
                condition=Q(interest_period_start__lt=F("interest_period_end")),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_record_before_yield",
                condition=Q(record_at__isnull=True) | Q(record_at__lte=F("yield_time")),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_coupon_rate_range",
                condition=Q(coupon_rate__isnull=True) | Q(coupon_rate__gte=0, coupon_rate__lte=1),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_high_rate_confirmed",
                condition=Q(coupon_rate__isnull=True) | Q(coupon_rate__lte=HIGH_RATE) | Q(high_rate_confirmed=True),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_coupon_rate_fits_type",
                condition=Q(yield_type=YieldType.VARIABLE, coupon_rate__isnull=True)
                | (~Q(yield_type=YieldType.VARIABLE) & Q(coupon_rate__isnull=False)),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_profit_fits_type",
                condition=(
                    Q(
                        yield_type=YieldType.FIXED,
                        variable_rate__isnull=True,
                        profits_before_tax__isnull=True,
                        profit_basis="",
                        profit_currency="",
                    )
                    | (
                        ~Q(yield_type=YieldType.FIXED)
                        & Q(variable_rate__isnull=False, profits_before_tax__isnull=False)
                        & Q(profit_basis__in=ProfitBasis.values)
                        & ~Q(profit_currency="")
                    )
                ),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_variable_rate_range",
                condition=Q(variable_rate__isnull=True) | Q(variable_rate__gte=0, variable_rate__lte=1),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_profit_not_negative",
                condition=Q(profits_before_tax__isnull=True) | Q(profits_before_tax__gte=0),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_fx_rate_has_source",
                condition=Q(fx_rate__isnull=True, fx_source="")
                | (Q(fx_rate__gt=0) & ~Q(fx_source="") & ~Q(profit_currency="")),
            ),
            models.CheckConstraint(
                name="yields_yieldconfig_version_follows",
                condition=Q(version=1, supersedes__isnull=True) | Q(version__gt=1, supersedes__isnull=False),
            ),
            _no_overlap(
                "yields_yieldconfig_no_overlap",
                "interest_period_start",
                "interest_period_end",
                Q(superseded_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.bond}: coupon {self.payment_sequence}, {self.interest_period_start} to {self.interest_period_end}"
        )

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Nothing here: the service checks the same rules and names the field, and the database has the last word."""


class YieldDistribution(models.Model):
    """The run: one paying of one coupon, with a frozen copy of its terms. Its payments carry this row's id as their `run`.

    `plan_hash`, `total_recipients`, `total_units` and the two exact fractions are written once, together, when the plan is made; what was
    paid, held or reviewed is always counted from the payments.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    config = models.ForeignKey(YieldConfig, on_delete=models.PROTECT, related_name="runs")
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="yield_distributions")
    period_start = models.DateField()
    period_end = models.DateField()
    status = models.CharField(max_length=24, choices=RunStatus, default=RunStatus.DRAFT)
    terms = models.JSONField(help_text="what the run computes with, frozen when it started")
    terms_hash = models.CharField(max_length=64)
    expected_recipients = models.PositiveIntegerField(help_text="holders at the moment of the trigger")
    expected_units = models.DecimalField(**UNITS, help_text="estimate at the moment of the trigger")
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="yield_distributions"
    )
    plan_hash = models.CharField(max_length=64, blank=True)
    total_recipients = models.PositiveIntegerField(null=True, blank=True)
    total_units = models.DecimalField(**UNITS, null=True, blank=True)
    exact_liability = models.TextField(blank=True, help_text="n/d in the PLT's currency, before rounding")
    rounding_residual = models.TextField(blank=True, help_text="n/d in the PLT's currency, stays with the issuer")
    triggered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    job = models.BigIntegerField(null=True, blank=True, help_text="id of the orchestrating job")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    wait_reason = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="from then on nothing is signed; what was signed finishes first"
    )

    class Meta:
        db_table = "yield_distribution_jobs"
        ordering = ["-created_at"]
        permissions = [
            ("trigger_yielddistribution", "Can start a yield distribution (moves money)"),
            ("steer_yielddistribution", "Can pause and resume a yield distribution"),
            ("cancel_yielddistribution", "Can cancel a yield distribution"),
        ]
        constraints = [
            models.CheckConstraint(
                name="yields_yielddistribution_status_known", condition=Q(status__in=RunStatus.values)
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_period_not_empty", condition=Q(period_start__lt=F("period_end"))
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_completed_iff_terminal",
                condition=Q(status__in=TERMINAL, completed_at__isnull=False)
                | (~Q(status__in=TERMINAL) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_attention_has_reason",
                condition=~Q(status=RunStatus.NEEDS_ATTENTION) | ~Q(error_message=""),
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_liquidity_wait_has_reason",
                condition=~Q(status=RunStatus.INSUFFICIENT_LIQUIDITY) | ~Q(wait_reason=""),
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_plan_is_whole",
                condition=Q(
                    plan_hash="",
                    total_recipients__isnull=True,
                    total_units__isnull=True,
                    exact_liability="",
                    rounding_residual="",
                )
                | (
                    ~Q(plan_hash="")
                    & ~Q(exact_liability="")
                    & ~Q(rounding_residual="")
                    & Q(snapshot__isnull=False, total_recipients__isnull=False, total_units__gte=0)
                ),
            ),
            models.CheckConstraint(
                name="yields_yielddistribution_completed_has_plan",
                condition=~Q(status=RunStatus.COMPLETED) | ~Q(plan_hash=""),
            ),
            models.UniqueConstraint(
                fields=["bond", "period_start", "period_end"],
                condition=~Q(status=RunStatus.CANCELLED),
                name="yields_yielddistribution_one_per_period",
            ),
            _no_overlap(
                "yields_yielddistribution_no_overlap", "period_start", "period_end", ~Q(status=RunStatus.CANCELLED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bond}: {self.period_start} to {self.period_end}"

    @property
    def shown_status(self) -> str:
        """One of pending, processing, completed, failed, cancelled."""
        return SHOWN_STATUS[RunStatus(self.status)]


class YieldPayment(models.Model):
    """The line: what one holder is owed by one run and how it was computed. The payment itself is bonds'; none where nothing is due.

    `exact_numerator`/`exact_denominator` is the amount before rounding, in whole PLT. `bond_tokens_held_raw` is the sum over the lots.
    """

    run = models.ForeignKey(YieldDistribution, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    holder = models.CharField(max_length=60)
    bond_tokens_held_raw = models.DecimalField(**UNITS)
    exact_numerator = models.TextField()
    exact_denominator = models.TextField()
    amount_units = models.DecimalField(**UNITS)
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="yield_line")
    calculation_details = models.JSONField()

    class Meta:
        db_table = "yield_payments"
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="yields_yieldpayment_position_once"),
            models.UniqueConstraint(fields=["run", "holder"], name="yields_yieldpayment_one_per_holder"),
            models.CheckConstraint(name="yields_yieldpayment_amount_not_negative", condition=Q(amount_units__gte=0)),
            models.CheckConstraint(name="yields_yieldpayment_tokens_positive", condition=Q(bond_tokens_held_raw__gt=0)),
            models.CheckConstraint(
                name="yields_yieldpayment_nothing_due_no_payment",
                condition=Q(amount_units__gt=0) | Q(payment__isnull=True),
            ),
            models.CheckConstraint(
                name="yields_yieldpayment_exact_is_fraction",
                condition=Q(exact_numerator__regex=r"^[0-9]+$", exact_denominator__regex=r"^[1-9][0-9]*$"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_units} units to {self.holder}"
