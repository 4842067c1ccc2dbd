"""The Concordium gateway against nodes on the real wire: what it asks, in which order, and what each answer becomes."""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import cbor2
import grpc
import pytest

from bonds.chain.concordium import addresses, tokens, transactions
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.gateway import (
    ChainMisconfigured,
    ChainRefused,
    ChainUnavailable,
    Contract,
    Hint,
    RegistryState,
    Stage,
    Transfer,
)
from bonds.chain.wire import node_pb2, node_pb2_grpc

VECTORS = Path(__file__).parent / "vectors"
GENESIS = hashlib.sha256(b"genesis").digest()
START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = addresses.encode(bytes([1]) * 32)
BOB = addresses.encode(bytes([2]) * 32)
REGISTRY, TOKEN = Contract(7), Contract(10)
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "not here")
STREAMS = {"GetBlockTransactionEvents"}
HASHES = ["aa" * 32, "bb" * 32]


def wrapped(value: bytes) -> node_pb2.Bytes:
    return node_pb2.Bytes(value=value)


def number(value: int) -> node_pb2.U64:
    return node_pb2.U64(value=value)


def block_hash(height: int) -> bytes:
    return hashlib.sha256(b"block %d" % height).digest()


def block(height: int, at: datetime, **changes: Any) -> node_pb2.BlockInfo:
    fields = {
        "hash": wrapped(block_hash(height)),
        "height": number(height),
        "parent_block": wrapped(block_hash(height - 1)),
        "slot_time": number(int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))),
        "finalized": True,
    }
    return node_pb2.BlockInfo(**(fields | changes))


