"""The one way money leaves the wallet: record, act, record. The only caller of the gateway's writing side.

Never decides from an answer to a submit, from a clock of ours, or from "not found" alone. A payment's bytes are stored before
they are sent; a replacement is signed only with the same sequence number and only when every earlier attempt on it is proven dead.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from bonds.chain.gateway import (
    ChainGateway,
    ChainUnavailable,
    Head,
    RegistryState,
    SignedTransaction,
    Stage,
    TransactionState,
    Transfer,
)
from bonds.errors import Conflict
from bonds.models import (
    IN_FLIGHT,
    OPEN_TRANSACTION,
    Bond,
    ChainTransaction,
    HoldReason,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    TransactionStatus,
    Wallet,
)
from bonds.models.bond import contract_of_registry
from bonds.services import lane, locks, settlement
from bonds.services.totals import OWED, totals
from bonds.services.transitions import move
from jobs.service import JobContext

log = logging.getLogger(__name__)

_RESERVED = (PaymentStatus.READY, *IN_FLIGHT, PaymentStatus.HELD)


class PaymentsOverlap(Conflict):
    """A holder already has a payment for this bond, period and kind that is not cancelled. Nothing was planned; a person looks."""

    code = "payments_overlap"


@dataclass(frozen=True)
class PaymentLine:
    """One line of a plan. `amount_units` > 0; a line with a hold reason is owed but not payable now."""

    position: int
    holder: str
    amount_units: int
    hold_reason: str = ""


@dataclass(frozen=True)
class BatchProgress:
    """Where a batch stands: payments still to be paid, payments a person must look at, and why nothing moves ("" when it does)."""

    open_count: int
    review_count: int
    waiting_for: str


def plan(
    *, bond: Bond, run: UUID, kind: str, period_start: date, period_end: date, lines: Sequence[PaymentLine]
) -> list[Payment]:
    """Write down what a run owes, inside the caller's transaction. Raises PaymentsOverlap when a holder is already owed this period."""
    now = timezone.now()
    rows = [
        Payment(
            run=run,
            position=line.position,
            kind=kind,
            bond=bond,
            wallet_id=bond.wallet_id,
            period_start=period_start,
            period_end=period_end,
            holder=line.holder,
            plt_token_id=bond.plt_token_id,
            plt_decimals=bond.plt_decimals,
            amount_units=line.amount_units,
            status=PaymentStatus.HELD if line.hold_reason else PaymentStatus.PLANNED,
            hold_reason=line.hold_reason,
            held_at=now if line.hold_reason else None,
        )
        for line in lines
    ]
    try:
        with transaction.atomic():
            return Payment.objects.bulk_create(rows, batch_size=1000)
    except IntegrityError as error:
        if "bonds_payment_one_per_period_and_holder" in str(error):
            raise PaymentsOverlap(
                f"a holder of {bond.name} already has a {kind} payment for {period_start} to {period_end}",
                field="period",
            ) from error
        raise


def make_ready(run: UUID) -> int:
    """Open the planned payments of a run for signing, inside the caller's transaction. Returns how many; a second call opens none."""
    return move(Payment.objects.filter(run=run), source=(PaymentStatus.PLANNED,), to=PaymentStatus.READY)


def shortfall_units(chain: ChainGateway, bond: Bond, run: UUID) -> int:
    """Base units the wallet lacks for everything this run still owes, held included; 0 when it has enough. Raises ChainUnavailable."""
    return _shortfall(bond, run, chain.token_balance_units(bond.wallet.address, bond.plt_token_id))


def open_run(*, bond: Bond, run: UUID, context: JobContext, on_open: Callable[[], None]) -> int:
    """All or nothing: make every planned payment of the run ready if the wallet holds enough for it; returns what is missing, 0 when open.

    The balance is read before the lane is locked and the money of all other runs on the wallet that is ready, in flight or held is
    taken off it under that lock, so that two runs opened at once never both pass on the same money. `on_open` joins the transaction
    that opens. Raises ChainUnavailable, LaneBusy.
    """
    read_at = context.now()
    balance = context.chain.token_balance_units(bond.wallet.address, bond.plt_token_id)
    with context.fenced():
        wallet = locks.wallet(bond.wallet_id)
        if _closed_since(wallet, read_at):
            raise locks.LaneBusy("the wallet's balance changed while it was read")
        missing = _shortfall(bond, run, balance)
        if not missing:
            on_open()
            make_ready(run)
        return missing


def _shortfall(bond: Bond, run: UUID, balance: int) -> int:
    owed = totals(run)
    others = Payment.objects.filter(wallet=bond.wallet_id, plt_token_id__iexact=bond.plt_token_id, status__in=_RESERVED)
    reserved = others.exclude(run=run).aggregate(units=Sum("amount_units"))["units"]
    return max(0, owed.open_units + owed.held_units + int(reserved or 0) - balance)


