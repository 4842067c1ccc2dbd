"""The instrument, its holders and its money. Fields, constraints and statuses only: every write is a service's."""

from bonds.models.bond import Bond, BondStatus
from bonds.models.holdings import Holding, ListenerCursor, LotChange, Snapshot, SnapshotLot
from bonds.models.idempotency import IdempotencyKey
from bonds.models.journal import JournalEntry
from bonds.models.payments import (
    IN_FLIGHT,
    OPEN_TRANSACTION,
    PAYMENT_TRANSITIONS,
    ChainTransaction,
    HoldReason,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    TransactionStatus,
    Wallet,
)

__all__ = [
    "IN_FLIGHT",
    "OPEN_TRANSACTION",
    "PAYMENT_TRANSITIONS",
    "Bond",
    "BondStatus",
    "ChainTransaction",
    "HoldReason",
    "Holding",
    "IdempotencyKey",
    "JournalEntry",
    "ListenerCursor",
    "LotChange",
    "Payment",
    "PaymentAttempt",
    "PaymentStatus",
    "Snapshot",
    "SnapshotLot",
    "TransactionStatus",
    "Wallet",
]
