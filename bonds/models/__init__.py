"""The instrument, its holders and its money. Fields, constraints and statuses only: every write is a service's."""

from bonds.models.audit import AuditEntry
from bonds.models.bond import Bond, BondStatus
from bonds.models.claims import ClaimBatch, ClaimEntry, ClaimKind, ClaimStatus
from bonds.models.events import BondInvestor, InvestmentKind, InvestmentRecord, ParkedEvent, RegistryChange
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
    "AuditEntry",
    "Bond",
    "BondInvestor",
    "BondStatus",
    "ChainTransaction",
    "ClaimBatch",
    "ClaimEntry",
    "ClaimKind",
    "ClaimStatus",
    "HoldReason",
    "Holding",
    "IdempotencyKey",
    "InvestmentKind",
    "InvestmentRecord",
    "JournalEntry",
    "ListenerCursor",
    "LotChange",
    "ParkedEvent",
    "Payment",
    "PaymentAttempt",
    "PaymentStatus",
    "RegistryChange",
    "Snapshot",
    "SnapshotLot",
    "TransactionStatus",
    "Wallet",
]
