"""Who holds which lots, as the token contract's own events say; and snapshots of it frozen at a finalised block."""

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q

from bonds.models.bond import UNITS, Bond

TOKEN_ID: dict[str, Any] = {"max_digits": 20, "decimal_places": 0}  # u64: days since 1970-01-01


class ListenerCursor(models.Model):
    """The last finalised block whose events of this bond's contracts are in the books.

    `head_height` and `head_time`: the chain's last finalised block when the listener last looked, at `updated_at`.
    """

    bond = models.OneToOneField(Bond, on_delete=models.PROTECT, primary_key=True, related_name="cursor")
    height = models.BigIntegerField()
    block_hash = models.CharField(max_length=64)
    block_time = models.DateTimeField()
    head_height = models.BigIntegerField(null=True)
    head_time = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.bond_id}@{self.height}"


class LotChange(models.Model):
    """One mint, transfer or burn event, or what one recovery moved of one lot. Append-only: a snapshot of any earlier
    block is a sum over these rows."""

    class Kind(models.TextChoices):
        MINT = "mint"
        TRANSFER = "transfer"
        BURN = "burn"
        RECOVER = "recover"

    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="lot_changes")
    kind = models.CharField(max_length=8, choices=Kind)
    token_id = models.DecimalField(**TOKEN_ID)
    amount_raw = models.DecimalField(**UNITS)
    sender = models.CharField(max_length=60, blank=True)
    recipient = models.CharField(max_length=60, blank=True)
    block_height = models.BigIntegerField()
    block_time = models.DateTimeField()
    transaction_hash = models.CharField(max_length=64)
    event_index = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transaction_hash", "event_index"], condition=~Q(kind="recover"), name="bonds_lotchange_once"
            ),
            models.UniqueConstraint(
                fields=["transaction_hash", "event_index", "token_id"],
                condition=Q(kind="recover"),
                name="bonds_lotchange_recover_once_per_lot",
            ),
            models.CheckConstraint(name="bonds_lotchange_amount_not_negative", condition=Q(amount_raw__gte=0)),
            models.CheckConstraint(
                name="bonds_lotchange_sides_fit_kind",
                condition=(
                    (Q(kind="mint", sender="") & ~Q(recipient=""))
                    | (Q(kind="burn", recipient="") & ~Q(sender=""))
                    | (Q(kind__in=["transfer", "recover"]) & ~Q(sender="") & ~Q(recipient=""))
                ),
            ),
        ]
        indexes = [models.Index(fields=["bond", "block_height"], name="bonds_lotchange_by_block")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_raw} of {self.token_id}"


class Holding(models.Model):
    """The present balance of one holder in one lot; kept by the listener, never edited."""

    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="holdings")
    holder = models.CharField(max_length=60)
    token_id = models.DecimalField(**TOKEN_ID)
    balance_raw = models.DecimalField(**UNITS)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bond", "holder", "token_id"], name="bonds_holding_one_per_lot"),
            models.CheckConstraint(name="bonds_holding_balance_not_negative", condition=Q(balance_raw__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.holder}: {self.balance_raw} of {self.token_id}"


class Snapshot(models.Model):
    """The holders of one bond at one finalised block. Never changed; a coupon and the redemption may share it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="snapshots")
    record_at = models.DateTimeField()
    block_height = models.BigIntegerField()
    block_hash = models.CharField(max_length=64)
    block_time = models.DateTimeField()
    total_supply_raw = models.DecimalField(**UNITS)
    total_holders = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bond", "block_height"], name="bonds_snapshot_one_per_block"),
            models.CheckConstraint(
                name="bonds_snapshot_block_not_after_record", condition=Q(block_time__lte=F("record_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bond_id}@{self.block_height}"


class SnapshotLot(models.Model):
    """One lot in a snapshot. `position` numbers the holders 1, 2, 3 … so that a job can name a range of them."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="lots")
    position = models.PositiveIntegerField()
    holder = models.CharField(max_length=60)
    token_id = models.DecimalField(**TOKEN_ID)
    balance_raw = models.DecimalField(**UNITS)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "holder", "token_id"], name="bonds_snapshotlot_one_per_lot"),
            models.CheckConstraint(name="bonds_snapshotlot_balance_positive", condition=Q(balance_raw__gt=0)),
        ]
        indexes = [models.Index(fields=["snapshot", "position"], name="bonds_snapshotlot_by_position")]

    def __str__(self) -> str:
        return f"{self.holder}: {self.balance_raw} of {self.token_id}"
