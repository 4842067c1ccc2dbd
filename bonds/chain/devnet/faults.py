"""The switches that make the network, or one of its nodes, misbehave on purpose. All off at start; must never be saved with the chain."""

import threading
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class NodeFaults:
    """What one node does wrong. Counts are of the next submits it is sent; each is used up by one."""

    refusing: bool = False  # every call answers UNAVAILABLE
    drop_submits: int = 0  # accepted and forgotten
    lose_replies: int = 0  # accepted, and the sender is told that the connection broke
    duplicate_submits: int = 0  # delivered twice; the sender hears the second answer
    lag_blocks: int = 0  # so far behind the network
    frozen_at: tuple[int, int] | None = None  # hears no more of the network: head and final height it stays at
    skew_seconds: int = 0  # tells its blocks' times so much later than they are
    denied: frozenset[bytes] = frozenset()  # hashes it says it never heard of
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def take(self, count: Literal["drop_submits", "lose_replies", "duplicate_submits"]) -> bool:
        """Use one of the count up, if one is left."""
        with self._lock:
            left = getattr(self, count)
            if left:
                setattr(self, count, left - 1)
            return bool(left)

    @property
    def behind(self) -> bool:
        return self.lag_blocks > 0 or self.frozen_at is not None


@dataclass
class NetworkFaults:
    """What every block maker does wrong."""

    slow_blocks: int = 0  # a transaction received from now on waits out so many blocks before one takes it
    withholding: bool = False  # no block takes any: what was received waits until it expires
