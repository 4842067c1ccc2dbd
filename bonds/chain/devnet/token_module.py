"""The protocol-level token module, version 0: operations, the order of its checks, its exact reject reasons. Must never half-apply.

Source: CIS-7 (operations and their CBOR) and the token module of protocol 9 (order of checks, reason texts, energy of each operation).
The caller runs this on a draft of its own and throws the draft away on a Reject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bonds.chain.devnet import cbor
from bonds.chain.devnet.encoding import U64_MAX, identity
from bonds.chain.devnet.outcomes import (
    Meter,
    TokenEffect,
    TokenEvent,
    TokenModuleEvent,
    TokenRejected,
    TokenSupplyChanged,
    TokenTransferred,
)
from bonds.chain.devnet.seed import token_key
from bonds.chain.devnet.state import Draft, View

MODULE_REF = bytes.fromhex(
    "5c5c2645db84a7026d78f2501740f60a8ccb8fae5c166dc2428077fd9a699a4a"
)  # sha256("TokenModuleV0")
BASE_ENERGY, TRANSFER_ENERGY, OTHER_ENERGY = 300, 100, 50
MAX_MEMO_BYTES = 256
TAG_DECIMAL, TAG_CBOR, TAG_COIN_INFO, TAG_ACCOUNT, CONCORDIUM_COIN = 4, 24, 40305, 40307, 919
LISTS = {
    "addAllowList": ("allow_list", "allowed", True),
    "removeAllowList": ("allow_list", "allowed", False),
    "addDenyList": ("deny_list", "denied", True),
    "removeDenyList": ("deny_list", "denied", False),
}
FEATURE_NAMES = {"allow_list": "allowList", "deny_list": "denyList"}


class _Undecodable(ValueError):
    """Why the operations could not be read."""


@dataclass(frozen=True)
class Holder:
    """An account named in an operation; `with_coin`: the sender wrote the coin info, so a reason repeats it."""

    address: bytes
    with_coin: bool

    def cbor(self) -> cbor.Tag:
        return holder_cbor(self.address, with_coin=self.with_coin)


@dataclass(frozen=True)
class Operation:
    name: str
    amount: int = 0
    target: Holder | None = None
    memo: bytes | None = None


def holder_cbor(address: bytes, *, with_coin: bool = True) -> cbor.Tag:
    coin = {1: cbor.Tag(TAG_COIN_INFO, {1: CONCORDIUM_COIN})} if with_coin else {}
    return cbor.Tag(TAG_ACCOUNT, {**coin, 3: address})


def amount_cbor(amount: int, decimals: int) -> cbor.Tag:
    return cbor.Tag(TAG_DECIMAL, [-decimals, amount])


# ---- decoding -----------------------------------------------------------------------------------------------------


def decode_operations(data: bytes, *, decimals: int) -> list[Operation]:
    """The operations in order. _Undecodable when anything is not exactly as CIS-7 says, an amount of other decimals included."""
    try:
        listed = cbor.loads(data)
    except cbor.CborError as error:
        raise _Undecodable(str(error)) from error
    if not isinstance(listed, list):
        raise _Undecodable("operations are a list")
    return [_operation(item, decimals) for item in listed]


def _operation(item: Any, decimals: int) -> Operation:
    if not isinstance(item, dict) or len(item) != 1:
        raise _Undecodable("an operation is a map of one entry")
    ((name, body),) = item.items()
    if not isinstance(body, dict):
        raise _Undecodable("an operation's body is a map")
    if name == "transfer":
        _fields(body, required={"amount", "recipient"}, optional={"memo"})
        return Operation(
            name,
            amount=_amount(body["amount"], decimals),
            target=_holder(body["recipient"]),
            memo=_memo(body.get("memo")),
        )
    if name in ("mint", "burn"):
        _fields(body, required={"amount"})
        return Operation(name, amount=_amount(body["amount"], decimals))
    if name in LISTS:
        _fields(body, required={"target"})
        return Operation(name, target=_holder(body["target"]))
    if name in ("pause", "unpause"):
        _fields(body, required=set())
        return Operation(name)
    raise _Undecodable(f"unknown operation {name!r}")


def _fields(body: Mapping[Any, Any], *, required: set[str], optional: frozenset[str] | set[str] = frozenset()) -> None:
    if not required <= body.keys() <= required | optional:
        raise _Undecodable("missing or unknown fields")


def _amount(value: Any, decimals: int) -> int:
    if (
        not isinstance(value, cbor.Tag)
        or value.number != TAG_DECIMAL
        or not isinstance(value.value, list)
        or len(value.value) != 2
    ):
        raise _Undecodable("an amount is a decimal fraction")
    exponent, digits = value.value
    if type(exponent) is not int or type(digits) is not int or not -255 <= exponent <= 0 or not 0 <= digits <= U64_MAX:
        raise _Undecodable("an amount out of range")
    if exponent != -decimals:
        raise _Undecodable("Token amount outside representable range: Token amount precision mismatch")
    return digits


def _holder(value: Any) -> Holder:
    if not isinstance(value, cbor.Tag) or value.number != TAG_ACCOUNT or not isinstance(value.value, dict):
        raise _Undecodable("a holder is a tagged account address")
    body = value.value
    if not {3} <= body.keys() <= {1, 3} or not isinstance(body[3], bytes) or len(body[3]) != 32:
        raise _Undecodable("an account address has 32 bytes")
    if 1 in body and body[1] != cbor.Tag(TAG_COIN_INFO, {1: CONCORDIUM_COIN}):
        raise _Undecodable("an address of another chain")
    return Holder(body[3], with_coin=1 in body)


def _memo(value: Any) -> bytes | None:
    """The memo's bytes; the tag that says they are CBOR is dropped, as the chain's event does."""
    if isinstance(value, cbor.Tag) and value.number == TAG_CBOR:
        value = value.value
    if value is not None and (not isinstance(value, bytes) or len(value) > MAX_MEMO_BYTES):
        raise _Undecodable("a memo is at most 256 bytes")
    return value


# ---- execution ----------------------------------------------------------------------------------------------------


def execute(draft: Draft, *, token_id: str, sender: bytes, operations: bytes, meter: Meter) -> TokenEffect:
    """Apply all operations to `draft`. TokenRejected at the first that fails (energy charged up to and including it), OutOfEnergy."""
    token = draft.get(f"token/{token_key(token_id)}")
    run = _Run(draft, token, sender)
    try:
        decoded = decode_operations(operations, decimals=token["decimals"])
    except _Undecodable as error:
        raise run.rejected("deserializationFailure", cause=str(error)) from error
    events: list[TokenEvent] = []
    for index, operation in enumerate(decoded):
        meter.tick(TRANSFER_ENERGY if operation.name == "transfer" else OTHER_ENERGY)
        events.append(run.operation(index, operation))
    return TokenEffect(token["token_id"], token["decimals"], tuple(events))


class _Run:
    """One token update on one draft."""

    def __init__(self, draft: Draft, token: Mapping[str, Any], sender: bytes) -> None:
        self.draft = draft
        self.token = token
        self.key = token_key(token["token_id"])
        self.sender = sender

    def operation(self, index: int, operation: Operation) -> TokenEvent:
        if operation.name == "transfer":
            return self.transfer(index, operation)
        if identity(self.sender) != identity(bytes.fromhex(self.token["governance"])):
            raise self.not_permitted(
                index, "sender is not the token governance account", Holder(self.sender, with_coin=True)
            )
        if operation.name == "mint":
            return self.mint(index, operation)
        if operation.name == "burn":
            return self.burn(index, operation)
        if operation.name in LISTS:
            return self.change_list(index, operation)
        self.draft.put(f"paused/{self.key}", operation.name == "pause")
        return TokenModuleEvent(operation.name, cbor.dumps({}))

    def transfer(self, index: int, operation: Operation) -> TokenEvent:
        recipient = operation.target
        assert recipient is not None
        self.check_not_paused(index, "transfer")
        self.check_account(index, recipient)
        sender = Holder(self.sender, with_coin=True)
        for side, holder in (("sender", sender), ("recipient", recipient)):
            if self.token["allow_list"] and not self.listed("allowed", holder.address):
                raise self.not_permitted(index, f"{side} not in allow list", holder)
        for side, holder in (("sender", sender), ("recipient", recipient)):
            if self.token["deny_list"] and self.listed("denied", holder.address):
                raise self.not_permitted(index, f"{side} in deny list", holder)
        self.take(index, operation.amount)
        self.give(recipient.address, operation.amount)
        return TokenTransferred(self.sender, recipient.address, operation.amount, operation.memo)

    def mint(self, index: int, operation: Operation) -> TokenEvent:
        self.check_not_paused(index, "mint")
        self.check_feature(index, "mint", "mintable")
        supply = self.draft.get(f"supply/{self.key}", 0)
        if supply + operation.amount > U64_MAX:
            raise self.rejected(
                "mintWouldOverflow",
                index=index,
                requestedAmount=self.amount(operation.amount),
                currentSupply=self.amount(supply),
                maxRepresentableAmount=self.amount(U64_MAX),
            )
        self.draft.put(f"supply/{self.key}", supply + operation.amount)
        self.give(self.sender, operation.amount)
        return TokenSupplyChanged(True, self.sender, operation.amount)

    def burn(self, index: int, operation: Operation) -> TokenEvent:
        self.check_not_paused(index, "burn")
        self.check_feature(index, "burn", "burnable")
        self.take(index, operation.amount)
        self.draft.put(f"supply/{self.key}", self.draft.get(f"supply/{self.key}", 0) - operation.amount)
        return TokenSupplyChanged(False, self.sender, operation.amount)

    def change_list(self, index: int, operation: Operation) -> TokenEvent:
        feature, kind, listed = LISTS[operation.name]
        target = operation.target
        assert target is not None
        self.check_feature(index, operation.name, feature)
        self.check_account(index, target)
        self.give(target.address, 0)  # a listed account shows the token, balance zero included
        self.draft.put(f"{kind}/{self.key}/{identity(target.address)}", True if listed else None)
        return TokenModuleEvent(operation.name, cbor.dumps({"target": target.cbor()}))

    # -- the module's own reading and writing of balances

    def balance_cell(self, address: bytes) -> str:
        return f"balance/{self.key}/{identity(address)}"

    def take(self, index: int, amount: int) -> None:
        cell = self.balance_cell(self.sender)
        available = self.draft.get(cell, 0)
        if available < amount:
            raise self.rejected(
                "tokenBalanceInsufficient",
                index=index,
                availableBalance=self.amount(available),
                requiredBalance=self.amount(amount),
            )
        self.draft.put(cell, available - amount)

    def give(self, address: bytes, amount: int) -> None:
        cell = self.balance_cell(address)
        self.draft.put(cell, self.draft.get(cell, 0) + amount)

    def listed(self, kind: str, address: bytes) -> bool:
        return bool(self.draft.get(f"{kind}/{self.key}/{identity(address)}", False))

    # -- checks and their reasons

    def check_not_paused(self, index: int, name: str) -> None:
        if self.draft.get(f"paused/{self.key}", False):
            raise self.not_permitted(index, f"token operation {name} is paused", None)

    def check_feature(self, index: int, name: str, feature: str) -> None:
        if not self.token[feature]:
            raise self.rejected("unsupportedOperation", index=index, operationType=name, reason="feature not enabled")

    def check_account(self, index: int, holder: Holder) -> None:
        if self.draft.get(f"account/{identity(holder.address)}") is None:
            raise self.rejected("addressNotFound", index=index, address=holder.cbor())

    def amount(self, amount: int) -> cbor.Tag:
        return amount_cbor(amount, self.token["decimals"])

    def not_permitted(self, index: int, reason: str, holder: Holder | None) -> TokenRejected:
        address = {} if holder is None else {"address": holder.cbor()}
        return self.rejected("operationNotPermitted", index=index, reason=reason, **address)

    def rejected(self, kind: str, /, **details: Any) -> TokenRejected:
        return TokenRejected(self.token["token_id"], kind, cbor.dumps(details))


# ---- queries ------------------------------------------------------------------------------------------------------


def module_state(view: View, token: Mapping[str, Any]) -> bytes:
    """CBOR of the token's own state, as a token info query answers it."""
    return cbor.dumps(
        {
            "name": token["name"],
            "metadata": {"url": f"https://example.com/{token['token_id']}.json"},
            "governanceAccount": holder_cbor(bytes.fromhex(token["governance"]), with_coin=False),
            "allowList": token["allow_list"],
            "denyList": token["deny_list"],
            "mintable": token["mintable"],
            "burnable": token["burnable"],
            "paused": view.get(f"paused/{token_key(token['token_id'])}", False),
        }
    )


def account_state(view: View, token: Mapping[str, Any], account: str) -> bytes:
    """CBOR of what the token knows of one account: its place on the lists that are in force."""
    key = token_key(token["token_id"])
    lists: Sequence[tuple[str, str]] = (("allow_list", "allowed"), ("deny_list", "denied"))
    return cbor.dumps(
        {
            FEATURE_NAMES[feature]: view.get(f"{kind}/{key}/{account}", False)
            for feature, kind in lists
            if token[feature]
        }
    )