class Node(node_pb2_grpc.QueriesServicer):
    """A node that answers what a test tells it to, and remembers what it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.blocks = [block(height, START + timedelta(seconds=2 * height)) for height in range(10)]
        self.answers: dict[str, Any] = {
            "GetConsensusInfo": node_pb2.ConsensusInfo(genesis_block=wrapped(GENESIS)),
            "GetBlockInfo": self.block_info,
        }

    def block_info(self, request: Any) -> Any:
        kind = request.WhichOneof("block_hash_input")
        if kind == "last_final":
            return self.blocks[-1]
        for info in self.blocks:
            if kind == "given" and info.hash == request.given:
                return info
            if kind == "absolute_height" and info.height == request.absolute_height:
                return info
        return NOT_FOUND

    def methods(self) -> list[str]:
        return [name for name, _ in self.asked if name != "GetConsensusInfo"]

    def reply(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append((name, request))
        answer = self.answers[name]
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, tuple):
            context.abort(*answer)
        return answer


def _handler(name: str) -> Callable[[Node, Any, grpc.ServicerContext], Any]:
    return lambda node, request, context: node.reply(name, request, context)


for _method in node_pb2.DESCRIPTOR.services_by_name["Queries"].methods_by_name:
    setattr(Node, _method, _handler(_method))


class Network:
    """Nodes served on loopback for one test."""

    def __init__(self) -> None:
        self.servers: list[grpc.Server] = []

    def serve(self, node: Node, port: int = 0) -> str:
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        node_pb2_grpc.add_QueriesServicer_to_server(node, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        self.servers.append(server)
        return f"127.0.0.1:{port}"

    def stop(self) -> None:
        for server in self.servers:
            server.stop(None).wait(5)


@pytest.fixture
def network() -> Iterator[Network]:
    served = Network()
    yield served
    served.stop()


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


def connect(*endpoints: str, **options: Any) -> ConcordiumGateway:
    return ConcordiumGateway(endpoints=endpoints, **({"timeout_seconds": 5.0} | options))


DOWN = "127.0.0.1:1"  # nothing listens there


# ---- endpoints ----


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


def account_info(**fields: Any) -> node_pb2.AccountInfo:
    balance = node_pb2.TokenAccountState(balance=node_pb2.TokenAmount(value=2**64 - 1, decimals=6))
    token = node_pb2.AccountToken(token_id=node_pb2.Str(value="EUROe"), token_account_state=balance)
    defaults = {"sequence_number": number(42), "amount": number(5_000), "tokens": [token]}
    return node_pb2.AccountInfo(**(defaults | fields))


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


# ---- registry ----


def verified(value: bytes) -> node_pb2.InvokeInstanceResponse:
    return node_pb2.InvokeInstanceResponse(success=node_pb2.InvokeSuccess(return_value=value))


def test_a_thousand_addresses_are_asked_at_one_block(gateway, node):
    people = [addresses.encode(n.to_bytes(32, "big")) for n in range(1000)]
    listed = {b"\x00" + addresses.decode(person) for person in people[::3]}
    node.answers["InvokeInstance"] = lambda request: verified(b"\x01" if request.parameter.value in listed else b"\x00")
    states = gateway.registry_states(REGISTRY, people, block_hash(4).hex())
    assert list(states) == people
    for position, person in enumerate(people):
        listed_here = position % 3 == 0
        assert states[person] is (RegistryState.WHITELISTED if listed_here else RegistryState.NOT_IN_REGISTRY)
    requests = [request for name, request in node.asked if name == "InvokeInstance"]
    assert len(requests) == 1000
    assert {request.block_hash.given.value for request in requests} == {block_hash(4)}
    assert {(r.instance.index, r.entrypoint.value) for r in requests} == {(7, "rwa_identity_registry.isVerified")}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (verified(b"\x02"), "gives no answer for .*not a boolean"),
        (verified(b""), "gives no answer for .*not a boolean"),
        (
            node_pb2.InvokeInstanceResponse(
                failure=node_pb2.InvokeFailure(reason=node_pb2.RejectReason(runtime_failure=node_pb2.Empty()))
            ),
            "gives no answer for .*runtime_failure",
        ),
        (NOT_FOUND, "NOT_FOUND"),  # no such contract
    ],
)
def test_a_registry_that_gives_no_answer_makes_nobody_whitelisted(gateway, node, answer, message):
    node.answers["InvokeInstance"] = answer
    with pytest.raises(ChainRefused, match=message):
        gateway.registry_states(REGISTRY, [ALICE], block_hash(4).hex())


def test_a_node_that_has_not_seen_the_block_yet_is_passed_over(network, node):
    lagging = Node()
    lagging.blocks = lagging.blocks[:3]
    node.answers["InvokeInstance"] = verified(b"\x01")
    gateway = connect(network.serve(lagging), network.serve(node))
    assert gateway.registry_states(REGISTRY, [ALICE], block_hash(4).hex()) == {ALICE: RegistryState.WHITELISTED}
    with pytest.raises(ChainUnavailable, match="NOT_FOUND"):
        gateway.registry_states(REGISTRY, [ALICE], "00" * 32)


def test_a_malformed_address_is_refused_before_anyone_is_asked(gateway, node):
    with pytest.raises(ValueError, match="not an account address"):
        gateway.registry_states(REGISTRY, [ALICE, "nobody"], block_hash(4).hex())
    assert gateway.registry_states(REGISTRY, [], block_hash(4).hex()) == {}
    assert node.asked == []


# ---- blocks ----


def mint(index: int, amount: int, contract: Contract = TOKEN, raw: bytes | None = None) -> node_pb2.BlockItemSummary:
    event = raw or b"\xfe\x08" + (19_723).to_bytes(8, "little") + bytes([amount]) + b"\x00" + addresses.decode(BOB)
    step = node_pb2.InstanceUpdated(
        address=node_pb2.ContractAddress(index=contract.index, subindex=contract.subindex), events=[wrapped(event)]
    )
    issued = node_pb2.ContractUpdateIssued(effects=[node_pb2.ContractTraceElement(updated=step)])
    effects = node_pb2.AccountTransactionEffects(contract_update_issued=issued)
    return node_pb2.BlockItemSummary(
        index=number(index),
        hash=wrapped(bytes([index]) * 32),
        account_transaction=node_pb2.AccountTransactionDetails(effects=effects),
    )


def with_transactions(node: Node, height: int, *summaries: node_pb2.BlockItemSummary) -> None:
    node.blocks[height].transaction_count = len(summaries)
    known = node.answers.setdefault("GetBlockTransactionEvents", {}.get)
    held = {node.blocks[height].hash.value: list(summaries)}
    node.answers["GetBlockTransactionEvents"] = lambda request: iter(held.get(request.given.value) or known(request))


def test_blocks_come_in_order_with_the_events_of_these_contracts_only(gateway, node):
    with_transactions(node, 3, mint(1, 7), mint(0, 5), mint(2, 9, contract=Contract(99)))
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


def test_an_unreadable_event_stops_after_the_blocks_before_it(gateway, node):
    with_transactions(node, 4, mint(0, 5, raw=b"\x2a"))
    given = gateway.blocks(3, 5, [TOKEN])
    assert next(given).height == 3
    with pytest.raises(ChainRefused, match="an unreadable event 2a of a token contract"):
        next(given)
    assert [found.height for found in gateway.blocks(3, 5, [Contract(99)])] == [3, 4, 5]


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


# ---- signing ----

VECTOR = json.loads((VECTORS / "plt_transactions.json").read_text())["transactions"]["plt_transfer_single"]
SENDER = VECTOR["sender"]
EXPIRY = datetime.fromtimestamp(VECTOR["expiry"], UTC)
RECIPIENT = json.loads((VECTORS / "addresses.json").read_text())["addresses"][1]["base58"]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps({"address": SENDER, "keys": VECTOR["keys"]}))
    return path


def sign(gateway: ConcordiumGateway, *transfers: Transfer, **changes: Any) -> Any:
    arguments = {"sender": SENDER, "token_id": "EUROe", "decimals": 6, "sequence_number": 42, "expires_at": EXPIRY}
    return gateway.sign_transfers(**(arguments | changes), transfers=transfers)


def test_signed_transfers_are_the_official_sdks_bytes(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    signed = sign(gateway, Transfer(RECIPIENT, 1_234_567_890, b""))
    assert signed.raw.hex() == VECTOR["block_item"]
    assert signed.transaction_hash == VECTOR["sha256_block_item"]
    assert (signed.energy, signed.sequence_number, signed.sender) == (VECTOR["energy"], 42, SENDER)
    assert signed.expires_at == EXPIRY
    assert sign(gateway, Transfer(RECIPIENT, 1_234_567_890, b"")) == signed


def test_a_batch_keeps_its_order_and_its_memos(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    transfers = [Transfer(RECIPIENT if n % 2 else BOB, n, b"%064d" % n) for n in range(1, 101)]
    signed = sign(gateway, *transfers, expires_at=EXPIRY + timedelta(milliseconds=999))
    transaction = transactions.parse_block_item(signed.raw)
    update = transactions.parse_payload(transaction.payload)
    assert [
        (addresses.encode(operation.recipient), operation.amount_units, operation.memo)
        for operation in tokens.decode_operations(update.operations)
    ] == [(transfer.recipient, transfer.amount_units, transfer.memo) for transfer in transfers]
    assert transaction.header.expiry_seconds == VECTOR["expiry"]
    assert signed.expires_at == EXPIRY


def test_keys_are_read_at_the_first_signature_and_only_then(key_file):
    opened = []

    def factory() -> KeyFileSigner:
        opened.append(key_file)
        return KeyFileSigner(key_file)

    gateway = connect(DOWN, signer_factory=factory)
    assert opened == []
    sign(gateway, Transfer(RECIPIENT, 1, b""))
    sign(gateway, Transfer(RECIPIENT, 2, b""))
    assert len(opened) == 1


def test_without_the_senders_key_nothing_is_signed(key_file):
    with pytest.raises(ChainMisconfigured, match="no signing keys"):
        sign(connect(DOWN), Transfer(RECIPIENT, 1, b""))
    with pytest.raises(ChainMisconfigured, match="no key for the account"):
        sign(connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file)), Transfer(RECIPIENT, 1, b""), sender=BOB)


@pytest.mark.parametrize(
    ("transfers", "changes"),
    [
        ([], {}),
        ([Transfer(RECIPIENT, 0, b"")], {}),
        ([Transfer(RECIPIENT, -1, b"")], {}),
        ([Transfer(RECIPIENT, 2**64, b"")], {}),
        ([Transfer("nobody", 1, b"")], {}),
        ([Transfer("<7,0>", 1, b"")], {}),
        ([Transfer(RECIPIENT, 1, bytes(65))], {}),
        ([Transfer(RECIPIENT, 1, b"")], {"expires_at": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ([Transfer(RECIPIENT, 1, b"")], {"sequence_number": 2**64}),
        ([Transfer(RECIPIENT, 1, b"")], {"token_id": "EURO e"}),
    ],
)
def test_what_cannot_be_sent_is_not_signed(key_file, transfers, changes):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    with pytest.raises(ValueError, match=r"."):
        sign(gateway, *transfers, **changes)


# ---- submitting ----

RAW = bytes.fromhex(VECTOR["block_item"])


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
