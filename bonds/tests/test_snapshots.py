"""A snapshot is the sum of the events up to the record block, of nothing else."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import transaction

from bonds.chain.gateway import ChainUnavailable, Head
from bonds.models import ListenerCursor, Snapshot
from bonds.services import snapshots
from bonds.tests import factories
from bonds.tests.test_constraints import lot_change
from jobs.service import JobContext

pytestmark = pytest.mark.django_db

RECORD = factories.NOW
BLOCK = Head(20, "ee" * 32, RECORD - timedelta(seconds=5))


class Reader:
    """The two answers a snapshot needs."""

    def __init__(self, head=None, at=BLOCK):
        self._head = head or Head(25, "ff" * 32, RECORD + timedelta(minutes=1))
        self._at = at

    def head(self):
        return self._head

    def last_block_at(self, moment):
        return self._at


class Unreachable(Reader):
    def head(self):
        raise ChainUnavailable("connection refused")


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
    lot_change(bond, block_height=height, transaction_hash=f"{number:064x}", **fields)


def lots(snapshot):
    return [
        (lot.position, lot.holder, int(lot.token_id), int(lot.balance_raw))
        for lot in snapshot.lots.order_by("holder", "token_id")
    ]


def test_buyers_are_in_sellers_are_out_and_later_events_do_not_count(bond):
    event(bond, 1, 3, amount_raw=10, recipient="A")
    event(bond, 2, 3, amount_raw=4, recipient="A", token_id=20500)
    event(bond, 3, 5, kind="transfer", amount_raw=10, sender="A", recipient="C")
    event(bond, 4, 6, kind="transfer", amount_raw=3, sender="C", recipient="<77,0>")
    event(bond, 5, 7, kind="burn", amount_raw=1, sender="A", recipient="", token_id=20500)
    event(bond, 6, 21, amount_raw=99, recipient="Z")
    snapshot = take(bond)
    assert lots(snapshot) == [(1, "<77,0>", 20485, 3), (2, "A", 20500, 3), (3, "C", 20485, 7)]
    assert (snapshot.total_holders, int(snapshot.total_supply_raw), snapshot.block_height) == (3, 13, 20)


def test_the_same_block_gives_the_same_snapshot(bond):
    event(bond, 1, 3)
    assert take(bond) == take(bond)
    assert Snapshot.objects.count() == 1


def test_a_negative_balance_stops_the_run(bond):
    event(bond, 1, 3, amount_raw=1, recipient="A")
    event(bond, 2, 4, kind="burn", amount_raw=2, sender="A", recipient="")
    with pytest.raises(snapshots.SnapshotImpossible, match="A would hold -1"):
        take(bond)
    assert Snapshot.objects.count() == 0


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (Reader(head=Head(20, "ee" * 32, RECORD - timedelta(seconds=1))), "not after the record time"),
        (Reader(at=Head(26, "ee" * 32, RECORD)), "read to block 25, the record block is 26"),
        (Unreachable(), "cannot be reached"),
    ],
)
def test_it_waits_and_says_why(bond, chain, reason):
    with pytest.raises(snapshots.NotYet, match=reason):
        take(bond, chain)
    assert Snapshot.objects.count() == 0
