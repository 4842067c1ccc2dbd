"""The devnet's own reading and writing of addresses and contract values. Must never borrow from the adapter: both would share a mistake.

Sources: base58check addresses (version byte 1 over 32 bytes), CIS-2 (token id with a length byte, ULEB128 amounts, little-endian counts).
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ADDRESS_VERSION = b"\x01"
IDENTITY_BYTES = 29  # the last three bytes of an account address are free: 2^24 aliases of one account
U64_MAX = 2**64 - 1


class EncodingError(ValueError):
    """Bytes or text that do not follow the format."""


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]


def address_text(address: bytes) -> str:
    """Base58check spelling of a 32-byte account address."""
    if len(address) != 32:
        raise EncodingError("an account address has 32 bytes")
    data = ADDRESS_VERSION + address
    data += _checksum(data)
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        digits = ALPHABET[rest] + digits
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + digits


def address_bytes(text: str) -> bytes:
    """The 32 bytes behind a base58check account address; EncodingError for anything else."""
    number = 0
    for character in text:
        value = ALPHABET.find(character)
        if value < 0:
            raise EncodingError(f"not base58: {text!r}")
        number = number * 58 + value
    try:
        data = number.to_bytes(37, "big")
    except OverflowError:
        raise EncodingError(f"not an account address: {text!r}") from None
    if data[:1] != ADDRESS_VERSION or _checksum(data[:33]) != data[33:] or len(text) != len(address_text(data[1:33])):
        raise EncodingError(f"not an account address: {text!r}")
    return data[1:33]


def identity(address: bytes) -> str:
    """What names the account, whichever alias was used: the first 29 bytes, in hex."""
    return address[:IDENTITY_BYTES].hex()


@dataclass(frozen=True)
class ContractAddress:
    index: int
    subindex: int = 0

    def __str__(self) -> str:
        return f"<{self.index},{self.subindex}>"


Address = bytes | ContractAddress  # an account's 32 bytes, or a contract


def address_of(text: str) -> Address:
    """An account in base58, or a contract as "<index,subindex>". EncodingError for anything else."""
    if not text.startswith("<"):
        return address_bytes(text)
    index, _, subindex = text[1:-1].partition(",")
    if not (text.endswith(">") and index.isdecimal() and (subindex or "0").isdecimal()):
        raise EncodingError(f"not a contract address: {text!r}")
    return ContractAddress(int(index), int(subindex or 0))


def uleb128(value: int) -> bytes:
    if value < 0:
        raise EncodingError("an amount is not negative")
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def contract_token_id(token_id: int) -> bytes:
    if not 0 <= token_id <= U64_MAX:
        raise EncodingError("a token id fits u64")
    return b"\x08" + struct.pack("<Q", token_id)


def contract_party(address: Address) -> bytes:
    """A contract's `Address` value: 00 and the account's bytes, or 01, index and subindex."""
    if isinstance(address, ContractAddress):
        if not (0 <= address.index <= U64_MAX and 0 <= address.subindex <= U64_MAX):
            raise EncodingError("a contract's index fits u64")
        return b"\x01" + struct.pack("<QQ", address.index, address.subindex)
    return b"\x00" + address


def contract_address(contract: ContractAddress) -> bytes:
    """A contract where nothing but a contract can stand: index and subindex, no tag."""
    return contract_party(contract)[1:]


def contract_receiver(address: Address, entrypoint: str = "") -> bytes:
    """A `Receiver`: an account, or a contract with the entrypoint it wants to be told at."""
    if isinstance(address, ContractAddress):
        name = entrypoint.encode()
        return contract_party(address) + struct.pack("<H", len(name)) + name
    return contract_party(address)


def vector(items: Sequence[bytes], *, width: int = 4) -> bytes:
    """Items behind their count: `width` bytes of it, four where a contract's type does not say otherwise."""
    return len(items).to_bytes(width, "little") + b"".join(items)


def contract_roles(roles: Iterable[int]) -> bytes:
    return vector([bytes([role]) for role in roles])


