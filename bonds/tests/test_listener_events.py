"""What the listener makes of each kind of event, and of blocks that do not fit the books."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from bonds.chain.gateway import (
    Block,
    ChainUnavailable,
    Contract,
    FundEvent,
    FundEventKind,
    LotEvent,
    LotEventKind,
    RegistryEvent,
    RegistryState,
    UnreadEvent,
)
from bonds.errors import Conflict, Invalid
from bonds.models import AuditEntry, Holding, InvestmentRecord, ListenerCursor, LotChange, ParkedEvent, RegistryChange
from bonds.services import listener, lots, parking
from bonds.tests import factories
from bonds.tests.generated_chain import GeneratedChain, block_hash, block_time
from jobs.models import Job

pytestmark = pytest.mark.django_db

NUMBER = 500
TOKENS, REGISTRY, PRESALE, FUND = (Contract(NUMBER + n) for n in range(4))


@pytest.fixture
def bond():
    return factories.bond_with_fund(NUMBER)


def tx(number):
    return f"{number:064x}"


def lot(kind, amount, sender=None, recipient=None, *, at, token_id=20485, index=0):
    return LotEvent(TOKENS, LotEventKind(kind), token_id, amount, sender, recipient, tx(at), index)


def invest(*, at, kind=FundEventKind.INVEST, token=TOKENS, investor="A", security=5, currency=500, index=0):
    return FundEvent(FUND, kind, token, 20485, investor, security, currency, tx(at), index)


def unread(*, at, contract=TOKENS, index=0):
    return UnreadEvent(contract, "ab" * 32, b"\xc8\x01", "tag 200 is unknown", tx(at), index)


def chain_of(*contents):
    """A chain of block 0 and then one block per keyword dict."""
    blocks = [
        Block(height, block_hash(height), block_hash(height - 1), block_time(height), **{"events": (), **parts})
        for height, parts in enumerate([{}, *contents])
    ]
    return GeneratedChain(blocks, [{} for _ in blocks])


def holdings():
    return {(h.holder, int(h.token_id)): int(h.balance_raw) for h in Holding.objects.exclude(balance_raw=0)}


def rows(model=LotChange):
    fields = ("block_height", "event_index", "kind", "token_id", "amount_raw", "sender", "recipient")
    return [
        (h, i, k, int(t), int(a), s, r) for h, i, k, t, a, s, r in model.objects.order_by("pk").values_list(*fields)
    ]


# --- recoveries ------------------------------------------------------------------------------------------------------


def test_a_recovery_moves_every_lot_its_holder_has_at_that_event_and_nothing_that_comes_later(bond):
    listener.catch_up(
        chain_of(
            {
                "events": (
                    lot("mint", 10, recipient="A", at=1),
                    lot("mint", 3, recipient="A", at=1, token_id=20500, index=1),
                )
            },
            {
                "events": (
                    lot("mint", 4, recipient="A", at=2),
                    lot("transfer", 1, "A", "C", at=2, index=1, token_id=20500),
                    lot("recover", 0, "A", "B", at=2, index=2, token_id=0),
                    lot("mint", 7, recipient="A", at=2, index=3),
                )
            },
        )
    )
    assert holdings() == {("A", 20485): 7, ("B", 20485): 14, ("B", 20500): 2, ("C", 20500): 1}
    assert [row for row in rows() if row[2] == "recover"] == [
        (2, 2, "recover", 20485, 14, "A", "B"),
        (2, 2, "recover", 20500, 2, "A", "B"),
    ]


def test_a_recovery_of_nothing_or_onto_itself_changes_no_balance(bond):
    mint = {"events": (lot("mint", 5, recipient="A", at=1),)}
    listener.catch_up(
        chain_of(mint, {"events": (lot("recover", 0, "Z", "A", at=2), lot("recover", 0, "A", "A", at=2, index=1))})
    )
    assert holdings() == {("A", 20485): 5}


def test_what_one_recovery_moved_of_a_lot_is_in_the_books_once(bond):
    row = {
        "bond": bond, "kind": "recover", "amount_raw": 5, "sender": "A", "recipient": "B", "block_height": 3,
        "block_time": factories.NOW, "transaction_hash": tx(1), "event_index": 0,
    }  # fmt: skip
    LotChange.objects.create(token_id=20485, **row)
    LotChange.objects.create(token_id=20500, **row)
    with pytest.raises(IntegrityError, match="bonds_lotchange_recover_once_per_lot"), transaction.atomic():
        LotChange.objects.create(token_id=20500, **row)
    with pytest.raises(IntegrityError, match="bonds_lotchange_sides_fit_kind"), transaction.atomic():
        LotChange.objects.create(token_id=20501, **{**row, "sender": ""})


# --- blocks that do not fit --------------------------------------------------------------------------------------------


def test_events_that_take_more_than_there_is_stop_the_listener_and_leave_the_last_good_block(bond):
    good = {"events": (lot("mint", 5, recipient="A", at=1),)}
    bad = {"events": (lot("mint", 1, recipient="B", at=2), lot("burn", 6, "A", at=2, index=1))}
    with pytest.raises(lots.BooksContradicted, match="block 2 takes more from 1 lots"):
        listener.catch_up(chain_of(good, bad))
    assert holdings() == {("A", 20485): 5}
    assert ListenerCursor.objects.get().height == 1


def test_a_gap_between_blocks_stops_the_listener(bond):
    chain = chain_of({}, {}, {"events": (lot("mint", 5, recipient="A", at=3),)})
    del chain.all_blocks[2]
    with pytest.raises(listener.ChainBroken, match=r"block 3 \w+ after 1 "):
        listener.catch_up(chain)
    assert holdings() == {}


def test_a_head_that_is_not_the_block_the_books_end_with_stops_the_listener(bond):
    chain = chain_of({})
    listener.catch_up(chain)
    ListenerCursor.objects.update(block_hash="ff" * 32)
    with pytest.raises(listener.ChainBroken, match="the books end with ffff"):
        listener.catch_up(chain)


@pytest.mark.parametrize("now", [{"events": (lot("mint", 5, recipient="A", at=9),)}, {}])
def test_a_block_that_comes_again_with_other_events_stops_the_listener(bond, now):
    listener.catch_up(chain_of({"events": (lot("mint", 5, recipient="A", at=1),)}, {}))
    ListenerCursor.objects.update(height=0, block_hash=block_hash(0))
    with pytest.raises(lots.BooksContradicted, match="block 1 is in the books with other events"):
        listener.catch_up(chain_of(now, {}))
    assert holdings() == {("A", 20485): 5}


def test_a_node_that_stops_answering_leaves_what_was_read_before_it(bond):
    chain = chain_of({"events": (lot("mint", 5, recipient="A", at=1),)}, {})
    given = list(chain.all_blocks)

    class Fails(GeneratedChain):
        def blocks(self, first, last, contracts):
            yield from given[first:2]
            raise ChainUnavailable("connection refused")

    with pytest.raises(ChainUnavailable, match="connection refused"):
        listener.catch_up(Fails(given, chain.ledgers))
    assert holdings() == {("A", 20485): 5}
    assert ListenerCursor.objects.get().height == 1


def test_a_listener_told_to_stop_ends_after_the_block_it_is_writing(bond):
    chain = chain_of(*[{"events": (lot("mint", 1, recipient="A", at=height),)} for height in range(1, 10)])
    listener.catch_up(chain, is_stopping=lambda: Holding.objects.filter(balance_raw=3).exists())
    assert ListenerCursor.objects.get().height == 3
    listener.catch_up(chain)
    assert holdings() == {("A", 20485): 9}


def test_a_look_at_the_chain_is_noted_even_when_there_is_nothing_new(bond):
    chain = chain_of({}, {})
    listener.catch_up(chain)
    ListenerCursor.objects.update(updated_at=timezone.now() - timedelta(hours=1), head_height=0)
    listener.catch_up(chain)
    cursor = ListenerCursor.objects.get()
    assert (cursor.height, cursor.head_height, cursor.head_time) == (2, 2, block_time(2))
    assert timezone.now() - cursor.updated_at < timedelta(minutes=30)


# --- unread events -----------------------------------------------------------------------------------------------------


def test_an_event_nobody_can_read_is_parked_once_and_the_rest_of_its_block_is_read(bond):
    chain = chain_of({"events": (lot("mint", 5, recipient="A", at=1),), "unread": (unread(at=1, index=1),)})
    listener.catch_up(chain)
    ListenerCursor.objects.update(height=0, block_hash=block_hash(0))
    listener.catch_up(chain)
    parked = ParkedEvent.objects.get()
    assert (parked.contract, parked.module_ref, bytes(parked.data)) == (TOKENS, "ab" * 32, b"\xc8\x01")
    assert (parked.reason, parked.block_height, parked.event_index) == ("tag 200 is unknown", 1, 1)
    assert holdings() == {("A", 20485): 5}


def test_a_parked_event_is_settled_once_by_a_person_with_a_reason(bond):
    listener.catch_up(chain_of({"unread": (unread(at=1),)}))
    staff = User.objects.create(username="staff")
    parked = ParkedEvent.objects.get()
    with pytest.raises(Invalid, match="Say why"):
        parking.resolve(parked.pk, actor=staff, reason="  ")
    assert parking.unresolved(bond).get() == parked
    assert not AuditEntry.objects.exists()
    settled = parking.resolve(parked.pk, actor=staff, reason="a metadata event ")
    assert (settled.resolved_by, settled.resolution_reason) == (staff, "a metadata event")
    assert not parking.unresolved(bond).exists()
    with pytest.raises(Conflict, match="settled already"):
        parking.resolve(parked.pk, actor=staff, reason="again")
    assert ParkedEvent.objects.get().resolution_reason == "a metadata event"
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.subject, entry.reason) == ("staff", str(parked), "a metadata event")


@pytest.mark.parametrize("contract", [TOKENS, REGISTRY, FUND])
def test_a_parked_event_concerns_the_bonds_of_its_contract_and_no_other(bond, contract):
    other = factories.bond_with_fund(NUMBER + 100, wallet=bond.wallet)
    listener.catch_up(chain_of({}, {"unread": (unread(at=2, contract=contract),)}))
    assert parking.unresolved(bond).count() == 1
    assert parking.unresolved(bond, up_to_height=1).count() == 0
    assert parking.unresolved(other).count() == 0


# --- investments and registry ------------------------------------------------------------------------------------------


def test_each_fund_event_is_a_record_with_one_job_however_often_its_block_comes(bond):
    chain = chain_of(
        {"fund_events": (invest(at=1), invest(at=1, index=2, investor="B", security=7, currency=700))},
        {"fund_events": (invest(at=2, kind=FundEventKind.REFUND),)},
    )
    listener.catch_up(chain)
    ListenerCursor.objects.update(height=0, block_hash=block_hash(0))
    listener.catch_up(chain)
    records = InvestmentRecord.objects.order_by("pk")
    assert [(r.bond, r.kind, r.investor, int(r.security_amount_raw), int(r.currency_amount_raw)) for r in records] == [
        (bond, "invest", "A", 5, 500),
        (bond, "invest", "B", 7, 700),
        (bond, "refund", "A", 5, 500),
    ]
    jobs = Job.objects.filter(job_type="bond_investment").order_by("pk")
    assert list(jobs.values_list("payload__record", "status")) == [(record.pk, "pending") for record in records]


def test_a_fund_that_serves_many_bonds_gives_each_its_own(bond):
    other = factories.bond_with_fund(NUMBER + 100, wallet=bond.wallet, fund_contract_index=FUND.index)
    sold_elsewhere = PRESALE
    listener.catch_up(
        chain_of(
            {
                "fund_events": (
                    invest(at=1),
                    invest(at=2, token=Contract(NUMBER + 100)),
                    invest(at=3, token=sold_elsewhere),
                )
            }
        )
    )
    assert {(r.bond, r.transaction_hash) for r in InvestmentRecord.objects.all()} == {(bond, tx(1)), (other, tx(2))}


def test_registry_events_are_kept_once(bond):
    event = RegistryEvent(REGISTRY, "A", RegistryState.BLACKLISTED, tx(1), 0)
    chain = chain_of({"registry_events": (event, replace(event, event_index=1, state=RegistryState.WHITELISTED))})
    listener.catch_up(chain)
    factories.bond_with_fund(NUMBER + 100, wallet=bond.wallet, registry_contract_index=REGISTRY.index)
    listener.catch_up(chain)  # the second bond reads its own past, and the registry's with it
    assert list(RegistryChange.objects.order_by("pk").values_list("contract_index", "address", "state")) == [
        (REGISTRY.index, "A", "blacklisted"),
        (REGISTRY.index, "A", "whitelisted"),
    ]


# --- constraints -------------------------------------------------------------------------------------------------------


def test_evidence_is_kept_as_written(bond):
    listener.catch_up(
        chain_of(
            {
                "fund_events": (invest(at=1),),
                "unread": (unread(at=1, index=1),),
                "registry_events": (RegistryEvent(REGISTRY, "A", RegistryState.BLACKLISTED, tx(1), 2),),
            }
        )
    )
    for model, change in (
        (InvestmentRecord, {"security_amount_raw": 6}),
        (ParkedEvent, {"data": b""}),
        (RegistryChange, {"address": "B"}),
    ):
        before = list(model.objects.values())
        with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
            model.objects.update(**change)
        with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
            model.objects.all()._raw_delete(using="default")
        assert list(model.objects.values()) == before


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"resolved_at": factories.NOW}, "bonds_parkedevent_resolved_by_somebody_for_a_reason"),
        ({"resolution_reason": "because"}, "bonds_parkedevent_resolved_by_somebody_for_a_reason"),
    ],
)
def test_a_parked_event_is_settled_wholly_or_not_at_all(bond, fields, rule):
    listener.catch_up(chain_of({"unread": (unread(at=1),)}))
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        ParkedEvent.objects.update(**fields)
    assert ParkedEvent.objects.get().resolved_at is None


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, "bonds_investmentrecord_once"),
        ({"event_index": 1, "kind": "divest"}, "bonds_investmentrecord_kind_known"),
        ({"event_index": 1, "security_amount_raw": -1}, "bonds_investmentrecord_amounts_not_negative"),
        ({"event_index": 1, "investor": ""}, "bonds_investmentrecord_investor_present"),
    ],
)
def test_an_investment_record_that_cannot_be_is_refused(bond, fields, rule):
    listener.catch_up(chain_of({"fund_events": (invest(at=1),)}))
    record = InvestmentRecord.objects.get()
    for name, value in {"pk": None, **fields}.items():
        setattr(record, name, value)
    record._state.adding = True
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        record.save()
    assert InvestmentRecord.objects.count() == 1
