"""What the devnet's contracts do: the bond token's lots and the identity registry. Must never answer an entrypoint it does not know.

The events and the layouts of `burn`, `balanceOf` and `isVerified` are the deployed contracts' (little endian, CIS-2). `mint`,
`forcedTransfer` and `setAddressState` have layouts of the devnet's own: only its operator calls them. A fund contract exists here by
name and module alone.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bonds.chain.devnet.encoding import (
    U64_MAX,
    Address,
    ContractAddress,
    EncodingError,
    Reader,
    burn_event,
    contract_party,
    contract_token_id,
    mint_event,
    transfer_event,
    uleb128,
)
from bonds.chain.devnet.outcomes import ContractRejected, UnknownContract, UnknownEntrypoint
from bonds.chain.devnet.seed import lot_cell, party
from bonds.chain.devnet.state import Draft

CALL_ENERGY, ITEM_ENERGY = 300, 50  # the devnet's price; the real interpreter's depends on its instructions
BAD_TOKEN_ID, BAD_FUNDS, UNAUTHORISED = -42000001, -42000002, -42000003
BAD_PARAMETER, BAD_AMOUNT = -1, -7
NOT_PAYABLE = -2147483636  # what a contract built with the standard library answers to CCD it did not ask for
REGISTRY_STATES = ("not_in_registry", "whitelisted", "blacklisted")
IDENTITY_REGISTERED, IDENTITY_REMOVED = b"\x00", b"\x01"


@dataclass
class Call:
    """One invocation: who calls what with which bytes, and what came of it."""

    draft: Draft
    contract: ContractAddress
    instance: Mapping[str, Any]
    receive_name: str
    parameter: bytes
    caller: Address | None
    amount: int = 0
    events: list[bytes] = field(default_factory=list)
    returned: bytes = b""
    energy: int = CALL_ENERGY

    def reject(self, code: int) -> ContractRejected:
        return ContractRejected(code, self.contract, self.receive_name, self.parameter)

    def require_agent(self) -> None:
        if not isinstance(self.caller, bytes) or self.caller.hex() not in self.instance["agents"]:
            raise self.reject(UNAUTHORISED)


def invoke(call: Call) -> Call:
    """Run the entrypoint on the call's draft. A Reject leaves the draft to be thrown away."""
    contract_name, _, entrypoint = call.receive_name.partition(".")
    handler = ENTRYPOINTS.get((call.instance["kind"], entrypoint))
    if handler is None or contract_name != call.instance["name"]:
        raise UnknownEntrypoint(bytes.fromhex(call.instance["module_ref"]), call.receive_name)
    if call.amount:
        raise call.reject(NOT_PAYABLE)
    try:
        handler(call, Reader(call.parameter))
    except EncodingError as error:
        raise call.reject(BAD_PARAMETER) from error
    return call


def find(draft: Draft, contract: ContractAddress) -> Mapping[str, Any]:
    """The instance's cell. UnknownContract when there is none."""
    instance = draft.get(f"contract/{contract.index}") if contract.subindex == 0 else None
    if instance is None:
        raise UnknownContract(contract)
    return instance


# ---- the bond token -----------------------------------------------------------------------------------------------


def _change(call: Call, token_id: int, holder: Address, difference: int) -> None:
    cell = lot_cell(call.contract.index, token_id, holder)
    balance = call.draft.get(cell, 0) + difference
    if not 0 <= balance <= U64_MAX:
        raise call.reject(BAD_FUNDS)
    call.draft.put(cell, balance or None)


def _change_supply(call: Call, token_id: int, difference: int) -> None:
    cell = f"supplied/{call.contract.index}/{token_id}"
    call.draft.put(cell, call.draft.get(cell, 0) + difference)


def _mint(call: Call, reader: Reader) -> None:
    call.require_agent()
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount, owner = reader.contract_token_id(), reader.uleb128(), reader.contract_party()
        if not amount:
            raise call.reject(BAD_AMOUNT)
        _change(call, token_id, owner, amount)
        _change_supply(call, token_id, amount)
        call.events.append(mint_event(token_id, amount, owner))
    reader.finish()


