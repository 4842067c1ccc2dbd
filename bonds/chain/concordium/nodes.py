"""The questions every part of the adapter asks a node: which block, how fresh, and the answer of a node that is not behind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc

from bonds.chain.concordium.client import Endpoint, NodeClient, NodeRefused, NodeUnavailable
from bonds.chain.gateway import ChainUnavailable, Head
from bonds.chain.wire import node_pb2

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_FINAL = node_pb2.BlockHashInput(last_final=node_pb2.Empty())


def given(block_hash: bytes) -> Any:
    return node_pb2.BlockHashInput(given=node_pb2.Bytes(value=block_hash))


def at_height(height: int) -> Any:
    return node_pb2.BlockHashInput(absolute_height=node_pb2.U64(value=height))


def head_of(info: Any) -> Head:
    moment = EPOCH + timedelta(milliseconds=info.slot_time.value)
    return Head(info.height.value, info.hash.value.hex(), moment)


def block_info(endpoint: Endpoint, block: Any) -> Any:
    """ChainUnavailable where the node has no such block: it lags behind whoever told us of it, and another may not."""
    try:
        return endpoint.unary("GetBlockInfo", block)
    except NodeRefused as error:
        if error.code is not grpc.StatusCode.NOT_FOUND:
            raise
        raise NodeUnavailable(endpoint.address, error.code, error.detail) from None


def require_aware(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")


class Nodes:
    """The endpoints, and how far one may be behind before its word about what is final counts for nothing."""

    def __init__(self, client: NodeClient, max_behind: timedelta | None) -> None:
        self.client = client
        self._max_behind = max_behind

    def on_fresh(self, operation: Callable[[Endpoint], T]) -> T:
        """The answer of the first node that is not behind: a stuck one would hide what has become final since."""

        def ask(endpoint: Endpoint) -> T:
            if self._max_behind is not None:
                self.fresh_head(endpoint)
            return operation(endpoint)

        return self.client.on_any(ask)

    def fresh_head(self, endpoint: Endpoint) -> Head:
        """The node's last finalised block; ChainUnavailable when that is older than the limit."""
        head = head_of(block_info(endpoint, LAST_FINAL))
        if self._max_behind is not None and datetime.now(UTC) - head.time > self._max_behind:
            raise ChainUnavailable(
                f"{endpoint.address}: its last finalised block is of {head.time:%Y-%m-%d %H:%M:%S} UTC"
            )
        return head


def account_info(endpoint: Endpoint, account: bytes, block: Any) -> Any:
    """The account at that block; NodeRefused for one that does not exist there."""
    identifier = node_pb2.AccountIdentifier(address=node_pb2.Bytes(value=account))
    return endpoint.unary(
        "GetAccountInfo", node_pb2.AccountInfoRequest(block_hash=block, account_identifier=identifier)
    )
