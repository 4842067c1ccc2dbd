"""Nodes on loopback that answer what a test tells them to, on the real wire; and a gateway to them."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from bonds.chain.concordium import addresses
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.contracts import Module
from bonds.chain.gateway import Contract
from bonds.chain.wire import node_pb2, node_pb2_grpc

VECTORS = Path(__file__).parent / "vectors"
GENESIS = hashlib.sha256(b"genesis").digest()
START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = addresses.encode(bytes([1]) * 32)
BOB = addresses.encode(bytes([2]) * 32)
TOKEN, FUND, REGISTRY, STATES = Contract(10), Contract(11, 3), Contract(7), Contract(8)
MODULES = {hashlib.sha256(module.encode()).hexdigest(): module for module in Module}
REFERENCES = {module: reference for reference, module in MODULES.items()}
# The planned registry keeps the name of today's: only its module tells it apart.
INSTANCES = {
    TOKEN: (REFERENCES[Module.SECURITY], "security_sft_multi"),
    FUND: (REFERENCES[Module.FUND], "security_mint_fund"),
    REGISTRY: (REFERENCES[Module.REGISTRY], "rwa_identity_registry"),
    STATES: (REFERENCES[Module.ADDRESS_STATES], "rwa_identity_registry"),
}
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "not here")
DOWN = "127.0.0.1:1"  # nothing listens there


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
    """A node that answers what a test tells it to, and remembers what it was asked, in order.

    `instances`: module reference and name of each contract, at every block. `transactions`: what blocks hold, by height.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.blocks = [block(height, START + timedelta(seconds=2 * height)) for height in range(10)]
        self.instances = dict(INSTANCES)
        self.transactions: dict[bytes, list[node_pb2.BlockItemSummary]] = {}
        self.answers: dict[str, Any] = {
            "GetConsensusInfo": node_pb2.ConsensusInfo(genesis_block=wrapped(GENESIS)),
            "GetBlockInfo": self.block_info,
            "GetInstanceInfo": self.instance_info,
            "GetBlockTransactionEvents": lambda request: iter(self.transactions[request.given.value]),
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

    def instance_info(self, request: Any) -> Any:
        known = self.instances.get(Contract(request.address.index, request.address.subindex))
        if known is None:
            return NOT_FOUND
        reference, name = known
        return node_pb2.InstanceInfo(
            v1=node_pb2.InstanceInfoV1(
                name=node_pb2.Str(value=f"init_{name}"), source_module=wrapped(bytes.fromhex(reference))
            )
        )

    def put(self, height: int, *summaries: node_pb2.BlockItemSummary) -> None:
        """These transactions are in that block."""
        self.blocks[height].transaction_count = len(summaries)
        self.transactions[block_hash(height)] = list(summaries)

    def requests(self, name: str) -> list[Any]:
        return [request for method, request in self.asked if method == name]

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


def connect(*endpoints: str, **options: Any) -> ConcordiumGateway:
    return ConcordiumGateway(endpoints=endpoints, **({"timeout_seconds": 5.0, "modules": MODULES} | options))


# ---- answers ----


def account_info(**fields: Any) -> node_pb2.AccountInfo:
    balance = node_pb2.TokenAccountState(balance=node_pb2.TokenAmount(value=2**64 - 1, decimals=6))
    token = node_pb2.AccountToken(token_id=node_pb2.Str(value="EUROe"), token_account_state=balance)
    defaults = {"sequence_number": number(42), "amount": number(5_000), "tokens": [token]}
    return node_pb2.AccountInfo(**(defaults | fields))


def returned(value: bytes) -> node_pb2.InvokeInstanceResponse:
    return node_pb2.InvokeInstanceResponse(success=node_pb2.InvokeSuccess(return_value=value))


def failed(**reason: Any) -> node_pb2.InvokeInstanceResponse:
    return node_pb2.InvokeInstanceResponse(failure=node_pb2.InvokeFailure(reason=node_pb2.RejectReason(**reason)))


def contract_address(contract: Contract) -> node_pb2.ContractAddress:
    return node_pb2.ContractAddress(index=contract.index, subindex=contract.subindex)


# ---- transactions and their traces ----


def updated(contract: Contract, *events: bytes) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceUpdated(address=contract_address(contract), events=[wrapped(event) for event in events])
    return node_pb2.ContractTraceElement(updated=step)


def interrupted(contract: Contract, *events: bytes) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceInterrupted(address=contract_address(contract), events=[wrapped(event) for event in events])
    return node_pb2.ContractTraceElement(interrupted=step)


def resumed(contract: Contract, success: bool = True) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceResumed(address=contract_address(contract), success=success)
    return node_pb2.ContractTraceElement(resumed=step)


def upgraded(contract: Contract, module_ref: str) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceUpgraded(address=contract_address(contract), to=wrapped(bytes.fromhex(module_ref)))
    return node_pb2.ContractTraceElement(upgraded=step)


def transferred() -> node_pb2.ContractTraceElement:
    return node_pb2.ContractTraceElement(transferred=node_pb2.InstanceTransferred())


def summary(effects: node_pb2.AccountTransactionEffects, index: int = 0) -> node_pb2.BlockItemSummary:
    """A transaction at this place of its block; its hash is the place, 32 times."""
    details = node_pb2.AccountTransactionDetails(effects=effects)
    return node_pb2.BlockItemSummary(
        index=number(index), hash=wrapped(bytes([index]) * 32), account_transaction=details
    )


def called(*trace: node_pb2.ContractTraceElement, index: int = 0) -> node_pb2.BlockItemSummary:
    """A transaction that called contracts."""
    issued = node_pb2.ContractUpdateIssued(effects=trace)
    return summary(node_pb2.AccountTransactionEffects(contract_update_issued=issued), index)


def made(contract: Contract, module_ref: str, *events: bytes, index: int = 0) -> node_pb2.BlockItemSummary:
    """A transaction that made a contract."""
    initialized = node_pb2.ContractInitialized(
        address=contract_address(contract),
        origin_ref=wrapped(bytes.fromhex(module_ref)),
        events=[wrapped(event) for event in events],
    )
    return summary(node_pb2.AccountTransactionEffects(contract_initialized=initialized), index)


def event_vectors() -> dict[str, bytes]:
    """The events of the deployed contracts' own schemas, by name."""
    events = json.loads((VECTORS / "contract_events.json").read_text())["events"]
    return {name: bytes.fromhex(entry["hex"]) for name, entry in events.items()}
