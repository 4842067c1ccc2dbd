"""A small set of books for the console's tests: one bond, one run half paid, one transaction."""

import hashlib
import uuid
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from bonds.models import (
    Bond,
    ChainTransaction,
    Holding,
    JournalEntry,
    ListenerCursor,
    Payment,
    PaymentAttempt,
    Snapshot,
    Wallet,
)
from yields.models import YieldConfig, YieldDistribution
from yields.services import frozen_terms

ADDRESS = "3kBx2h5Y2veb4hZgAJWPrr8RyQESKm5TjzF3ti1QQ4VSYLwK1G"


@dataclass
class Books:
    bond: Bond
    wallet: Wallet
    run: YieldDistribution
    transaction: ChainTransaction


def write(*, staff: User, payments: int = 6) -> Books:
    """`payments` of 1.00 EURe plus one unit each: half of them paid, one held, the others ready."""
    wallet = Wallet.objects.create(name="Cloud wallet", address=ADDRESS, next_sequence_number=8)
    bond = Bond.objects.create(
        name="Green Harbour 5% 2029",
        status="Success",
        face_value="1000",
        currency="EUR",
        plt_token_id="EURe",
        plt_decimals=6,
        issue_date="2026-01-01",
        subscription_period_end="2026-02-01",
        maturity_date="2029-01-01",
        postsale_contract_index=9001,
        registry_contract_index=9000,
        wallet=wallet,
    )
    run = _run(bond, staff)
    books = Books(bond, wallet, run, _transaction(wallet, run.pk))
    for position in range(1, payments + 1):
        _payment(books, position, paid=position <= payments // 2, held=position == payments)
    _chain(bond)
    return books


def _run(bond, staff):
    now = timezone.now()
    config = YieldConfig.objects.create(
        bond=bond,
        yield_type="fixed",
        interest_period_start="2026-01-01",
        interest_period_end="2026-07-01",
        coupon_rate="0.05",
        yield_time=now,
        payment_sequence=1,
        created_by=staff,
    )
    config.refresh_from_db()
    return YieldDistribution.objects.create(
        config=config,
        bond=bond,
        period_start="2026-01-01",
        period_end="2026-07-01",
        status="executing",
        terms=frozen_terms.freeze(config),
        terms_hash="0" * 64,
        expected_recipients=6,
        expected_units=6_000_000,
        triggered_by=staff,
        started_at=now,
    )


def _transaction(wallet, run):
    now = timezone.now()
    return ChainTransaction.objects.create(
        wallet=wallet,
        run=run,
        sequence_number=7,
        transaction_hash=hashlib.sha256(b"seven").hexdigest(),
        raw=b"never shown",
        energy=30_000,
        expires_at=now,
        registry_block_hash="ab" * 32,
        registry_block_time=now,
        status="finalized",
        submitted_at=now,
        closed_at=now,
        block_hash="cd" * 32,
        block_height=20_411,
        cost_microccd=2_350_000,
    )


def _payment(books, position, *, paid, held):
    now = timezone.now()
    payment = Payment.objects.create(
        id=uuid.uuid5(uuid.NAMESPACE_OID, str(position)),
        run=books.run.pk,
        position=position,
        kind="yield",
        bond=books.bond,
        wallet=books.wallet,
        period_start="2026-01-01",
        period_end="2026-07-01",
        holder=f"{ADDRESS[:-4]}{position:04}",
        plt_token_id="EURe",
        plt_decimals=6,
        amount_units=1_000_000 + position,
        status="paid" if paid else "held" if held else "ready",
        hold_reason="not_whitelisted" if held else "",
        held_at=now if held else None,
        paid_at=now if paid else None,
        paid_by=books.transaction if paid else None,
    )
    if paid:
        PaymentAttempt.objects.create(payment=payment, transaction=books.transaction, position=position)
        JournalEntry.objects.create(
            wallet=books.wallet,
            kind="pay",
            asset="EURe",
            debit="investors",
            credit="wallet",
            amount_units=payment.amount_units,
            payment=payment,
            transaction=books.transaction,
        )


def _chain(bond):
    now = timezone.now()
    block = {"block_hash": "ef" * 32, "block_time": now}
    ListenerCursor.objects.create(bond=bond, height=20_500, **block)
    Holding.objects.create(bond=bond, holder=ADDRESS, token_id=20_500, balance_raw=12)
    Snapshot.objects.create(
        bond=bond, record_at=now, block_height=20_000, total_supply_raw=12, total_holders=1, **block
    )
