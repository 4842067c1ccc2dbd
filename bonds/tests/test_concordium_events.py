"""The events of watched contracts in blocks: each read by the decoder of the module its contract ran, never by another."""

import logging
from typing import Any

import grpc
import pytest

from bonds.chain.concordium import addresses, values
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.contracts import Module
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
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import (
    ALICE,
    BOB,
    FUND,
    MODULES,
    REFERENCES,
    REGISTRY,
    STATES,
    TOKEN,
    Network,
    Node,
    block_hash,
    called,
    connect,
    event_vectors,
    interrupted,
    made,
    resumed,
    summary,
    updated,
    upgraded,
    wrapped,
)

EVENTS = event_vectors()
HOLDER = "4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm"
WATCHED = [TOKEN, FUND, REGISTRY, STATES]
DAY = 19_723
UNKNOWN = "4d" * 32  # a module that nobody configured
HASH = "00" * 32


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


def party(address: values.Address) -> bytes:
    return values.encode_address(address)


def lot(tag: int, amount: int, *parties: values.Address) -> bytes:
    return bytes([tag]) + values.encode_token_id(DAY) + values.encode_amount(amount) + b"".join(map(party, parties))


def minted(amount: int, owner: values.Address = ALICE) -> bytes:
    return lot(0xFE, amount, owner)


def read(gateway: ConcordiumGateway, height: int = 3, contracts: list[Contract] | None = None) -> Block:
    (found,) = gateway.blocks(height, height, WATCHED if contracts is None else contracts)
    return found


def asked(node: Node) -> list[tuple[int, bytes]]:
    """Whose module was asked for, and at which block."""
    return [(r.address.index, r.block_hash.given.value) for r in node.requests("GetInstanceInfo")]


# ---- each module its own ----


def test_lots_move_by_the_tokens_own_events(gateway, node):
    recovered = b"\xf2" + party(ALICE) + party(BOB)
    burned, to_contract = lot(0xFD, 2, BOB), lot(0xFF, 1, ALICE, Contract(77, 2))
    node.put(3, called(updated(TOKEN, minted(2**64 - 1), to_contract, burned, recovered)))
    found = read(gateway)
    assert found.events == (
        LotEvent(TOKEN, LotEventKind.MINT, DAY, 2**64 - 1, None, ALICE, HASH, 0),
        LotEvent(TOKEN, LotEventKind.TRANSFER, DAY, 1, ALICE, "<77,2>", HASH, 1),
        LotEvent(TOKEN, LotEventKind.BURN, DAY, 2, BOB, None, HASH, 2),
        LotEvent(TOKEN, LotEventKind.RECOVER, 0, 0, ALICE, BOB, HASH, 3),
    )
    assert (found.fund_events, found.registry_events, found.unread) == ((), (), ())


def test_what_means_nothing_to_holdings_is_read_and_counted_but_not_told(gateway, node):
    silent = [
        lot(0xF7, 5, ALICE),  # frozen
        lot(0xF8, 5, ALICE),
        b"\xf6" + values.encode_token_id(DAY),  # paused
        b"\xf5" + values.encode_token_id(DAY),
        EVENTS["AgentAdded"],
        b"\xf9" + party(ALICE) + bytes(4),  # agent removed
        b"\xf4" + party(Contract(5))[1:],  # compliance contract
        b"\xf3" + party(REGISTRY)[1:],
        b"\xfc\x01" + party(ALICE) + party(BOB),  # operator
        b"\xfb" + values.encode_token_id(DAY) + b"\x03\x00url\x00",  # metadata
    ]
    node.put(3, called(updated(TOKEN, *silent, minted(5))))
    found = read(gateway)
    assert [(event.kind, event.event_index) for event in found.events] == [(LotEventKind.MINT, len(silent))]
    assert found.unread == ()


def test_a_funds_events_name_investor_lot_and_both_amounts(gateway, node):
    claimed = b"\x07" + EVENTS["Invested"][1:]
    silent = [
        b"\x00" + party(Contract(5))[1:] + b"\x03EUR",  # initialised with a currency
        b"\x01" + party(ALICE) + b"\x02\x00\x00\x00\x00\x03",  # an agent with two roles
        b"\x02" + party(ALICE),
        *(bytes([tag]) + b"of funds, not of investors" for tag in (3, 4, 5)),
    ]
    node.put(3, called(updated(FUND, EVENTS["Invested"], *silent, claimed, EVENTS["InvestmentCancelled"])))
    found = read(gateway)
    facts = TOKEN, 20_454, HOLDER, 1_000, 1_000_000, HASH
    assert found.fund_events == (
        FundEvent(FUND, FundEventKind.INVEST, *facts, 0),
        FundEvent(FUND, FundEventKind.CLAIM, *facts, 7),
        FundEvent(FUND, FundEventKind.REFUND, *facts, 8),
    )
    assert (found.events, found.registry_events, found.unread) == ((), (), ())


