"""Each rule the database keeps for us, broken once: it must refuse, whatever code asked."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from bonds.models import Holding, JournalEntry, LotChange, Payment, PaymentAttempt, Snapshot, SnapshotLot
from bonds.tests import factories

pytestmark = pytest.mark.django_db


def refused(name: str):
    return pytest.raises(IntegrityError, match=name)


def test_a_holder_has_one_payment_per_bond_kind_and_period_across_runs():
    bond = factories.bond()
    factories.payment(bond, holder="A")
    with refused("bonds_payment_one_per_period_and_holder"), transaction.atomic():
        factories.payment(bond, holder="A")
    assert Payment.objects.count() == 1


def test_a_cancelled_payment_leaves_its_place_to_a_later_run():
    bond = factories.bond()
    factories.payment(bond, holder="A", status="cancelled")
    factories.payment(bond, holder="A")
    assert Payment.objects.exclude(status="cancelled").count() == 1


def test_a_payment_has_one_live_attempt():
    bond = factories.bond()
    payment = factories.payment(bond)
    factories.attempt(payment, factories.transaction(bond.wallet))
    with refused("bonds_paymentattempt_one_live"), transaction.atomic():
        factories.attempt(payment, factories.transaction(bond.wallet, sequence_number=2))
    assert PaymentAttempt.objects.count() == 1


def test_a_dead_attempt_makes_room_for_the_next():
    bond = factories.bond()
    payment = factories.payment(bond)
    factories.attempt(payment, factories.transaction(bond.wallet, status="dead", closed_at=factories.NOW), live=False)
    factories.attempt(payment, factories.transaction(bond.wallet))
    assert payment.attempts.filter(live=True).count() == 1


def test_a_sequence_number_has_one_transaction_that_is_not_dead():
    wallet = factories.wallet()
    factories.transaction(wallet, sequence_number=5)
    with refused("bonds_chaintransaction_one_live_per_number"), transaction.atomic():
        factories.transaction(wallet, sequence_number=5)
    assert wallet.transactions.count() == 1


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"amount_units": 0}, "bonds_payment_amount_positive"),
        ({"amount_units": 2**64}, "bonds_payment_amount_fits_u64"),
        ({"status": "lost"}, "bonds_payment_status_known"),
        ({"status": "held"}, "bonds_payment_held_has_reason"),
        ({"hold_reason": "blacklisted"}, "bonds_payment_held_has_reason"),
        ({"status": "paid"}, "bonds_payment_paid_has_proof"),
        ({"paid_at": factories.NOW}, "bonds_payment_paid_has_proof"),
        ({"status": "needs_review"}, "bonds_payment_review_has_reason"),
    ],
)
def test_a_payment_row_that_contradicts_itself_is_refused(fields, rule):
    bond = factories.bond()
    with refused(rule), transaction.atomic():
        factories.payment(bond, **fields)
    assert Payment.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"status": "sent"}, "bonds_chaintransaction_(status_known|closed_iff_terminal)"),
        ({"status": "finalized"}, "bonds_chaintransaction_closed_iff_terminal"),
        ({"closed_at": factories.NOW}, "bonds_chaintransaction_closed_iff_terminal"),
        ({"status": "rejected", "closed_at": factories.NOW}, "bonds_chaintransaction_rejected_has_reason"),
    ],
)
def test_a_transaction_row_that_contradicts_itself_is_refused(fields, rule):
    wallet = factories.wallet()
    with refused(rule), transaction.atomic():
        factories.transaction(wallet, **fields)
    assert wallet.transactions.count() == 0


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"status": "Odd"}, "bonds_bond_status_known"),
        ({"face_value": "0"}, "bonds_bond_face_value_positive"),
        ({"token_decimals": 78}, "bonds_bond_decimals_fit"),
        ({"maturity_date": "2025-12-31"}, "bonds_bond_dates_in_order"),
    ],
)
def test_a_bond_row_that_contradicts_itself_is_refused(fields, rule):
    wallet = factories.wallet()
    with refused(rule), transaction.atomic():
        factories.bond(wallet=wallet, **fields)
    assert wallet.bonds.count() == 0


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"halted_at": factories.NOW}, "bonds_wallet_halt_has_reason"),
        ({"halt_reason": "odd"}, "bonds_wallet_halt_has_reason"),
        ({"next_sequence_number": 0}, "bonds_wallet_sequence_positive"),
    ],
)
def test_a_wallet_row_that_contradicts_itself_is_refused(fields, rule):
    with refused(rule), transaction.atomic():
        factories.wallet(**fields)


def lot_change(bond, **fields):
    return LotChange.objects.create(
        **{
            "bond": bond,
            "kind": "mint",
            "token_id": 20485,
            "amount_raw": 5,
            "recipient": "A",
            "block_height": 3,
            "block_time": factories.NOW,
            "transaction_hash": "ab" * 32,
            "event_index": 0,
            **fields,
        }
    )


def test_an_event_is_in_the_books_once():
    bond = factories.bond()
    lot_change(bond)
    with refused("bonds_lotchange_once"), transaction.atomic():
        lot_change(bond)


@pytest.mark.parametrize("fields", [{"sender": "B"}, {"kind": "burn"}, {"kind": "transfer"}])
def test_an_event_names_the_sides_its_kind_has(fields):
    with refused("bonds_lotchange_sides_fit_kind"), transaction.atomic():
        lot_change(factories.bond(), **fields)


def test_a_holding_is_never_negative_and_stands_once():
    bond = factories.bond()
    with refused("bonds_holding_balance_not_negative"), transaction.atomic():
        Holding.objects.create(bond=bond, holder="A", token_id=20485, balance_raw=-1)
    Holding.objects.create(bond=bond, holder="A", token_id=20485, balance_raw=1)
    with refused("bonds_holding_one_per_lot"), transaction.atomic():
        Holding.objects.create(bond=bond, holder="A", token_id=20485, balance_raw=1)


def snapshot(bond, **fields):
    return Snapshot.objects.create(
        **{
            "bond": bond,
            "record_at": factories.NOW,
            "block_height": 3,
            "block_hash": "cd" * 32,
            "block_time": factories.NOW,
            "total_supply_raw": 5,
            "total_holders": 1,
            **fields,
        }
    )


def test_a_snapshot_stands_once_per_block_and_never_after_its_record_time():
    bond = factories.bond()
    snapshot(bond)
    with refused("bonds_snapshot_one_per_block"), transaction.atomic():
        snapshot(bond)
    with refused("bonds_snapshot_block_not_after_record"), transaction.atomic():
        snapshot(bond, block_height=4, block_time=factories.NOW + timedelta(seconds=1))


def test_evidence_is_never_changed_or_deleted():
    bond = factories.bond()
    kept = snapshot(bond)
    payment = factories.payment(bond)
    rows = [
        lot_change(bond),
        kept,
        SnapshotLot.objects.create(snapshot=kept, position=1, holder="A", token_id=20485, balance_raw=5),
        JournalEntry.objects.create(
            wallet=bond.wallet,
            kind="pay",
            asset="EURD",
            debit="investors",
            credit="wallet",
            amount_units=1,
            payment=payment,
            transaction=factories.transaction(bond.wallet),
        ),
    ]
    for row in rows:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            row.save(force_update=True)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            row._meta.base_manager.filter(pk=row.pk)._raw_delete("default")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"amount_units": 0}, "bonds_journalentry_amount_positive"),
        ({"debit": "wallet"}, "bonds_journalentry_two_accounts"),
        ({"payment": None}, "bonds_journalentry_pay_names_payment"),
    ],
)
def test_a_journal_entry_that_contradicts_itself_is_refused(fields, rule):
    bond = factories.bond()
    entry = {
        "wallet": bond.wallet,
        "kind": "pay",
        "asset": "EURD",
        "debit": "investors",
        "credit": "wallet",
        "amount_units": 1,
        "payment": factories.payment(bond),
        "transaction": factories.transaction(bond.wallet),
    }
    with refused(rule), transaction.atomic():
        JournalEntry.objects.create(**{**entry, **fields})
    assert JournalEntry.objects.count() == 0


def test_a_payment_is_posted_once_and_a_transaction_pays_one_fee():
    bond = factories.bond()
    payment = factories.payment(bond)
    tx = factories.transaction(bond.wallet)
    fee = {"wallet": bond.wallet, "kind": "fee", "asset": "CCD", "debit": "fees", "credit": "wallet", "amount_units": 9}
    JournalEntry.objects.create(transaction=tx, **fee)
    with refused("bonds_journalentry_one_fee"), transaction.atomic():
        JournalEntry.objects.create(transaction=tx, **fee)
    pay = {**fee, "kind": "pay", "debit": "investors", "payment": payment, "transaction": tx}
    JournalEntry.objects.create(**pay)
    with refused("payment_id"), transaction.atomic():
        JournalEntry.objects.create(**pay)
