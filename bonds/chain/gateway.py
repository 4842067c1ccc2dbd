"""What the product may ask of a blockchain: the one Protocol between the books and any adapter. Knows no ORM, no settings.

Amounts are integers in a token's base units. Times are aware datetimes in UTC. Hashes and block hashes are lower-case hex.
Addresses are base58check text; `account_identity` of an adapter says when two of them name the same account.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ChainError(Exception):
    """Root of everything a gateway raises."""


class ChainUnavailable(ChainError):
    """No endpoint answered in time or none is fresh enough. Nothing is known: wait and ask again. Nobody acts."""


class ChainRefused(ChainError):
    """The node understood the question and says no (unknown token, unknown account, malformed request). The caller decides."""


class ChainMisconfigured(ChainError):
    """Wrong network, missing key, unusable endpoint list. An operator acts."""


@dataclass(frozen=True)
class Head:
    """The last finalised block."""

    height: int
    block_hash: str
    time: datetime


@dataclass(frozen=True)
class Token:
    """A PLT as the chain describes it. `token_id` is spelt as the chain spells it; comparison ignores case."""

    token_id: str
    decimals: int
    total_supply_units: int
    name: str
    paused: bool


@dataclass(frozen=True)
class Transfer:
    """One PLT transfer to make: recipient (base58 account address), base units, memo of at most 64 bytes."""

    recipient: str
    amount_units: int
    memo: bytes


@dataclass(frozen=True)
class Contract:
    index: int
    subindex: int = 0


@dataclass(frozen=True)
class Investment:
    """What the fund is to settle: the security it sold (token contract and token id) and to whom (base58 account address)."""

    token: Contract
    token_id: int
    investor: str


@dataclass(frozen=True)
class SignedTransaction:
    """Bytes ready to send. `raw` is the whole block item; `transaction_hash` = sha256(raw)."""

    raw: bytes = field(repr=False)  # never in a log
    transaction_hash: str
    sender: str
    sequence_number: int
    expires_at: datetime
    energy: int


class Hint(StrEnum):
    """What a node said to a submit. Never proof of anything: always ask by hash."""

    ACCEPTED = "accepted"
    KNOWN = "known"  # the node has it, or its number is already spent
    TOO_EARLY = "too_early"  # a predecessor is unknown to this node: send the open window again in order
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class SubmitHint:
    hint: Hint
    detail: str


class Stage(StrEnum):
    NOT_FOUND = "not_found"
    RECEIVED = "received"
    COMMITTED = "committed"  # in a block, not final: may still vanish
    FINALIZED = "finalized"


@dataclass(frozen=True)
class TokenTransferred:
    """One transfer event of a finalised token update."""

    token_id: str
    sender: str
    recipient: str
    amount_units: int
    decimals: int
    memo: bytes | None


@dataclass(frozen=True)
class Rejection:
    """Why a finalised transaction had no effect. `operation_index` names the failing operation of a batch where the chain says it."""

    reason: str
    operation_index: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class TransactionState:
    """What one node knows of one hash. Block, cost and events are set only when finalised; `rejection` only when that had no effect."""

    transaction_hash: str
    stage: Stage
    block_hash: str | None = None
    block_height: int | None = None
    energy: int | None = None
    cost_microccd: int | None = None
    transfers: tuple[TokenTransferred, ...] = ()
    rejection: Rejection | None = None


class RegistryState(StrEnum):
    WHITELISTED = "whitelisted"
    BLACKLISTED = "blacklisted"
    NOT_IN_REGISTRY = "not_in_registry"


class LotEventKind(StrEnum):
    MINT = "mint"
    TRANSFER = "transfer"
    BURN = "burn"
    # Whatever `sender` holds, of every lot, is from now on the property of `recipient`; token_id and amount_raw are 0.
    RECOVER = "recover"


@dataclass(frozen=True)
class LotEvent:
    """A bond token contract's event.

    `sender`, `recipient`: base58 account, or "<index,subindex>" for a contract; None where the kind has none.
    """

    contract: Contract
    kind: LotEventKind
    token_id: int
    amount_raw: int
    sender: str | None
    recipient: str | None
    transaction_hash: str
    event_index: int  # position within the transaction, over every event of every contract


class FundEventKind(StrEnum):
    INVEST = "invest"
    CLAIM = "claim"
    REFUND = "refund"


@dataclass(frozen=True)
class FundEvent:
    """A fund contract's event about one investor. `token`: the contract the fund sells lots of; amounts are raw, as that contract and
    the fund's currency count them."""

    contract: Contract
    kind: FundEventKind
    token: Contract
    token_id: int
    investor: str
    security_amount_raw: int
    currency_amount_raw: int
    transaction_hash: str
    event_index: int


