"""The node client of the Concordium gateway: which endpoint is asked, which network is ours, what each failure becomes."""

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import grpc
import pytest

from bonds.chain.concordium import addresses
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.gateway import ChainMisconfigured, ChainRefused, ChainUnavailable
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import ALICE, BOB, DOWN, GENESIS, START, Network, Node, block, block_hash, connect, wrapped


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


def test_the_head_is_the_last_finalised_block_with_its_own_time(gateway):
    head = gateway.head()
    assert (head.height, head.block_hash) == (9, block_hash(9).hex())
    assert head.time == START + timedelta(seconds=18)


def test_a_node_of_another_network_is_refused_before_anything_else_is_asked(network, node):
    gateway = connect(network.serve(node), genesis_hash="00" * 32)
    with pytest.raises(ChainMisconfigured, match=f"another network: genesis {GENESIS.hex()}"):
        gateway.head()
    assert node.methods() == []


def test_the_pinned_network_is_accepted_whatever_the_case_of_its_hash(network, node):
    assert connect(network.serve(node), genesis_hash=GENESIS.hex().upper()).head().height == 9


def test_without_a_pin_endpoints_must_still_agree_about_the_network(network, node):
    other = Node()
    other.answers["GetConsensusInfo"] = node_pb2.ConsensusInfo(genesis_block=wrapped(b"\x01" * 32))
    gateway = connect(network.serve(node), network.serve(other))
    gateway.head()
    node.answers["GetBlockInfo"] = (grpc.StatusCode.UNAVAILABLE, "going down")
    with pytest.raises(ChainMisconfigured, match="another network"):
        gateway.head()
    assert other.methods() == []


def head_once_connected(gateway: ConcordiumGateway) -> Any:
    """The channel needs a moment to reconnect."""
    for _ in range(1000):
        try:
            return gateway.head()
        except ChainUnavailable:
            Event().wait(0.02)
    raise AssertionError("the node never came back")


def test_a_node_replaced_by_one_of_another_network_is_noticed_when_the_connection_comes_back(network, node):
    address = network.serve(node)
    gateway = connect(address, genesis_hash=GENESIS.hex())
    gateway.head()
    network.stop()
    other = Node()
    other.answers["GetConsensusInfo"] = node_pb2.ConsensusInfo(genesis_block=wrapped(b"\x01" * 32))
    network.serve(other, port=int(address.rpartition(":")[2]))
    with pytest.raises(ChainMisconfigured, match="another network"):
        head_once_connected(gateway)
    assert other.methods() == []


def test_an_endpoint_that_is_down_is_passed_over_and_the_next_is_kept(network, node):
    gateway = connect(DOWN, network.serve(node))
    assert gateway.head().height == 9
    assert gateway.head().height == 9
    assert node.methods() == ["GetBlockInfo", "GetBlockInfo"]


def test_when_no_endpoint_answers_each_ones_fault_is_named(network):
    with pytest.raises(ChainUnavailable, match=r"127\.0\.0\.1:1: UNAVAILABLE.*127\.0\.0\.1:2: UNAVAILABLE"):
        connect(DOWN, "127.0.0.1:2").head()


def test_a_node_that_does_not_answer_in_time_is_passed_over(network, node):
    slow, released = Node(), Event()
    slow.answers["GetBlockInfo"] = lambda _: released.wait(30) or node.blocks[-1]
    gateway = connect(network.serve(slow), network.serve(node), timeout_seconds=0.3)
    try:
        assert gateway.head().height == 9
    finally:
        released.set()
    assert node.methods() == ["GetBlockInfo"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, ChainUnavailable),
        (grpc.StatusCode.INTERNAL, ChainUnavailable),
        (grpc.StatusCode.UNKNOWN, ChainUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ChainUnavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, ChainRefused),
        (grpc.StatusCode.NOT_FOUND, ChainRefused),
        (grpc.StatusCode.FAILED_PRECONDITION, ChainRefused),
        (grpc.StatusCode.UNIMPLEMENTED, ChainMisconfigured),
        (grpc.StatusCode.PERMISSION_DENIED, ChainMisconfigured),
    ],
)
def test_a_nodes_error_becomes_the_gateways(gateway, node, code, error):
    node.answers["GetTokenInfo"] = (code, "in its words")
    with pytest.raises(error, match=f"{code.name} in its words"):
        gateway.token("EUROe")


def test_a_node_that_lags_is_no_answer_where_a_limit_is_set(network, node):
    fresh = Node()
    fresh.blocks = [block(500, datetime.now(UTC))]
    assert connect(network.serve(node), network.serve(fresh), max_behind_seconds=60).head().height == 500
    with pytest.raises(ChainUnavailable, match="its last finalised block is of 2026-01-01 00:00:18 UTC"):
        connect(network.serve(node), max_behind_seconds=60).head()


def test_an_empty_endpoint_list_is_a_misconfiguration():
    with pytest.raises(ChainMisconfigured, match="no chain endpoint"):
        connect()


def test_an_alias_has_the_key_of_its_account(gateway):
    alias = addresses.encode(addresses.alias(addresses.decode(ALICE), 5))
    assert gateway.same_account(ALICE, alias)
    assert gateway.account_key(alias) == gateway.account_key(ALICE) != gateway.account_key(BOB)
    with pytest.raises(ValueError, match="not an account address"):
        gateway.account_key("nobody")


def test_a_node_that_lags_is_not_asked_about_money_either(network, node):
    fresh = Node()
    fresh.blocks = [block(500, datetime.now(UTC))]
    fresh.answers["GetBlockItemStatus"] = (grpc.StatusCode.NOT_FOUND, "not here")
    gateway = connect(network.serve(node), network.serve(fresh), max_behind_seconds=60)
    gateway.states(["aa" * 32])
    assert node.methods() == ["GetBlockInfo"]  # how far behind it is, and nothing else
    assert fresh.methods() == ["GetBlockInfo", "GetBlockItemStatus"]


def test_where_tls_is_asked_for_nothing_is_said_in_the_clear(network, node):
    """The node speaks no TLS: it must be told nothing, not even a question."""
    with pytest.raises(ChainUnavailable, match="UNAVAILABLE"):
        connect(network.serve(node), tls=True).head()
    assert node.asked == []
