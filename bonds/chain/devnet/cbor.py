"""A small CBOR reader and writer for token operations (RFC 8949), the devnet's own. Must never interpret a tag: decimals stay exact.

Reads any well-formed integer, byte string, text, array, map, tag and simple value, also of indefinite length, since the chain accepts
non-preferred encodings. Floats are refused: nothing of a token operation is one. Writes the canonical form.
"""

from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 32
BREAK = object()
SIMPLE = {20: False, 21: True, 22: None}


class CborError(ValueError):
    """Not well-formed CBOR, or of a kind no token operation uses."""


@dataclass(frozen=True)
class Tag:
    number: int
    value: Any


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * width):
            return bytes([major << 5 | code]) + argument.to_bytes(width, "big")
    raise CborError("an integer over u64")


def dumps(value: Any) -> bytes:  # noqa: PLR0911 - one line per kind of value
    """Canonical encoding: shortest heads, definite lengths, map keys in the order of their encoded bytes."""
    if isinstance(value, bool) or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return _head(3, len(data)) + data
    if isinstance(value, list | tuple):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    if isinstance(value, dict):
        pairs = sorted((dumps(key), dumps(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, Tag):
        return _head(6, value.number) + dumps(value.value)
    raise CborError(f"cannot write {type(value).__name__}")


def loads(data: bytes) -> Any:
    """One value, with no byte left over. CborError otherwise."""
    reader = _Reader(data)
    value = reader.value(depth=0)
    if value is BREAK or reader.offset != len(data):
        raise CborError("bytes are left over")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, length: int) -> bytes:
        end = self.offset + length
        if end > len(self.data):
            raise CborError("the bytes end too early")
        piece, self.offset = self.data[self.offset : end], end
        return piece

    def head(self) -> tuple[int, int | None]:
        """Major type and argument; None: indefinite length (or the break)."""
        first = self.take(1)[0]
        major, code = first >> 5, first & 31
        if code < 24:
            return major, code
        if code == 31:
            return major, None
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(code)
        if width is None:
            raise CborError("a reserved length")
        if major == 7:
            raise CborError("floats and extended simple values are not used here")
        return major, int.from_bytes(self.take(width), "big")

    def value(self, *, depth: int) -> Any:  # noqa: PLR0911 - one line per kind of value
        if depth > MAX_DEPTH:
            raise CborError("nested too deeply")
        major, argument = self.head()
        match major:
            case 0 | 1 if argument is not None:
                return argument if major == 0 else -1 - argument
            case 2 | 3:
                return self.text(major, argument)
            case 4:
                return self.items(argument, depth)
            case 5:
                return self.pairs(argument, depth)
            case 6 if argument is not None:
                return Tag(argument, self.inner(depth))
            case 7 if argument is None:
                return BREAK
            case 7 if argument in SIMPLE:
                return SIMPLE[argument]
        raise CborError("a kind of value that is not used here")

    def inner(self, depth: int) -> Any:
        value = self.value(depth=depth + 1)
        if value is BREAK:
            raise CborError("a break in the wrong place")
        return value

    def text(self, major: int, length: int | None) -> bytes | str:
        if length is not None:
            data = self.take(length)
        else:
            data = b""
            while (head := self.head()) != (7, None):
                if head[0] != major or head[1] is None:
                    raise CborError("a chunk of another kind")
                data += self.take(head[1])
        if major == 2:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise CborError("text that is not UTF-8") from None

    def items(self, count: int | None, depth: int) -> list[Any]:
        if count is not None:
            if count > len(self.data):
                raise CborError("the bytes end too early")
            return [self.inner(depth) for _ in range(count)]
        found = []
        while (value := self.value(depth=depth + 1)) is not BREAK:
            found.append(value)
        return found

    def pairs(self, count: int | None, depth: int) -> dict[Any, Any]:
        flat = self.items(None if count is None else 2 * count, depth)
        if len(flat) % 2:
            raise CborError("a map key without a value")
        keys = flat[::2]
        if not all(isinstance(key, int | str | bytes) for key in keys):
            raise CborError("a map key that is neither a number nor a string")
        if len(set(keys)) != len(keys):
            raise CborError("a map key twice")
        return dict(zip(keys, flat[1::2], strict=True))