def _closed_since(wallet: Wallet, moment: datetime) -> bool:
    """Whether the outcome of a transaction was written since: a balance read before it may no longer be what is there."""
    return ChainTransaction.objects.filter(wallet=wallet, closed_at__gte=moment).exists()


def pay_batch(
    *, run: UUID, first: int, last: int, context: JobContext, holds_back: Callable[[UUID], str] = lambda run: ""
) -> BatchProgress:
    """Move the payments at positions first..last of a run as far as they go now: follow what is out, sign what is ready, send.

    `holds_back` is asked inside the transaction that signs, the lane locked, and says why nothing of the run may be signed now.
    Call it again until `open_count` is 0; calling it too often changes nothing. Every write is fenced by the caller's lease. An unreachable
    chain is a reason to wait, not an error.
    """
    batch = Payment.objects.filter(run=run, position__range=(first, last))
    chain: ChainGateway = context.chain
    try:
        waiting_for = _follow(batch, context, chain) or _sign_ready(batch, context, chain, holds_back)
        waiting_for = _send_unsent(batch, context, chain) or waiting_for
    except ChainUnavailable as error:
        waiting_for = f"the chain cannot be reached: {error}"
    except locks.LaneBusy as error:
        waiting_for = str(error)
    counts = batch.aggregate(
        open=Count("pk", filter=Q(status__in=OWED)), review=Count("pk", filter=Q(status=PaymentStatus.NEEDS_REVIEW))
    )
    return BatchProgress(counts["open"], counts["review"], waiting_for)


# --- follow what is out ----------------------------------------------------------------------------------------------


def _open_transactions(batch: QuerySet[Payment]) -> list[ChainTransaction]:
    members = PaymentAttempt.objects.filter(live=True, payment__in=batch)
    open_rows = ChainTransaction.objects.filter(status__in=OPEN_TRANSACTION, pk__in=members.values("transaction"))
    return list(open_rows.select_related("wallet").order_by("sequence_number"))


def _follow(batch: QuerySet[Payment], context: JobContext, chain: ChainGateway) -> str:
    sent = [tx for tx in _open_transactions(batch) if tx.status == TransactionStatus.SUBMITTED]
    if not sent:
        return ""
    states = chain.states([tx.transaction_hash for tx in sent])
    waiting_for = ""
    for tx in sent:
        state = states[tx.transaction_hash]
        if state.stage is Stage.FINALIZED:
            _record(tx, state, context, chain)
        elif state.stage is Stage.NOT_FOUND:
            waiting_for = lane.follow_missing(tx, context, chain) or waiting_for
    return waiting_for


def _record(tx: ChainTransaction, state: TransactionState, context: JobContext, chain: ChainGateway) -> None:
    with context.fenced():
        settlement.record_final(tx.pk, state, account_key=chain.account_key)


# --- sign what is ready ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """What the chain said just before a signature, all of it from finalised state."""

    head: Head
    read_at: datetime
    registry: dict[str, RegistryState]
    balance_units: int
    next_sequence_number: int


def _sign_ready(
    batch: QuerySet[Payment], context: JobContext, chain: ChainGateway, holds_back: Callable[[UUID], str]
) -> str:
    ready = list(batch.filter(status=PaymentStatus.READY).select_related("bond__wallet").order_by("position"))
    if not ready:
        return ""
    bond = ready[0].bond
    blocked = _blocked(bond, chain)
    if blocked:
        return blocked
    reading = _read(bond, [payment.holder for payment in ready], context, chain)
    with context.fenced():
        return _sign_in_lane(ready, reading, context, holds_back)


def _blocked(bond: Bond, chain: ChainGateway) -> str:
    if bond.wallet.halted_at:
        return f"wallet halted: {bond.wallet.halt_reason}"
    token = chain.token(bond.plt_token_id)
    if token.decimals != bond.plt_decimals:
        return f"{bond.plt_token_id} has {token.decimals} decimals on the chain, {bond.plt_decimals} in the books"
    return f"{bond.plt_token_id} is paused on the chain" if token.paused else ""


def _read(bond: Bond, holders: Sequence[str], context: JobContext, chain: ChainGateway) -> _Reading:
    head = chain.head()
    return _Reading(
        head=head,
        read_at=context.now(),
        registry=dict(chain.registry_states(contract_of_registry(bond), holders, head.block_hash)),
        balance_units=chain.token_balance_units(bond.wallet.address, bond.plt_token_id),
        next_sequence_number=chain.next_sequence_number(bond.wallet.address),
    )


