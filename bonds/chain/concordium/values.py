"""Contract values byte for byte: numbers, amounts, token ids and addresses, and how the gateway spells an address.

Little endian. Address: 00 + 32 bytes, or 01 + index u64 + subindex u64. Token id: length byte 08 + u64. Amount:
unsigned LEB128. Source: CIS-2; the deployed contracts' own schemas.
"""

import re
import struct
from collections.abc import Sequence

from bonds.chain.concordium import addresses
from bonds.chain.gateway import Contract

U64_MAX = 2**64 - 1
TOKEN_ID_BYTES = 8
MAX_LEB128_BYTES = 10  # of an unsigned 64-bit number
CONTRACT_TEXT = re.compile(r"<(0|[1-9][0-9]{0,19}),(0|[1-9][0-9]{0,19})>")

Address = str | Contract  # base58check account, or contract


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


# ---- addresses in words ----


def address_text(address: Address) -> str:
    """How the gateway spells an address: base58check, or "<index,subindex>" for a contract."""
    return address if isinstance(address, str) else f"<{address.index},{address.subindex}>"


def parse_address(text: str) -> Address:
    """The address behind `address_text`. ValueError for anything else."""
    match = CONTRACT_TEXT.fullmatch(text)
    if match is None:
        addresses.decode(text)
        return text
    index, subindex = (int(number) for number in match.groups())
    if max(index, subindex) > U64_MAX:
        raise ValueError(f"not a contract address: {text}")
    return Contract(index, subindex)


# ---- encoding ----


def encode_u64(value: int) -> bytes:
    if not 0 <= value <= U64_MAX:
        raise ValueError(f"{value} does not fit an unsigned 64-bit integer")
    return value.to_bytes(8, "little")


def encode_amount(value: int) -> bytes:
    encode_u64(value)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_token_id(token_id: int) -> bytes:
    return bytes([TOKEN_ID_BYTES]) + encode_u64(token_id)


def encode_contract(contract: Contract) -> bytes:
    return encode_u64(contract.index) + encode_u64(contract.subindex)


def encode_address(address: Address) -> bytes:
    """An address as contracts take it. ValueError for a malformed one."""
    if isinstance(address, Contract):
        return b"\x01" + encode_contract(address)
    return b"\x00" + addresses.decode(address)


def encode_vector(items: Sequence[bytes], count_format: str) -> bytes:
    try:
        return struct.pack(count_format, len(items)) + b"".join(items)
    except struct.error as error:
        raise ValueError(f"{len(items)} entries are too many for one call") from error
