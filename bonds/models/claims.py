"""Who is to be given post-sale tokens after a successful raise, or their money after a failed one: one entry per investor, for ever."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from bonds.models.bond import Bond
from bonds.models.holdings import TOKEN_ID
from bonds.models.payments import ChainTransaction


class ClaimKind(models.TextChoices):
    CLAIM = "claim"
    REFUND = "refund"


class ClaimStatus(models.TextChoices):
    READY = "ready"
    SIGNED = "signed"
    DONE = "done"
    REFUSED = "refused"


class ClaimBatch(models.Model):
    """What one person asked for at once. Its entries are worked off in ranges of their positions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="claim_batches")
    kind = models.CharField(max_length=6, choices=ClaimKind)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "claim batches"
        permissions = [("start_claimbatch", "Can claim and refund investments on chain")]
        constraints = [
            models.CheckConstraint(name="bonds_claimbatch_kind_known", condition=Q(kind__in=ClaimKind.values))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class ClaimEntry(models.Model):
    """One investor's investment in one security, to be settled by the fund. Raw amounts are the chain's business, not ours.

    `investor`: as the fund's own event spells it: the fund knows no aliases.
    `alone`: the chain refused a call with others in it, so the next one carries this entry only. `transaction`: the last it was in.
    `refusal`: the chain's own words, when it refused the entry by itself; it may be asked for again then.
    """

    batch = models.ForeignKey(ClaimBatch, on_delete=models.PROTECT, related_name="entries")
    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=6, choices=ClaimKind)
    position = models.PositiveIntegerField()
    investor = models.CharField(max_length=60)
    token_contract_index = models.BigIntegerField()
    token_contract_subindex = models.BigIntegerField()
    token_id = models.DecimalField(**TOKEN_ID)
    status = models.CharField(max_length=7, choices=ClaimStatus, default=ClaimStatus.READY)
    alone = models.BooleanField(default=False)
    transaction = models.ForeignKey(
        ChainTransaction, on_delete=models.PROTECT, null=True, blank=True, related_name="claim_entries"
    )
    refusal = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "claim entries"
        ordering = ["batch", "position"]
        constraints = [
            models.CheckConstraint(name="bonds_claimentry_status_known", condition=Q(status__in=ClaimStatus.values)),
            models.CheckConstraint(
                name="bonds_claimentry_signed_has_transaction",
                condition=Q(status__in=("ready", "refused")) | Q(transaction__isnull=False),
            ),
            models.CheckConstraint(
                name="bonds_claimentry_done_has_time",
                condition=Q(status="done", done_at__isnull=False) | (~Q(status="done") & Q(done_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="bonds_claimentry_refused_has_reason",
                condition=(Q(status="refused") & ~Q(refusal="")) | (~Q(status="refused") & Q(refusal="")),
            ),
            models.UniqueConstraint(fields=["batch", "position"], name="bonds_claimentry_position_once"),
            # Claim or refund: the fund settles an investment once, and so do we.
            models.UniqueConstraint(
                fields=["bond", "investor", "token_contract_index", "token_contract_subindex", "token_id"],
                condition=~Q(status="refused"),
                name="bonds_claimentry_one_per_investment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.investor}"
