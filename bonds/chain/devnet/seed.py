"""The cells a genesis starts the state with, and the names of all cells. Must never be applied twice to one state."""

from collections.abc import Iterable
from typing import Any

from bonds.chain.devnet.encoding import U64_MAX, Address, ContractAddress, EncodingError, address_bytes, identity
from bonds.chain.devnet.network import CONTRACT_NAMES, Account, Contract, Genesis, Token


def account_cells(account: Account, *, index: int) -> dict[str, Any]:
    """The cells of a new account: who it is, its next sequence number, its CCD."""
    address = address_bytes(account.address)
    name = identity(address)
    return {
        f"account/{name}": {
            "address": address.hex(),
            "index": index,
            "keys": {credential: dict(keys) for credential, keys in account.keys.items()},
            "account_threshold": account.account_threshold,
            "credential_threshold": account.credential_threshold,
        },
        f"nonce/{name}": 1,
        f"ccd/{name}": account.micro_ccd,
    }


def party(address: Address) -> str:
    """An address inside a contract's cell name. Contracts compare all 32 bytes: an alias is somebody else to them."""
    return f"{address.index}.{address.subindex}" if isinstance(address, ContractAddress) else address.hex()


def party_address(name: str) -> Address:
    index, dot, subindex = name.partition(".")
    return ContractAddress(int(index), int(subindex)) if dot else bytes.fromhex(name)


def lot_cell(index: int, token_id: int, holder: Address) -> str:
    return f"lot/{index}/{token_id}/{party(holder)}"


def token_key(token_id: str) -> str:
    """Token ids are compared without regard to case."""
    return token_id.upper()


def first_cells(genesis: Genesis) -> dict[str, Any]:
    """Every cell of the state at height 0. EncodingError for an address, ValueError for an amount or reference that cannot be."""
    cells: dict[str, Any] = {}
    for index, account in enumerate(genesis.accounts):
        fresh = account_cells(account, index=index)
        if not fresh.keys().isdisjoint(cells):
            raise ValueError(f"account {account.address} twice")
        cells.update(fresh)
    known = {key.partition("/")[2] for key in cells if key.startswith("account/")}
    _known(genesis.operator, known)
    for token in genesis.tokens:
        cells.update(_token_cells(token, known))
    for contract in genesis.contracts:
        cells.update(contract_cells(contract, known))
    return cells


def contract_cells(contract: Contract, known: Iterable[str]) -> dict[str, Any]:
    """The cell of a new contract instance. `known`: the identities of the accounts there are."""
    if contract.kind not in CONTRACT_NAMES:
        raise ValueError(f"contract {contract.index}: no kind {contract.kind!r}, only {', '.join(CONTRACT_NAMES)}")
    return {
        f"contract/{contract.index}": {
            "kind": contract.kind,
            "name": contract.contract_name,
            "module_ref": contract.source_module,
            "owner": _known(contract.owner, known),
            "agents": [_known(agent, known) for agent in contract.agents],
        }
    }


def _token_cells(token: Token, known: Iterable[str]) -> dict[str, Any]:
    key = token_key(token.token_id)
    total = sum(token.balances.values())
    if total > U64_MAX or min(token.balances.values(), default=0) < 0 or not 0 <= token.decimals <= 255:
        raise ValueError(f"token {token.token_id}: amounts or decimals out of range")
    cells: dict[str, Any] = {
        f"token/{key}": {
            "token_id": token.token_id,
            "name": token.name,
            "decimals": token.decimals,
            "governance": _known(token.governance, known),
            "allow_list": token.allow_list,
            "deny_list": token.deny_list,
            "mintable": token.mintable,
            "burnable": token.burnable,
        },
        f"supply/{key}": total,
        f"paused/{key}": token.paused,
    }
    for kind, addresses in (("allowed", token.allowed), ("denied", token.denied)):
        cells.update({f"{kind}/{key}/{identity(bytes.fromhex(_known(address, known)))}": True for address in addresses})
    for address, amount in token.balances.items():
        cells[f"balance/{key}/{identity(bytes.fromhex(_known(address, known)))}"] = amount
    return cells


def _known(address: str, known: Iterable[str]) -> str:
    data = address_bytes(address)
    if identity(data) not in known:
        raise EncodingError(f"{address} is not an account of this genesis")
    return data.hex()
