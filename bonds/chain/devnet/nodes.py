"""The network's nodes, each a gRPC server on loopback with its own view of the one chain. Must never listen beyond this machine."""

import socket
from collections.abc import Sequence
from concurrent import futures

import grpc

from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.peer import Peer
from bonds.chain.devnet.server import Node
from bonds.chain.wire import node_pb2_grpc as rpc

HOST = "127.0.0.1"
MAIN = "main"
MAX_NODES = 8
THREADS = 40  # a stream keeps one for as long as it lasts
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class PortInUse(OSError):
    """Something else listens on the port already."""


class ServedNode:
    """One node with its port. `handlers`: further services it answers. PortInUse when it cannot listen."""

    def __init__(self, chain: Chain, *, port: int = 0, handlers: Sequence[grpc.GenericRpcHandler] = ()) -> None:
        self.peer = Peer(chain)
        self._handlers = handlers
        self._kept: socket.socket | None = None  # the port of a node that is down, so that nobody takes it
        self._server, self.port = self._listen(port)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def is_open(self) -> bool:
        return self._kept is None

    def open_port(self) -> None:
        """Listen again, on the same port. Safe to call twice."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
            self._server, _ = self._listen(self.port)

    def close_port(self) -> None:
        """Break every connection; nobody can connect until `open_port`. Safe to call twice."""
        if self._kept is None:
            self._server.stop(grace=0).wait()
            self._kept = _bound(self.port)

    def stop(self) -> None:
        self._server.stop(grace=0).wait()
        if self._kept is not None:
            self._kept.close()

    def _listen(self, port: int) -> tuple[grpc.Server, int]:
        server = grpc.server(futures.ThreadPoolExecutor(THREADS, thread_name_prefix="devnet"), options=OPTIONS)
        rpc.add_QueriesServicer_to_server(Node(self.peer), server)
        server.add_generic_rpc_handlers(self._handlers)
        try:
            port = server.add_insecure_port(f"{HOST}:{port}")
        except RuntimeError as error:
            raise PortInUse(f"port {port} is in use") from error
        server.start()
        return server, port


class Nodes:
    """The nodes by name. The first, `main`, is served by the process; others come and go with it and are not remembered."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.by_name: dict[str, ServedNode] = {}

    def add(self, name: str, *, port: int = 0, handlers: Sequence[grpc.GenericRpcHandler] = ()) -> ServedNode:
        """Serve one more. ValueError when there is one of this name already, or no room. PortInUse."""
        if name in self.by_name:
            raise ValueError(f"there is a node {name} already")
        if len(self.by_name) == MAX_NODES:
            raise ValueError(f"{MAX_NODES} nodes are enough")
        node = self.by_name[name] = ServedNode(self.chain, port=port, handlers=handlers)
        return node

    def stop(self) -> None:
        for node in self.by_name.values():
            node.stop()


def _bound(port: int) -> socket.socket:
    """A socket that holds the port without listening: whoever connects is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((HOST, port))
    except OSError as error:
        held.close()
        raise PortInUse(f"port {port} is in use") from error
    return held


def check_free(port: int) -> None:
    """PortInUse when another program listens there: asked with a plain socket, whose error is one line."""
    _bound(port).close()