def test_two_registries_number_their_events_alike_and_mean_other_things(gateway, node):
    zero, one = b"\x00" + party(ALICE), b"\x01" + party(BOB)
    two, three = b"\x02" + party(ALICE), b"\x03" + party(Contract(5))
    node.put(
        3,
        called(updated(REGISTRY, zero, one, two, three)),  # registered, removed, an issuer comes and goes
        called(updated(STATES, zero, one, two + b"\x00", two + b"\x01", three), index=1),  # agents, then states
    )
    found = read(gateway)
    second = "01" * 32
    assert found.registry_events == (
        RegistryEvent(REGISTRY, ALICE, RegistryState.WHITELISTED, HASH, 0),
        RegistryEvent(REGISTRY, BOB, RegistryState.NOT_IN_REGISTRY, HASH, 1),
        RegistryEvent(STATES, ALICE, RegistryState.WHITELISTED, second, 2),
        RegistryEvent(STATES, ALICE, RegistryState.BLACKLISTED, second, 3),
        RegistryEvent(STATES, "<5,0>", RegistryState.NOT_IN_REGISTRY, second, 4),
    )
    assert found.unread == ()


def test_the_events_of_one_transaction_are_numbered_over_all_contracts_of_it(gateway, node):
    trace = [
        interrupted(FUND, EVENTS["Invested"]),
        updated(Contract(99), b"not watched", b"nor this"),
        resumed(FUND),
        interrupted(FUND),
        updated(TOKEN, minted(1)),
        resumed(FUND),
        updated(FUND, EVENTS["Invested"]),
    ]
    node.put(3, called(*trace))
    found = read(gateway)
    assert [event.event_index for event in found.fund_events] == [0, 4]
    assert [event.event_index for event in found.events] == [3]


def test_what_lies_under_a_failed_call_never_happened(gateway, node):
    trace = [
        interrupted(FUND, EVENTS["Invested"]),
        updated(TOKEN, minted(1)),
        resumed(FUND, success=False),
        updated(FUND, EVENTS["InvestmentCancelled"]),
    ]
    node.put(3, called(*trace))
    found = read(gateway)
    assert found.events == ()
    assert [(event.kind, event.event_index) for event in found.fund_events] == [
        (FundEventKind.INVEST, 0),
        (FundEventKind.REFUND, 1),
    ]


# ---- what no decoder reads ----


@pytest.mark.parametrize(
    ("contract", "data", "reason"),
    [
        (TOKEN, b"\x2a\x01", "security_sft_multi has no event 42"),
        (TOKEN, b"\xf1" + values.encode_token_id(DAY), "security_sft_multi has no event 241"),
        (TOKEN, minted(5)[:-1], "a malformed event 254 of security_sft_multi"),
        (TOKEN, minted(5) + b"\x00", "a malformed event 254 of security_sft_multi"),
        (TOKEN, EVENTS["Invested"], "security_sft_multi has no event 6"),
        (FUND, minted(5), "security_mint_fund has no event 254"),
        (FUND, EVENTS["Invested"][:-1], "a malformed event 6 of security_mint_fund"),
        (REGISTRY, b"\x06" + party(ALICE), "rwa_identity_registry has no event 6"),
        (STATES, b"\x04" + party(ALICE), "address_state_registry has no event 4"),
        (STATES, b"\x02" + party(ALICE) + b"\x02", "a malformed event 2 of address_state_registry"),
        (STATES, b"\x02" + party(ALICE), "a malformed event 2 of address_state_registry"),
        (TOKEN, b"", "an event without content"),
    ],
)
def test_an_event_that_no_decoder_reads_is_parked_and_reading_goes_on(gateway, node, contract, data, reason):
    node.put(3, called(updated(TOKEN, minted(1)), updated(contract, data), updated(TOKEN, minted(2))))
    node.put(4, called(updated(TOKEN, minted(3))))
    third, fourth = gateway.blocks(3, 4, WATCHED)
    module_ref = node.instances[contract][0]
    assert third.unread == (UnreadEvent(contract, module_ref, data, reason, HASH, 1),)
    assert [(event.amount_raw, event.event_index) for event in third.events] == [(1, 0), (2, 2)]
    assert [event.amount_raw for event in fourth.events] == [3]
    assert fourth.unread == ()


