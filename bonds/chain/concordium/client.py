"""Talks gRPC to the configured nodes: one channel per endpoint and process, deadlines on every call, failover. Knows
no meaning of an answer.

A node's errors become the gateway's: no answer (in time, or a passing fault) is NodeUnavailable and the next endpoint
is asked; a refusal is NodeRefused with the node's words; a node of another network, or one that does not serve us, is
ChainMisconfigured.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, TypeVar

import grpc

from bonds.chain.gateway import ChainMisconfigured, ChainRefused, ChainUnavailable
from bonds.chain.wire import node_pb2, node_pb2_grpc

T = TypeVar("T")

WINDOW = 64  # calls in flight on one channel when many are asked
STREAMS = 8  # streams open at once: each holds a thread of the node until it has ended
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),  # only while a call is open: a node may punish idle pings
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # a node that comes back is seen within seconds, not minutes
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)
REFUSALS = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
NOT_FOR_US = frozenset(
    {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
)


class NodeUnavailable(ChainUnavailable):
    """One endpoint gave no usable answer. The client asks the next."""

    def __init__(self, address: str, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(f"{address}: {code.name} {detail}".rstrip())
        self.code = code
        self.detail = detail


class NodeRefused(ChainRefused):
    """One endpoint understood and said no. The caller decides what that means."""

    def __init__(self, address: str, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(f"{address}: {code.name} {detail}".rstrip())
        self.code = code
        self.detail = detail


class Endpoint:
    """One node. Channels are opened on first use in each process, because a channel does not survive a fork."""

    def __init__(self, address: str, *, tls: bool, timeout_seconds: float) -> None:
        self.address = address
        self._tls = tls
        self._timeout_seconds = timeout_seconds
        self._lock = Lock()
        self._process: int | None = None
        self._queries: Any = None

    def __repr__(self) -> str:
        return f"<Endpoint {self.address}>"

    def _method(self, name: str) -> Any:
        with self._lock:
            if self._process != os.getpid():
                self._queries = node_pb2_grpc.QueriesStub(self._open())
                self._process = os.getpid()
            return getattr(self._queries, name)

    def _open(self) -> grpc.Channel:
        if self._tls:
            return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(), options=CHANNEL_OPTIONS)
        return grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS)

    def _translated(self, error: grpc.RpcError) -> ChainUnavailable | ChainRefused | ChainMisconfigured:
        code, detail = error.code(), error.details() or ""
        if code in REFUSALS:
            return NodeRefused(self.address, code, detail)
        if code in NOT_FOR_US:
            return ChainMisconfigured(f"{self.address}: {code.name} {detail}".rstrip())
        return NodeUnavailable(self.address, code, detail)

    def unary(self, name: str, request: Any) -> Any:
        """The answer to one call. Raises as the module says."""
        try:
            return self._method(name)(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise self._translated(error) from None

    def many(self, name: str, requests: Iterable[Any]) -> Iterator[Any]:
        """Answers in the order of the requests, WINDOW of them in flight; a refusal is yielded in its place, anything
        else is raised."""
        start = self._method(name).future
        return self._windowed(requests, WINDOW, start, self._settled)

    def streams(self, name: str, requests: Iterable[Any]) -> Iterator[list[Any]]:
        """All answers of each finite stream, in the order of the requests, STREAMS of them open; each must end within
        the deadline. Raises as the module says."""
        return self._windowed(requests, STREAMS, self._method(name), self._drained)

    def _windowed(
        self, requests: Iterable[Any], size: int, start: Callable[..., Any], finish: Callable[[Any], Any]
    ) -> Iterator[Any]:
        pending: deque[Any] = deque()
        try:
            for request in requests:
                if len(pending) == size:
                    yield finish(pending.popleft())
                pending.append(start(request, timeout=self._timeout_seconds))
            while pending:
                yield finish(pending.popleft())
        finally:
            for call in pending:
                call.cancel()

    def _drained(self, call: Any) -> list[Any]:
        try:
            return list(call)
        except grpc.RpcError as error:
            raise self._translated(error) from None

    def _settled(self, call: Any) -> Any:
        try:
            return call.result()
        except grpc.RpcError as error:
            translated = self._translated(error)
            if isinstance(translated, NodeRefused):
                return translated
            raise translated from None


class NodeClient:
    """The configured endpoints, asked in turn from the last one that answered. Thread-safe; usable before and after a
    fork."""

    def __init__(
        self, endpoints: Sequence[str], *, tls: bool, timeout_seconds: float, genesis_hash: str | None
    ) -> None:
        addresses = list(dict.fromkeys(endpoints))
        if not addresses:
            raise ChainMisconfigured("no chain endpoint is configured")
        self.endpoints = tuple(Endpoint(address, tls=tls, timeout_seconds=timeout_seconds) for address in addresses)
        self._genesis_hash = genesis_hash.lower() if genesis_hash else None
        self._preferred = 0

    def on_any(self, operation: Callable[[Endpoint], T]) -> T:
        """The operation's answer from the first endpoint that gives one; ChainUnavailable, naming each endpoint's
        fault, when none does.

        The operation may make several calls, all to one node. It may be run on several nodes: it must be safe to
        repeat.
        """
        start, faults = self._preferred, []
        for turn in range(len(self.endpoints)):
            position = (start + turn) % len(self.endpoints)
            try:
                answer = self.on(self.endpoints[position], operation)
            except ChainUnavailable as error:
                faults.append(str(error))
                continue
            self._preferred = position
            return answer
        raise ChainUnavailable("; ".join(faults))

    def on(self, endpoint: Endpoint, operation: Callable[[Endpoint], T]) -> T:
        """The operation's answer from this endpoint, after making sure that it is a node of our network."""
        self._verify(endpoint)
        return operation(endpoint)

    def _verify(self, endpoint: Endpoint) -> None:
        """Asked before every operation, because a channel reconnects by itself and another node may then answer there.

        Without a pin the first network seen is ours, so that endpoints cannot disagree.
        """
        info = endpoint.unary("GetConsensusInfo", node_pb2.Empty())
        genesis_hash = info.genesis_block.value.hex()
        if self._genesis_hash is None:
            self._genesis_hash = genesis_hash
        if genesis_hash != self._genesis_hash:
            raise ChainMisconfigured(
                f"{endpoint.address} is a node of another network: "
                f"genesis {genesis_hash}, expected {self._genesis_hash}"
            )
