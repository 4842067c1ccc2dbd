"""One invocation of a contract, with its trace, and the table of entrypoints. Must never let a rejected call change anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bonds.chain.devnet.encoding import Address, ContractAddress, EncodingError, Reader
from bonds.chain.devnet.outcomes import (
    ContractRejected,
    Interrupted,
    Reject,
    Resumed,
    TraceStep,
    UnknownContract,
    UnknownEntrypoint,
    Updated,
)
from bonds.chain.devnet.seed import party
from bonds.chain.devnet.state import Draft

CALL_ENERGY, ITEM_ENERGY = 300, 50  # the devnet's price; the real interpreter's depends on its instructions
NOT_PAYABLE = -2147483636  # what a contract built with the standard library answers to CCD it did not ask for

TOKEN, FUND, REGISTRY, STATE_REGISTRY = "token", "fund", "registry", "state_registry"
ROLE_COUNT: Mapping[str, int] = {TOKEN: 15, FUND: 4, REGISTRY: 1, STATE_REGISTRY: 1}
# The owner of a fund is no operator of it: for that it must be made an agent.
OWNER_ROLES: Mapping[str, tuple[int, ...]] = {
    TOKEN: tuple(range(15)),
    FUND: (0, 1, 2),
    REGISTRY: (0,),
    STATE_REGISTRY: (0,),
}
# Each contract numbers its errors itself: the registries' and the fund's follow their error lists from -1 on.
UNAUTHORISED: Mapping[str, int] = {TOKEN: -42000003, FUND: -1, REGISTRY: -3, STATE_REGISTRY: -3}
BAD_PARAMETER: Mapping[str, int] = {TOKEN: -1, FUND: -2, REGISTRY: -1, STATE_REGISTRY: -1}


@dataclass
class Call:
    """One invocation: who calls what with which bytes, and what came of it.

    `events`: what the contract logged since its last interruption. `trace`: the steps that ended, in the chain's order.
    """

    draft: Draft
    contract: ContractAddress
    instance: Mapping[str, Any]
    receive_name: str
    parameter: bytes
    caller: Address | None
    amount: int = 0
    events: list[bytes] = field(default_factory=list)
    trace: list[TraceStep] = field(default_factory=list)
    returned: bytes = b""
    energy: int = CALL_ENERGY

    def reject(self, code: int) -> ContractRejected:
        return ContractRejected(code, self.contract, self.receive_name, self.parameter)

    # ---- cells of this instance -------------------------------------------------------------------------------------

    def cell(self, kind: str, *parts: object) -> str:
        return "/".join(map(str, (kind, self.contract.index, *parts)))

    def get(self, kind: str, *parts: object) -> Any:
        return self.draft.get(self.cell(kind, *parts))

    def put(self, kind: str, *parts: object, value: Any) -> None:
        self.draft.put(self.cell(kind, *parts), value)

    # ---- agents -----------------------------------------------------------------------------------------------------

    def roles(self, address: Address | None) -> list[int]:
        """The agent roles of an address. A genesis agent has all of them until the owner says otherwise."""
        if address is None:
            return []
        changed = self.get("roles", party(address))
        if changed is not None:
            return list(changed)
        kind = self.instance["kind"]
        if party(address) in self.instance["agents"]:
            return list(range(ROLE_COUNT[kind]))
        return list(OWNER_ROLES[kind]) if self.is_owner(address) else []

    def is_owner(self, address: Address | None) -> bool:
        return address is not None and party(address) == self.instance["owner"]

    def require_role(self, role: int) -> None:
        if role not in self.roles(self.caller):
            raise self.unauthorised()

    def require_owner(self) -> None:
        if not self.is_owner(self.caller):
            raise self.unauthorised()

    def unauthorised(self) -> ContractRejected:
        return self.reject(UNAUTHORISED[self.instance["kind"]])

    # ---- calls of other contracts -----------------------------------------------------------------------------------

    def call_contract(self, contract: ContractAddress, entrypoint: str, parameter: bytes, *, failed: int) -> None:
        """Call another contract in this one's name. When that one will not, this one rejects with `failed`, and nothing stays."""
        self.trace.append(Interrupted(self.contract, tuple(self.events)))
        self.events = []
        try:
            instance = find(self.draft, contract)
            receive_name = f"{instance['name']}.{entrypoint}"
            inner = Call(self.draft, contract, instance, receive_name, parameter, caller=self.contract)
            try:
                invoke(inner)
            finally:
                self.energy += inner.energy
        except Reject as error:
            raise self.reject(failed) from error
        self.trace += [*inner.trace, Resumed(self.contract, success=True)]


Handler = Callable[[Call, Reader], None]
_ENTRYPOINTS: dict[tuple[str, str], Handler] = {}


def entrypoint(name: str, *kinds: str) -> Callable[[Handler], Handler]:
    """Make the function the entrypoint `name` of these kinds of contract."""

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            _ENTRYPOINTS[kind, name] = handler
        return handler

    return register


def invoke(call: Call) -> Call:
    """Run the entrypoint on the call's draft. A Reject leaves the draft to be thrown away."""
    kind = call.instance["kind"]
    contract_name, _, name = call.receive_name.partition(".")
    handler = _ENTRYPOINTS.get((kind, name))
    if handler is None or contract_name != call.instance["name"]:
        raise UnknownEntrypoint(bytes.fromhex(call.instance["module_ref"]), call.receive_name)
    if call.amount:
        raise call.reject(NOT_PAYABLE)
    reader = Reader(call.parameter)
    try:
        handler(call, reader)
        reader.finish()
    except EncodingError as error:
        raise call.reject(BAD_PARAMETER[kind]) from error
    caller = call.contract if call.caller is None else call.caller
    done = Updated(call.contract, caller, call.amount, call.receive_name, call.parameter, tuple(call.events))
    call.trace.append(done)
    return call


def find(draft: Draft, contract: ContractAddress) -> Mapping[str, Any]:
    """The instance's cell. UnknownContract when there is none."""
    instance = draft.get(f"contract/{contract.index}") if contract.subindex == 0 else None
    if instance is None:
        raise UnknownContract(contract)
    return instance


def methods(instance: Mapping[str, Any]) -> list[str]:
    """The receive names an instance offers."""
    return [f"{instance['name']}.{name}" for kind, name in _ENTRYPOINTS if kind == instance["kind"]]
