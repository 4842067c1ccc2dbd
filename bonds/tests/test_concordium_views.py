"""What the Concordium gateway asks contracts, by the module they run: registry states and lot balances at one block."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bonds.chain.concordium import addresses, contracts, values, views
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.gateway import ChainMisconfigured, ChainRefused, ChainUnavailable, Contract, RegistryState
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import (
    ALICE,
    BOB,
    FUND,
    NOT_FOUND,
    REGISTRY,
    STATES,
    TOKEN,
    Network,
    Node,
    block_hash,
    connect,
    contract_address,
    failed,
    returned,
)

AT = block_hash(4).hex()
DAY, OTHER_DAY = 19_723, 20_454


@pytest.fixture
def gateway(network: Network, node: Node) -> ConcordiumGateway:
    return connect(network.serve(node))


def person(number: int) -> str:
    return addresses.encode(number.to_bytes(32, "big"))


# ---- registries ----


def test_a_thousand_addresses_are_asked_at_one_block(gateway, node):
    people = [person(number) for number in range(1000)]
    listed = {b"\x00" + addresses.decode(someone) for someone in people[::3]}
    node.answers["InvokeInstance"] = lambda request: returned(b"\x01" if request.parameter.value in listed else b"\x00")
    states = gateway.registry_states(REGISTRY, [*people, people[0]], AT)
    assert list(states) == people
    for position, someone in enumerate(people):
        listed_here = position % 3 == 0
        assert states[someone] is (RegistryState.WHITELISTED if listed_here else RegistryState.NOT_IN_REGISTRY)
    requests = node.requests("InvokeInstance")
    assert len(requests) == 1000
    assert {request.block_hash.given.value for request in requests} == {block_hash(4)}
    assert {(r.instance.index, r.entrypoint.value) for r in requests} == {(7, "rwa_identity_registry.isVerified")}
    (asked,) = node.requests("GetInstanceInfo")
    assert asked.block_hash.given.value == block_hash(4)


def test_a_registry_of_address_states_tells_who_is_blacklisted(gateway, node):
    states_of = {ALICE: b"\x01", BOB: b"\x02", person(3): b"\x00", person(4): b"\x01"}
    by_parameter = {b"\x00" + addresses.decode(address): state for address, state in states_of.items()}
    node.answers["InvokeInstance"] = lambda request: returned(by_parameter[request.parameter.value])
    assert gateway.registry_states(STATES, list(states_of), AT) == {
        ALICE: RegistryState.WHITELISTED,
        BOB: RegistryState.BLACKLISTED,
        person(3): RegistryState.NOT_IN_REGISTRY,
        person(4): RegistryState.WHITELISTED,
    }
    entrypoints = {request.entrypoint.value for request in node.requests("InvokeInstance")}
    assert entrypoints == {"rwa_identity_registry.getAddressState"}


@pytest.mark.parametrize(
    ("registry", "answer", "message"),
    [
        (REGISTRY, returned(b"\x02"), "not a boolean: 02"),
        (REGISTRY, returned(b""), "not a boolean"),
        (STATES, returned(b"\x03"), "not an address state: 03"),
        (STATES, returned(b""), "not an address state"),
        (STATES, returned(b"\x01\x00"), "not an address state: 0100"),
        (REGISTRY, failed(runtime_failure=node_pb2.Empty()), "runtime_failure"),
        (STATES, failed(invalid_receive_method=node_pb2.InvalidReceiveMethod()), "invalid_receive_method"),
        (REGISTRY, node_pb2.InvokeInstanceResponse(), "an answer of a kind this product does not know"),
        (REGISTRY, NOT_FOUND, "NOT_FOUND"),
    ],
)
def test_one_address_without_an_answer_is_named_and_nobody_is_whitelisted(gateway, node, registry, answer, message):
    refused = b"\x00" + addresses.decode(BOB)
    node.answers["InvokeInstance"] = lambda request: answer if request.parameter.value == refused else returned(b"\x01")
    with pytest.raises(ChainRefused, match=f"the registry gives no answer for {BOB}: .*{message}"):
        gateway.registry_states(registry, [ALICE, BOB, person(3)], AT)


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        (
            TOKEN,
            "contract <10,0> is of module .*, a security_sft_multi; asked for was rwa_identity_registry or address_",
        ),
        (Contract(70), "contract <70,0> is of module 4d4d.*, for which CHAIN_MODULES names no interface"),
    ],
)
def test_a_contract_that_is_no_known_registry_is_never_asked(gateway, node, registry, message):
    node.instances[Contract(70)] = ("4d" * 32, "rwa_identity_registry")
    with pytest.raises(ChainMisconfigured, match=message):
        gateway.registry_states(registry, [ALICE], AT)
    assert node.requests("InvokeInstance") == []


def test_a_contract_that_does_not_exist_or_is_of_a_newer_kind_is_refused(gateway, node):
    with pytest.raises(ChainRefused, match="NOT_FOUND"):
        gateway.registry_states(Contract(71), [ALICE], AT)
    node.answers["GetInstanceInfo"] = node_pb2.InstanceInfo()
    with pytest.raises(ChainRefused, match="contract <7,0> is of a version this product does not know"):
        gateway.registry_states(REGISTRY, [ALICE], AT)
    assert node.requests("InvokeInstance") == []


def test_a_contract_of_the_older_version_is_asked_alike(gateway, node):
    reference, name = node.instances[REGISTRY]
    old = node_pb2.InstanceInfoV0(
        name=node_pb2.Str(value=f"init_{name}"), source_module=node_pb2.Bytes(value=bytes.fromhex(reference))
    )
    node.answers["GetInstanceInfo"] = node_pb2.InstanceInfo(v0=old)
    node.answers["InvokeInstance"] = returned(b"\x01")
    assert gateway.registry_states(REGISTRY, [ALICE], AT) == {ALICE: RegistryState.WHITELISTED}


def test_a_node_that_has_not_seen_the_block_yet_is_passed_over(network, node):
    lagging = Node()
    lagging.blocks = lagging.blocks[:3]
    node.answers["InvokeInstance"] = returned(b"\x01")
    gateway = connect(network.serve(lagging), network.serve(node))
    assert gateway.registry_states(REGISTRY, [ALICE], AT) == {ALICE: RegistryState.WHITELISTED}
    with pytest.raises(ChainUnavailable, match="NOT_FOUND"):
        gateway.registry_states(REGISTRY, [ALICE], "00" * 32)


def test_a_malformed_address_is_refused_before_anyone_is_asked(gateway, node):
    with pytest.raises(ValueError, match="not an account address"):
        gateway.registry_states(REGISTRY, [ALICE, "nobody"], AT)
    assert gateway.registry_states(REGISTRY, [], AT) == {}
    assert node.asked == []


# ---- lots ----


def counted(balances: list[int]) -> node_pb2.InvokeInstanceResponse:
    value = len(balances).to_bytes(2, "little") + b"".join(map(values.encode_amount, balances))
    return returned(value)


def queried(request: Any) -> list[tuple[int, values.Address]]:
    reader = values.Reader(request.parameter.value)
    found = [(reader.token_id(), reader.address()) for _ in range(reader.number(2))]
    reader.finish()
    return found


def token_rejects(code: int, contract: Contract = TOKEN) -> node_pb2.InvokeInstanceResponse:
    rejected = node_pb2.RejectedReceive(
        reject_reason=code,
        contract_address=contract_address(contract),
        receive_name=node_pb2.Str(value="security_sft_multi.balanceOf"),
    )
    return failed(rejected_receive=rejected)


def token_of(
    known: Mapping[tuple[values.Address, int], int], token_ids: set[int]
) -> Callable[[Any], node_pb2.InvokeInstanceResponse]:
    """`balanceOf` as the token behaves: an unknown token id rejects the whole call, an unknown holder has 0."""

    def answer(request: Any) -> node_pb2.InvokeInstanceResponse:
        queries = queried(request)
        if not {token_id for token_id, _ in queries} <= token_ids:
            return token_rejects(contracts.UNKNOWN_TOKEN_ID)
        return counted([known.get((holder, token_id), 0) for token_id, holder in queries])

    return answer


def test_balances_are_the_contracts_own_at_that_block_for_accounts_and_contracts(gateway, node):
    known = {(ALICE, DAY): 2**64 - 1, (ALICE, OTHER_DAY): 5, (Contract(77, 2), DAY): 7}
    node.answers["InvokeInstance"] = token_of(known, {DAY, OTHER_DAY})
    lots = [(ALICE, DAY), (BOB, DAY), ("<77,2>", DAY), (ALICE, OTHER_DAY), (ALICE, DAY)]
    assert gateway.lot_balances(TOKEN, lots, AT) == {
        (ALICE, DAY): 2**64 - 1,
        (BOB, DAY): 0,  # the contract does not know this holder
        ("<77,2>", DAY): 7,
        (ALICE, OTHER_DAY): 5,
    }
    requests = node.requests("InvokeInstance")
    assert {request.block_hash.given.value for request in requests} == {block_hash(4)}
    assert {request.entrypoint.value for request in requests} == {"security_sft_multi.balanceOf"}


def test_a_token_id_the_contract_does_not_know_is_nothing_and_hides_no_other(gateway, node):
    node.answers["InvokeInstance"] = token_of({(ALICE, DAY): 3}, {DAY})
    lots = [(ALICE, OTHER_DAY), (BOB, OTHER_DAY), (ALICE, DAY)]
    assert gateway.lot_balances(TOKEN, lots, AT) == {(ALICE, OTHER_DAY): 0, (BOB, OTHER_DAY): 0, (ALICE, DAY): 3}


def test_many_holders_are_asked_in_calls_a_node_can_run(gateway, node):
    people = [person(number) for number in range(2 * views.LOTS_PER_CALL + 1)]
    node.answers["InvokeInstance"] = token_of({(who, DAY): n for n, who in enumerate(people)}, {DAY})
    balances = gateway.lot_balances(TOKEN, [(who, DAY) for who in people], AT)
    assert balances == {(who, DAY): n for n, who in enumerate(people)}
    sizes = [len(queried(request)) for request in node.requests("InvokeInstance")]
    assert sorted(sizes) == [1, views.LOTS_PER_CALL, views.LOTS_PER_CALL]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (token_rejects(-42000003), "rejected_receive security_sft_multi.balanceOf code -42000003"),
        # The same number from a contract that the token calls says nothing of a token id.
        (token_rejects(contracts.UNKNOWN_TOKEN_ID, contract=REGISTRY), "code -42000001"),
        (failed(out_of_energy=node_pb2.Empty()), "out_of_energy"),
        (returned(b""), "truncated"),
        (returned(b"\x01\x00\x05"), "1 balances for 2 holders"),
        (returned(b"\x02\x00\x05\x06\x07"), "left over"),
        (node_pb2.InvokeInstanceResponse(), "an answer of a kind this product does not know"),
        (NOT_FOUND, "NOT_FOUND"),
    ],
)
def test_no_answer_names_the_token_id_and_the_holders_and_nothing_is_known_of_any(gateway, node, answer, message):
    failing = contracts.balance_of_parameter([(OTHER_DAY, ALICE), (OTHER_DAY, BOB)])
    node.answers["InvokeInstance"] = lambda r: answer if r.parameter.value == failing else counted([1])
    named = f"contract <10,0> gives no balance of token id {OTHER_DAY}, {ALICE} and 1 more holders: .*{message}"
    with pytest.raises(ChainRefused, match=named):
        gateway.lot_balances(TOKEN, [(ALICE, DAY), (ALICE, OTHER_DAY), (BOB, OTHER_DAY)], AT)


@pytest.mark.parametrize(
    "lot",
    [
        ("nobody", DAY),
        ("<7>", DAY),
        ("<07,0>", DAY),
        (f"<{2**64},0>", DAY),
        (ALICE, 2**64),
        (ALICE, -1),
    ],
)
def test_a_malformed_lot_is_refused_before_anyone_is_asked(gateway, node, lot):
    with pytest.raises(ValueError, match=r"not an? |unsigned 64-bit"):
        gateway.lot_balances(TOKEN, [(ALICE, DAY), lot], AT)
    assert node.asked == []


def test_only_a_bond_token_is_asked_for_lots(gateway, node):
    for contract in (REGISTRY, FUND):
        with pytest.raises(ChainMisconfigured, match="asked for was security_sft_multi"):
            gateway.lot_balances(contract, [(ALICE, DAY)], AT)
    node.instances[TOKEN] = ("4d" * 32, "security_sft_multi")
    with pytest.raises(ChainMisconfigured, match="CHAIN_MODULES names no interface"):
        gateway.lot_balances(TOKEN, [(ALICE, DAY)], AT)
    assert node.requests("InvokeInstance") == []
    assert gateway.lot_balances(TOKEN, [], AT) == {}
