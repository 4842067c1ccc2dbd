"""Redemption: one run per bond, and per holder two legs that are two facts: the burn of the tokens and the payment of face value."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from bonds.models import Bond, Payment, Snapshot
from bonds.models.bond import RATE, UNITS
from bonds.models.run import SHOWN_STATUS, TERMINAL, RunStatus


class BurnStatus(models.TextChoices):
    PLANNED = "planned"
    READY = "ready"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    BURNED = "burned"
    HELD = "held"
    NEEDS_REVIEW = "needs_review"
    CANCELLED = "cancelled"


class MaturityRun(models.Model):
    """One redemption of one bond at its face value, with a frozen copy of its terms."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="maturity_runs")
    plt_token_id = models.CharField("PLT symbol", max_length=128)
    face_value_per_token = models.DecimalField(**RATE)
    status = models.CharField(max_length=24, choices=RunStatus, default=RunStatus.DRAFT)
    terms = models.JSONField()
    terms_hash = models.CharField(max_length=64)
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="maturity_runs"
    )
    plan_hash = models.CharField(max_length=64, blank=True)
    triggered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    wait_reason = models.TextField(blank=True)

    class Meta:
        db_table = "maturity_jobs"
        ordering = ["-created_at"]
        permissions = [("trigger_maturityrun", "Can start a redemption (burns tokens and moves money)")]
        constraints = [
            models.CheckConstraint(name="maturity_maturityrun_status_known", condition=Q(status__in=RunStatus.values)),
            models.CheckConstraint(
                name="maturity_maturityrun_face_value_positive", condition=Q(face_value_per_token__gt=0)
            ),
            models.CheckConstraint(
                name="maturity_maturityrun_completed_iff_terminal",
                condition=Q(status__in=TERMINAL, completed_at__isnull=False)
                | (~Q(status__in=TERMINAL) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="maturity_maturityrun_attention_has_reason",
                condition=~Q(status=RunStatus.NEEDS_ATTENTION) | ~Q(error_message=""),
            ),
            models.UniqueConstraint(
                fields=["bond"], condition=~Q(status=RunStatus.CANCELLED), name="maturity_maturityrun_one_per_bond"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bond}: redemption"

    @property
    def shown_status(self) -> str:
        """One of pending, processing, completed, failed, cancelled."""
        return SHOWN_STATUS[RunStatus(self.status)]


class MaturityPayment(models.Model):
    """The line: one holder's tokens to burn and, only once the burn is final, the payment that follows from it."""

    run = models.ForeignKey(MaturityRun, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    holder = models.CharField(max_length=60)
    bond_tokens_held_raw = models.DecimalField(**UNITS)
    amount_units = models.DecimalField(**UNITS)
    burn_status = models.CharField(max_length=12, choices=BurnStatus, default=BurnStatus.PLANNED)
    burned_at = models.DateTimeField(null=True, blank=True)
    payment = models.OneToOneField(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="maturity_line"
    )
    calculation_details = models.JSONField()

    class Meta:
        db_table = "maturity_payments"
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="maturity_maturitypayment_position_once"),
            models.UniqueConstraint(fields=["run", "holder"], name="maturity_maturitypayment_one_per_holder"),
            models.CheckConstraint(
                name="maturity_maturitypayment_burn_known", condition=Q(burn_status__in=BurnStatus.values)
            ),
            models.CheckConstraint(
                name="maturity_maturitypayment_amount_not_negative", condition=Q(amount_units__gte=0)
            ),
            models.CheckConstraint(
                name="maturity_maturitypayment_tokens_positive", condition=Q(bond_tokens_held_raw__gt=0)
            ),
            models.CheckConstraint(
                name="maturity_maturitypayment_burned_has_time",
                condition=Q(burn_status=BurnStatus.BURNED, burned_at__isnull=False)
                | (~Q(burn_status=BurnStatus.BURNED) & Q(burned_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="maturity_maturitypayment_paid_after_burn",
                condition=Q(payment__isnull=True) | Q(burn_status=BurnStatus.BURNED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_units} units to {self.holder}"