_HOLD_FOR = {
    RegistryState.BLACKLISTED: HoldReason.BLACKLISTED,
    RegistryState.NOT_IN_REGISTRY: HoldReason.NOT_WHITELISTED,
}


def _sign_in_lane(
    ready: Sequence[Payment], reading: _Reading, context: JobContext, holds_back: Callable[[UUID], str]
) -> str:
    """One database transaction: lane lock, number, bytes, members. Returns why nothing was signed, or ""."""
    bond = ready[0].bond
    wallet = locks.wallet(bond.wallet_id)
    refusal = _lane_refuses(wallet, reading, context) or holds_back(ready[0].run)
    if refusal:
        return refusal
    payable = _hold_unlisted(locks.payments([one.pk for one in ready], PaymentStatus.READY), reading.registry)
    if not payable:
        return ""
    missing = _missing_units(wallet, bond, payable, reading.balance_units)
    if missing:
        return f"insufficient_liquidity: {missing} units of {bond.plt_token_id} are missing in the wallet"
    _sign(wallet, payable, reading, context.chain)
    return ""


def _lane_refuses(wallet: Wallet, reading: _Reading, context: JobContext) -> str:
    """Why nothing may be signed in this lane on this reading, or "". Halts the lane where chain and books disagree about its numbers."""
    if wallet.halted_at:
        return f"wallet halted: {wallet.halt_reason}"
    disagreement = lane.number_disagreement(wallet, reading.next_sequence_number)
    if disagreement:
        settlement.halt(wallet, disagreement)
        return disagreement
    if _closed_since(wallet, reading.read_at):
        return "the wallet's balance changed while it was read"
    if context.now() - reading.read_at > timedelta(seconds=settings.REGISTRY_READING_MAX_AGE_SECONDS):
        return "the registry reading grew too old while waiting for the lane"
    return ""


def _hold_unlisted(payments: Sequence[Payment], registry: dict[str, RegistryState]) -> list[Payment]:
    """Hold everyone the registry does not whitelist explicitly; returns the rest."""
    now = timezone.now()
    payable = []
    for payment in payments:
        state = registry.get(payment.holder)
        if state is RegistryState.WHITELISTED:
            payable.append(payment)
        elif state is not None:  # not read: it stays ready for the next round
            row = Payment.objects.filter(pk=payment.pk)
            move(row, source=(PaymentStatus.READY,), to=PaymentStatus.HELD, hold_reason=_HOLD_FOR[state], held_at=now)
    return payable


def _missing_units(wallet: Wallet, bond: Bond, payable: Sequence[Payment], balance_units: int) -> int:
    """What the wallet lacks for these payments on top of everything already signed and not final."""
    in_flight = Payment.objects.filter(
        wallet=wallet, plt_token_id__iexact=bond.plt_token_id, status__in=IN_FLIGHT
    ).aggregate(units=Sum("amount_units"))["units"]
    needed = sum(int(payment.amount_units) for payment in payable) + int(in_flight or 0)
    return max(0, needed - balance_units)


def _sign(wallet: Wallet, payable: Sequence[Payment], reading: _Reading, chain: ChainGateway) -> None:
    number = lane.take_number(wallet, reading.next_sequence_number)
    signed = chain.sign_transfers(
        sender=wallet.address,
        token_id=payable[0].plt_token_id,
        decimals=payable[0].plt_decimals,
        transfers=[Transfer(p.holder, int(p.amount_units), p.pk.bytes) for p in payable],
        sequence_number=number,
        expires_at=reading.head.time.replace(microsecond=0) + timedelta(seconds=settings.PAYMENT_EXPIRY_SECONDS),
    )
    _store(wallet, payable, signed, reading)


def _store(wallet: Wallet, payable: Sequence[Payment], signed: SignedTransaction, reading: _Reading) -> None:
    tx = lane.store(wallet, payable[0].run, signed, reading.head)
    PaymentAttempt.objects.bulk_create(
        PaymentAttempt(payment=payment, transaction=tx, position=index) for index, payment in enumerate(payable)
    )
    rows = Payment.objects.filter(pk__in=[payment.pk for payment in payable])
    if move(rows, source=(PaymentStatus.READY,), to=PaymentStatus.SIGNED) != len(payable):
        raise AssertionError("a payment left ready while its lane was locked")


# --- send ------------------------------------------------------------------------------------------------------------


def _send_unsent(batch: QuerySet[Payment], context: JobContext, chain: ChainGateway) -> str:
    unsent = [tx for tx in _open_transactions(batch) if tx.status == TransactionStatus.SIGNED]
    return lane.send_window(unsent[0].wallet, context, chain, only_unsent=True) if unsent else ""
