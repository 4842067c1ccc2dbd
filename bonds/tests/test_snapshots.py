"""A snapshot is the sum of the events up to the record block, of nothing else; and the contract itself must say the same."""

from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from bonds.chain.gateway import ChainRefused, ChainUnavailable, Head
from bonds.models import Holding, ListenerCursor, LotChange, ParkedEvent, Snapshot
from bonds.services import parking, snapshots
from bonds.tests import factories
from bonds.tests.test_constraints import lot_change
from jobs.service import JobContext

pytestmark = pytest.mark.django_db

RECORD = factories.NOW
BLOCK = Head(20, "ee" * 32, RECORD - timedelta(seconds=5))


def by_events(height):
    balances = defaultdict(int)
    for change in LotChange.objects.filter(block_height__lte=height):
        for holder, delta in ((change.recipient, change.amount_raw), (change.sender, -change.amount_raw)):
            if holder:
                balances[holder, int(change.token_id)] += int(delta)
    return balances


class Reader:
    """The answers a snapshot needs. `lots`: what the contract says; None: what the events in the books come to."""

    def __init__(self, head=None, at=BLOCK, lots=None):
        self._head = head or Head(25, "ff" * 32, RECORD + timedelta(minutes=1))
        self._at = at
        self._lots = lots
        self.asked = []

    def head(self):
        return self._head

    def last_block_at(self, moment):
        return self._at

    def lot_balances(self, contract, lots, block_hash):
        self.asked.append((contract.index, sorted(lots), block_hash))
        known = by_events(self._at.height) if self._lots is None else self._lots
        return {lot: known.get(lot, 0) for lot in lots}


class Unreachable(Reader):
    def head(self):
        raise ChainUnavailable("connection refused")


class GoesAway(Reader):
    def lot_balances(self, contract, lots, block_hash):
        raise ChainUnavailable("connection refused")


class Silent(Reader):
    def lot_balances(self, contract, lots, block_hash):
        raise ChainRefused("-42000001")


@contextmanager
def fence():
    with transaction.atomic():
        yield


def take(bond, chain=None):
    return snapshots.take(bond=bond, record_at=RECORD, context=JobContext(chain=chain or Reader(), fence=fence))


@pytest.fixture
def bond():
    bond = factories.bond()
    ListenerCursor.objects.create(bond=bond, height=25, block_hash="ff" * 32, block_time=RECORD)
    return bond


def event(bond, number, height, **fields):
    """An event in the books, with the holdings it leads to."""
    lot_change(bond, block_height=height, transaction_hash=f"{number:064x}", **fields)
    Holding.objects.filter(bond=bond).delete()
    Holding.objects.bulk_create(
        Holding(bond=bond, holder=holder, token_id=token_id, balance_raw=balance)
        for (holder, token_id), balance in by_events(height).items()
        if balance > 0
    )


def lots(snapshot):
    return [
        (lot.position, lot.holder, int(lot.token_id), int(lot.balance_raw))
        for lot in snapshot.lots.order_by("holder", "token_id")
    ]


