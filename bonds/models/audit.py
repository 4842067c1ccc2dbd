"""Who did what, when and why: append-only rows, each sealed with the hash of the one before it."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q


class AuditEntry(models.Model):
    """One human act, or one chain transaction. Written only by bonds.services.audit; the database refuses UPDATE and DELETE.

    `chain`: what the entries are chained by, a run or a wallet, so that writing about one never waits for another. `number` counts within
    it from 1. `hash` covers every other column and `previous_hash`; the first entry of a chain follows sixty-four zeros.
    """

    chain = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    act = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    before = models.JSONField(encoder=DjangoJSONEncoder, default=dict, blank=True)
    after = models.JSONField(encoder=DjangoJSONEncoder, default=dict, blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["chain", "number"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "number"], name="bonds_auditentry_one_per_number"),
            models.UniqueConstraint(fields=["chain", "previous_hash"], name="bonds_auditentry_no_fork"),
            models.CheckConstraint(
                name="bonds_auditentry_complete",
                condition=~Q(chain="") & ~Q(actor="") & ~Q(act="") & ~Q(subject="") & Q(number__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.act} {self.subject}"
