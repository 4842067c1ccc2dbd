"""The control service's verbs for time and for faults: what goes wrong, at which node, from when on.

A switch stays until it is set again, used up, or `heal` is asked for; none outlives the process. Must never touch a final block.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bonds.chain.devnet.chain import Chain, Unheard
from bonds.chain.devnet.faults import NetworkFaults, NodeFaults
from bonds.chain.devnet.fields import ControlError, Request, flag, hash_of, hashes, text, whole
from bonds.chain.devnet.nodes import MAIN, Nodes, PortInUse, ServedNode
from bonds.chain.devnet.producer import Producer

MOST_BLOCKS = 100_000
MOST_SECONDS = 400 * 86_400
VERBS = (
    "advance",
    "hold",
    "resume",
    "state",
    "heal",
    "add_node",
    "close_port",
    "open_port",
    "refuse",
    "drop_next_submits",
    "lose_reply_next",
    "duplicate_next_submits",
    "lag",
    "freeze",
    "deny",
    "skew",
    "slow_inclusion",
    "withhold_inclusion",
    "purge",
    "deliver_again",
    "fork",
)


class Switches:
    """The verbs. Each takes and returns what JSON can hold; a verb about one node takes its name as `node`, `main` unless told."""

    def __init__(self, chain: Chain, producer: Producer, nodes: Nodes) -> None:
        self.chain = chain
        self.producer = producer
        self.nodes = nodes
        self.verbs: Mapping[str, Callable[[Request], Any]] = {name: getattr(self, name) for name in VERBS}

    # ---- blocks and time ------------------------------------------------------------------------------------------

    def advance(self, request: Request) -> Any:
        """Move the chain's clock forward, then make that many blocks, held or not."""
        seconds, blocks = _seconds(request), whole(request, "blocks", most=MOST_BLOCKS, default=1)
        self.chain.skip(seconds)
        for _ in range(blocks):
            self.chain.produce()
        return {"height": self.chain.head.height}

    def hold(self, request: Request) -> Any:
        self.producer.hold()
        return self.state(request)

    def resume(self, request: Request) -> Any:
        self.producer.resume()
        return self.state(request)

    def state(self, request: Request) -> Any:
        """Where the chain is and which switches are on."""
        with self.chain.changed:
            chain, main = self.chain, self.nodes.by_name[MAIN].peer.faults
            return {
                "height": chain.head.height,
                "block_hash": chain.head.block_hash.hex(),
                "block_time_ms": chain.head.slot_time_ms,
                "final_height": chain.final_height,
                "genesis_hash": chain.genesis.block_hash.hex(),
                "now_ms": chain.now_ms(),
                "pending": chain.pending_count(),
                "held": self.producer.held,
                "drop_submits": main.drop_submits,
                "lose_replies": main.lose_replies,
                "refusing": main.refusing,
                "network": asdict(chain.faults),
                "nodes": {name: _node_state(node) for name, node in self.nodes.by_name.items()},
            }

    # ---- one node -------------------------------------------------------------------------------------------------

    def add_node(self, request: Request) -> Any:
        """Serve one more node of the same chain."""
        name = text(request, "name")
        try:
            return {"address": self.nodes.add(name).address}
        except (ValueError, PortInUse) as error:
            raise ControlError(f"name: {error}") from error

    def close_port(self, request: Request) -> Any:
        node = self._node(request)
        if node is self.nodes.by_name[MAIN]:
            raise ControlError("node: the control service answers at main; let it refuse instead")
        node.close_port()
        return {}

    def open_port(self, request: Request) -> Any:
        try:
            self._node(request).open_port()
        except PortInUse as error:
            raise ControlError(f"node: {error}") from error
        return {}

    def refuse(self, request: Request) -> Any:
        self._faults(request).refusing = flag(request, "refusing")
        return {}

    def drop_next_submits(self, request: Request) -> Any:
        self._faults(request).drop_submits = whole(request, "count")
        return {}

    def lose_reply_next(self, request: Request) -> Any:
        self._faults(request).lose_replies = whole(request, "count")
        return {}

    def duplicate_next_submits(self, request: Request) -> Any:
        self._faults(request).duplicate_submits = whole(request, "count")
        return {}

    def lag(self, request: Request) -> Any:
        self._node(request).peer.lag(whole(request, "blocks", most=MOST_BLOCKS))
        return {}

    def freeze(self, request: Request) -> Any:
        self._node(request).peer.freeze(flag(request, "frozen"))
        return {}

    def deny(self, request: Request) -> Any:
        """The hashes this node denies from now on; none: it tells all it knows."""
        self._faults(request).denied = frozenset(hashes(request, "hashes"))
        return {}

    def skew(self, request: Request) -> Any:
        self._faults(request).skew_seconds = whole(request, "seconds", least=-MOST_SECONDS, most=MOST_SECONDS)
        return {}

    # ---- the network ----------------------------------------------------------------------------------------------

    def slow_inclusion(self, request: Request) -> Any:
        self.chain.faults.slow_blocks = whole(request, "blocks", most=MOST_BLOCKS)
        return {}

    def withhold_inclusion(self, request: Request) -> Any:
        self.chain.faults.withholding = flag(request, "withholding")
        return {}

    def purge(self, request: Request) -> Any:
        """Forget what waits: the transactions named, with their successors, or all."""
        named = None if request.get("hashes") is None else hashes(request, "hashes")
        return {"hashes": [item.hex() for item in self.chain.purge(named)]}

    def deliver_again(self, request: Request) -> Any:
        """Hand the network a transaction it met before."""
        named = hash_of(request.get("hash"), "hash")
        try:
            return {"answer": self.chain.deliver_again(named)}
        except Unheard as error:
            raise ControlError(f"hash: no transaction {named.hex()} was ever sent here") from error

    def fork(self, request: Request) -> Any:
        """The last block vanishes; its transactions wait again, or are forgotten."""
        return {"hashes": [item.hex() for item in self.chain.fork(reinclude=flag(request, "reinclude"))]}

    def heal(self, request: Request) -> Any:
        """Every switch off, every port open. Block production stays as it is, and what was forgotten stays forgotten."""
        self.chain.faults = NetworkFaults()
        for name, node in self.nodes.by_name.items():
            self.open_port({"node": name})
            node.peer.heal()
        return {}

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _node(self, request: Request) -> ServedNode:
        name = text(request, "node", default=MAIN)
        node = self.nodes.by_name.get(name)
        if node is None:
            raise ControlError(f"node: no node {name}; there are {', '.join(self.nodes.by_name)}")
        return node

    def _faults(self, request: Request) -> NodeFaults:
        return self._node(request).peer.faults


def _seconds(request: Request) -> float:
    value = request.get("seconds", 0)
    if type(value) not in (int, float) or not 0 <= value <= MOST_SECONDS:
        raise ControlError(f"seconds: a number from 0 to {MOST_SECONDS}, not {value!r}")
    return float(value)


def _node_state(node: ServedNode) -> dict[str, Any]:
    faults = node.peer.faults
    return {
        "open": node.is_open,
        "refusing": faults.refusing,
        "drop_submits": faults.drop_submits,
        "lose_replies": faults.lose_replies,
        "duplicate_submits": faults.duplicate_submits,
        "lag_blocks": faults.lag_blocks,
        "frozen": faults.frozen_at is not None,
        "skew_seconds": faults.skew_seconds,
        "denied": sorted(item.hex() for item in faults.denied),
    }
