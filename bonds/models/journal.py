"""The books: every movement of the cloud wallet as a debit and a credit in one row, so that both sides always agree. Append-only."""

from django.db import models
from django.db.models import F, Q

from bonds.models.bond import UNITS
from bonds.models.payments import ChainTransaction, Payment, Wallet


class JournalEntry(models.Model):
    """One movement of one asset. `payment` is set for a pay, `transaction` for every movement that a chain transaction made."""

    class Kind(models.TextChoices):
        PAY = "pay"
        FEE = "fee"

    class Account(models.TextChoices):
        WALLET = "wallet"
        INVESTORS = "investors"
        FEES = "fees"

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="journal")
    kind = models.CharField(max_length=8, choices=Kind)
    asset = models.CharField(max_length=128)
    debit = models.CharField(max_length=12, choices=Account)
    credit = models.CharField(max_length=12, choices=Account)
    amount_units = models.DecimalField(**UNITS)
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="entry")
    transaction = models.ForeignKey(ChainTransaction, on_delete=models.PROTECT, related_name="entries")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "journal entries"
        constraints = [
            models.CheckConstraint(name="bonds_journalentry_amount_positive", condition=Q(amount_units__gt=0)),
            models.CheckConstraint(name="bonds_journalentry_two_accounts", condition=~Q(debit=F("credit"))),
            models.CheckConstraint(
                name="bonds_journalentry_pay_names_payment",
                condition=Q(kind="pay", payment__isnull=False) | (~Q(kind="pay") & Q(payment__isnull=True)),
            ),
            models.UniqueConstraint(fields=["transaction"], condition=Q(kind="fee"), name="bonds_journalentry_one_fee"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_units} {self.asset}"
