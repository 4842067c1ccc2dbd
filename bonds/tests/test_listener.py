"""The holdings are what the token contract's events say: read from a devnet, in block order, each event once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from bonds.chain.gateway import Block, ChainUnavailable, Contract, Head, LotEvent, LotEventKind
from bonds.models import Holding, ListenerCursor, LotChange
from bonds.services import listener
from bonds.tests import factories
from bonds.tests.conftest import TOKEN_CONTRACT, account

pytestmark = pytest.mark.django_db

A, B, C = (account(name) for name in "ABC")


@pytest.fixture
def bond():
    return factories.bond(postsale_contract_index=TOKEN_CONTRACT)


def holdings():
    return {(h.holder, int(h.token_id)): int(h.balance_raw) for h in Holding.objects.exclude(balance_raw=0)}


def test_mints_transfers_and_burns_become_holdings(devnet, gateway, bond):
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 100), (B, 20485, 50), (A, 20490, 7)])
    devnet.control.transfer_lots(TOKEN_CONTRACT, [(A, C, 20485, 30)])
    devnet.control.burn_lots(TOKEN_CONTRACT, [(B, 20485, 50)])
    devnet.control.advance(blocks=2)
    assert listener.catch_up(gateway) == 5
    assert holdings() == {(A, 20485): 70, (C, 20485): 30, (A, 20490): 7}
    assert sorted(
        (owner, token, amount) for owner, token, amount in devnet.control.lots(TOKEN_CONTRACT) if amount
    ) == sorted((holder, token, amount) for (holder, token), amount in holdings().items())


def test_reading_again_writes_no_event_twice(devnet, gateway, bond):
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 100)])
    devnet.control.advance(blocks=2)
    assert listener.catch_up(gateway) == 1
    assert listener.catch_up(gateway) == 0
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 1)])
    devnet.control.advance(blocks=2)
    assert listener.catch_up(gateway) == 1
    assert holdings() == {(A, 20485): 101}
    assert ListenerCursor.objects.get(bond=bond).height == gateway.head().height


def test_a_bond_added_later_reads_its_own_past(devnet, gateway, bond):
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 100)])
    devnet.control.advance(blocks=2)
    listener.catch_up(gateway)
    late = factories.bond(postsale_contract_index=TOKEN_CONTRACT + 1, wallet=bond.wallet)
    listener.catch_up(gateway)
    assert set(ListenerCursor.objects.values_list("bond", flat=True)) == {bond.pk, late.pk}
    assert LotChange.objects.count() == 1


def test_the_command_catches_up_through_the_wired_gateway(devnet, gateway, bond, settings, monkeypatch):
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 100)])
    devnet.control.advance(blocks=2)
    monkeypatch.setattr("bonds.tests.test_listener.WIRED", gateway)
    settings.JOB_CONTEXT_FACTORY = "bonds.tests.test_listener.context"
    call_command("listen_events", once=True)
    assert holdings() == {(A, 20485): 100}


WIRED = None


def context():
    from jobs.service import JobContext

    return JobContext(chain=WIRED)


class Forked:
    """A node whose second answer does not continue the first."""

    def __init__(self):
        self.height = 3

    def has_contract(self, contract, height):
        return False

    def head(self):
        return Head(self.height, f"{self.height:064x}", datetime.now(UTC))

    def blocks(self, first, last, contracts):
        for height in range(first, last + 1):
            yield Block(height, f"{height:064x}", "bad0" * 16, datetime.now(UTC) - timedelta(seconds=1), ())


def test_a_block_that_does_not_continue_the_books_stops_the_listener(bond):
    node = Forked()
    bond.listen_from_height = 3
    bond.save()
    listener.catch_up(node)
    node.height = 4
    with pytest.raises(listener.ChainBroken, match="block 4 follows bad0"):
        listener.catch_up(node)
    assert ListenerCursor.objects.get(bond=bond).height == 3


def test_the_command_ends_with_an_error_when_the_chain_does_not_continue_the_books(bond, settings, monkeypatch):
    node = Forked()
    bond.listen_from_height = 3
    bond.save()
    listener.catch_up(node)
    node.height = 4
    monkeypatch.setattr("bonds.tests.test_listener.WIRED", node)
    settings.JOB_CONTEXT_FACTORY = "bonds.tests.test_listener.context"
    with pytest.raises(listener.ChainBroken, match="block 4 follows bad0"):
        call_command("listen_events")
    with listener.only_listener() as won:
        assert won  # the lock is free for the next one


def test_an_unreachable_node_leaves_the_books_as_they_are(devnet, gateway, bond):
    devnet.control.refuse()
    with pytest.raises(ChainUnavailable):
        listener.catch_up(gateway)
    assert not ListenerCursor.objects.exists()


def test_a_bond_that_would_start_after_its_contracts_first_event_is_not_read(devnet, gateway, bond):
    devnet.control.mint(TOKEN_CONTRACT, [(A, 20485, 1000)])
    bond.listen_from_height = devnet.control.mint(TOKEN_CONTRACT, [(B, 20485, 1)])
    bond.save()
    devnet.control.advance(blocks=2)
    assert listener.catch_up(gateway) == 0
    assert holdings() == {}
    assert not ListenerCursor.objects.exists()


def test_balances_of_any_size_are_kept_to_the_last_unit(bond):
    contract = Contract(TOKEN_CONTRACT, 0)
    big = 10**29

    def event(kind, amount, sender, recipient, number):
        return LotEvent(contract, kind, 20485, amount, sender, recipient, f"{number:064x}", 0)

    blocks = [
        [event(LotEventKind.MINT, big + 4, None, "A", 1)],
        [event(LotEventKind.MINT, 4, None, "A", 2)],
        [event(LotEventKind.TRANSFER, big + 8, "A", "B", 3)],
    ]

    class Node:
        def head(self):
            return Head(2, f"{2:064x}", datetime.now(UTC))

        def blocks(self, first, last, contracts):
            for height, events in enumerate(blocks):
                yield Block(height, f"{height:064x}", f"{height - 1:064x}", datetime.now(UTC), tuple(events))

    listener.catch_up(Node())
    assert holdings() == {("B", 20485): big + 8}