def _burn(call: Call, reader: Reader) -> None:
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount, owner = reader.contract_token_id(), reader.uleb128(), reader.contract_party()
        if owner != call.caller:
            call.require_agent()
        if not amount:
            raise call.reject(BAD_AMOUNT)
        _known_token(call, token_id)
        _change(call, token_id, owner, -amount)
        _change_supply(call, token_id, -amount)
        call.events.append(burn_event(token_id, amount, owner))
    reader.finish()


def _forced_transfer(call: Call, reader: Reader) -> None:
    call.require_agent()
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount = reader.contract_token_id(), reader.uleb128()
        sender, recipient = reader.contract_party(), reader.contract_party()
        if not amount:
            raise call.reject(BAD_AMOUNT)
        _known_token(call, token_id)
        _change(call, token_id, sender, -amount)
        _change(call, token_id, recipient, amount)
        call.events.append(transfer_event(token_id, amount, sender, recipient))
    reader.finish()


def _balance_of(call: Call, reader: Reader) -> None:
    amounts = []
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, holder = reader.contract_token_id(), reader.contract_party()
        _known_token(call, token_id)
        amounts.append(uleb128(call.draft.get(lot_cell(call.contract.index, token_id, holder), 0)))
    reader.finish()
    call.returned = struct.pack("<H", len(amounts)) + b"".join(amounts)


def _known_token(call: Call, token_id: int) -> None:
    if call.draft.get(f"supplied/{call.contract.index}/{token_id}") is None:
        raise call.reject(BAD_TOKEN_ID)


# ---- the registry -------------------------------------------------------------------------------------------------


def _is_verified(call: Call, reader: Reader) -> None:
    holder = reader.contract_party()
    reader.finish()
    state = call.draft.get(f"registry/{call.contract.index}/{party(holder)}")
    call.returned = b"\x01" if state == "whitelisted" else b"\x00"


def _set_address_state(call: Call, reader: Reader) -> None:
    call.require_agent()
    number = reader.little(1)
    if number >= len(REGISTRY_STATES):
        raise call.reject(BAD_PARAMETER)
    state = REGISTRY_STATES[number]
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        holder = reader.contract_party()
        cell = f"registry/{call.contract.index}/{party(holder)}"
        was = call.draft.get(cell)
        call.draft.put(cell, None if state == "not_in_registry" else state)
        if (was == "whitelisted") != (state == "whitelisted"):
            tag = IDENTITY_REGISTERED if state == "whitelisted" else IDENTITY_REMOVED
            call.events.append(tag + contract_party(holder))
    reader.finish()


ENTRYPOINTS: Mapping[tuple[str, str], Callable[[Call, Reader], None]] = {
    ("token", "mint"): _mint,
    ("token", "burn"): _burn,
    ("token", "forcedTransfer"): _forced_transfer,
    ("token", "balanceOf"): _balance_of,
    ("registry", "isVerified"): _is_verified,
    ("registry", "setAddressState"): _set_address_state,
}


def methods(instance: Mapping[str, Any]) -> list[str]:
    return [f"{instance['name']}.{name}" for kind, name in ENTRYPOINTS if kind == instance["kind"]]


# ---- parameters the operator sends --------------------------------------------------------------------------------


def lots_parameter(lots: list[tuple[int, int, Address]]) -> bytes:
    """(token id, amount, owner) for mint and burn."""
    items = (contract_token_id(token) + uleb128(amount) + contract_party(owner) for token, amount, owner in lots)
    return struct.pack("<H", len(lots)) + b"".join(items)


def transfers_parameter(transfers: list[tuple[int, int, Address, Address]]) -> bytes:
    """(token id, amount, from, to) for forcedTransfer."""
    items = (contract_token_id(t) + uleb128(a) + contract_party(s) + contract_party(r) for t, a, s, r in transfers)
    return struct.pack("<H", len(transfers)) + b"".join(items)


def registry_parameter(state: str, holders: list[Address]) -> bytes:
    """State and holders for setAddressState."""
    head = struct.pack("<BH", REGISTRY_STATES.index(state), len(holders))
    return head + b"".join(map(contract_party, holders))