def test_every_event_of_a_contract_whose_module_nobody_named_is_parked(gateway, node):
    node.instances[TOKEN] = (UNKNOWN, "security_sft_multi")  # the name proves nothing
    node.put(3, called(updated(TOKEN, minted(1), b""), updated(REGISTRY, EVENTS["IdentityRegistered"])))
    found = read(gateway)
    reason = "CHAIN_MODULES names no interface for its contract's module"
    assert found.unread == (
        UnreadEvent(TOKEN, UNKNOWN, minted(1), reason, HASH, 0),
        UnreadEvent(TOKEN, UNKNOWN, b"", reason, HASH, 1),
    )
    assert found.events == ()
    assert [event.address for event in found.registry_events] == [HOLDER]


def test_without_a_table_nothing_is_read_and_nothing_is_lost(network, node):
    node.put(3, called(updated(TOKEN, minted(1)), updated(FUND, EVENTS["Invested"])))
    found = read(connect(network.serve(node), modules=None))
    assert [event.data for event in found.unread] == [minted(1), EVENTS["Invested"]]
    assert (found.events, found.fund_events) == ((), ())


def test_what_is_not_watched_is_not_parked_nor_asked_about(gateway, node):
    node.put(3, called(updated(Contract(99), b"\x2a"), updated(TOKEN, b"\x2a")))
    found = read(gateway, contracts=[FUND])
    assert (found.events, found.unread) == ((), ())
    assert asked(node) == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ([interrupted(TOKEN, minted(2))], "it ends inside an interruption"),
        ([updated(TOKEN, minted(2)), resumed(TOKEN)], "it resumes what was not interrupted"),
        ([updated(TOKEN, minted(2)), node_pb2.ContractTraceElement()], "it has a step of a kind that is not known"),
    ],
)
def test_of_a_trace_that_cannot_be_read_everything_seen_is_parked(gateway, node, broken, why):
    node.put(3, called(updated(Contract(99), b"1"), updated(FUND), *broken))
    found = read(gateway)
    reason = f"the execution trace of its transaction cannot be read: {why}"
    token, fund = REFERENCES[Module.SECURITY], REFERENCES[Module.FUND]
    assert found.unread == (
        UnreadEvent(TOKEN, token, minted(2), reason, HASH, 1),
        UnreadEvent(FUND, fund, b"", reason, HASH, 2),  # it ran, and what it did is not known
    )
    assert found.events == ()


def test_after_a_trace_that_may_hide_an_upgrade_the_contract_is_not_read_on_a_guess(gateway, node):
    node.put(3, called(interrupted(TOKEN), upgraded(TOKEN, UNKNOWN)), called(updated(TOKEN, minted(2)), index=1))
    node.put(4, called(updated(TOKEN, minted(4))))
    third, fourth = gateway.blocks(3, 4, WATCHED)
    assert [(event.module_ref, event.data) for event in third.unread] == [
        (REFERENCES[Module.SECURITY], b""),
        ("", minted(2)),
    ]
    assert third.events == ()
    assert [event.amount_raw for event in fourth.events] == [4]
    assert asked(node) == [(TOKEN.index, block_hash(2)), (TOKEN.index, block_hash(3))]  # what came of it, the node says


def test_a_trace_that_cannot_be_read_and_touches_nothing_watched_stops_nothing(gateway, node):
    node.put(3, called(interrupted(Contract(99), b"1")), called(updated(TOKEN, minted(2)), index=1))
    found = read(gateway)
    assert found.unread == ()
    assert [event.amount_raw for event in found.events] == [2]


@pytest.mark.parametrize(
    "unknown", [node_pb2.BlockItemSummary(hash=wrapped(bytes(32))), summary(node_pb2.AccountTransactionEffects())]
)
def test_a_transaction_of_a_kind_this_product_does_not_know_is_said_to_be_passed_over(gateway, node, unknown, caplog):
    node.put(3, unknown, called(updated(TOKEN, minted(2)), index=1))
    with caplog.at_level(logging.WARNING):
        assert len(read(gateway).events) == 1
    (record,) = [entry for entry in caplog.records if "unknown kind" in entry.message]
    assert record.transaction_hash == HASH


def test_transactions_that_call_no_contract_are_nothing_to_tell(gateway, node, caplog):
    rejected = node_pb2.AccountTransactionEffects(none=node_pb2.NoEffect())
    transfer = node_pb2.AccountTransactionEffects(account_transfer=node_pb2.AccountTransfer())
    creation = node_pb2.BlockItemSummary(account_creation=node_pb2.Empty(), index=node_pb2.U64(value=2))
    node.put(3, summary(rejected), summary(transfer, index=1), creation)
    found = read(gateway)
    assert (found.events, found.unread, caplog.records) == ((), (), [])


# ---- which module, when ----


def test_the_module_is_asked_once_as_it_was_before_the_first_event(gateway, node):
    for height in (3, 4, 6):
        node.put(height, called(updated(TOKEN, minted(height))))
    blocks = list(gateway.blocks(2, 7, WATCHED))
    assert [event.amount_raw for block in blocks for event in block.events] == [3, 4, 6]
    assert asked(node) == [(TOKEN.index, block_hash(2))]