@dataclass(frozen=True)
class RegistryEvent:
    """An identity registry's event: from here on the address is in that state."""

    contract: Contract
    address: str
    state: RegistryState
    transaction_hash: str
    event_index: int


@dataclass(frozen=True)
class UnreadEvent:
    """An event of a watched contract that no decoder of the contract's module can read. Never guessed at: parked, and a person is told."""

    contract: Contract
    module_ref: str
    data: bytes
    reason: str
    transaction_hash: str
    event_index: int


@dataclass(frozen=True)
class Block:
    """A finalised block with the events of the watched contracts, in chain order within each kind."""

    height: int
    block_hash: str
    parent_hash: str
    time: datetime
    events: tuple[LotEvent, ...]
    fund_events: tuple[FundEvent, ...] = ()
    registry_events: tuple[RegistryEvent, ...] = ()
    unread: tuple[UnreadEvent, ...] = ()


class ChainReader(Protocol):
    """The reading side. Every method may raise ChainUnavailable."""

    def head(self) -> Head: ...

    def token(self, token_id: str) -> Token:
        """The PLT at the last finalised block. ChainRefused when the chain has no such token."""
        ...

    def token_balance_units(self, account: str, token_id: str) -> int:
        """Finalised balance; 0 for an account that never held the token. ChainRefused for an unknown account."""
        ...

    def fee_balance_microccd(self, account: str) -> int: ...

    def registry_states(
        self, registry: Contract, addresses: Sequence[str], block_hash: str
    ) -> Mapping[str, RegistryState]:
        """State of each address at that block; asks the registry contract, one answer per address."""
        ...

    def blocks(self, first_height: int, last_height: int, contracts: Sequence[Contract]) -> Iterator[Block]:
        """Finalised blocks in height order without gaps, with the events of these contracts only.

        Bond tokens, funds and registries alike; each contract's module reference decides how its events are read.
        """
        ...

    def lot_balances(
        self, contract: Contract, lots: Sequence[tuple[str, int]], block_hash: str
    ) -> Mapping[tuple[str, int], int]:
        """The raw balance of each (holder, token id) as the bond token contract itself says at that block; 0 for a holder it does not know.

        ChainRefused when the contract gives no answer: then nothing is known of any.
        """
        ...

    def last_block_at(self, moment: datetime) -> Head:
        """The last finalised block whose time is at or before `moment`, settled for ever by a later final block.

        ChainUnavailable while no node has a final block after `moment`; ChainRefused when the chain began later.
        """
        ...

    def has_contract(self, contract: Contract, height: int) -> bool:
        """Whether the contract existed at that final block."""
        ...


class ChainWriter(Protocol):
    """The writing side. Only bonds/services/lane and, for the signature, whoever stores the bytes under its lock may call it."""

    def next_sequence_number(self, account: str) -> int:
        """The account's next number in the last FINALISED block (pending transactions not counted). ChainRefused for an unknown account."""
        ...

    def sign_transfers(
        self,
        *,
        sender: str,
        token_id: str,
        decimals: int,
        transfers: Sequence[Transfer],
        sequence_number: int,
        expires_at: datetime,
    ) -> SignedTransaction:
        """One token update carrying the transfers in order. Pure: same input, same bytes, same hash.

        ChainMisconfigured without the sender's key.
        """
        ...

    def sign_settlements(
        self,
        *,
        sender: str,
        fund: Contract,
        investments: Sequence[Investment],
        execution_energy: int,
        sequence_number: int,
        expires_at: datetime,
    ) -> SignedTransaction:
        """One call of the fund that settles all of these investments or none: a claim after success, a refund after failure. Pure.

        `execution_energy`: the most the call may use. ChainMisconfigured without the sender's key.
        """
        ...

    def submit(self, raw: bytes) -> SubmitHint:
        """Send the block item. Never raises for what a node answers, nor for a node that does not answer."""
        ...

    def states(self, transaction_hashes: Sequence[str]) -> Mapping[str, TransactionState]: ...

    def provably_dead(
        self, *, sender: str, sequence_number: int, expires_at: datetime, transaction_hashes: Sequence[str]
    ) -> bool:
        """True only when no hash ever signed for this number can still be included.

        On one node and in this order: its finalised head's time is past `expires_at`, the sender's number in that block is still
        <= `sequence_number`, and every hash is not found. A second endpoint, where one is configured, agrees.
        """
        ...


class ChainGateway(ChainReader, ChainWriter, Protocol):
    """Both sides. `same_account` compares addresses by account (aliases share the first 29 bytes)."""

    def same_account(self, left: str, right: str) -> bool: ...

    def account_key(self, address: str) -> str:
        """The canonical spelling used as identity in the books: the same for every alias. ValueError for a malformed address."""
        ...
