"""The thread that makes a block every so often, so that chain time moves on. Must never make a block while held."""

import threading

from bonds.chain.devnet.chain import Chain


class Producer:
    """Calls the chain to make a block every `block_seconds`, until stopped."""

    def __init__(self, chain: Chain, *, block_seconds: float, held: bool = False) -> None:
        if block_seconds <= 0:
            raise ValueError("block_seconds is above zero")
        self.chain = chain
        self.block_seconds = block_seconds
        self._held = held
        self._stopping = threading.Event()
        self._tick = threading.Lock()  # held while a block is made: hold() returns only when none is under way
        self._thread = threading.Thread(target=self._run, name="devnet-producer", daemon=True)

    @property
    def held(self) -> bool:
        return self._held

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def hold(self) -> None:
        """No ordinary block after this returns."""
        with self._tick:
            self._held = True

    def resume(self) -> None:
        self._held = False

    def _run(self) -> None:
        while not self._stopping.wait(self.block_seconds):
            with self._tick:
                if not self._held:
                    self.chain.produce()
