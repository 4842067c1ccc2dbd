"""Reads the fields of a control request. Must never let one through that is missing, of another kind or out of range."""

from collections.abc import Mapping
from typing import Any

from bonds.chain.devnet.encoding import U64_MAX

Request = Mapping[str, Any]
HASH_BYTES = 32


class ControlError(ValueError):
    """The request cannot be done; the text names the field and says why."""


def whole(request: Request, name: str, *, least: int = 0, most: int = U64_MAX, default: int | None = None) -> int:
    """A whole number between `least` and `most`; `default` where the field is absent and has one."""
    value = request.get(name, default)
    if type(value) is not int or not least <= value <= most:
        raise ControlError(f"{name}: a whole number from {least} to {most}, not {value!r}")
    return value


def flag(request: Request, name: str) -> bool:
    value = request.get(name)
    if type(value) is not bool:
        raise ControlError(f"{name}: true or false, not {value!r}")
    return value


def text(request: Request, name: str, *, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str) or not value:
        raise ControlError(f"{name}: a text, not {value!r}")
    return value


def hash_of(value: object, name: str) -> bytes:
    """The 32 bytes of a hash in hex."""
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != HASH_BYTES:
        raise ControlError(f"{name}: a hash is 64 hexadecimal digits, not {value!r}")
    return data


def hashes(request: Request, name: str) -> list[bytes]:
    values = request.get(name)
    if not isinstance(values, list):
        raise ControlError(f"{name}: a list of hashes, not {values!r}")
    return [hash_of(value, name) for value in values]
