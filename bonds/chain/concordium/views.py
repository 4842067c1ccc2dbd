"""Read-only questions to contracts at one block: which module an instance is of, and what its view functions answer.

A contract is asked by the interface of its module reference. An answer that is none is ChainRefused naming what was asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bonds.chain.concordium import contracts, outcomes
from bonds.chain.concordium.client import Endpoint, NodeRefused
from bonds.chain.concordium.contracts import Module
from bonds.chain.concordium.modules import Modules, require
from bonds.chain.concordium.values import Address, address_text, parse_address
from bonds.chain.gateway import ChainRefused, Contract, RegistryState
from bonds.chain.wire import node_pb2

READ_CALL_ENERGY = 1_000_000  # the most a node grants a read-only call unless configured otherwise
LOTS_PER_CALL = 200  # well within that energy, and within the 65,535 bytes of a parameter
INIT_PREFIX = "init_"


@dataclass(frozen=True)
class Instance:
    """What a contract is at one block: the module it runs and its name, which its entrypoints carry."""

    contract: Contract
    module_ref: str
    name: str


def instance(endpoint: Endpoint, contract: Contract, block: Any) -> Instance:
    """NodeRefused (NOT_FOUND) where there is no such contract at that block."""
    address = node_pb2.ContractAddress(index=contract.index, subindex=contract.subindex)
    info = endpoint.unary("GetInstanceInfo", node_pb2.InstanceInfoRequest(block_hash=block, address=address))
    version = info.WhichOneof("version")
    if version is None:
        raise ChainRefused(f"contract {address_text(contract)} is of a version this product does not know")
    detail = getattr(info, version)
    return Instance(contract, detail.source_module.value.hex(), detail.name.value.removeprefix(INIT_PREFIX))


def _request(asked: Instance, entrypoint: str, parameter: bytes, block: Any) -> Any:
    return node_pb2.InvokeInstanceRequest(
        block_hash=block,
        instance=node_pb2.ContractAddress(index=asked.contract.index, subindex=asked.contract.subindex),
        amount=node_pb2.U64(value=0),
        entrypoint=node_pb2.Str(value=f"{asked.name}.{entrypoint}"),
        parameter=node_pb2.Bytes(value=parameter),
        energy=node_pb2.U64(value=READ_CALL_ENERGY),
    )


def _returned(answer: Any, what: str) -> bytes:
    """What the contract returned; ChainRefused, saying `what` is not answered, for anything else."""
    if isinstance(answer, NodeRefused):
        raise ChainRefused(f"{what}: {answer}")
    result = answer.WhichOneof("result")
    if result is None:
        raise ChainRefused(f"{what}: an answer of a kind this product does not know")
    if result == "failure":
        reason = outcomes.rejection(answer.failure.reason)
        raise ChainRefused(f"{what}: {reason.reason} {reason.detail}".rstrip())
    return bytes(answer.success.return_value)


# ---- registries ----


def _verified(value: bytes) -> RegistryState:
    return RegistryState.WHITELISTED if contracts.read_bool(value) else RegistryState.NOT_IN_REGISTRY


# By interface: the view that tells an address's state, and what its answer says. Both views take one address.
REGISTRY_VIEWS: Mapping[Module, tuple[str, Callable[[bytes], RegistryState]]] = {
    Module.REGISTRY: ("isVerified", _verified),  # knows no blacklist
    Module.ADDRESS_STATES: ("getAddressState", contracts.read_address_state),
}


def registry_states(
    endpoint: Endpoint, registry: Instance, parameters: Mapping[str, bytes], block: Any, table: Modules
) -> dict[str, RegistryState]:
    """The state of each address; `parameters` are the addresses encoded, by their spelling."""
    interface = require(table, registry.contract, registry.module_ref, REGISTRY_VIEWS)
    entrypoint, read = REGISTRY_VIEWS[interface]
    requests = [_request(registry, entrypoint, parameter, block) for parameter in parameters.values()]
    states = {}
    for address, answer in zip(parameters, endpoint.many("InvokeInstance", requests), strict=True):
        what = f"the registry gives no answer for {address}"
        value = _returned(answer, what)
        try:
            states[address] = read(value)
        except ValueError as error:
            raise ChainRefused(f"{what}: {error}") from None
    return states


# ---- bond tokens ----


@dataclass(frozen=True)
class LotsQuery:
    """One call of `balanceOf`: holders of one token id, because the contract rejects a call that names an id it does not
    know, and what is not known must not hide what is."""

    token_id: int
    holders: tuple[str, ...]
    parameter: bytes

    def __str__(self) -> str:
        others = f" and {len(self.holders) - 1} more holders" if len(self.holders) > 1 else ""
        return f"token id {self.token_id}, {self.holders[0]}{others}"


def lots_queries(lots: Sequence[tuple[str, int]]) -> list[LotsQuery]:
    """The calls that answer for each (holder, token id) once. ValueError for a malformed holder or an id beyond u64."""
    holders_of: dict[int, dict[str, Address]] = {}
    for holder, token_id in lots:
        holders_of.setdefault(token_id, {})[holder] = parse_address(holder)
    return [query for token_id, holders in holders_of.items() for query in _chunks(token_id, holders)]


def _chunks(token_id: int, holders: Mapping[str, Address]) -> Iterator[LotsQuery]:
    items = list(holders.items())
    for start in range(0, len(items), LOTS_PER_CALL):
        chunk = items[start : start + LOTS_PER_CALL]
        parameter = contracts.balance_of_parameter([(token_id, address) for _, address in chunk])
        yield LotsQuery(token_id, tuple(holder for holder, _ in chunk), parameter)


def lot_balances(
    endpoint: Endpoint, token: Instance, queries: Sequence[LotsQuery], block: Any, table: Modules
) -> dict[tuple[str, int], int]:
    """The raw balance of each lot asked for; 0 where the contract does not know the holder, or the token id at all."""
    require(table, token.contract, token.module_ref, [Module.SECURITY])
    requests = [_request(token, "balanceOf", query.parameter, block) for query in queries]
    balances: dict[tuple[str, int], int] = {}
    for query, answer in zip(queries, endpoint.many("InvokeInstance", requests), strict=True):
        for holder, balance in zip(query.holders, _balances(token.contract, query, answer), strict=True):
            balances[(holder, query.token_id)] = balance
    return balances


def _balances(token: Contract, query: LotsQuery, answer: Any) -> tuple[int, ...]:
    if _knows_no_such_token_id(token, answer):
        return (0,) * len(query.holders)  # no such id was ever minted there
    what = f"contract {address_text(token)} gives no balance of {query}"
    value = _returned(answer, what)
    try:
        balances = contracts.read_balances(value)
    except ValueError as error:
        raise ChainRefused(f"{what}: {error}") from None
    if len(balances) != len(query.holders):
        raise ChainRefused(f"{what}: {len(balances)} balances for {len(query.holders)} holders")
    return balances


def _knows_no_such_token_id(token: Contract, answer: Any) -> bool:
    """Whether the token itself says so: the same number from a contract it calls would mean something else."""
    if isinstance(answer, NodeRefused) or answer.WhichOneof("result") != "failure":
        return False
    rejected = answer.failure.reason.rejected_receive
    rejecting = Contract(rejected.contract_address.index, rejected.contract_address.subindex)
    return rejecting == token and rejected.reject_reason == contracts.UNKNOWN_TOKEN_ID
