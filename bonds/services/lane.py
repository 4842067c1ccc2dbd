"""The lane of one wallet: its sequence numbers, and how what is stored for them is sent, followed and, where it is lost, proven dead.

Knows no payment: whoever signs stores the bytes under a number from take_number() in the same transaction, under the wallet's lock. Bytes
are sent as they were stored; a number is used again only when every attempt on it is proven dead.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count, Q

from bonds.chain.gateway import ChainGateway, Head, Hint, SignedTransaction, Stage
from bonds.models import OPEN_TRANSACTION, ChainTransaction, TransactionStatus, Wallet
from bonds.services import locks, settlement
from jobs.service import JobContext

log = logging.getLogger(__name__)


# --- numbers -------------------------------------------------------------------------------------------------------


def number_disagreement(wallet: Wallet, next_on_chain: int) -> str:
    """How the chain's next sequence number contradicts the books; "" when it does not."""
    if next_on_chain > wallet.next_sequence_number:
        return (
            f"the chain's next sequence number {next_on_chain} is ahead of the books' "
            f"{wallet.next_sequence_number}: the key was used elsewhere"
        )
    numbers = ChainTransaction.objects.filter(wallet=wallet, sequence_number__gte=next_on_chain)
    known = set(numbers.values_list("sequence_number", flat=True))
    for number in range(next_on_chain, wallet.next_sequence_number):
        if number not in known:
            return f"the books are ahead of the chain: they have no transaction for sequence number {number}, which it still awaits"
    return ""


def take_number(wallet: Wallet, next_on_chain: int) -> int:
    """The lowest number whose every attempt is dead, so that no gap blocks the lane; else the next one of the books."""
    rows = ChainTransaction.objects.filter(wallet=wallet, sequence_number__gte=next_on_chain)
    freed = (
        rows.values("sequence_number")
        .annotate(alive=Count("pk", filter=~Q(status=TransactionStatus.DEAD)))
        .filter(alive=0)
        .order_by("sequence_number")
        .first()
    )
    if freed:
        return int(freed["sequence_number"])
    number = wallet.next_sequence_number
    wallet.next_sequence_number = number + 1
    wallet.save(update_fields=["next_sequence_number"])
    return number


def store(wallet: Wallet, run: UUID, signed: SignedTransaction, head: Head) -> ChainTransaction:
    """Keep what was signed, as it will be sent. `head`: the final block that everything read before the signature was read at."""
    return ChainTransaction.objects.create(
        wallet=wallet,
        run=run,
        sequence_number=signed.sequence_number,
        transaction_hash=signed.transaction_hash,
        raw=signed.raw,
        energy=signed.energy,
        expires_at=signed.expires_at,
        registry_block_hash=head.block_hash,
        registry_block_time=head.time,
    )


# --- what is lost ----------------------------------------------------------------------------------------------------


def follow_missing(tx: ChainTransaction, context: JobContext, chain: ChainGateway) -> str:
    """A hash the node does not know: dead if proven, foreign if its number is spent, else sent again with everything open before it."""
    hashes = list(
        ChainTransaction.objects.filter(wallet=tx.wallet, sequence_number=tx.sequence_number).values_list(
            "transaction_hash", flat=True
        )
    )
    dead = chain.provably_dead(
        sender=tx.wallet.address,
        sequence_number=tx.sequence_number,
        expires_at=tx.expires_at,
        transaction_hashes=hashes,
    )
    if dead:
        with context.fenced():
            settlement.record_dead(tx.pk)
        log.warning(
            "transaction proven dead", extra={"transaction_hash": tx.transaction_hash, "number": tx.sequence_number}
        )
        return ""
    if _number_is_foreign(tx, hashes, chain):
        reason = f"sequence number {tx.sequence_number} was used by a transaction that is not ours"
        with context.fenced():
            settlement.halt(locks.wallet(tx.wallet_id), reason)
        return reason
    return send_window(tx.wallet, context, chain)


def _number_is_foreign(tx: ChainTransaction, hashes: Sequence[str], chain: ChainGateway) -> bool:
    """The number is spent in a finalised block, and asked after that, the chain knows none of our hashes for it."""
    if chain.next_sequence_number(tx.wallet.address) <= tx.sequence_number:
        return False
    return all(state.stage is Stage.NOT_FOUND for state in chain.states(hashes).values())


# --- send ------------------------------------------------------------------------------------------------------------


def send_window(wallet: Wallet, context: JobContext, chain: ChainGateway, *, only_unsent: bool = False) -> str:
    """Send the wallet's open transactions in order, stored bytes as they are. A node that lacks a predecessor gets the whole window.

    A halted lane sends nothing: what is stored stays stored until a person lifts the halt.
    """
    halted = Wallet.objects.filter(pk=wallet.pk, halted_at__isnull=False).values_list("halt_reason", flat=True).first()
    if halted is not None:
        return f"wallet halted: {halted}"
    window = list(
        ChainTransaction.objects.filter(wallet=wallet, status__in=OPEN_TRANSACTION).order_by("sequence_number")
    )
    if only_unsent:
        window = [tx for tx in window if tx.status == TransactionStatus.SIGNED]
    reached = []
    waiting_for = ""
    for tx in window:
        answer = chain.submit(bytes(tx.raw))
        if answer.hint is Hint.UNREACHABLE:
            waiting_for = f"the chain cannot be reached: {answer.detail}"
            break
        if answer.hint is Hint.TOO_EARLY and only_unsent:
            return send_window(wallet, context, chain)
        if answer.hint in (Hint.REFUSED, Hint.TOO_EARLY):
            waiting_for = f"the node does not take sequence number {tx.sequence_number}: {answer.detail}"
        reached.append(tx.pk)
    if reached:
        with context.fenced():
            settlement.note_submitted(reached)
    return waiting_for
