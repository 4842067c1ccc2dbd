"""The one way a payment's status changes: a guarded UPDATE whose row count says who won."""

from typing import Any

from django.db.models import QuerySet

from bonds.models import PAYMENT_TRANSITIONS, Payment, PaymentStatus


def move(payments: QuerySet[Payment], *, source: tuple[PaymentStatus, ...], to: PaymentStatus, **fields: Any) -> int:
    """Move those of the payments that stand in `source` on to `to`, with the columns that belong to it; returns how many moved.

    AssertionError for a step the state machine does not have: that is a defect of the caller, whatever the rows say.
    """
    for status in source:
        if to not in PAYMENT_TRANSITIONS[status]:
            raise AssertionError(f"a payment never goes from {status} to {to}")
    return payments.filter(status__in=source).update(status=to, **fields)
