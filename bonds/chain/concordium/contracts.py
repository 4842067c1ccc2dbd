"""Parameters, return values and events of the contracts this product meets: CIS-2 security token, mint fund, identity
registry. Unknown events stay unknown.

Sources: CIS-2; the deployed contracts' own schemas (security_sft_multi, security_mint_fund, rwa_identity_registry); for
the address state registry, which is planned and not deployed, its design (identity-registry-blockchain.md of
m5-planning).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bonds.chain.concordium import addresses
from bonds.chain.concordium.values import (
    Address,
    Reader,
    encode_address,
    encode_amount,
    encode_contract,
    encode_token_id,
    encode_vector,
)
from bonds.chain.gateway import Contract, RegistryState

BURN_RECEIVE_NAME = "security_sft_multi.burn"  # what `burn_parameter` is for
CLAIM_INVESTMENT_RECEIVE_NAME = "security_mint_fund.claimInvestment"  # what `claim_investment_parameter` is for
UNKNOWN_TOKEN_ID = -42000001  # how the token rejects a call that names a token id it has never heard of


class Module(StrEnum):
    """The interfaces of contracts that can be read. The same tag means different things in different ones.

    The planned registry would be deployed under the name of today's (rwa_identity_registry), so only the module
    reference can tell the two apart.
    """

    SECURITY = "security_sft_multi"
    FUND = "security_mint_fund"
    REGISTRY = "rwa_identity_registry"
    ADDRESS_STATES = "address_state_registry"


class AgentRole(IntEnum):
    """What an agent of the security token may do."""

    SET_IDENTITY_REGISTRY = 0
    SET_COMPLIANCE = 1
    ADD_AGENT = 2
    MINT = 3
    FORCED_BURN = 4
    FORCED_TRANSFER = 5
    FREEZE = 6
    UNFREEZE = 7
    HOLDER_RECOVERY = 8
    PAUSE = 9
    UNPAUSE = 10
    ADD_TOKEN = 11
    OPERATOR = 12
    REMOVE_TOKEN = 13
    SET_TOKEN_METADATA = 14


# ---- parameters ----


def burn_parameter(burns: Iterable[tuple[int, int, Address]]) -> bytes:
    """`burn` of the token: (token id, raw amount, owner) each; the call burns all of them or none."""
    return encode_vector(
        [encode_token_id(token) + encode_amount(raw) + encode_address(owner) for token, raw, owner in burns], "<H"
    )


def balance_of_parameter(queries: Iterable[tuple[int, Address]]) -> bytes:
    """`balanceOf` of the token: (token id, holder) each."""
    return encode_vector([encode_token_id(token) + encode_address(holder) for token, holder in queries], "<H")


def is_agent_parameter(agent: Address, roles: Sequence[AgentRole]) -> bytes:
    """`isAgent` of the token: has the address all of these roles?"""
    return encode_address(agent) + encode_vector([bytes([role]) for role in roles], "<I")


def is_verified_parameter(address: Address) -> bytes:
    """`isVerified` of the registry."""
    return encode_address(address)


def claim_investment_parameter(investments: Iterable[tuple[Contract, int, str]]) -> bytes:
    """`claimInvestment` of the fund: (security token contract, token id, investor's account) each; also cancels, by
    the fund's state."""
    return encode_vector(
        [
            encode_contract(token) + encode_token_id(token_id) + addresses.decode(account)
            for token, token_id, account in investments
        ],
        "<I",
    )


def update_fund_state_parameter(token: Contract, token_id: int, funds_receiver: Address | None) -> bytes:
    """`updateFundState` of the fund: success, with who receives the funds, or failure where there is nobody."""
    fund = encode_contract(token) + encode_token_id(token_id)
    return fund + (b"\x01" if funds_receiver is None else b"\x00" + encode_address(funds_receiver))


# ---- return values ----

# By number: `getAddressState` calls an address that nobody has put on a list registered.
ADDRESS_STATES = (RegistryState.NOT_IN_REGISTRY, RegistryState.WHITELISTED, RegistryState.BLACKLISTED)
LISTED_STATES = (RegistryState.WHITELISTED, RegistryState.BLACKLISTED)  # as the event numbers them


def read_bool(value: bytes) -> bool:
    """A contract's yes or no; ValueError for anything that is neither."""
    if value not in (b"\x00", b"\x01"):
        raise ValueError(f"not a boolean: {value[:8].hex()}")
    return value == b"\x01"


def read_address_state(value: bytes) -> RegistryState:
    """What `getAddressState` returns; ValueError for a state that is none."""
    if len(value) != 1 or value[0] >= len(ADDRESS_STATES):
        raise ValueError(f"not an address state: {value[:8].hex()}")
    return ADDRESS_STATES[value[0]]


def read_balances(value: bytes) -> tuple[int, ...]:
    """What `balanceOf` returns: one raw amount per query, in order."""
    reader = Reader(value)
    balances = tuple(reader.amount() for _ in range(reader.number(2)))
    reader.finish()
    return balances


# ---- events ----


@dataclass(frozen=True)
class Minted:
    token_id: int
    amount_raw: int
    owner: Address


@dataclass(frozen=True)
class Burned:
    token_id: int
    amount_raw: int
    owner: Address


@dataclass(frozen=True)
class Transferred:
    token_id: int
    amount_raw: int
    sender: Address
    recipient: Address


@dataclass(frozen=True)
class Frozen:
    """Part of a balance can no longer (or again, `frozen` False) be moved; the balance stays."""

    frozen: bool
    token_id: int
    amount_raw: int
    holder: Address


@dataclass(frozen=True)
class Paused:
    paused: bool
    token_id: int


@dataclass(frozen=True)
class Recovered:
    """Every balance of one address now belongs to another; no transfer event says so."""

    lost: Address
    new: Address


@dataclass(frozen=True)
class AgentChanged:
    added: bool
    agent: Address
    roles: tuple[int, ...] = ()


@dataclass(frozen=True)
class ContractLinked:
    """The token now asks another identity registry or compliance contract."""

    role: str
    contract: Contract


@dataclass(frozen=True)
class BookkeepingEvent:
    """An event that moves no balance, no investment and no address, and whose content this product does not use."""

    name: str


@dataclass(frozen=True)
class InvestmentChanged:
    """`stage`: invested, claimed or cancelled. Amounts are raw units of the security and of the currency token."""

    stage: str
    token: Contract
    token_id: int
    investor: str
    security_amount_raw: int
    currency_amount_raw: int


@dataclass(frozen=True)
class IdentityChanged:
    registered: bool
    address: Address


@dataclass(frozen=True)
class AddressStateChanged:
    """Of the address state registry: the address is on that list now, or on none."""

    address: Address
    state: RegistryState


@dataclass(frozen=True)
class UnknownEvent:
    """Bytes this product cannot read: of another module, of a newer one, or malformed. `tag` is None for an empty
    event."""

    tag: int | None
    raw: bytes


Event = (
    Minted
    | Burned
    | Transferred
    | Frozen
    | Paused
    | Recovered
    | AgentChanged
    | ContractLinked
    | BookkeepingEvent
    | InvestmentChanged
    | IdentityChanged
    | AddressStateChanged
    | UnknownEvent
)
Decoder = Callable[[Reader], Event]


def _bookkeeping(name: str, *fields: Callable[[Reader], object]) -> Decoder:
    """Reads the fields and forgets them; whatever follows the tag where none are given."""

    def decode(reader: Reader) -> Event:
        for field in fields or (Reader.rest,):
            field(reader)
        return BookkeepingEvent(name)

    return decode


def _investment(stage: str) -> Decoder:
    return lambda reader: InvestmentChanged(
        stage, reader.contract(), reader.token_id(), reader.account(), reader.amount(), reader.amount()
    )


def _listed(reader: Reader) -> Event:
    address, number = reader.address(), reader.number(1)
    if number >= len(LISTED_STATES):
        raise ValueError(f"not the number of a list: {number}")
    return AddressStateChanged(address, LISTED_STATES[number])


DECODERS: Mapping[Module, Mapping[int, Decoder]] = {
    Module.SECURITY: {
        0xFF: lambda r: Transferred(r.token_id(), r.amount(), r.address(), r.address()),
        0xFE: lambda r: Minted(r.token_id(), r.amount(), r.address()),
        0xFD: lambda r: Burned(r.token_id(), r.amount(), r.address()),
        0xFC: _bookkeeping("operator updated"),
        0xFB: _bookkeeping("token metadata"),
        0xFA: lambda r: AgentChanged(True, r.address(), r.roles()),
        0xF9: lambda r: AgentChanged(False, r.address(), r.roles()),
        0xF8: lambda r: Frozen(False, r.token_id(), r.amount(), r.address()),
        0xF7: lambda r: Frozen(True, r.token_id(), r.amount(), r.address()),
        0xF6: lambda r: Paused(True, r.token_id()),
        0xF5: lambda r: Paused(False, r.token_id()),
        0xF4: lambda r: ContractLinked("compliance", r.contract()),
        0xF3: lambda r: ContractLinked("identity registry", r.contract()),
        0xF2: lambda r: Recovered(r.address(), r.address()),
        # 0xF1, a removed token id, is left unread: what it does to balances that remain, nobody has shown.
    },
    Module.FUND: {
        0: _bookkeeping("initialised", Reader.contract, lambda r: r.take(r.number(1))),  # the currency: any token's id
        1: lambda r: AgentChanged(True, r.address(), r.roles()),
        2: lambda r: AgentChanged(False, r.address()),
        3: _bookkeeping("fund added"),
        4: _bookkeeping("fund removed"),
        5: _bookkeeping("fund state updated"),
        6: _investment("invested"),
        7: _investment("claimed"),
        8: _investment("cancelled"),
    },
    Module.REGISTRY: {
        0: lambda r: IdentityChanged(True, r.address()),
        1: lambda r: IdentityChanged(False, r.address()),
        2: _bookkeeping("issuer added"),
        3: _bookkeeping("issuer removed"),
        4: lambda r: AgentChanged(True, r.address()),
        5: lambda r: AgentChanged(False, r.address()),
    },
    Module.ADDRESS_STATES: {
        0: lambda r: AgentChanged(True, r.address()),
        1: lambda r: AgentChanged(False, r.address()),
        2: _listed,
        3: lambda r: AddressStateChanged(r.address(), RegistryState.NOT_IN_REGISTRY),
    },
}


def decode_event(module: Module, raw: bytes) -> Event:
    """What an event of that module says; UnknownEvent for a tag or a shape the module's decoder does not know. Never
    raises."""
    decoder = DECODERS[module].get(raw[0]) if raw else None
    if decoder is None:
        return UnknownEvent(raw[0] if raw else None, raw)
    reader = Reader(raw[1:])
    try:
        event = decoder(reader)
        reader.finish()
    except ValueError:
        return UnknownEvent(raw[0], raw)
    return event
