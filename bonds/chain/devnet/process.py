"""A whole devnet node in this process: chain, block producer and gRPC server on loopback. Must never listen beyond this machine."""

import socket
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.client import DevnetControl
from bonds.chain.devnet.control import Control, handler
from bonds.chain.devnet.genesis import GENESIS_FILE, WALLET_FILE, default_genesis, load, write_genesis
from bonds.chain.devnet.network import Genesis
from bonds.chain.devnet.producer import Producer
from bonds.chain.devnet.server import Node
from bonds.chain.wire import node_pb2_grpc as rpc

HOST = "127.0.0.1"
THREADS = 40  # a stream keeps one for as long as it lasts
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class PortInUse(OSError):
    """Something else listens on the port already."""


class DevnetProcess:
    """A running node over a state directory; use as a context manager or call stop().

    `genesis` None: the directory's own, made with defaults when there is none. `port` 0: any free one. `hold`: no ordinary block until
    `control.resume()`. PortInUse, GenesisError or StoreError when it cannot start; then nothing is left running.
    """

    def __init__(
        self,
        state_dir: Path,
        genesis: Genesis | None = None,
        *,
        port: int = 0,
        block_seconds: float = 0.2,
        hold: bool = False,
    ) -> None:
        self.state_dir = state_dir
        self.genesis = self._genesis(genesis)
        _check_free(port)
        self.chain = Chain(state_dir, self.genesis)
        try:
            self._server = grpc.server(
                futures.ThreadPoolExecutor(THREADS, thread_name_prefix="devnet"), options=OPTIONS
            )
            self.producer = Producer(self.chain, block_seconds=block_seconds, held=hold)
            rpc.add_QueriesServicer_to_server(Node(self.chain), self._server)
            self._server.add_generic_rpc_handlers([handler(Control(self.chain, self.producer))])
            self.port = self._server.add_insecure_port(f"{HOST}:{port}")
        except RuntimeError as error:
            self.chain.close()
            raise PortInUse(f"port {port} is in use") from error
        except ValueError:
            self.chain.close()
            raise
        self.address = f"{HOST}:{self.port}"
        self._server.start()
        self.producer.start()
        self.control = DevnetControl(self.address)

    @property
    def wallet_keys_file(self) -> Path:
        """The cloud wallet's keys, where the default genesis wrote them."""
        return self.state_dir / WALLET_FILE

    def stop(self) -> None:
        """Stop answering and making blocks; everything final is on disk already."""
        self.control.close()
        self.producer.stop()
        self._server.stop(grace=0).wait()
        self.chain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _genesis(self, genesis: Genesis | None) -> Genesis:
        path = self.state_dir / GENESIS_FILE
        if genesis is None:
            return default_genesis(self.state_dir)
        if not path.exists():
            write_genesis(path, genesis)
            return load(path)
        return genesis


def _check_free(port: int) -> None:
    """PortInUse when another program listens there: asked with a plain socket, whose error is one line."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortInUse(f"port {port} is in use") from error
