"""Parameters of the contracts' entrypoints, for whoever calls them here: the operator, a contract, a test. Decides nothing."""

from collections.abc import Iterable, Sequence

from bonds.chain.devnet.encoding import (
    Address,
    ContractAddress,
    contract_party,
    contract_receiver,
    contract_roles,
    contract_token_id,
    security_token,
    uleb128,
    vector,
)

STATUSES = ("not_in_registry", "whitelisted", "blacklisted")
Security = tuple[ContractAddress, int]


# ---- the bond token -----------------------------------------------------------------------------------------------


def mint_parameter(token_id: int, owners: Iterable[tuple[Address, int, int]]) -> bytes:
    """(owner, frozen amount, amount that is not) each, of one token id."""
    items = [contract_receiver(owner) + uleb128(frozen) + uleb128(free) for owner, frozen, free in owners]
    return contract_token_id(token_id) + vector(items)


def lots_parameter(lots: Iterable[tuple[int, int, Address]]) -> bytes:
    """(token id, amount, owner) each: what burn takes."""
    items = [contract_token_id(token) + uleb128(amount) + contract_party(owner) for token, amount, owner in lots]
    return vector(items, width=2)


burn_parameter = lots_parameter


def transfers_parameter(transfers: Iterable[tuple[int, int, Address, Address]]) -> bytes:
    """(token id, amount, from, to) each, for forcedTransfer."""
    items = [
        contract_token_id(token) + uleb128(amount) + contract_party(sender) + contract_party(recipient)
        for token, amount, sender, recipient in transfers
    ]
    return vector(items, width=2)


def cis2_transfers_parameter(transfers: Iterable[tuple[int, int, Address, Address]]) -> bytes:
    """(token id, amount, from, to) each, for transfer: no entrypoint to call, no data."""
    items = [
        contract_token_id(token) + uleb128(amount) + contract_party(sender) + contract_receiver(recipient) + bytes(2)
        for token, amount, sender, recipient in transfers
    ]
    return vector(items, width=2)


def freeze_parameter(owner: Address, tokens: Iterable[tuple[int, int]]) -> bytes:
    """(token id, amount) each, for freeze and unFreeze."""
    return contract_party(owner) + vector([contract_token_id(token) + uleb128(amount) for token, amount in tokens])


def token_ids_parameter(token_ids: Iterable[int]) -> bytes:
    """For pause, unPause and isPaused."""
    return vector([contract_token_id(token_id) for token_id in token_ids])


def recover_parameter(lost: Address, new: Address) -> bytes:
    return contract_party(lost) + contract_party(new)


def agent_parameter(agent: Address, roles: Iterable[int]) -> bytes:
    """For isAgent and addAgent of the bond token and the fund."""
    return contract_party(agent) + contract_roles(roles)


def operators_parameter(updates: Iterable[tuple[Address, bool]]) -> bytes:
    """(operator, added or removed) each, for updateOperator."""
    return vector([bytes([added]) + contract_party(operator) for operator, added in updates], width=2)


def pairs_parameter(pairs: Iterable[tuple[Address, Address]]) -> bytes:
    """(owner, address) each, for operatorOf."""
    return vector([contract_party(owner) + contract_party(address) for owner, address in pairs], width=2)


def balances_parameter(queries: Iterable[tuple[int, Address]]) -> bytes:
    """(token id, holder) each, for balanceOf and its two halves."""
    return vector([contract_token_id(token) + contract_party(holder) for token, holder in queries], width=2)


def add_token_parameter(token_id: int, url: str = "") -> bytes:
    """A token id with its metadata's address and no hash of it."""
    return contract_token_id(token_id) + vector([bytes([byte]) for byte in url.encode()]) + b"\x00"


# ---- the fund -----------------------------------------------------------------------------------------------------


def add_fund_parameter(presale: Security, security: Security, rate: tuple[int, int] = (1, 1)) -> bytes:
    """`rate`: how many of the security for how much currency."""
    numbers = b"".join(number.to_bytes(8, "little") for number in rate)
    return security_token(presale) + numbers + security_token(security)


def fund_state_parameter(security: Security, receiver: Address | None) -> bytes:
    """Success, with who receives the currency, or failure without anybody."""
    state = b"\x01" if receiver is None else b"\x00" + contract_receiver(receiver)
    return security_token(security) + state


def investments_parameter(security: Security, investments: Sequence[tuple[bytes, int, int]]) -> bytes:
    """(investor, security amount, currency amount) each, for devnetInvest."""
    head = security_token(security)
    return vector([head + who + uleb128(amount) + uleb128(paid) for who, amount, paid in investments], width=2)


def claims_parameter(security: Security, investors: Iterable[bytes]) -> bytes:
    """For claimInvestment."""
    return vector([security_token(security) + investor for investor in investors])


# ---- the registries -----------------------------------------------------------------------------------------------


def registry_parameter(state: str, holders: Iterable[Address]) -> bytes:
    """One state for many holders, for devnetSetStates."""
    return bytes([STATUSES.index(state)]) + vector([contract_party(holder) for holder in holders], width=2)
