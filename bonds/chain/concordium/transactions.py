"""Account transactions (version 0) byte for byte: header, payloads, energy, digest, signatures, block item, hash.
Pure: no clock, no network.

Layout (big endian): kind 00 | signatures | header of 60 bytes | payload. The hash the chain knows is SHA-256 of the
whole block item, kind byte included; a function that leaves the kind byte out names a hash that never exists.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bonds.chain.concordium.addresses import ACCOUNT_BYTES
from bonds.chain.concordium.tokens import Operation, TransferOperation, check_token_id
from bonds.chain.gateway import Contract

BLOCK_ITEM_KIND = 0
UPDATE_CONTRACT_TAG = 2
TOKEN_UPDATE_TAG = 27
HEADER = struct.Struct(">32sQQIQ")
MAX_PAYLOAD_BYTES = 524_297
MAX_BLOCK_ITEM_BYTES = 600 * 1024
SIGNATURE_BYTES = 64
ENERGY_PER_SIGNATURE = 100
ENERGY_TOKEN_UPDATE = 300
ENERGY_TRANSFER = 100
ENERGY_OTHER_OPERATION = 50

Signatures = Mapping[int, Mapping[int, bytes]]  # credential index -> key index -> 64 bytes


class _Reader:
    """Takes fields off the front of bytes; ValueError at the end of them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ValueError("truncated transaction")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError("bytes left over")


@dataclass(frozen=True)
class Header:
    """`expiry_seconds` is Unix time: a block whose time is past it cannot include the transaction."""

    sender: bytes
    sequence_number: int
    energy: int
    payload_size: int
    expiry_seconds: int

    def encode(self) -> bytes:
        if len(self.sender) != ACCOUNT_BYTES:  # the format would pad or cut it in silence
            raise ValueError(f"a sender has {ACCOUNT_BYTES} bytes, not {len(self.sender)}")
        try:
            return HEADER.pack(self.sender, self.sequence_number, self.energy, self.payload_size, self.expiry_seconds)
        except struct.error as error:
            raise ValueError(f"header field out of range: {error}") from error


@dataclass(frozen=True)
class TokenUpdate:
    """Operations on one protocol-level token; `operations` is their CBOR."""

    token_id: str
    operations: bytes

    def encode(self) -> bytes:
        token_id = check_token_id(self.token_id)
        size = len(self.operations).to_bytes(4, "big")
        return bytes([TOKEN_UPDATE_TAG, len(token_id)]) + token_id + size + self.operations


@dataclass(frozen=True)
class ContractUpdate:
    """A call of a contract's entrypoint; `receive_name` is "contract.entrypoint"."""

    contract: Contract
    receive_name: str
    parameter: bytes
    amount_microccd: int = 0

    def encode(self) -> bytes:
        name, contract = self.receive_name.encode("ascii"), self.contract
        try:
            numbers = struct.pack(">BQQQ", UPDATE_CONTRACT_TAG, self.amount_microccd, contract.index, contract.subindex)
            sizes = struct.pack(">H", len(name)), struct.pack(">H", len(self.parameter))
        except struct.error as error:
            raise ValueError(f"contract update field out of range: {error}") from error
        return numbers + sizes[0] + name + sizes[1] + self.parameter


Payload = TokenUpdate | ContractUpdate


def parse_payload(payload: bytes) -> Payload:
    """The payload behind its bytes; ValueError for a kind this product never sends and for malformed bytes."""
    reader = _Reader(payload)
    tag = reader.number(1)
    parsed: Payload
    if tag == TOKEN_UPDATE_TAG:
        token_id = reader.take(reader.number(1)).decode("ascii")
        check_token_id(token_id)
        parsed = TokenUpdate(token_id, reader.take(reader.number(4)))
    elif tag == UPDATE_CONTRACT_TAG:
        amount, contract = reader.number(8), Contract(reader.number(8), reader.number(8))
        name = reader.take(reader.number(2)).decode("ascii")
        parsed = ContractUpdate(contract, name, reader.take(reader.number(2)), amount)
    else:
        raise ValueError(f"payload of unknown kind {tag}")
    reader.finish()
    return parsed


def _base_energy(signature_count: int, payload_size: int) -> int:
    return ENERGY_PER_SIGNATURE * signature_count + HEADER.size + payload_size


def token_update_energy(*, signature_count: int, payload_size: int, operations: tuple[Operation, ...]) -> int:
    """What the chain charges, exactly: per signature, per byte, for the update and for each operation (protocol 9)."""
    specific = sum(
        ENERGY_TRANSFER if isinstance(operation, TransferOperation) else ENERGY_OTHER_OPERATION
        for operation in operations
    )
    return _base_energy(signature_count, payload_size) + ENERGY_TOKEN_UPDATE + specific


def contract_update_energy(*, signature_count: int, payload_size: int, execution_energy: int) -> int:
    """The cost of the message plus the most the contract may use."""
    return _base_energy(signature_count, payload_size) + execution_energy


def signing_digest(header: Header, payload: bytes) -> bytes:
    """What each key signs: SHA-256 of header and payload."""
    return hashlib.sha256(header.encode() + payload).digest()


@dataclass(frozen=True)
class AccountTransaction:
    """A signed transaction. Re-signing the same content with the same keys gives the same bytes (Ed25519 is
    deterministic)."""

    signatures: Signatures
    header: Header
    payload: bytes

    def __repr__(self) -> str:
        return f"<AccountTransaction number {self.header.sequence_number}>"  # signed bytes do not belong in logs

    def encode(self) -> bytes:
        """The whole block item. ValueError where it breaks a limit of the chain or its header contradicts its
        payload."""
        if self.header.payload_size != len(self.payload) or len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"payload of {len(self.payload)} bytes, announced as {self.header.payload_size}")
        item = bytes([BLOCK_ITEM_KIND]) + _encode_signatures(self.signatures) + self.header.encode() + self.payload
        if len(item) > MAX_BLOCK_ITEM_BYTES:
            raise ValueError(f"a block item has at most {MAX_BLOCK_ITEM_BYTES} bytes")
        return item


def _encode_signatures(signatures: Signatures) -> bytes:
    out = bytearray([len(signatures)])
    for credential, keys in sorted(signatures.items()):
        out += bytes([credential, len(keys)])
        for key, signature in sorted(keys.items()):
            out += bytes([key]) + len(signature).to_bytes(2, "big") + signature
    return bytes(out)


def _read_signatures(reader: _Reader) -> Signatures:
    signatures: dict[int, dict[int, bytes]] = {}
    for _ in range(reader.number(1)):
        credential = reader.number(1)
        keys = {reader.number(1): reader.take(reader.number(2)) for _ in range(reader.number(1))}
        if credential in signatures:
            raise ValueError("credential signed twice")
        signatures[credential] = keys
    return signatures


def parse_block_item(raw: bytes) -> AccountTransaction:
    """The transaction inside a block item, exactly: encoding it again gives the same bytes. ValueError for anything
    else."""
    reader = _Reader(raw)
    kind = reader.number(1)
    if kind != BLOCK_ITEM_KIND:
        raise ValueError(f"block item of unknown kind {kind}")
    signatures = _read_signatures(reader)
    header = Header(*HEADER.unpack(reader.take(HEADER.size)))
    transaction = AccountTransaction(signatures, header, reader.rest())
    if transaction.encode() != raw:
        raise ValueError("block item in a form no node would serialise")
    return transaction


def transaction_hash(raw: bytes) -> str:
    """The hash the chain knows the block item by: SHA-256 over all of it, signatures and kind byte included."""
    return hashlib.sha256(raw).hexdigest()