@contextmanager
def tampering():
    """What only somebody with the whole database in hand can do: the triggers that keep evidence are off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def refused(bond, reason, chain=None):
    with pytest.raises(snapshots.SnapshotImpossible, match=reason):
        take(bond, chain)
    assert Snapshot.objects.count() == 0


def test_buyers_are_in_sellers_are_out_and_later_events_do_not_count(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 3, amount_raw=4, recipient="A", token_id=20500)
    event(bond, 3, 5, kind="transfer", amount_raw=10, sender="A", recipient="C")
    event(bond, 4, 6, kind="transfer", amount_raw=3, sender="C", recipient="<77,0>")
    event(bond, 5, 7, kind="burn", amount_raw=1, sender="A", recipient="", token_id=20500)
    event(bond, 6, 8, kind="recover", amount_raw=7, sender="C", recipient="D")
    event(bond, 7, 21, amount_raw=99, recipient="Z")
    snapshot = take(bond)
    assert lots(snapshot) == [(1, "<77,0>", 20485, 3), (2, "A", 20500, 3), (3, "D", 20485, 7)]
    assert (snapshot.total_holders, int(snapshot.total_supply_raw), snapshot.block_height) == (3, 13, 20)


def test_the_same_block_gives_the_same_snapshot_and_the_contract_is_asked_once(bond):
    event(bond, 1, 3)
    reader = Reader()
    assert take(bond, reader) == take(bond, reader)
    assert Snapshot.objects.count() == 1
    assert reader.asked == [(bond.postsale_contract_index, [("A", 20485)], BLOCK.block_hash)]


def test_a_bond_nobody_holds_has_an_empty_snapshot(bond):
    assert lots(take(bond)) == []


def test_another_block_of_that_height_is_no_second_snapshot(bond):
    event(bond, 1, 3)
    first = take(bond)
    with pytest.raises(snapshots.SnapshotImpossible, match="a snapshot was taken of it as eeee"):
        take(bond, Reader(at=Head(20, "dd" * 32, BLOCK.time)))
    assert Snapshot.objects.get() == first


def test_a_negative_balance_stops_the_run(bond):
    event(bond, 1, 3, amount_raw=1, recipient="A")
    event(bond, 2, 4, kind="burn", amount_raw=2, sender="A", recipient="")
    refused(bond, "A would hold -1")


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (Reader(head=Head(20, "ee" * 32, RECORD - timedelta(seconds=1))), "not after the record time"),
        (Reader(at=Head(26, "ee" * 32, RECORD)), "read to block 25, the record block is 26"),
        (Unreachable(), "cannot be reached"),
        (GoesAway(), "cannot be reached"),
    ],
)
def test_it_waits_and_says_why(bond, chain, reason):
    event(bond, 1, 3)
    with pytest.raises(snapshots.NotYet, match=reason):
        take(bond, chain)
    assert Snapshot.objects.count() == 0


# --- the second reading ------------------------------------------------------------------------------------------------


def test_a_contract_that_says_otherwise_stops_the_run_with_both_figures(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 3, amount_raw=4, recipient="B")
    refused(
        bond,
        "^the contract contradicts the books at block 20: A holds 9 of lot 20485 by the contract, 10 by the books; "
        "B holds 5 of lot 20485 by the contract, 4 by the books$",
        Reader(lots={("A", 20485): 9, ("B", 20485): 5}),
    )


def test_of_many_differences_a_few_are_shown_and_the_rest_counted(bond):
    for number, holder in enumerate("ABCDE"):
        event(bond, number, 3, amount_raw=1, recipient=holder)
    refused(bond, "C holds 0 of lot 20485 by the contract, 1 by the books; and 2 more lots$", Reader(lots={}))


def test_a_lot_sold_in_full_is_asked_for_too(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 4, kind="transfer", amount_raw=10, sender="A", recipient="B")
    refused(
        bond,
        "A holds 10 of lot 20485 by the contract, 0 by the books",
        Reader(lots={("A", 20485): 10, ("B", 20485): 10}),
    )


def test_a_token_id_nothing_is_left_of_is_not_asked_for(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A", token_id=20500)
    event(bond, 2, 4, kind="burn", amount_raw=10, sender="A", recipient="", token_id=20500)
    event(bond, 3, 5, amount_raw=1, recipient="A")
    reader = Reader()
    take(bond, reader)
    assert reader.asked[0][1] == [("A", 20485)]


def test_a_contract_without_an_answer_for_a_lot_stops_the_run(bond):
    class Forgets(Reader):
        def lot_balances(self, contract, lots, block_hash):
            return {}

    event(bond, 1, 3)
    refused(bond, "A holds an unknown balance of lot 20485 by the contract", Forgets())


def test_a_contract_that_refuses_to_answer_stops_the_run(bond):
    event(bond, 1, 3)
    refused(bond, "does not give its balances at block 20: -42000001", Silent())


def test_books_that_change_while_the_contract_is_asked_are_not_frozen(bond):
    class Writes(Reader):
        def lot_balances(self, contract, lots, block_hash):
            told = super().lot_balances(contract, lots, block_hash)
            event(bond, 2, 4, amount_raw=3, recipient="B")
            return told

    event(bond, 1, 3)
    refused(bond, "the books changed under block 20", Writes())


# --- tampering -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (lambda: Holding.objects.filter(holder="A").update(balance_raw=11), "A holds 11 of lot 20485, 10 by the events"),
        (lambda: Holding.objects.filter(holder="A").delete(), "A holds 0 of lot 20485, 10 by the events"),
        (lambda: Holding.objects.filter(holder="A").update(holder="M"), "A holds 0 of lot 20485, 10 by the events; M holds 10"),
        (lambda: LotChange.objects.filter(recipient="A").update(amount_raw=12), "A holds 10 of lot 20485, 12 by the events"),
        (lambda: LotChange.objects.filter(recipient="A").delete(), "A holds 10 of lot 20485, 0 by the events"),
    ],
)  # fmt: skip
def test_a_tampered_holding_or_change_stops_the_run(bond, tamper, reason):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 3, amount_raw=4, recipient="B")
    with tampering():
        assert tamper()
    refused(bond, f"^the holdings differ from the events behind them: {reason}")


def test_tampering_with_a_change_and_its_holding_alike_is_found_by_the_contract(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    told = dict(by_events(20))
    with tampering():
        LotChange.objects.update(amount_raw=1_000)
        Holding.objects.update(balance_raw=1_000)
    refused(bond, "A holds 10 of lot 20485 by the contract, 1000 by the books", Reader(lots=told))


def test_tampering_with_a_later_change_is_found_too(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 22, amount_raw=1, recipient="A")
    with tampering():
        LotChange.objects.filter(block_height=22).update(amount_raw=2)
    refused(bond, "A holds 11 of lot 20485, 12 by the events")


# --- unread events -------------------------------------------------------------------------------------------------------


def parked_event(bond, height):
    return ParkedEvent.objects.create(
        contract_index=bond.postsale_contract_index,
        contract_subindex=0,
        module_ref="ab" * 32,
        data=b"\xc8",
        reason="tag 200 is unknown",
        block_height=height,
        block_hash="cc" * 32,
        block_time=RECORD,
        transaction_hash="dd" * 32,
        event_index=3,
    )


@pytest.mark.parametrize("height", [3, 20])
def test_an_unread_event_at_or_before_the_record_block_stops_the_run_until_a_person_settles_it(bond, height):
    event(bond, 1, 3)
    parked = parked_event(bond, height)
    refused(
        bond,
        f"^event 3 of (dd){{32}} in block {height}, of contract <{bond.postsale_contract_index},0>.*tag 200 is unknown",
    )
    parking.resolve(parked.pk, actor=User.objects.create(username="staff"), reason="metadata only")
    assert lots(take(bond)) == [(1, "A", 20485, 5)]


def test_an_unread_event_after_the_record_block_does_not_matter_to_it(bond):
    event(bond, 1, 3)
    parked_event(bond, 21)
    assert lots(take(bond)) == [(1, "A", 20485, 5)]