def test_an_upgrade_changes_the_decoder_from_there_on(gateway, node):
    """The token becomes a registry: absurd, and so no event can be read by both decoders."""
    node.put(3, called(updated(TOKEN, minted(3))))
    switch = [interrupted(TOKEN), upgraded(TOKEN, REFERENCES[Module.REGISTRY]), resumed(TOKEN)]
    node.put(
        4,
        called(updated(TOKEN, minted(4))),
        called(*switch, updated(TOKEN, minted(5)), index=1),  # the run that upgrades ends as it began
        called(updated(TOKEN, EVENTS["IdentityRegistered"], minted(6)), index=2),
    )
    node.put(5, called(updated(TOKEN, EVENTS["IdentityRemoved"])))
    third, fourth, fifth = gateway.blocks(3, 5, WATCHED)
    assert [event.amount_raw for event in (*third.events, *fourth.events)] == [3, 4, 5]
    assert [event.state for event in fourth.registry_events] == [RegistryState.WHITELISTED]
    assert [(event.data, event.module_ref) for event in fourth.unread] == [(minted(6), REFERENCES[Module.REGISTRY])]
    assert [event.state for event in fifth.registry_events] == [RegistryState.NOT_IN_REGISTRY]
    assert asked(node) == [(TOKEN.index, block_hash(2))]


def test_an_upgrade_that_was_undone_changes_nothing(gateway, node):
    trace = [
        interrupted(FUND),
        interrupted(TOKEN),
        upgraded(TOKEN, UNKNOWN),
        resumed(TOKEN),
        resumed(FUND, success=False),
        updated(FUND),
    ]
    node.put(3, called(*trace), called(updated(TOKEN, minted(1)), index=1))
    found = read(gateway)
    assert [event.amount_raw for event in found.events] == [1]
    assert found.unread == ()


def test_a_contract_made_in_the_block_needs_no_asking(gateway, node):
    del node.instances[TOKEN]
    node.put(3, made(TOKEN, REFERENCES[Module.SECURITY], minted(1)), called(updated(TOKEN, minted(2)), index=1))
    assert [event.amount_raw for event in read(gateway).events] == [1, 2]
    assert asked(node) == []
    node.put(4, made(TOKEN, UNKNOWN, minted(1)))
    assert [event.module_ref for event in read(gateway, 4).unread] == [UNKNOWN]


def test_the_decoder_is_that_of_the_past_when_the_past_is_read_again(gateway, node):
    """Read once more from before an upgrade, nothing learnt later is applied to it."""
    switch = [interrupted(TOKEN), upgraded(TOKEN, UNKNOWN), resumed(TOKEN), updated(TOKEN)]
    node.put(3, called(updated(TOKEN, minted(3))))
    node.put(4, called(*switch))
    node.put(5, called(updated(TOKEN, minted(5))))
    for _ in range(2):
        blocks = list(gateway.blocks(3, 5, WATCHED))
        assert [event.amount_raw for block in blocks for event in block.events] == [3]
        assert [event.data for block in blocks for event in block.unread] == [minted(5)]


def test_while_no_node_can_tell_the_module_the_block_waits(network, node):
    node.put(3, called(updated(TOKEN, minted(3))))
    node.answers["GetInstanceInfo"] = (grpc.StatusCode.UNAVAILABLE, "busy")
    given: list[Any] = []
    with pytest.raises(ChainUnavailable, match="busy"):
        given.extend(connect(network.serve(node)).blocks(2, 3, WATCHED))
    assert [found.height for found in given] == [2]
    knowing = Node()
    knowing.blocks, knowing.transactions = node.blocks, node.transactions
    gateway = connect(network.serve(node), network.serve(knowing))
    assert [event.amount_raw for event in read(gateway).events] == [3]


def test_the_vectors_of_the_deployed_schemas_are_read_from_blocks(gateway, node):
    emitters = {
        "IdentityRegistered": REGISTRY,
        "IdentityRemoved": REGISTRY,
        "Invested": FUND,
        "InvestmentCancelled": FUND,
    }
    node.put(3, called(*(updated(emitters.get(name, TOKEN), data) for name, data in EVENTS.items())))
    found = read(gateway)
    assert found.unread == ()
    assert [event.kind.value for event in found.events] == ["mint", "burn", "transfer"]
    assert [event.kind.value for event in found.fund_events] == ["invest", "refund"]
    assert [event.state.value for event in found.registry_events] == ["whitelisted", "not_in_registry"]
    assert len(MODULES) == len(Module)
    assert addresses.decode(HOLDER) in EVENTS["Mint"]
