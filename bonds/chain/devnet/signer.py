"""Builds and signs account transactions with the devnet's own code: for its operator and for tests. Must never serve the product.

Signatures: {credential index: {key index: seed}}. Energy beyond the base is the caller's to state.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence

from nacl.signing import SigningKey

from bonds.chain.devnet import cbor
from bonds.chain.devnet.encoding import address_bytes
from bonds.chain.devnet.parse import HEADER_BYTES, TOKEN_UPDATE, UPDATE_CONTRACT, signature_bytes
from bonds.chain.devnet.token_module import BASE_ENERGY, TRANSFER_ENERGY, amount_cbor, holder_cbor


class Signer:
    """An account's keys, in memory."""

    def __init__(self, address: str, seeds: Mapping[int, Mapping[int, str]]) -> None:
        self.address = address_bytes(address)
        self._keys = {
            credential: {index: SigningKey(bytes.fromhex(seed)) for index, seed in keys.items()}
            for credential, keys in seeds.items()
        }

    def item(self, payload: bytes, *, sequence_number: int, energy: int, expiry: int) -> bytes:
        """A signed block item. `energy` is what the payload's execution may use; `expiry` in Unix seconds."""
        count = sum(len(keys) for keys in self._keys.values())
        stated = 100 * count + HEADER_BYTES + len(payload) + energy
        body = self.address + struct.pack(">QQIQ", sequence_number, stated, len(payload), expiry) + payload
        digest = hashlib.sha256(body).digest()
        signatures = {
            credential: {index: key.sign(digest).signature for index, key in keys.items()}
            for credential, keys in self._keys.items()
        }
        return b"\x00" + signature_bytes(signatures) + body


def transfer(recipient: bytes, amount: int, decimals: int, memo: bytes | None = None) -> dict[str, object]:
    """One transfer operation of a token update."""
    body: dict[str, object] = {"amount": amount_cbor(amount, decimals), "recipient": holder_cbor(recipient)}
    return {"transfer": body if memo is None else {**body, "memo": memo}}


def token_update(token_id: str, operations: Sequence[dict[str, object]]) -> tuple[bytes, int]:
    """Payload of a token update and the energy its execution may use."""
    name, body = token_id.encode(), cbor.dumps(list(operations))
    payload = bytes([TOKEN_UPDATE, len(name)]) + name + struct.pack(">I", len(body)) + body
    return payload, BASE_ENERGY + TRANSFER_ENERGY * len(operations)


def contract_update(index: int, receive_name: str, parameter: bytes) -> bytes:
    """Payload of a contract update that sends no CCD."""
    name = receive_name.encode()
    head = struct.pack(">BQQQH", UPDATE_CONTRACT, 0, index, 0, len(name))
    return head + name + struct.pack(">H", len(parameter)) + parameter
