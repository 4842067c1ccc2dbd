"""A whole devnet node in this process: chain, block producer and gRPC server on loopback. Must never listen beyond this machine."""

from pathlib import Path
from types import TracebackType
from typing import Self

from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.client import DevnetControl
from bonds.chain.devnet.control import Control, handler
from bonds.chain.devnet.genesis import GENESIS_FILE, WALLET_FILE, default_genesis, load, write_genesis
from bonds.chain.devnet.network import Genesis
from bonds.chain.devnet.nodes import MAIN, Nodes, PortInUse, check_free
from bonds.chain.devnet.producer import Producer

__all__ = ["DevnetProcess", "PortInUse"]


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
        check_free(port)
        self.chain = Chain(state_dir, self.genesis)
        self.nodes = Nodes(self.chain)
        try:
            self.producer = Producer(self.chain, block_seconds=block_seconds, held=hold)
            control = Control(self.chain, self.producer, self.nodes)
            main = self.nodes.add(MAIN, port=port, handlers=[handler(control)])
        except (PortInUse, ValueError):
            self.chain.close()
            raise
        self.port, self.address = main.port, main.address
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
        self.nodes.stop()
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
