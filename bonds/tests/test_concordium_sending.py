"""How the Concordium gateway sends, follows and proves dead: every answer to a submit a hint, every proof in its order."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import grpc
import pytest

from bonds.chain.concordium import transactions
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.gateway import ChainRefused, ChainUnavailable, Hint, Stage
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import (
    ALICE,
    DOWN,
    NOT_FOUND,
    START,
    VECTORS,
    Network,
    Node,
    account_info,
    block,
    block_hash,
    connect,
    number,
    wrapped,
)

VECTOR = json.loads((VECTORS / "plt_transactions.json").read_text())["transactions"]["plt_transfer_single"]
RAW = bytes.fromhex(VECTOR["block_item"])
HASHES = ["aa" * 32, "bb" * 32]


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


def test_an_accepted_transaction_arrived_in_all_its_parts(gateway, node):
    node.answers["SendBlockItem"] = wrapped(bytes.fromhex(VECTOR["sha256_block_item"]))
    assert gateway.submit(RAW).hint is Hint.ACCEPTED
    sent = node.asked[-1][1].account_transaction
    header = transactions.Header(
        sent.header.sender.value,
        sent.header.sequence_number.value,
        sent.header.energy_amount.value,
        len(sent.payload.raw_payload),
        sent.header.expiry.value,
    )
    signatures = {
        credential: {key: signature.value for key, signature in keys.signatures.items()}
        for credential, keys in sent.signature.signatures.items()
    }
    assert transactions.AccountTransaction(signatures, header, sent.payload.raw_payload).encode() == RAW


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        (grpc.StatusCode.ALREADY_EXISTS, "Duplicate entry", Hint.KNOWN),
        (grpc.StatusCode.INVALID_ARGUMENT, "Duplicate nonce", Hint.KNOWN),
        (grpc.StatusCode.INVALID_ARGUMENT, "Nonce too large", Hint.TOO_EARLY),
        (grpc.StatusCode.INVALID_ARGUMENT, "Stale", Hint.REFUSED),
        (grpc.StatusCode.INVALID_ARGUMENT, "Verification failed", Hint.REFUSED),
        (grpc.StatusCode.FAILED_PRECONDITION, "The network is stopped", Hint.REFUSED),
        (grpc.StatusCode.UNIMPLEMENTED, "not here", Hint.REFUSED),
        (grpc.StatusCode.INTERNAL, "Couldn't put a transaction in the outbound queue", Hint.ACCEPTED),
        (grpc.StatusCode.INTERNAL, "something else", Hint.UNREACHABLE),
        (grpc.StatusCode.UNAVAILABLE, "going down", Hint.UNREACHABLE),
    ],
)
def test_every_answer_to_a_submit_is_a_hint_and_never_an_error(gateway, node, code, words, hint):
    node.answers["SendBlockItem"] = (code, words)
    submitted = gateway.submit(RAW)
    assert submitted.hint is hint
    assert hint is Hint.ACCEPTED or words in submitted.detail


def test_a_node_that_calls_the_transaction_by_another_hash_is_not_believed(gateway, node):
    node.answers["SendBlockItem"] = wrapped(b"\x11" * 32)
    submitted = gateway.submit(RAW)
    assert submitted.hint is Hint.REFUSED
    assert "which is not its hash" in submitted.detail


def test_bytes_that_are_no_transaction_are_not_sent(gateway, node):
    assert gateway.submit(RAW[:-1]).hint is Hint.REFUSED
    assert node.asked == []


def test_where_one_node_is_down_the_same_bytes_go_to_the_next(network, node):
    node.answers["SendBlockItem"] = (grpc.StatusCode.INVALID_ARGUMENT, "Nonce too large")
    assert connect(DOWN, network.serve(node)).submit(RAW).hint is Hint.TOO_EARLY
    assert connect(DOWN).submit(RAW).hint is Hint.UNREACHABLE


def test_nothing_is_sent_to_another_network(network, node):
    submitted = connect(network.serve(node), genesis_hash="00" * 32).submit(RAW)
    assert submitted.hint is Hint.REFUSED
    assert "another network" in submitted.detail
    assert node.methods() == []


class Taking:
    """What a node does with one account: it takes exactly its next number, and calls the same number again a duplicate."""

    def __init__(self, next_number: int) -> None:
        self.next_number = next_number
        self.taken: list[int] = []

    def __call__(self, request: Any) -> Any:
        number = request.account_transaction.header.sequence_number.value
        if number < self.next_number:
            return grpc.StatusCode.INVALID_ARGUMENT, "Duplicate nonce"
        if number > self.next_number:
            return grpc.StatusCode.INVALID_ARGUMENT, "Nonce too large"
        self.next_number += 1
        self.taken.append(number)
        return wrapped(bytes.fromhex(transactions.transaction_hash(numbered(number))))


def numbered(number: int) -> bytes:
    """The transaction of the vector under another number."""
    transaction = transactions.parse_block_item(RAW)
    header = replace(transaction.header, sequence_number=number)
    return replace(transaction, header=header).encode()


def test_after_a_failover_the_open_window_sent_again_in_order_is_taken_and_nothing_twice(network, node):
    """42 went to a node that is gone and never told anybody. The next node asks for it before 43 and 44."""
    node.answers["SendBlockItem"] = taking = Taking(next_number=42)
    gateway = connect(DOWN, network.serve(node))
    window = [numbered(42), numbered(43), numbered(44)]
    assert [gateway.submit(raw).hint for raw in window[1:]] == [Hint.TOO_EARLY, Hint.TOO_EARLY]
    assert taking.taken == []
    assert [gateway.submit(raw).hint for raw in window] == [Hint.ACCEPTED] * 3
    assert [gateway.submit(raw).hint for raw in window] == [Hint.KNOWN] * 3
    assert taking.taken == [42, 43, 44]


def test_a_node_that_lags_is_sent_nothing(network, node):
    fresh = Node()
    fresh.blocks = [block(500, datetime.now(UTC))]
    fresh.answers["SendBlockItem"] = Taking(next_number=42)
    gateway = connect(network.serve(node), network.serve(fresh), max_behind_seconds=60)
    assert gateway.submit(numbered(42)).hint is Hint.ACCEPTED
    assert "SendBlockItem" not in node.methods()
    assert connect(network.serve(node), max_behind_seconds=60).submit(numbered(43)).hint is Hint.UNREACHABLE
    assert "SendBlockItem" not in node.methods()


def test_a_reply_that_is_lost_is_no_answer_and_the_next_node_is_offered_the_same_bytes(network, node):
    silent, released = Node(), Event()
    silent.answers["SendBlockItem"] = lambda _: (released.wait(30), wrapped(b""))[1]
    node.answers["SendBlockItem"] = Taking(next_number=42)
    gateway = connect(network.serve(silent), network.serve(node), timeout_seconds=2.0)
    try:
        assert gateway.submit(numbered(42)).hint is Hint.ACCEPTED
    finally:
        released.set()
    (first,), (second,) = silent.requests("SendBlockItem"), node.requests("SendBlockItem")
    assert first == second


# ---- following ----


def status_of(**stage: Any) -> node_pb2.BlockItemStatus:
    return node_pb2.BlockItemStatus(**stage)


def finalized_at(height: int) -> node_pb2.BlockItemStatus:
    outcome = node_pb2.BlockItemSummaryInBlock(block_hash=wrapped(block_hash(height)))
    outcome.outcome.account_transaction.effects.none.reject_reason.out_of_energy.SetInParent()
    return status_of(finalized=node_pb2.FinalizedStatus(outcome=outcome))


def statuses(node: Node, by_hash: dict[str, Any]) -> None:
    node.answers["GetBlockItemStatus"] = lambda request: by_hash.get(request.value.hex(), NOT_FOUND)


def test_each_hash_is_followed_to_its_block(gateway, node):
    received = status_of(received=node_pb2.Empty())
    statuses(node, {"aa" * 32: finalized_at(4), "bb" * 32: received, "cc" * 32: finalized_at(4)})
    states = gateway.states(["aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32])
    assert {key[:2]: (state.stage, state.block_height) for key, state in states.items()} == {
        "aa": (Stage.FINALIZED, 4),
        "bb": (Stage.RECEIVED, None),
        "cc": (Stage.FINALIZED, 4),
        "dd": (Stage.NOT_FOUND, None),
    }
    assert states["aa" * 32].rejection.reason == "out_of_energy"
    assert node.methods().count("GetBlockInfo") == 1
    assert gateway.states([]) == {}


def test_a_node_that_cannot_tell_is_not_taken_for_one_that_does_not_know(gateway, node):
    node.answers["GetBlockItemStatus"] = (grpc.StatusCode.UNAVAILABLE, "busy")
    with pytest.raises(ChainUnavailable, match="busy"):
        gateway.states(HASHES)
    node.answers["GetBlockItemStatus"] = (grpc.StatusCode.INVALID_ARGUMENT, "what?")
    with pytest.raises(ChainRefused, match="what"):
        gateway.states(HASHES)


# ---- dead, provably ----

LAST_TIME = START + timedelta(seconds=18)  # of the last finalised block


def dead_node(sequence_number: int = 42) -> Node:
    node = Node()
    node.answers["GetAccountInfo"] = account_info(sequence_number=number(sequence_number))
    statuses(node, {})
    return node


def is_dead(gateway: ConcordiumGateway, **changes: Any) -> bool:
    claim = {"sender": ALICE, "sequence_number": 42, "expires_at": LAST_TIME - timedelta(milliseconds=1)}
    return gateway.provably_dead(**(claim | {"transaction_hashes": HASHES} | changes))


def test_dead_is_a_final_block_past_the_expiry_then_an_unused_number_in_it_then_no_hash_in_this_order(network):
    node = dead_node()
    assert is_dead(connect(network.serve(node))) is True
    assert node.methods() == ["GetBlockInfo", "GetAccountInfo", "GetBlockItemStatus", "GetBlockItemStatus"]
    account_request = node.asked[2][1]
    assert account_request.block_hash.given.value == block_hash(9)  # in that very block


def test_a_block_at_the_expiry_itself_may_still_include_it(network):
    node = dead_node()
    assert is_dead(connect(network.serve(node)), expires_at=LAST_TIME) is False
    assert node.methods() == ["GetBlockInfo"]


def test_a_used_number_is_not_dead_whoever_used_it(network):
    node = dead_node(sequence_number=43)
    assert is_dead(connect(network.serve(node))) is False
    assert "GetBlockItemStatus" not in node.methods()


@pytest.mark.parametrize(
    "status", [status_of(received=node_pb2.Empty()), status_of(committed=node_pb2.CommittedStatus()), finalized_at(4)]
)
def test_one_known_hash_is_enough_to_live(network, status):
    node = dead_node()
    statuses(node, {HASHES[1]: status})
    assert is_dead(connect(network.serve(node))) is False


def test_a_second_endpoint_must_agree(network):
    alive = dead_node()
    statuses(alive, {HASHES[0]: status_of(received=node_pb2.Empty())})
    assert is_dead(connect(network.serve(dead_node()), network.serve(dead_node()))) is True
    assert is_dead(connect(network.serve(dead_node()), network.serve(alive))) is False
    assert is_dead(connect(network.serve(alive), network.serve(dead_node()))) is False


def test_a_second_endpoint_that_is_configured_but_silent_leaves_it_unknown(network):
    with pytest.raises(ChainUnavailable, match=r"127\.0\.0\.1:1"):
        is_dead(connect(network.serve(dead_node()), DOWN))
    with pytest.raises(ChainUnavailable, match=r"127\.0\.0\.1:1"):
        is_dead(connect(DOWN))
    assert is_dead(connect(DOWN, network.serve(dead_node()), network.serve(dead_node()))) is True


def test_the_same_endpoint_named_twice_is_one_witness(network):
    address = network.serve(dead_node())
    with pytest.raises(ChainUnavailable, match=r"127\.0\.0\.1:1"):
        is_dead(connect(address, address, DOWN))


def test_an_unknown_sender_proves_nothing(network):
    node = dead_node()
    node.answers["GetAccountInfo"] = NOT_FOUND
    with pytest.raises(ChainRefused, match="NOT_FOUND"):
        is_dead(connect(network.serve(node)))
