"""Block items from bytes to a checked structure. Must never execute anything, nor trust a length.

Layout (big endian): kind 00 | credentials, each with keys and signatures | sender 32, sequence number u64, energy u64, payload size u32,
expiry u64 | payload. The hash is sha256 over all of it, kind byte included; keys sign sha256(header | payload).
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from bonds.chain.devnet.encoding import ContractAddress, EncodingError, Reader, identity

ACCOUNT_TRANSACTION = 0
HEADER_BYTES = 60
SIGNATURE_BYTES = 64
MAX_TRANSACTION_BYTES = 600 * 1024
MAX_PAYLOAD_BYTES = 524_297
UPDATE_CONTRACT, TOKEN_UPDATE = 2, 27

Signatures = Mapping[int, Mapping[int, bytes]]


class ParseError(ValueError):
    """Not a block item this network knows."""


@dataclass(frozen=True)
class Transaction:
    """An account transaction. `expiry` in Unix seconds; `transaction_hash` and `digest` are raw bytes."""

    raw: bytes
    transaction_hash: bytes
    sender: bytes
    sequence_number: int
    energy: int
    expiry: int
    payload: bytes
    signatures: Signatures
    digest: bytes

    @property
    def account(self) -> str:
        return identity(self.sender)

    @property
    def signature_count(self) -> int:
        return sum(len(keys) for keys in self.signatures.values())

    @property
    def base_energy(self) -> int:
        """Paid whatever the payload does: 100 per signature, one per byte of header and payload."""
        return 100 * self.signature_count + HEADER_BYTES + len(self.payload)

    def expired(self, time_ms: int) -> bool:
        """Strictly: a transaction may still enter a block whose time equals its expiry."""
        return 1000 * self.expiry < time_ms


@dataclass(frozen=True)
class TokenUpdate:
    token_id: str
    operations: bytes


@dataclass(frozen=True)
class ContractUpdate:
    amount: int
    contract: ContractAddress
    receive_name: str
    parameter: bytes


Payload = TokenUpdate | ContractUpdate


def parse_block_item(raw: bytes) -> Transaction:
    """The account transaction in `raw`, every byte accounted for. ParseError otherwise."""
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise ParseError("larger than 600 KiB")
    reader = Reader(raw)
    try:
        if reader.big(1) != ACCOUNT_TRANSACTION:
            raise ParseError("only account transactions of version 0 are known here")
        signatures = _signatures(reader)
        start = reader.offset
        sender = reader.take(32)
        sequence_number, energy, size, expiry = (reader.big(width) for width in (8, 8, 4, 8))
        if size > MAX_PAYLOAD_BYTES:
            raise ParseError("the payload is over the limit")
        payload = reader.take(size)
        reader.finish()
    except EncodingError as error:
        raise ParseError(str(error)) from error
    if sequence_number < 1:
        raise ParseError("sequence numbers start at 1")
    return Transaction(
        raw=raw,
        transaction_hash=hashlib.sha256(raw).digest(),
        sender=sender,
        sequence_number=sequence_number,
        energy=energy,
        expiry=expiry,
        payload=payload,
        signatures=signatures,
        digest=hashlib.sha256(raw[start:]).digest(),
    )


def _signatures(reader: Reader) -> dict[int, dict[int, bytes]]:
    found: dict[int, dict[int, bytes]] = {}
    for _ in range(_at_least_one(reader)):
        credential = _ascending(reader.big(1), found)
        keys: dict[int, bytes] = {}
        for _ in range(_at_least_one(reader)):
            key = _ascending(reader.big(1), keys)
            if reader.big(2) != SIGNATURE_BYTES:
                raise ParseError("a signature has 64 bytes")
            keys[key] = reader.take(SIGNATURE_BYTES)
        found[credential] = keys
    return found


def _at_least_one(reader: Reader) -> int:
    count = reader.big(1)
    if not count:
        raise ParseError("no signature")
    return count


def _ascending(index: int, seen: Mapping[int, object]) -> int:
    if seen and index <= max(seen):
        raise ParseError("signatures out of order")
    return index


def signature_bytes(signatures: Signatures) -> bytes:
    """The signature map as it stands in a block item, in the order of its indexes."""
    out = bytes([len(signatures)])
    for credential in sorted(signatures):
        keys = signatures[credential]
        out += bytes([credential, len(keys)])
        for key in sorted(keys):
            out += struct.pack(">BH", key, len(keys[key])) + keys[key]
    return out


def parse_payload(payload: bytes) -> Payload:
    """A token update or a contract update. EncodingError for malformed bytes, ParseError for another type."""
    reader = Reader(payload)
    kind = reader.big(1)
    if kind == TOKEN_UPDATE:
        name = reader.take(reader.big(1))
        operations = reader.take(reader.big(4))
        reader.finish()
        try:
            return TokenUpdate(name.decode("ascii"), operations)
        except UnicodeDecodeError:
            raise EncodingError("a token id is ASCII") from None
    if kind == UPDATE_CONTRACT:
        amount, index, subindex = reader.big(8), reader.big(8), reader.big(8)
        name, parameter = reader.take(reader.big(2)), reader.take(reader.big(2))
        reader.finish()
        try:
            return ContractUpdate(amount, ContractAddress(index, subindex), name.decode("ascii"), parameter)
        except UnicodeDecodeError:
            raise EncodingError("a receive name is ASCII") from None
    raise ParseError(f"payload type {kind} is not known here")


def signed_by(transaction: Transaction, account: Mapping[str, object]) -> bool:
    """Whether enough of the account's keys signed, and no signature is by another key or over other bytes."""
    keys: Mapping[str, Mapping[str, str]] = account["keys"]  # type: ignore[assignment]
    if len(transaction.signatures) < account["account_threshold"]:  # type: ignore[operator]
        return False
    for credential, signatures in transaction.signatures.items():
        known = keys.get(str(credential), {})
        if len(signatures) < account["credential_threshold"]:  # type: ignore[operator]
            return False
        for index, signature in signatures.items():
            key = known.get(str(index))
            if key is None or not _valid(bytes.fromhex(key), transaction.digest, signature):
                return False
    return True


def _valid(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return False
    return True
