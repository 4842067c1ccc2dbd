"""The one place that takes row locks on money. Order, always: wallet, then chain transaction, then payments by id."""

from collections.abc import Iterable
from uuid import UUID

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from bonds.models import ChainTransaction, Payment, PaymentStatus, Wallet

LANE_WAIT = "10s"
LANE_SILENCE = "30s"


class LaneBusy(Exception):
    """The lane is taken for longer than one waits. Nothing was written; the caller comes back later."""


def wallet(wallet_id: int) -> Wallet:
    """The wallet's lane: whoever holds this row may allocate a sequence number, reserve its money or halt it.

    Bounded both ways, for this transaction: LaneBusy after LANE_WAIT of waiting; and a holder that goes silent inside its transaction
    (a stopped process, a lost host) is cut off by the server after LANE_SILENCE, so that it cannot keep the lane from everybody else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL lock_timeout = '{LANE_WAIT}'; SET LOCAL idle_in_transaction_session_timeout = '{LANE_SILENCE}'"
        )
    try:
        return _wallet_row(wallet_id)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise LaneBusy("another worker holds the wallet's lane") from error
        raise


def _wallet_row(wallet_id: int) -> Wallet:
    return Wallet.objects.select_for_update().get(pk=wallet_id)


def transaction(transaction_id: UUID) -> ChainTransaction:
    """One attempt, so that only one worker records its outcome. Call after `wallet`."""
    return ChainTransaction.objects.select_for_update().get(pk=transaction_id)


def payments(ids: Iterable[UUID], status: PaymentStatus) -> list[Payment]:
    """Those of the payments that still have this status, in position order. Call last."""
    rows = Payment.objects.select_for_update(of=("self",)).filter(pk__in=list(ids), status=status).order_by("pk")
    return sorted(rows, key=lambda payment: payment.position)
