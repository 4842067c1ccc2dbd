"""Account addresses: base58check text to 32 bytes and back, and which spellings name the same account.

Format: base58 (Bitcoin's alphabet) of version byte 1, the 32 address bytes and the first four bytes of their double
SHA-256.
"""

import hashlib

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# Read two characters at a time: every transfer of every batch comes through here.
VALUE_OF_PAIR = {
    left + right: len(ALPHABET) * high + low for high, left in enumerate(ALPHABET) for low, right in enumerate(ALPHABET)
}
PAIRS = len(VALUE_OF_PAIR)
VERSION = b"\x01"
ACCOUNT_BYTES = 32
IDENTITY_BYTES = 29  # the last three bytes are free: each account has 2^24 spellings
CHECKSUM_BYTES = 4
TEXT_LENGTH = 50  # of 37 bytes whose first is 1: 58^49 < 2^288 and 2^289 < 58^50


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()[:CHECKSUM_BYTES]


def encode(account: bytes) -> str:
    """Base58check text of an account's 32 bytes; ValueError for any other length."""
    if len(account) != ACCOUNT_BYTES:
        raise ValueError(f"an account address has {ACCOUNT_BYTES} bytes, not {len(account)}")
    data = VERSION + account
    number = int.from_bytes(data + _checksum(data), "big")
    digits = []
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def decode(address: str) -> bytes:
    """The 32 bytes behind base58check text; ValueError for a wrong character, length, version or checksum."""
    malformed = ValueError(f"not an account address: {address[:64]!r}")
    if len(address) != TEXT_LENGTH:
        raise malformed
    number = 0
    try:
        for at in range(0, TEXT_LENGTH, 2):
            number = number * PAIRS + VALUE_OF_PAIR[address[at : at + 2]]
    except KeyError:
        raise malformed from None
    length = len(VERSION) + ACCOUNT_BYTES + CHECKSUM_BYTES
    if number.bit_length() > 8 * length:
        raise malformed
    raw = number.to_bytes(length, "big")
    data, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    if data[:1] != VERSION or checksum != _checksum(data):
        raise malformed
    return data[1:]


def alias(account: bytes, counter: int) -> bytes:
    """Another spelling of the same account: its identity and a free 24-bit counter."""
    return account[:IDENTITY_BYTES] + counter.to_bytes(ACCOUNT_BYTES - IDENTITY_BYTES, "big")


def canonical(address: str) -> str:
    """The one spelling that stands for every alias of the account (counter 0). ValueError for a malformed address.

    An identity for the books only. A contract compares all 32 bytes, so ask a registry or a token contract with the
    spelling it gave.
    """
    return encode(alias(decode(address), 0))


def same_account(left: str, right: str) -> bool:
    """True when both spellings name one account. ValueError for a malformed address."""
    return decode(left)[:IDENTITY_BYTES] == decode(right)[:IDENTITY_BYTES]
