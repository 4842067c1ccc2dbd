"""What the Concordium gateway reads at a finalised block: tokens, accounts, the chain of blocks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import cbor2
import grpc
import pytest

from bonds.chain.concordium import addresses
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.gateway import ChainMisconfigured, ChainRefused, ChainUnavailable, Contract
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import (
    ALICE,
    NOT_FOUND,
    START,
    TOKEN,
    Network,
    Node,
    account_info,
    block,
    block_hash,
    called,
    connect,
    number,
    updated,
    wrapped,
)


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


# ---- tokens and accounts ----


def token_info(module_state: bytes) -> node_pb2.TokenInfo:
    state = node_pb2.TokenState(
        decimals=6, total_supply=node_pb2.TokenAmount(value=10**15, decimals=6), module_state=wrapped(module_state)
    )
    return node_pb2.TokenInfo(token_id=node_pb2.Str(value="EUROe"), token_state=state)


def test_a_token_is_told_as_the_chain_describes_it(gateway, node):
    node.answers["GetTokenInfo"] = token_info(cbor2.dumps({"name": "Test euro", "paused": True, "denyList": True}))
    token = gateway.token("euroe")
    assert (token.token_id, token.decimals, token.total_supply_units) == ("EUROe", 6, 10**15)
    assert (token.name, token.paused) == ("Test euro", True)
    ((_, request),) = [entry for entry in node.asked if entry[0] == "GetTokenInfo"]
    assert request.block_hash.WhichOneof("block_hash_input") == "last_final"


def test_a_token_whose_state_cannot_be_read_is_refused(gateway, node):
    node.answers["GetTokenInfo"] = token_info(b"\xff")
    with pytest.raises(ChainRefused, match="state of token EUROe cannot be read"):
        gateway.token("EUROe")


def test_a_balance_is_read_at_the_last_finalised_block_whatever_the_case_of_the_token(gateway, node):
    node.answers["GetAccountInfo"] = account_info()
    assert gateway.token_balance_units(ALICE, "eurOE") == 2**64 - 1
    assert gateway.token_balance_units(ALICE, "OTHER") == 0
    request = node.asked[-1][1]
    assert request.block_hash.WhichOneof("block_hash_input") == "last_final"
    assert request.account_identifier.address.value == addresses.decode(ALICE)


def test_fees_are_paid_from_what_is_available_where_the_node_tells_it(gateway, node):
    node.answers["GetAccountInfo"] = account_info()
    assert gateway.fee_balance_microccd(ALICE) == 5_000
    node.answers["GetAccountInfo"] = account_info(available_balance=number(0))
    assert gateway.fee_balance_microccd(ALICE) == 0


def test_the_next_number_is_that_of_the_finalised_account_never_a_nodes_guess(gateway, node):
    node.answers["GetAccountInfo"] = account_info()
    assert gateway.next_sequence_number(ALICE) == 42
    assert node.methods() == ["GetAccountInfo"]


def test_an_unknown_account_is_refused_everywhere(gateway, node):
    node.answers["GetAccountInfo"] = NOT_FOUND
    for ask in (
        lambda: gateway.next_sequence_number(ALICE),
        lambda: gateway.token_balance_units(ALICE, "EUROe"),
        lambda: gateway.fee_balance_microccd(ALICE),
    ):
        with pytest.raises(ChainRefused, match="NOT_FOUND"):
            ask()


# ---- blocks ----


def minted(amount: int) -> bytes:
    return b"\xfe\x08" + (19_723).to_bytes(8, "little") + bytes([amount]) + b"\x00" + addresses.decode(ALICE)


def test_blocks_come_in_order_with_the_events_of_these_contracts_only(gateway, node):
    other = called(updated(Contract(99), minted(9)), index=2)
    node.put(3, called(updated(TOKEN, minted(7)), index=1), called(updated(TOKEN, minted(5))), other)
    blocks = list(gateway.blocks(2, 5, [TOKEN]))
    assert [found.height for found in blocks] == [2, 3, 4, 5]
    assert blocks[1].block_hash == blocks[2].parent_hash == block_hash(3).hex()
    assert blocks[1].time == START + timedelta(seconds=6)
    assert [(event.amount_raw, event.transaction_hash) for event in blocks[1].events] == [
        (5, "00" * 32),
        (7, "01" * 32),
    ]
    assert [found.events for found in (blocks[0], *blocks[2:])] == [(), (), ()]
    assert node.methods().count("GetBlockTransactionEvents") == 1  # empty blocks are not asked for their transactions


def test_more_blocks_than_one_round_fetches_join_up(gateway, node):
    node.blocks = [block(height, START) for height in range(130)]
    assert [found.height for found in gateway.blocks(0, 129, [])] == list(range(130))
    assert list(gateway.blocks(5, 4, [])) == []


def test_a_height_that_is_not_final_anywhere_is_waited_for(gateway, node):
    with pytest.raises(ChainUnavailable, match="no finalised block at height 10 yet"):
        list(gateway.blocks(8, 10, []))
    node.blocks.append(block(10, START, finalized=False))
    with pytest.raises(ChainUnavailable, match="no finalised block at height 10 yet"):
        list(gateway.blocks(8, 10, []))


def test_blocks_that_do_not_join_into_one_chain_are_an_operators_matter(gateway, node):
    node.blocks[4] = block(4, START, parent_block=wrapped(b"\x00" * 32))
    given = []
    with pytest.raises(ChainMisconfigured, match="is not a child of"):
        given.extend(gateway.blocks(3, 5, []))
    assert [found.height for found in gateway.blocks(4, 5, [])] == [4, 5]


def test_the_last_block_at_a_moment_is_found_by_bisection(gateway, node):
    offsets = [0, 1, 1.5, 4, 9, 9.25, 30, 31, 90, 91, 92]
    node.blocks = [block(height, START + timedelta(seconds=offset)) for height, offset in enumerate(offsets)]
    for moment in [*offsets[:-1], *(offset + 0.001 for offset in offsets[:-1])]:
        expected = max(height for height, offset in enumerate(offsets) if offset <= moment)
        assert gateway.last_block_at(START + timedelta(seconds=moment)).height == expected


@pytest.mark.parametrize("seconds", [10, 10.001, 1000])
def test_the_record_block_is_not_told_before_a_later_block_is_final(gateway, node, seconds):
    node.blocks = [block(height, START + timedelta(seconds=height)) for height in range(11)]
    with pytest.raises(ChainUnavailable, match="not yet after"):
        gateway.last_block_at(START + timedelta(seconds=seconds))


def test_a_moment_before_the_chain_began_is_refused(gateway):
    with pytest.raises(ChainRefused, match="the chain began at 2026-01-01"):
        gateway.last_block_at(START - timedelta(milliseconds=1))
    with pytest.raises(ValueError, match="without a time zone"):
        gateway.last_block_at(datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_transactions_of_several_blocks_are_asked_for_at_once_and_keep_their_places(gateway, node):
    for height in range(3, 6):
        node.put(height, called(updated(TOKEN, minted(height))))
    both_asked = Barrier(2, timeout=5)  # broken, and the call an error, where the second is asked only after the first

    def held(request: Any) -> Iterator[Any]:
        if request.given.value != block_hash(5):
            both_asked.wait()
        return iter(node.transactions[request.given.value])

    node.answers["GetBlockTransactionEvents"] = held
    blocks = gateway.blocks(2, 6, [TOKEN])
    assert [[event.amount_raw for event in found.events] for found in blocks] == [[], [3], [4], [5], []]


def test_a_stream_of_transactions_that_breaks_off_gives_no_block(network, node):
    node.put(3, called(updated(TOKEN, minted(3))), called(updated(TOKEN, minted(4)), index=1))

    def torn(request: Any) -> Iterator[Any]:
        yield node.transactions[request.given.value][0]
        raise ConnectionError("gone")

    node.answers["GetBlockTransactionEvents"] = torn
    with pytest.raises(ChainUnavailable, match="UNKNOWN"):
        list(connect(network.serve(node)).blocks(3, 3, [TOKEN]))
    whole = Node()
    whole.put(3, *node.transactions[block_hash(3)])
    (found,) = connect(network.serve(node), network.serve(whole)).blocks(3, 3, [TOKEN])
    assert [event.amount_raw for event in found.events] == [3, 4]


def test_a_contract_exists_at_a_height_or_not(gateway, node):
    assert gateway.has_contract(TOKEN, 4)
    (request,) = node.requests("GetInstanceInfo")
    assert request.block_hash.absolute_height.value == 4
    assert not gateway.has_contract(Contract(99), 4)
    with pytest.raises(ChainUnavailable, match="NOT_FOUND"):
        gateway.has_contract(TOKEN, 10)  # no such block yet: nobody knows
    node.answers["GetInstanceInfo"] = (grpc.StatusCode.INVALID_ARGUMENT, "what?")
    with pytest.raises(ChainRefused, match="what"):
        gateway.has_contract(TOKEN, 4)
