"""Protocol-level token operations and reject details as CBOR, and back. Reads what it does not know as unknown; never
guesses.

Source: CIS-7 (protocol-level tokens): an operation list is an array of one-entry maps; amounts are decimal fractions
(tag 4), accounts tag 40307.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import cbor2

from bonds.chain.concordium import addresses

U64_MAX = 2**64 - 1
MAX_DECIMALS = 255
MAX_MEMO_BYTES = 256
MAX_DEPTH = 16  # an honest operation list nests seven deep
MAX_TOKEN_ID_BYTES = 128
TOKEN_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.%-")
TAG_DECIMAL_FRACTION = 4
TAG_ENCODED_CBOR = 24
TAG_COIN_INFO = 40305
TAG_ACCOUNT = 40307
CONCORDIUM = 919  # SLIP-44 coin number
COIN_INFO_KEY, ACCOUNT_KEY = 1, 3

SupplyKind = Literal["mint", "burn"]
ListKind = Literal["addAllowList", "removeAllowList", "addDenyList", "removeDenyList"]
SwitchKind = Literal["pause", "unpause"]
SUPPLY_KINDS = ("mint", "burn")
LIST_KINDS = ("addAllowList", "removeAllowList", "addDenyList", "removeDenyList")
SWITCH_KINDS = ("pause", "unpause")


@dataclass(frozen=True)
class TransferOperation:
    """Send base units to an account's 32 bytes. `memo_is_cbor` keeps whether the memo travels in tag 24."""

    recipient: bytes
    amount_units: int
    decimals: int
    memo: bytes | None = None
    memo_is_cbor: bool = False


@dataclass(frozen=True)
class SupplyOperation:
    kind: SupplyKind
    amount_units: int
    decimals: int


@dataclass(frozen=True)
class ListOperation:
    kind: ListKind
    target: bytes


@dataclass(frozen=True)
class SwitchOperation:
    kind: SwitchKind


@dataclass(frozen=True)
class UnknownOperation:
    """An operation of a newer protocol: only its name can be told."""

    kind: str


KnownOperation = TransferOperation | SupplyOperation | ListOperation | SwitchOperation
Operation = KnownOperation | UnknownOperation


@dataclass(frozen=True)
class RejectDetails:
    """What the token module says of a refused update. `reason` is the chain's own text where it gives one, else the
    facts it gives."""

    operation_index: int | None
    reason: str


def check_token_id(token_id: str) -> bytes:
    """The token id as it travels; ValueError when no chain could know it. Comparison of ids ignores case."""
    if not token_id or len(token_id) > MAX_TOKEN_ID_BYTES or not TOKEN_ID_CHARACTERS.issuperset(token_id):
        raise ValueError(f"not a token id: {token_id[:64]!r}")
    return token_id.encode("ascii")


def _amount(units: int, decimals: int) -> cbor2.CBORTag:
    """The exponent is exactly -decimals: the chain refuses 1.00 written with another exponent, equal or not."""
    if not 0 <= units <= U64_MAX:
        raise ValueError(f"amount {units} does not fit an unsigned 64-bit integer")
    if not 0 <= decimals <= MAX_DECIMALS:
        raise ValueError(f"decimals {decimals} are not within 0..{MAX_DECIMALS}")
    return cbor2.CBORTag(TAG_DECIMAL_FRACTION, [-decimals, units])


def _account(account: bytes) -> cbor2.CBORTag:
    if len(account) != 32:
        raise ValueError("an account address has 32 bytes")
    coin_info = cbor2.CBORTag(TAG_COIN_INFO, {1: CONCORDIUM})
    return cbor2.CBORTag(TAG_ACCOUNT, {COIN_INFO_KEY: coin_info, ACCOUNT_KEY: account})


def _operation_map(operation: KnownOperation) -> dict[str, dict[str, Any]]:
    if isinstance(operation, TransferOperation):
        body: dict[str, Any] = {
            "amount": _amount(operation.amount_units, operation.decimals),
            "recipient": _account(operation.recipient),
        }
        if operation.memo is not None:
            if len(operation.memo) > MAX_MEMO_BYTES:
                raise ValueError(f"a memo has at most {MAX_MEMO_BYTES} bytes")
            is_cbor = operation.memo_is_cbor
            body["memo"] = cbor2.CBORTag(TAG_ENCODED_CBOR, operation.memo) if is_cbor else operation.memo
        return {"transfer": body}
    if isinstance(operation, SupplyOperation):
        return {operation.kind: {"amount": _amount(operation.amount_units, operation.decimals)}}
    if isinstance(operation, ListOperation):
        return {operation.kind: {"target": _account(operation.target)}}
    return {operation.kind: {}}


def encode_operations(operations: Sequence[KnownOperation]) -> bytes:
    """CBOR of the operations in order, maps in canonical key order. ValueError for an amount, memo or address that
    cannot travel."""
    return cbor2.dumps([_operation_map(operation) for operation in operations], canonical=True)


def _keep(tag: int) -> Callable[[Any, bool], cbor2.CBORTag]:
    return lambda value, _immutable: cbor2.CBORTag(tag, value)


def _refuse(_value: Any, _immutable: bool) -> Any:
    raise ValueError("references between values are not used here")


# No tag is interpreted. A decimal fraction made a Decimal would lose the exponent, which is part of what is signed; a date, a pattern or a
# rational fails in ways of its own and means nothing here; a reference can make a value contain itself.
KEPT_TAGS = (0, 1, 2, 3, 4, 5, 30, 35, 36, 37, 52, 54, 100, 258, 260, 261, 1004, 43000, 55799)
REFERENCE_TAGS = (25, 28, 29, 256)
TAG_READERS = {tag: _keep(tag) for tag in KEPT_TAGS} | dict.fromkeys(REFERENCE_TAGS, _refuse)


