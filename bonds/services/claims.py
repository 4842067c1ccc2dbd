"""Settle investments on chain: claims after a successful raise, refunds after a failed one. No PLT leaves the wallet for them.

The same protocol as a payment's, in the same lane: record, act, record. A call of the fund settles all of its investors or none; one that
the chain refuses is taken apart, so that only the investor it is about stays refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from bonds.chain.gateway import ChainGateway, ChainUnavailable, Contract, Head, Investment, Stage
from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import (
    OPEN_TRANSACTION,
    Bond,
    BondStatus,
    ChainTransaction,
    ClaimBatch,
    ClaimEntry,
    ClaimKind,
    ClaimStatus,
    InvestmentKind,
    InvestmentRecord,
    TransactionStatus,
    Wallet,
)
from bonds.models.bond import contract_of_fund
from bonds.services import audit, lane, locks, settlement
from jobs import queue
from jobs.service import JobContext

JOB_TYPES = {ClaimKind.CLAIM: "bond_claim", ClaimKind.REFUND: "bond_refund"}
ENTRIES_PER_JOB = 500
ENTRIES_PER_CALL = 50
_INVESTMENT = ("investor", "token_contract_index", "token_contract_subindex", "token_id")
_NEEDED_STATUS = {ClaimKind.CLAIM: BondStatus.SUCCESS, ClaimKind.REFUND: BondStatus.FAILED}
# The investor as the fund's events spell it, for the fund knows no aliases; the token contract's index and subindex; the token id.
_Investment = tuple[str, int, int, int]


@dataclass(frozen=True)
class Refusal:
    """An address that was asked for and is not in the batch."""

    address: str
    reason: str


@dataclass(frozen=True)
class Started:
    """`accepted`: investments in the batch, an investor of two securities counting twice."""

    batch: ClaimBatch
    accepted: int
    refused: Sequence[Refusal]


@dataclass(frozen=True)
class Progress:
    """Where a range of entries stands, and why nothing moves ("" when it does)."""

    open_count: int
    refused_count: int
    waiting_for: str


# --- start -----------------------------------------------------------------------------------------------------------


def start(
    bond_id: UUID,
    kind: ClaimKind,
    addresses: Sequence[str],
    *,
    actor: AbstractBaseUser,
    account_key: Callable[[str], str],
) -> Started:
    """Put the open investments of these investors, or of all where none is named, into a batch, and enqueue its jobs with it.

    Raises NotFound (bond), Conflict (the bond's status, no fund, nobody left) and, with every address refused, Invalid; nothing is
    stored then. An address that is malformed, has nothing open, or is in a batch already is refused by itself.
    """
    with transaction.atomic():
        bond = Bond.objects.select_for_update().filter(pk=bond_id).first()
        if bond is None:
            raise NotFound(f"no bond {bond_id}", field="bond_metadata_id")
        _check(bond, kind)
        wanted, refused = _wanted(addresses, account_key)
        found = _open_investments(bond)
        refused += [
            Refusal(spelt, "nothing of theirs is open: never invested, settled already, or in a batch")
            for key, spelt in wanted.items()
            if key not in found
        ]
        chosen = {key: found[key] for key in (wanted if addresses else sorted(found)) if key in found}
        if not chosen:
            raise _nobody(bond, kind, refused)
        started = Started(*_store(bond, kind, chosen, actor), refused)
        audit.record(
            chain=f"bond:{bond.pk}",
            actor=actor.get_username(),
            act=f"{kind} started",
            subject=f"batch {started.batch.pk}",
            after={"accepted": started.accepted, "refused": len(refused)},
        )
        return started


def _check(bond: Bond, kind: ClaimKind) -> None:
    needed = _NEEDED_STATUS[kind]
    if bond.status != needed:
        raise Conflict(
            f"a {kind} needs a bond in status {needed}; {bond.name} is {bond.status}",
            code="bond_status",
            field="status",
        )
    if contract_of_fund(bond) is None:
        raise Conflict(f"the books name no fund contract for {bond.name}", code="no_fund")


def _wanted(addresses: Sequence[str], account_key: Callable[[str], str]) -> tuple[dict[str, str], list[Refusal]]:
    """Account key -> address as it was spelt; each account once."""
    wanted: dict[str, str] = {}
    refused: list[Refusal] = []
    for address in addresses:
        try:
            wanted.setdefault(account_key(address), address)
        except ValueError as error:
            refused.append(Refusal(address, f"no account address: {error}"))
    return wanted, refused


def _open_investments(bond: Bond) -> dict[str, list[_Investment]]:
    """Investor's account key -> investments of which more was put in than settled, and that are in no batch."""
    added = Q(kind=InvestmentKind.INVEST)
    rows = (
        InvestmentRecord.objects.filter(bond=bond, bond_investor__isnull=False)
        .values("bond_investor__address", *_INVESTMENT)
        .annotate(
            invested=Sum("security_amount_raw", filter=added, default=0),
            settled=Sum("security_amount_raw", filter=~added, default=0),
        )
        .order_by(*_INVESTMENT)
    )
    taken = set(ClaimEntry.objects.filter(bond=bond).exclude(status=ClaimStatus.REFUSED).values_list(*_INVESTMENT))
    found: dict[str, list[_Investment]] = {}
    for row in rows:
        investment: _Investment = tuple(row[name] for name in _INVESTMENT)
        if row["invested"] > row["settled"] and investment not in taken:
            found.setdefault(row["bond_investor__address"], []).append(investment)
    return found


def _nobody(bond: Bond, kind: ClaimKind, refused: Sequence[Refusal]) -> Conflict | Invalid:
    if refused:
        first = refused[0]
        return Invalid(f"nobody can be put into a batch: {first.address}: {first.reason}", field="account_addresses")
    return Conflict(f"nobody is left to {kind} for {bond.name}", code="nothing_open")


def _store(
    bond: Bond, kind: ClaimKind, chosen: Mapping[str, Sequence[_Investment]], actor: AbstractBaseUser
) -> tuple[ClaimBatch, int]:
    batch = ClaimBatch.objects.create(bond=bond, kind=kind, created_by_id=actor.pk)
    rows = [investment for investments in chosen.values() for investment in investments]
    try:
        ClaimEntry.objects.bulk_create(
            [
                ClaimEntry(
                    batch=batch,
                    bond=bond,
                    kind=kind,
                    position=position,
                    investor=investor,
                    token_contract_index=index,
                    token_contract_subindex=subindex,
                    token_id=token_id,
                )
                for position, (investor, index, subindex, token_id) in enumerate(rows, start=1)
            ],
            batch_size=1000,
        )
    except IntegrityError as error:  # the bond's lock keeps others out; this is the last line behind it
        raise Conflict("an investment is in another batch already", code="already_claimed") from error
    jobs = [
        (
            {"batch": str(batch.pk), "first": first, "last": min(first + ENTRIES_PER_JOB - 1, len(rows))},
            f"{batch.pk}:{first}",
        )
        for first in range(1, len(rows) + 1, ENTRIES_PER_JOB)
    ]
    queue.enqueue_many(JOB_TYPES[kind], jobs)
    return batch, len(rows)


# --- work off --------------------------------------------------------------------------------------------------------


def advance(*, batch: UUID, first: int, last: int, context: JobContext) -> Progress:
    """Move the entries at positions first..last as far as they go now: follow what is out, sign what is ready, send.

    Call it again until `open_count` is 0; calling it too often changes nothing. Every write is fenced by the caller's lease. An
    unreachable chain is a reason to wait, not an error.
    """
    rows = ClaimEntry.objects.filter(batch=batch, position__range=(first, last))
    chain: ChainGateway = context.chain
    wallet = ClaimBatch.objects.select_related("bond__wallet").get(pk=batch).bond.wallet
    try:
        waiting_for = _follow(batch, (first, last), context) or _sign_ready(batch, (first, last), context)
        waiting_for = lane.send_window(wallet, context, chain, only_unsent=True) or waiting_for
    except ChainUnavailable as error:
        waiting_for = f"the chain cannot be reached: {error}"
    except locks.LaneBusy as error:
        waiting_for = str(error)
    open_rows = rows.filter(status__in=(ClaimStatus.READY, ClaimStatus.SIGNED))
    return Progress(open_rows.count(), rows.filter(status=ClaimStatus.REFUSED).count(), waiting_for)


def _follow(batch: UUID, positions: tuple[int, int], context: JobContext) -> str:
    chain: ChainGateway = context.chain
    signed = ClaimEntry.objects.filter(batch=batch, position__range=positions, status=ClaimStatus.SIGNED)
    sent = list(
        ChainTransaction.objects.filter(pk__in=signed.values("transaction"), status=TransactionStatus.SUBMITTED)
        .select_related("wallet")
        .order_by("sequence_number")
    )
    states = chain.states([tx.transaction_hash for tx in sent]) if sent else {}
    waiting_for = ""
    for tx in sent:
        state = states[tx.transaction_hash]
        if state.stage is Stage.FINALIZED:
            with context.fenced():
                settlement.record_final(tx.pk, state, account_key=chain.account_key)
                _settle(tx.pk)
        elif state.stage is Stage.NOT_FOUND:
            waiting_for = lane.follow_missing(tx, context, chain) or waiting_for
    for closed in (
        signed.exclude(transaction__status__in=OPEN_TRANSACTION).values_list("transaction", flat=True).distinct()
    ):
        with context.fenced():
            _settle(closed)
    return waiting_for


def _settle(transaction_id: UUID) -> None:
    """Write down for each entry what its transaction's outcome means; a transaction that is still open changes nothing."""
    tx = ChainTransaction.objects.select_for_update().get(pk=transaction_id)
    entries = ClaimEntry.objects.filter(transaction=tx, status=ClaimStatus.SIGNED)
    match tx.status:
        case TransactionStatus.FINALIZED:
            entries.update(status=ClaimStatus.DONE, done_at=timezone.now())
        case TransactionStatus.DEAD:
            entries.update(status=ClaimStatus.READY)
        case TransactionStatus.REJECTED if entries.count() > 1:
            entries.update(status=ClaimStatus.READY, alone=True)
        case TransactionStatus.REJECTED:
            entries.update(status=ClaimStatus.REFUSED, refusal=tx.reject_reason)


@dataclass(frozen=True)
class _Reading:
    head: Head
    next_sequence_number: int


def _sign_ready(batch: UUID, positions: tuple[int, int], context: JobContext) -> str:
    chain: ChainGateway = context.chain
    if not ClaimEntry.objects.filter(batch=batch, position__range=positions, status=ClaimStatus.READY).exists():
        return ""
    bond = ClaimBatch.objects.select_related("bond__wallet").get(pk=batch).bond
    reading = _Reading(chain.head(), chain.next_sequence_number(bond.wallet.address))
    with context.fenced():
        wallet = locks.wallet(bond.wallet_id)
        if wallet.halted_at:
            return f"wallet halted: {wallet.halt_reason}"
        disagreement = lane.number_disagreement(wallet, reading.next_sequence_number)
        if disagreement:
            settlement.halt(wallet, disagreement)
            return disagreement
        _sign(wallet, bond, _next_call(batch, positions), reading, chain)
    return ""


def _next_call(batch: UUID, positions: tuple[int, int]) -> list[ClaimEntry]:
    """The entries of the next call: those that were never refused together, else one by itself."""
    ready = ClaimEntry.objects.select_for_update().filter(
        batch=batch, position__range=positions, status=ClaimStatus.READY
    )
    together = list(ready.filter(alone=False).order_by("position")[:ENTRIES_PER_CALL])
    return together or list(ready.order_by("position")[:1])


def _sign(wallet: Wallet, bond: Bond, entries: Sequence[ClaimEntry], reading: _Reading, chain: ChainGateway) -> None:
    fund = contract_of_fund(bond)
    if fund is None:
        raise AssertionError("a batch is only made for a bond with a fund")
    signed = chain.sign_settlements(
        sender=wallet.address,
        fund=fund,
        investments=[
            Investment(
                Contract(entry.token_contract_index, entry.token_contract_subindex), int(entry.token_id), entry.investor
            )
            for entry in entries
        ],
        execution_energy=settings.CLAIM_ENERGY_PER_CALL + settings.CLAIM_ENERGY_PER_INVESTOR * len(entries),
        sequence_number=lane.take_number(wallet, reading.next_sequence_number),
        expires_at=reading.head.time.replace(microsecond=0) + timedelta(seconds=settings.PAYMENT_EXPIRY_SECONDS),
    )
    tx = lane.store(wallet, entries[0].batch_id, signed, reading.head)
    ClaimEntry.objects.filter(pk__in=[entry.pk for entry in entries]).update(status=ClaimStatus.SIGNED, transaction=tx)
