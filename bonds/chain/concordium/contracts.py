"""Parameters and events of the contracts this product meets: CIS-2 security token, mint fund, identity registry.
Unknown events stay unknown.

Contract values are little endian. Address: 00 + 32 bytes, or 01 + index u64 + subindex u64. Token id: length byte 08
+ u64. Amount: unsigned LEB128. Sources: CIS-2; the deployed contracts' own schemas (security_sft_multi,
security_mint_fund, rwa_identity_registry).
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bonds.chain.concordium import addresses
from bonds.chain.gateway import Contract

U64_MAX = 2**64 - 1
TOKEN_ID_BYTES = 8
MAX_LEB128_BYTES = 10  # of an unsigned 64-bit number
REGISTRY_IS_VERIFIED = "rwa_identity_registry.isVerified"

Address = str | Contract  # base58check account, or contract


class Module(StrEnum):
    """The contracts whose events can be read, by name. The same tag means different things in different modules."""

    SECURITY = "security_sft_multi"
    FUND = "security_mint_fund"
    REGISTRY = "rwa_identity_registry"


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


class Reader:
    """Takes contract values off the front of bytes; ValueError for a malformed or truncated one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ValueError("truncated contract value")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def amount(self) -> int:
        value = 0
        for position in range(MAX_LEB128_BYTES):
            byte = self.number(1)
            value |= (byte & 0x7F) << (7 * position)
            if not byte & 0x80:
                if value > U64_MAX:
                    break
                return value
        raise ValueError("token amount does not fit an unsigned 64-bit integer")

    def token_id(self) -> int:
        if self.number(1) != TOKEN_ID_BYTES:
            raise ValueError("token id is not an unsigned 64-bit integer")
        return self.number(TOKEN_ID_BYTES)

    def account(self) -> str:
        return addresses.encode(self.take(addresses.ACCOUNT_BYTES))

    def contract(self) -> Contract:
        return Contract(self.number(8), self.number(8))

    def address(self) -> Address:
        kind = self.number(1)
        if kind == 0:
            return self.account()
        if kind == 1:
            return self.contract()
        raise ValueError(f"address of unknown kind {kind}")

    def roles(self) -> tuple[int, ...]:
        return tuple(self.take(self.number(4)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError("bytes left over after a contract value")


# ---- parameters ----


def _u64(value: int) -> bytes:
    if not 0 <= value <= U64_MAX:
        raise ValueError(f"{value} does not fit an unsigned 64-bit integer")
    return value.to_bytes(8, "little")


def _amount(value: int) -> bytes:
    _u64(value)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _token_id(token_id: int) -> bytes:
    return bytes([TOKEN_ID_BYTES]) + _u64(token_id)


def _contract(contract: Contract) -> bytes:
    return _u64(contract.index) + _u64(contract.subindex)


def encode_address(address: Address) -> bytes:
    """An address as contracts take it. ValueError for a malformed one."""
    if isinstance(address, Contract):
        return b"\x01" + _contract(address)
    return b"\x00" + addresses.decode(address)


def _vector(items: Sequence[bytes], count_format: str) -> bytes:
    try:
        return struct.pack(count_format, len(items)) + b"".join(items)
    except struct.error as error:
        raise ValueError(f"{len(items)} entries are too many for one call") from error


def burn_parameter(burns: Iterable[tuple[int, int, Address]]) -> bytes:
    """`burn` of the token: (token id, raw amount, owner) each; the call burns all of them or none."""
    return _vector([_token_id(token) + _amount(raw) + encode_address(owner) for token, raw, owner in burns], "<H")


def balance_of_parameter(queries: Iterable[tuple[int, Address]]) -> bytes:
    """`balanceOf` of the token: (token id, holder) each."""
    return _vector([_token_id(token) + encode_address(holder) for token, holder in queries], "<H")


def is_agent_parameter(agent: Address, roles: Sequence[AgentRole]) -> bytes:
    """`isAgent` of the token: has the address all of these roles?"""
    return encode_address(agent) + _vector([bytes([role]) for role in roles], "<I")


def is_verified_parameter(address: Address) -> bytes:
    """`isVerified` of the registry."""
    return encode_address(address)


def claim_investment_parameter(investments: Iterable[tuple[Contract, int, str]]) -> bytes:
    """`claimInvestment` of the fund: (security token contract, token id, investor's account) each; also cancels, by
    the fund's state."""
    return _vector(
        [
            _contract(token) + _token_id(token_id) + addresses.decode(account)
            for token, token_id, account in investments
        ],
        "<I",
    )


def update_fund_state_parameter(token: Contract, token_id: int, funds_receiver: Address | None) -> bytes:
    """`updateFundState` of the fund: success, with who receives the funds, or failure where there is nobody."""
    fund = _contract(token) + _token_id(token_id)
    return fund + (b"\x01" if funds_receiver is None else b"\x00" + encode_address(funds_receiver))


# ---- return values ----


def read_bool(value: bytes) -> bool:
    """A contract's yes or no; ValueError for anything that is neither."""
    if value not in (b"\x00", b"\x01"):
        raise ValueError(f"not a boolean: {value[:8].hex()}")
    return value == b"\x01"


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
    """A CIS-2 event that moves no balance and whose content this product does not use."""

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
    | UnknownEvent
)
Decoder = Callable[[Reader], Event]


def _bookkeeping(name: str) -> Decoder:
    def decode(reader: Reader) -> Event:
        reader.rest()
        return BookkeepingEvent(name)

    return decode


def _investment(stage: str) -> Decoder:
    return lambda reader: InvestmentChanged(
        stage, reader.contract(), reader.token_id(), reader.account(), reader.amount(), reader.amount()
    )


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
    },
    Module.FUND: {
        6: _investment("invested"),
        7: _investment("claimed"),
        8: _investment("cancelled"),
    },
    Module.REGISTRY: {
        0: lambda r: IdentityChanged(True, r.address()),
        1: lambda r: IdentityChanged(False, r.address()),
        4: lambda r: AgentChanged(True, r.address()),
        5: lambda r: AgentChanged(False, r.address()),
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
