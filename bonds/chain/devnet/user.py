"""An account holder at the devnet's wire, signing with the devnet's own code: for tests and faults, never for the product."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from bonds.chain.devnet import signer
from bonds.chain.devnet.encoding import address_bytes
from bonds.chain.wire import node_pb2 as pb
from bonds.chain.wire import node_pb2_grpc as rpc

EXPIRY_SECONDS = 300


class DevnetUser:
    """One account and one connection. Sequence numbers are the caller's, or the node's next one."""

    def __init__(self, target: str, *, address: str, seeds: Mapping[int, Mapping[int, str]]) -> None:
        self.address = address
        self.signer = signer.Signer(address, seeds)
        self._channel = grpc.insecure_channel(target)
        self.node = rpc.QueriesStub(self._channel)

    @classmethod
    def from_keys_file(cls, target: str, path: Path) -> Self:
        data = json.loads(path.read_text())
        seeds = {
            int(credential): {int(index): seed for index, seed in keys.items()}
            for credential, keys in data["keys"].items()
        }
        return cls(target, address=data["address"], seeds=seeds)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next_number(self) -> int:
        answer = self.node.GetNextAccountSequenceNumber(pb.Bytes(value=address_bytes(self.address)))
        return int(answer.sequence_number.value)

    def sign(
        self,
        token_id: str,
        operations: Sequence[dict[str, object]],
        *,
        sequence_number: int | None = None,
        expiry: int | None = None,
        energy: int | None = None,
    ) -> bytes:
        """A signed token update. `energy`: what its execution may use, where it is not what it needs."""
        payload, needed = signer.token_update(token_id, operations)
        return self.signer.item(
            payload,
            sequence_number=self.next_number() if sequence_number is None else sequence_number,
            energy=needed if energy is None else energy,
            expiry=int(time.time()) + EXPIRY_SECONDS if expiry is None else expiry,
        )

    def pay(self, token_id: str, transfers: Sequence[tuple[str, int]], *, decimals: int = 6, **choices: Any) -> bytes:
        """A signed token update that pays (recipient, base units) each, in order."""
        operations = [signer.transfer(address_bytes(recipient), units, decimals) for recipient, units in transfers]
        return self.sign(token_id, operations, **choices)

    def send(self, raw: bytes) -> bytes:
        """Send a block item; the hash the node names. grpc.RpcError as the node answers."""
        return bytes(self.node.SendBlockItem(pb.SendBlockItemRequest(raw_block_item=raw)).value)

    def status(self, transaction_hash: bytes) -> pb.BlockItemStatus:
        return self.node.GetBlockItemStatus(pb.Bytes(value=transaction_hash))
