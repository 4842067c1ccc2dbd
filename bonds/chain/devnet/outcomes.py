"""What executing a transaction did, as plain values. Must never know how it travels: render.py does that."""

from dataclasses import dataclass

from bonds.chain.devnet.encoding import Address, ContractAddress


class Reject(Exception):
    """The transaction enters its block without effect; this says why."""


class OutOfEnergy(Reject):
    """The stated energy is used up: all of it is charged and nothing else happens."""


class SerializationFailure(Reject):
    """The payload's bytes mean nothing."""


@dataclass(eq=False)
class UnknownToken(Reject):
    token_id: str


@dataclass(eq=False)
class TokenRejected(Reject):
    """The token module's reason: its type and CBOR details."""

    token_id: str
    reason: str
    details: bytes


@dataclass(eq=False)
class UnknownContract(Reject):
    contract: ContractAddress


@dataclass(eq=False)
class UnknownEntrypoint(Reject):
    module_ref: bytes
    receive_name: str


@dataclass(eq=False)
class ContractRejected(Reject):
    """A contract's own error code."""

    code: int
    contract: ContractAddress
    receive_name: str
    parameter: bytes


@dataclass(frozen=True)
class TokenTransferred:
    sender: bytes
    recipient: bytes
    amount: int
    memo: bytes | None


@dataclass(frozen=True)
class TokenSupplyChanged:
    """Minted to, or burned from, the target."""

    minted: bool
    target: bytes
    amount: int


@dataclass(frozen=True)
class TokenModuleEvent:
    type: str
    details: bytes


TokenEvent = TokenTransferred | TokenSupplyChanged | TokenModuleEvent


@dataclass(frozen=True)
class TokenEffect:
    token_id: str
    decimals: int
    events: tuple[TokenEvent, ...]


@dataclass(frozen=True)
class Updated:
    """An invocation that ended: who called what with which bytes, and the events since its last interruption."""

    contract: ContractAddress
    instigator: Address
    amount: int
    receive_name: str
    parameter: bytes
    events: tuple[bytes, ...]


@dataclass(frozen=True)
class Interrupted:
    """A contract calls another: what it had logged until then."""

    contract: ContractAddress
    events: tuple[bytes, ...]


@dataclass(frozen=True)
class Resumed:
    """The call came back. After a failed one, nothing between interruption and resumption took effect."""

    contract: ContractAddress
    success: bool


TraceStep = Updated | Interrupted | Resumed


@dataclass(frozen=True)
class ContractEffect:
    """What a contract update did, in order."""

    trace: tuple[TraceStep, ...]


@dataclass(frozen=True)
class Outcome:
    """A transaction's place in its block: `effect` or `reject`, and what it cost the sender."""

    transaction_hash: bytes
    sender: bytes
    transaction_type: int | None
    energy: int
    cost_microccd: int
    effect: TokenEffect | ContractEffect | None
    reject: Reject | None


class Meter:
    """Counts energy against what the sender stated."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def tick(self, energy: int) -> None:
        self.used += energy
        if self.used > self.limit:
            self.used = self.limit
            raise OutOfEnergy
