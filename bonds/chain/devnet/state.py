"""The devnet's state: named cells that remember every value they had and since which block. Must never forget a finalised value.

A cell's key is text, its first part the kind: `balance/EURD/<account>`. Values are what JSON can hold. None: no value.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class View(Protocol):
    """Something cells can be read from."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def keys(self, kind: str) -> Iterable[str]: ...


class State:
    """All cells with their history. Not locked: the chain's lock guards it."""

    def __init__(self) -> None:
        self._heights: dict[str, list[int]] = {}
        self._values: dict[str, list[Any]] = {}
        self._kinds: dict[str, dict[str, None]] = {}

    def apply(self, height: int, writes: Iterable[tuple[str, Any]]) -> None:
        """Record a block's writes. Heights only grow."""
        for key, value in writes:
            heights = self._heights.get(key)
            if heights is None:
                self._heights[key], self._values[key] = [height], [value]
                self._kinds.setdefault(key.partition("/")[0], {})[key] = None
            elif heights[-1] == height:
                self._values[key][-1] = value
            else:
                heights.append(height)
                self._values[key].append(value)

    def revert(self, height: int, keys: Iterable[str]) -> None:
        """Forget what the last block wrote: these keys, at that height."""
        for key in set(keys):
            heights = self._heights[key]
            assert heights[-1] == height
            heights.pop()
            self._values[key].pop()
            if not heights:
                del self._heights[key], self._values[key], self._kinds[key.partition("/")[0]][key]

    def read(self, key: str, height: int) -> Any:
        heights = self._heights.get(key)
        if heights is None:
            return None
        position = bisect_right(heights, height)
        return self._values[key][position - 1] if position else None

    def keys(self, kind: str) -> list[str]:
        return list(self._kinds.get(kind, ()))

    def at(self, height: int) -> "StateAt":
        return StateAt(self, height)


class StateAt:
    """The state as a block left it."""

    def __init__(self, state: State, height: int) -> None:
        self._state = state
        self.height = height

    def get(self, key: str, default: Any = None) -> Any:
        value = self._state.read(key, self.height)
        return default if value is None else value

    def keys(self, kind: str) -> Iterator[str]:
        return (key for key in self._state.keys(kind) if self._state.read(key, self.height) is not None)


class Draft:
    """Writes over a view, not yet part of it: throw it away and nothing happened."""

    def __init__(self, below: View) -> None:
        self.below = below
        self.writes: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        if key in self.writes:
            value = self.writes[key]
            return default if value is None else value
        return self.below.get(key, default)

    def put(self, key: str, value: Any) -> None:
        self.writes[key] = value

    def keys(self, kind: str) -> Iterator[str]:
        seen = set()
        for key in self.below.keys(kind):
            seen.add(key)
            if self.get(key) is not None:
                yield key
        for key, value in self.writes.items():
            if key not in seen and value is not None and key.startswith(f"{kind}/"):
                yield key

    def commit_to(self, other: "Draft") -> None:
        other.writes.update(self.writes)
