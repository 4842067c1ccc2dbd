"""Lift the halt of a wallet's lane: the one act that lets a stopped lane sign again. A person's, with a reason, kept in the audit log."""

from django.db import transaction

from bonds.chain.gateway import ChainGateway, ChainUnavailable
from bonds.errors import Conflict, Invalid
from bonds.models import OPEN_TRANSACTION, ChainTransaction, Wallet
from bonds.services import audit, locks

REASON_AT_MOST = 2000


def lift(wallet_id: int, *, actor: str, reason: str, chain: ChainGateway) -> Wallet:
    """Let the lane sign again; returns the wallet.

    Where the chain's next sequence number is ahead of the books, the books take it over: a gap would block the lane for ever. Refused,
    and nothing changes, without a reason (Invalid), when the lane is not halted, when the chain cannot be asked, and while a transaction
    on a number the chain has spent is still open (Conflict): until its outcome is known, its payments must not be signed again.
    """
    reason = reason.strip()
    if not reason or len(reason) > REASON_AT_MOST:
        raise Invalid(f"say in 1 to {REASON_AT_MOST} characters why the lane may sign again", field="reason")
    try:
        spent_below = chain.next_sequence_number(Wallet.objects.get(pk=wallet_id).address)
    except ChainUnavailable as error:
        raise Conflict(f"the chain cannot be reached: {error}", code="chain_unavailable") from error
    with transaction.atomic(durable=True):
        wallet = locks.wallet(wallet_id)
        _refuse(wallet, spent_below)
        before = _facts(wallet)
        wallet.halted_at, wallet.halt_reason = None, ""
        wallet.next_sequence_number = max(wallet.next_sequence_number, spent_below)
        wallet.save(update_fields=["halted_at", "halt_reason", "next_sequence_number"])
        audit.record(
            chain=audit.of_wallet(wallet),
            actor=actor,
            act="halt lifted",
            subject=wallet.name,
            reason=reason,
            before=before,
            after=_facts(wallet),
        )
    return wallet


def _refuse(wallet: Wallet, spent_below: int) -> None:
    if wallet.halted_at is None:
        raise Conflict(f"{wallet.name} is not halted", code="not_halted")
    open_rows = ChainTransaction.objects.filter(wallet=wallet, status__in=OPEN_TRANSACTION)
    stranded = open_rows.filter(sequence_number__lt=spent_below).order_by("sequence_number").first()
    if stranded is not None:
        raise Conflict(
            f"transaction {stranded.transaction_hash} is open, and the chain has spent its sequence number {stranded.sequence_number}: "
            "its outcome must be known first",
            code="outcome_unknown",
        )


def _facts(wallet: Wallet) -> dict[str, object]:
    return {
        "halted_at": wallet.halted_at,
        "halt_reason": wallet.halt_reason,
        "next_sequence_number": wallet.next_sequence_number,
    }
