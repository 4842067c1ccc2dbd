"""What is owed to whom, and the chain transactions that pay it. The constraints here are the last line of promise one."""

import uuid

from django.db import models
from django.db.models import Q

from bonds.models.bond import UNITS, Bond


class Wallet(models.Model):
    """A cloud wallet and its lane: the row whose lock orders every signature. `next_sequence_number` is the books' view."""

    name = models.CharField(max_length=60, unique=True)
    address = models.CharField(max_length=60, unique=True)
    next_sequence_number = models.BigIntegerField()
    halted_at = models.DateTimeField(null=True, blank=True)
    halt_reason = models.TextField(blank=True)

    class Meta:
        permissions = [("lift_halt", "Can lift the halt of a wallet's lane")]
        constraints = [
            models.CheckConstraint(name="bonds_wallet_sequence_positive", condition=Q(next_sequence_number__gte=1)),
            models.CheckConstraint(
                name="bonds_wallet_halt_has_reason",
                condition=Q(halted_at__isnull=True, halt_reason="") | (Q(halted_at__isnull=False) & ~Q(halt_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PaymentStatus(models.TextChoices):
    PLANNED = "planned"
    READY = "ready"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    PAID = "paid"
    HELD = "held"
    NEEDS_REVIEW = "needs_review"
    CANCELLED = "cancelled"
    WRITTEN_OFF = "written_off"


IN_FLIGHT = (PaymentStatus.SIGNED, PaymentStatus.SUBMITTED)

# What may follow what. Out of flight only after a final rejection or a proven death; a paid payment never moves again.
PAYMENT_TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.PLANNED: frozenset({PaymentStatus.READY, PaymentStatus.CANCELLED}),
    PaymentStatus.READY: frozenset({PaymentStatus.SIGNED, PaymentStatus.HELD, PaymentStatus.CANCELLED}),
    PaymentStatus.SIGNED: frozenset(
        {PaymentStatus.SUBMITTED, PaymentStatus.PAID, PaymentStatus.READY, PaymentStatus.NEEDS_REVIEW}
    ),
    PaymentStatus.SUBMITTED: frozenset({PaymentStatus.PAID, PaymentStatus.READY, PaymentStatus.NEEDS_REVIEW}),
    PaymentStatus.PAID: frozenset(),
    PaymentStatus.HELD: frozenset({PaymentStatus.READY, PaymentStatus.CANCELLED, PaymentStatus.WRITTEN_OFF}),
    PaymentStatus.NEEDS_REVIEW: frozenset({PaymentStatus.READY, PaymentStatus.WRITTEN_OFF}),
    PaymentStatus.CANCELLED: frozenset(),
    PaymentStatus.WRITTEN_OFF: frozenset(),
}


class HoldReason(models.TextChoices):
    NOT_WHITELISTED = "not_whitelisted"
    BLACKLISTED = "blacklisted"
    CONTRACT_HELD = "contract_held"
    ACCOUNT_MISSING = "account_missing"
    PLT_REFUSES_RECIPIENT = "plt_refuses_recipient"


class Payment(models.Model):
    """What one holder is owed by one run. `run` is the id of the run that owes it; its room keeps the line behind the amount."""

    class Kind(models.TextChoices):
        YIELD = "yield"
        MATURITY = "maturity"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.UUIDField()
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="payments")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="payments")
    period_start = models.DateField()
    period_end = models.DateField()
    holder = models.CharField(max_length=60)
    plt_token_id = models.CharField(max_length=128)
    plt_decimals = models.PositiveSmallIntegerField()
    amount_units = models.DecimalField(**UNITS)
    status = models.CharField(max_length=12, choices=PaymentStatus, default=PaymentStatus.PLANNED)
    hold_reason = models.CharField(max_length=24, choices=HoldReason, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    review_reason = models.TextField(blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    paid_by = models.ForeignKey(
        "bonds.ChainTransaction", on_delete=models.PROTECT, null=True, blank=True, related_name="paid_payments"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.CheckConstraint(name="bonds_payment_status_known", condition=Q(status__in=PaymentStatus.values)),
            models.CheckConstraint(name="bonds_payment_amount_positive", condition=Q(amount_units__gt=0)),
            models.CheckConstraint(name="bonds_payment_amount_fits_u64", condition=Q(amount_units__lt=2**64)),
            models.CheckConstraint(
                name="bonds_payment_held_has_reason",
                condition=(Q(status="held", held_at__isnull=False) & ~Q(hold_reason=""))
                | (~Q(status="held") & Q(hold_reason="")),
            ),
            models.CheckConstraint(
                name="bonds_payment_paid_has_proof",
                condition=Q(status="paid", paid_at__isnull=False, paid_by__isnull=False)
                | (~Q(status="paid") & Q(paid_at__isnull=True, paid_by__isnull=True)),
            ),
            models.CheckConstraint(
                name="bonds_payment_review_has_reason", condition=~Q(status="needs_review") | ~Q(review_reason="")
            ),
            models.UniqueConstraint(
                fields=["bond", "kind", "period_start", "period_end", "holder"],
                condition=~Q(status="cancelled"),
                name="bonds_payment_one_per_period_and_holder",
            ),
            models.UniqueConstraint(fields=["run", "position"], name="bonds_payment_position_once"),
        ]
        indexes = [models.Index(fields=["run", "status"], name="bonds_payment_by_run_status")]

    def __str__(self) -> str:
        return f"{self.amount_units} units to {self.holder}"


class TransactionStatus(models.TextChoices):
    SIGNED = "signed"
    SUBMITTED = "submitted"
    FINALIZED = "finalized"
    REJECTED = "rejected"
    DEAD = "dead"


OPEN_TRANSACTION = (TransactionStatus.SIGNED, TransactionStatus.SUBMITTED)


class ChainTransaction(models.Model):
    """One signed message. Its bytes, hash and expiry are stored before anything is sent; rows are never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="transactions")
    run = models.UUIDField()
    sequence_number = models.BigIntegerField()
    transaction_hash = models.CharField(max_length=64, unique=True)
    raw = models.BinaryField()
    energy = models.BigIntegerField()
    expires_at = models.DateTimeField()
    registry_block_hash = models.CharField(max_length=64)
    registry_block_time = models.DateTimeField()
    status = models.CharField(max_length=9, choices=TransactionStatus, default=TransactionStatus.SIGNED)
    signed_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    block_hash = models.CharField(max_length=64, blank=True)
    block_height = models.BigIntegerField(null=True, blank=True)
    cost_microccd = models.BigIntegerField(null=True, blank=True)
    reject_reason = models.TextField(blank=True)
    reject_index = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["wallet", "sequence_number"]
        constraints = [
            models.CheckConstraint(
                name="bonds_chaintransaction_status_known", condition=Q(status__in=TransactionStatus.values)
            ),
            models.CheckConstraint(
                name="bonds_chaintransaction_closed_iff_terminal",
                condition=Q(status__in=OPEN_TRANSACTION, closed_at__isnull=True)
                | (~Q(status__in=OPEN_TRANSACTION) & Q(closed_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="bonds_chaintransaction_rejected_has_reason",
                condition=~Q(status="rejected") | ~Q(reject_reason=""),
            ),
            models.UniqueConstraint(
                fields=["wallet", "sequence_number"],
                condition=~Q(status="dead"),
                name="bonds_chaintransaction_one_live_per_number",
            ),
        ]
        indexes = [
            models.Index(
                fields=["wallet", "sequence_number"],
                condition=Q(status__in=OPEN_TRANSACTION),
                name="bonds_chaintransaction_open",
            ),
            models.Index(fields=["run"], name="bonds_chaintransaction_run"),
        ]

    def __str__(self) -> str:
        return f"#{self.sequence_number} {self.transaction_hash[:12]}"


class PaymentAttempt(models.Model):
    """A payment's place in a transaction. `live` until that transaction is rejected or proven dead; a paid one stays live for ever."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts")
    transaction = models.ForeignKey(ChainTransaction, on_delete=models.PROTECT, related_name="members")
    position = models.PositiveIntegerField()
    live = models.BooleanField(default=True)

    class Meta:
        ordering = ["transaction", "position"]
        constraints = [
            models.UniqueConstraint(fields=["payment"], condition=Q(live=True), name="bonds_paymentattempt_one_live"),
            models.UniqueConstraint(fields=["transaction", "position"], name="bonds_paymentattempt_position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.payment_id} in {self.transaction_id}"