def _load(data: bytes) -> Any:
    stream = BytesIO(data)
    try:
        value = cbor2.load(
            stream,
            semantic_decoders=TAG_READERS,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
        )
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise ValueError(f"malformed CBOR: {error}") from error
    if stream.tell() != len(data):
        raise ValueError("malformed CBOR: bytes left over")
    return value


def _tagged(value: Any, tag: int) -> Any:
    if not isinstance(value, cbor2.CBORTag) or value.tag != tag:
        raise ValueError(f"expected CBOR tag {tag}")
    return value.value


def _read_amount(value: Any) -> tuple[int, int]:
    fraction = _tagged(value, TAG_DECIMAL_FRACTION)
    if not isinstance(fraction, list | tuple) or len(fraction) != 2 or not all(type(part) is int for part in fraction):
        raise ValueError("malformed token amount")
    exponent, units = fraction
    if not -MAX_DECIMALS <= exponent <= 0 or not 0 <= units <= U64_MAX:
        raise ValueError("token amount out of range")
    return units, -exponent


def _is_concordium(coin_info: Any) -> bool:
    return isinstance(coin_info, Mapping) and dict(coin_info) == {1: CONCORDIUM}


def _read_account(value: Any) -> bytes:
    """Coin info may be left out (the Java SDK does); where it is given it must name Concordium."""
    fields = _tagged(value, TAG_ACCOUNT)
    if not isinstance(fields, Mapping) or not set(fields) <= {COIN_INFO_KEY, ACCOUNT_KEY}:
        raise ValueError("malformed account")
    if COIN_INFO_KEY in fields and not _is_concordium(_tagged(fields[COIN_INFO_KEY], TAG_COIN_INFO)):
        raise ValueError("account of another chain")
    account = fields.get(ACCOUNT_KEY)
    if not isinstance(account, bytes) or len(account) != 32:
        raise ValueError("malformed account")
    return account


def _fields(body: Any, required: set[str], optional: frozenset[str] = frozenset()) -> Mapping[str, Any]:
    if not isinstance(body, Mapping) or not required <= set(body) <= required | optional:
        raise ValueError("operation with missing or unexpected fields")
    return body


def _read_transfer(body: Any) -> TransferOperation:
    fields = _fields(body, {"amount", "recipient"}, frozenset({"memo"}))
    units, decimals = _read_amount(fields["amount"])
    memo = fields.get("memo")
    is_cbor = isinstance(memo, cbor2.CBORTag)
    if is_cbor:
        memo = _tagged(memo, TAG_ENCODED_CBOR)
    if memo is not None and not isinstance(memo, bytes):
        raise ValueError("malformed memo")
    return TransferOperation(_read_account(fields["recipient"]), units, decimals, memo, is_cbor)


def _read_operation(entry: Any) -> Operation:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ValueError("an operation is a map with one entry")
    ((kind, body),) = entry.items()
    if kind == "transfer":
        return _read_transfer(body)
    if kind in SUPPLY_KINDS:
        return SupplyOperation(kind, *_read_amount(_fields(body, {"amount"})["amount"]))
    if kind in LIST_KINDS:
        return ListOperation(kind, _read_account(_fields(body, {"target"})["target"]))
    if kind in SWITCH_KINDS:
        _fields(body, set())
        return SwitchOperation(kind)
    if not isinstance(kind, str):
        raise ValueError("an operation is named by a text")
    return UnknownOperation(kind)


def decode_operations(data: bytes) -> tuple[Operation, ...]:
    """The operations of a token update in order; ValueError for bytes that are not an operation list."""
    entries = _load(data)
    if not isinstance(entries, list | tuple):
        raise ValueError("a token update carries a list of operations")
    return tuple(_read_operation(entry) for entry in entries)


def _amount_text(value: Any) -> str:
    units, decimals = _read_amount(value)
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def _fact(value: Any) -> str:
    """One value of a reject detail as text; a shape of a newer protocol as CBOR in hex."""
    if isinstance(value, str | int):
        return str(value)
    tag = value.tag if isinstance(value, cbor2.CBORTag) else None
    try:
        if tag == TAG_DECIMAL_FRACTION:
            return _amount_text(value)
        if tag == TAG_ACCOUNT:
            return addresses.encode(_read_account(value))
    except ValueError:
        pass  # told as hex below: a reject reason must never be lost because one of its facts is odd
    return cbor2.dumps(value).hex()


def decode_reject_details(details: bytes) -> RejectDetails:
    """The index of the failing operation and the reason behind a token module's reject. ValueError for malformed CBOR.

    Known shapes: addressNotFound {index, address}; tokenBalanceInsufficient {index, availableBalance,
    requiredBalance}; operationNotPermitted {index, address?, reason?}; unsupportedOperation {index, operationType,
    reason?}; deserializationFailure {cause?}.
    """
    fields = _load(details)
    if not isinstance(fields, Mapping):
        raise ValueError("reject details are a map")
    index = fields.get("index")
    facts = {str(key): _fact(value) for key, value in fields.items() if key != "index"}
    reason = facts.get("reason") or facts.get("cause") or ", ".join(f"{key} {facts[key]}" for key in sorted(facts))
    return RejectDetails(index if type(index) is int else None, reason)


def decode_token_state(data: bytes) -> Mapping[str, Any]:
    """The token module's state (name, paused, allowList, denyList, ...) by name. ValueError for malformed CBOR."""
    fields = _load(data)
    if not isinstance(fields, Mapping):
        raise ValueError("a token's state is a map")
    return {str(key): value for key, value in fields.items()}
