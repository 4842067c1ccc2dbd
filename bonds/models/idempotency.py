"""Answers kept for ever under the Idempotency-Key they were given for."""

from django.conf import settings
from django.db import models


class IdempotencyKey(models.Model):
    """One answered request. The same key with the same body gets the same answer; with another body it is refused."""

    key = models.CharField(max_length=200, primary_key=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    path = models.CharField(max_length=300)
    body_hash = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key