def mint_event(token_id: int, amount: int, owner: Address) -> bytes:
    return b"\xfe" + contract_token_id(token_id) + uleb128(amount) + contract_party(owner)


def burn_event(token_id: int, amount: int, owner: Address) -> bytes:
    return b"\xfd" + contract_token_id(token_id) + uleb128(amount) + contract_party(owner)


def transfer_event(token_id: int, amount: int, sender: Address, recipient: Address) -> bytes:
    return b"\xff" + contract_token_id(token_id) + uleb128(amount) + contract_party(sender) + contract_party(recipient)


def frozen_event(token_id: int, amount: int, holder: Address) -> bytes:
    return b"\xf7" + contract_token_id(token_id) + uleb128(amount) + contract_party(holder)


def unfrozen_event(token_id: int, amount: int, holder: Address) -> bytes:
    return b"\xf8" + contract_token_id(token_id) + uleb128(amount) + contract_party(holder)


def paused_event(token_id: int, *, paused: bool) -> bytes:
    return (b"\xf6" if paused else b"\xf5") + contract_token_id(token_id)


def recovered_event(lost: Address, new: Address) -> bytes:
    return b"\xf2" + contract_party(lost) + contract_party(new)


def operator_event(owner: Address, operator: Address, *, added: bool) -> bytes:
    return b"\xfc" + bytes([added]) + contract_party(owner) + contract_party(operator)


def agent_event(tag: int, agent: Address, roles: Iterable[int]) -> bytes:
    """AgentAdded or AgentRemoved of a contract whose agents have roles; each contract has tags of its own."""
    return bytes([tag]) + contract_party(agent) + contract_roles(roles)


def investment_event(
    tag: int, security: tuple[ContractAddress, int], investor: bytes, amounts: tuple[int, int]
) -> bytes:
    """Invested (6), InvestmentClaimed (7) or InvestmentCancelled (8): `amounts` of the security and of the currency."""
    return bytes([tag]) + security_token(security) + investor + uleb128(amounts[0]) + uleb128(amounts[1])


def security_token(security: tuple[ContractAddress, int]) -> bytes:
    """How a fund names what it sells: token contract and token id."""
    return contract_address(security[0]) + contract_token_id(security[1])


class Reader:
    """Walks bytes once, front to back; every read that does not fit is an EncodingError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, length: int) -> bytes:
        end = self.offset + length
        if end > len(self.data):
            raise EncodingError("the bytes end too early")
        piece, self.offset = self.data[self.offset : end], end
        return piece

    def big(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def little(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def uleb128(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if value > U64_MAX:
                raise EncodingError("an amount over u64")
            if not byte & 0x80:
                return value
            shift += 7

    def contract_token_id(self) -> int:
        if self.take(1) != b"\x08":
            raise EncodingError("a token id of this contract has 8 bytes")
        return self.little(8)

    def contract_party(self) -> Address:
        tag = self.take(1)
        if tag == b"\x00":
            return self.take(32)
        if tag == b"\x01":
            return ContractAddress(self.little(8), self.little(8))
        raise EncodingError("neither an account nor a contract")

    def contract_address(self) -> ContractAddress:
        return ContractAddress(self.little(8), self.little(8))

    def contract_receiver(self) -> Address:
        """Who receives; a contract's entrypoint is read and let go: no contract here wants to be told."""
        receiver = self.contract_party()
        if isinstance(receiver, ContractAddress):
            self.take(self.little(2))
        return receiver

    def security_token(self) -> tuple[ContractAddress, int]:
        return self.contract_address(), self.contract_token_id()

    def roles(self, highest: int) -> list[int]:
        """Role numbers, each at most `highest`."""
        roles = [self.little(1) for _ in range(self.little(4))]
        if roles and max(roles) > highest:
            raise EncodingError("no such role")
        return roles

    def boolean(self) -> bool:
        value = self.little(1)
        if value > 1:
            raise EncodingError("neither yes nor no")
        return value == 1

    def finish(self) -> None:
        if self.offset != len(self.data):
            raise EncodingError("bytes are left over")
