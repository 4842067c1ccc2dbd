"""Write down what became of a chain transaction: paid, rejected or dead, with everything that follows, inside the caller's transaction.

Never asks the chain anything; a transaction whose outcome is already written is left as it is.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bonds.chain.gateway import TokenTransferred, TransactionState
from bonds.models import (
    IN_FLIGHT,
    OPEN_TRANSACTION,
    ChainTransaction,
    JournalEntry,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    TransactionStatus,
    Wallet,
)
from bonds.services import audit, locks
from bonds.services.reject_reasons import Meaning, Verdict, meaning
from bonds.services.transitions import move
from notifications.services.notify import Notice, notify_addresses

log = logging.getLogger(__name__)

FEE_ASSET = "CCD"


def note_submitted(transaction_ids: Sequence[UUID]) -> None:
    """Remember that a node was asked, whatever it said: from now on only the hash tells."""
    signed = ChainTransaction.objects.select_for_update().filter(
        pk__in=transaction_ids, status=TransactionStatus.SIGNED
    )
    ids = sorted(tx.pk for tx in signed)
    ChainTransaction.objects.filter(pk__in=ids).update(status=TransactionStatus.SUBMITTED, submitted_at=timezone.now())
    rows = Payment.objects.filter(attempts__transaction__in=ids, attempts__live=True)
    move(rows, source=(PaymentStatus.SIGNED,), to=PaymentStatus.SUBMITTED)


def record_final(transaction_id: UUID, state: TransactionState, *, account_key: Callable[[str], str]) -> None:
    """Write the outcome of a finalised transaction: payments, books, notices. Once; a repeat changes nothing.

    Success is believed only when every event equals what was signed (recipient, amount, decimals, memo, count); otherwise the wallet is
    halted and the payments go to review. `account_key` gives the one spelling that stands for every alias of an account.
    """
    tx, wallet, members = _open(transaction_id)
    if tx is None or wallet is None:
        return
    _close(tx, TransactionStatus.REJECTED if state.rejection else TransactionStatus.FINALIZED, state)
    _post_fee(tx)
    if state.rejection:
        _rejected(tx, wallet, members, state)
        return
    difference = _difference(wallet, members, state.transfers, account_key)
    if difference:
        _to_review(members, difference)
        halt(wallet, f"transaction {tx.transaction_hash} did other than was signed: {difference}")
        return
    _paid(tx, members, account_key)


def record_dead(transaction_id: UUID) -> None:
    """The transaction is proven never to be included: its payments are ready again, its sequence number is free again."""
    tx, _, members = _open(transaction_id)
    if tx is None:
        return
    _close(tx, TransactionStatus.DEAD, None)
    _free(members)


def halt(wallet: Wallet, reason: str) -> None:
    """Stop the lane until a person lifts it. The first reason stays."""
    if wallet.halted_at is None:
        wallet.halted_at = timezone.now()
        wallet.halt_reason = reason
        wallet.save(update_fields=["halted_at", "halt_reason"])
        audit.record(
            chain=audit.of_wallet(wallet),
            actor="system",
            act="wallet halted",
            subject=wallet.name,
            reason=reason,
        )
        log.error("wallet halted", extra={"wallet": wallet.name, "reason": reason})


def _open(transaction_id: UUID) -> tuple[ChainTransaction | None, Wallet | None, list[PaymentAttempt]]:
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("an outcome is recorded inside the caller's transaction")
    wallet = locks.wallet(ChainTransaction.objects.values_list("wallet_id", flat=True).get(pk=transaction_id))
    tx = locks.transaction(transaction_id)
    if tx.status not in OPEN_TRANSACTION:
        return None, None, []
    members = list(tx.members.select_related("payment__bond").order_by("position"))
    return tx, wallet, members


def _close(tx: ChainTransaction, status: TransactionStatus, state: TransactionState | None) -> None:
    tx.status = status
    tx.closed_at = timezone.now()
    if state is not None:
        tx.block_hash = state.block_hash or ""
        tx.block_height = state.block_height
        tx.cost_microccd = state.cost_microccd
        if state.rejection:
            tx.reject_reason = f"{state.rejection.reason} {state.rejection.detail}".strip()
            tx.reject_index = state.rejection.operation_index
    tx.save()


def _post_fee(tx: ChainTransaction) -> None:
    if tx.cost_microccd:
        JournalEntry.objects.create(
            wallet_id=tx.wallet_id,
            kind=JournalEntry.Kind.FEE,
            asset=FEE_ASSET,
            debit=JournalEntry.Account.FEES,
            credit=JournalEntry.Account.WALLET,
            amount_units=tx.cost_microccd,
            transaction=tx,
        )


def _difference(
    wallet: Wallet,
    members: Sequence[PaymentAttempt],
    transfers: Sequence[TokenTransferred],
    account_key: Callable[[str], str],
) -> str:
    if len(members) != len(transfers):
        return f"{len(transfers)} transfers for {len(members)} payments"
    for member, event in zip(members, transfers, strict=True):
        payment = member.payment
        checks = {
            "token": event.token_id.casefold() == payment.plt_token_id.casefold(),
            "sender": account_key(event.sender) == account_key(wallet.address),
            "recipient": account_key(event.recipient) == account_key(payment.holder),
            "amount": event.amount_units == int(payment.amount_units),
            "decimals": event.decimals == payment.plt_decimals,
            "memo": event.memo == payment.pk.bytes,
        }
        wrong = [name for name, equal in checks.items() if not equal]
        if wrong:
            return f"payment {payment.pk}: {', '.join(wrong)} differ"
    return ""


def _paid(tx: ChainTransaction, members: Sequence[PaymentAttempt], account_key: Callable[[str], str]) -> None:
    now = timezone.now()
    payments = [member.payment for member in members]
    ids = [payment.pk for payment in payments]
    rows = Payment.objects.filter(pk__in=ids)
    changed = move(rows, source=IN_FLIGHT, to=PaymentStatus.PAID, paid_at=now, paid_by=tx)
    if changed != len(ids):
        raise AssertionError(f"{len(ids) - changed} payments of {tx.transaction_hash} were not in flight")
    JournalEntry.objects.bulk_create(
        JournalEntry(
            wallet_id=tx.wallet_id,
            kind=JournalEntry.Kind.PAY,
            asset=payment.plt_token_id,
            debit=JournalEntry.Account.INVESTORS,
            credit=JournalEntry.Account.WALLET,
            amount_units=payment.amount_units,
            payment=payment,
            transaction=tx,
        )
        for payment in payments
    )
    notify_addresses([_notice(payment, tx, now, account_key(payment.holder)) for payment in payments])


_NOTICE_TYPE = {Payment.Kind.YIELD: "yield_distributed", Payment.Kind.MATURITY: "bond_matured"}


def _notice(payment: Payment, tx: ChainTransaction, paid_at: datetime, address: str) -> Notice:
    return Notice(
        address=address,
        notification_type=_NOTICE_TYPE[Payment.Kind(payment.kind)],
        dedupe_key=f"payment:{payment.pk}",
        context={
            "bond_name": payment.bond.name,
            "isin": payment.bond.isin,
            "amount_units": str(int(payment.amount_units)),
            "decimals": payment.plt_decimals,
            "token_symbol": payment.plt_token_id,
            "period_start": payment.period_start.isoformat(),
            "period_end": payment.period_end.isoformat(),
            "paid_at": paid_at.isoformat(),
            "transaction_hash": tx.transaction_hash,
        },
    )


def _rejected(tx: ChainTransaction, wallet: Wallet, members: Sequence[PaymentAttempt], state: TransactionState) -> None:
    if state.rejection is None:
        raise AssertionError("only a rejected transaction is treated as one")
    row = meaning(state.rejection)
    index = state.rejection.operation_index
    log.warning(
        "transaction rejected",
        extra={
            "transaction_hash": tx.transaction_hash,
            "reason": tx.reject_reason,
            "index": index,
            "verdict": row.verdict,
        },
    )
    if row.verdict is Verdict.REVIEW:
        blamed = [member for member in members if index is None or member.position == index]
        _to_review(blamed, f"rejected by the chain: {tx.reject_reason}")
        _free(members)
        return
    _free(members)
    if row.verdict is Verdict.HALT:
        halt(wallet, f"the token refuses the wallet itself: {tx.reject_reason}")
    if row.verdict is Verdict.HOLD_MEMBER:
        _hold([member.payment for member in members if member.position == index], row)


def _hold(payments: Sequence[Payment], row: Meaning) -> None:
    rows = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
    move(
        rows,
        source=(PaymentStatus.READY,),
        to=PaymentStatus.HELD,
        hold_reason=row.hold_reason,
        held_at=timezone.now(),
    )


def _free(members: Sequence[PaymentAttempt]) -> None:
    PaymentAttempt.objects.filter(pk__in=[member.pk for member in members]).update(live=False)
    move(_payments_of(members), source=IN_FLIGHT, to=PaymentStatus.READY)


def _to_review(members: Sequence[PaymentAttempt], reason: str) -> None:
    move(_payments_of(members), source=IN_FLIGHT, to=PaymentStatus.NEEDS_REVIEW, review_reason=reason)


def _payments_of(members: Sequence[PaymentAttempt]) -> QuerySet[Payment]:
    return Payment.objects.filter(pk__in=[member.payment_id for member in members])
