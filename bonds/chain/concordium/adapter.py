"""The Concordium gateway: every promise of bonds.chain.gateway kept over the nodes' gRPC API. Decides nothing about
money; stores nothing."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

import grpc

from bonds.chain.concordium import addresses, contracts, outcomes, tokens, traces, transactions
from bonds.chain.concordium.client import Endpoint, NodeClient, NodeRefused, NodeUnavailable
from bonds.chain.concordium.signer import Signer
from bonds.chain.gateway import (
    Block,
    ChainGateway,
    ChainMisconfigured,
    ChainRefused,
    ChainUnavailable,
    Contract,
    Head,
    Hint,
    LotEvent,
    RegistryState,
    SignedTransaction,
    Stage,
    SubmitHint,
    Token,
    TransactionState,
    Transfer,
)
from bonds.chain.wire import node_pb2

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_FINAL = node_pb2.BlockHashInput(last_final=node_pb2.Empty())
BLOCKS_PER_ROUND = 50
READ_CALL_ENERGY = 1_000_000  # the most a node grants a read-only call unless configured otherwise
MAX_MEMO_BYTES = 64
AGREEING_ENDPOINTS = 2  # who must say that a transaction is dead, where that many are configured


def _time(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def _given(block_hash: bytes) -> Any:
    return node_pb2.BlockHashInput(given=node_pb2.Bytes(value=block_hash))


def _at_height(height: int) -> Any:
    return node_pb2.BlockHashInput(absolute_height=node_pb2.U64(value=height))


def _head(info: Any) -> Head:
    return Head(info.height.value, info.hash.value.hex(), _time(info.slot_time.value))


def _block_info(endpoint: Endpoint, block: Any) -> Any:
    """ChainUnavailable where the node has no such block: it lags behind whoever told us of it, and another may not."""
    try:
        return endpoint.unary("GetBlockInfo", block)
    except NodeRefused as error:
        if error.code is not grpc.StatusCode.NOT_FOUND:
            raise
        raise NodeUnavailable(endpoint.address, error.code, error.detail) from None


def _require_aware(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")


class ConcordiumGateway(ChainGateway):
    """Reads and writes through `endpoints` ("host:port", first come first asked).

    `genesis_hash` pins the network: any other is ChainMisconfigured. `signer_factory` is called at the first
    signature, so that a process which never signs never holds a key. `max_behind_seconds`: a node whose last
    finalised block is older does not count as an answer to `head`.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        tls: bool = False,
        timeout_seconds: float = 10.0,
        signer_factory: Callable[[], Signer] | None = None,
        genesis_hash: str | None = None,
        max_behind_seconds: float | None = None,
    ) -> None:
        self._client = NodeClient(endpoints, tls=tls, timeout_seconds=timeout_seconds, genesis_hash=genesis_hash)
        self._signer_factory = signer_factory
        self._max_behind = None if max_behind_seconds is None else timedelta(seconds=max_behind_seconds)

    # ---- addresses ----

    def same_account(self, left: str, right: str) -> bool:
        return addresses.same_account(left, right)

    def account_key(self, address: str) -> str:
        return addresses.canonical(address)

    # ---- reading ----

    def head(self) -> Head:
        return self._client.on_any(self._fresh_head)

    def _on_fresh(self, operation: Callable[[Endpoint], T]) -> T:
        """The answer of the first node that is not behind: a stuck one would hide what has become final since."""

        def ask(endpoint: Endpoint) -> T:
            if self._max_behind is not None:
                self._fresh_head(endpoint)
            return operation(endpoint)

        return self._client.on_any(ask)

    def _fresh_head(self, endpoint: Endpoint) -> Head:
        head = _head(_block_info(endpoint, LAST_FINAL))
        if self._max_behind is not None and datetime.now(UTC) - head.time > self._max_behind:
            raise ChainUnavailable(
                f"{endpoint.address}: its last finalised block is of {head.time:%Y-%m-%d %H:%M:%S} UTC"
            )
        return head

    def token(self, token_id: str) -> Token:
        request = node_pb2.TokenInfoRequest(block_hash=LAST_FINAL, token_id=node_pb2.Str(value=token_id))
        info = self._on_fresh(lambda endpoint: endpoint.unary("GetTokenInfo", request))
        state = info.token_state
        try:
            module_state = tokens.decode_token_state(state.module_state.value)
        except ValueError as error:
            raise ChainRefused(f"the state of token {token_id} cannot be read: {error}") from None
        return Token(
            token_id=info.token_id.value,
            decimals=state.decimals,
            total_supply_units=state.total_supply.value,
            name=str(module_state.get("name", "")),
            paused=module_state.get("paused") is True,
        )

    def _account(self, endpoint: Endpoint, account: str, block: Any) -> Any:
        identifier = node_pb2.AccountIdentifier(address=node_pb2.Bytes(value=addresses.decode(account)))
        request = node_pb2.AccountInfoRequest(block_hash=block, account_identifier=identifier)
        return endpoint.unary("GetAccountInfo", request)

    def _final_account(self, account: str) -> Any:
        return self._on_fresh(lambda endpoint: self._account(endpoint, account, LAST_FINAL))

    def token_balance_units(self, account: str, token_id: str) -> int:
        for token in self._final_account(account).tokens:
            if token.token_id.value.lower() == token_id.lower():
                return int(token.token_account_state.balance.value)
        return 0

    def fee_balance_microccd(self, account: str) -> int:
        """What the account can spend: staked and scheduled CCD left out."""
        info = self._final_account(account)
        return int(info.available_balance.value if info.HasField("available_balance") else info.amount.value)

    def registry_states(
        self, registry: Contract, addresses: Sequence[str], block_hash: str
    ) -> Mapping[str, RegistryState]:
        """Asks `isVerified` for each address as spelt: yes is whitelisted, no is not in the registry. This contract
        knows no blacklist.

        ChainRefused when the contract gives no answer for an address; then nothing is known of any. ValueError for a
        malformed address.
        """
        unique = list(dict.fromkeys(addresses))
        block = _given(bytes.fromhex(block_hash))
        requests = [_is_verified_request(registry, address, block) for address in unique]

        def ask(endpoint: Endpoint) -> dict[str, RegistryState]:
            _block_info(endpoint, block)
            answers = endpoint.many("InvokeInstance", requests)
            return {address: _registry_state(address, answer) for address, answer in zip(unique, answers, strict=True)}

        return self._client.on_any(ask) if unique else {}

    def blocks(self, first_height: int, last_height: int, contracts: Sequence[Contract]) -> Iterator[Block]:
        """ChainUnavailable while a height is not final at any node; ChainRefused at an event of these contracts that
        cannot be read; ChainMisconfigured when two answers do not join into one chain. All blocks before the fault
        have been given by then."""
        wanted = frozenset(contracts)
        parent_hash: str | None = None
        for start in range(first_height, last_height + 1, BLOCKS_PER_ROUND):
            heights = range(start, min(start + BLOCKS_PER_ROUND, last_height + 1))
            for info, summaries in self._client.on_any(partial(_fetch, heights=heights, with_events=bool(wanted))):
                block = _block(info, summaries, wanted)
                if parent_hash is not None and block.parent_hash != parent_hash:
                    raise ChainMisconfigured(
                        f"block {block.block_hash} at {block.height} is not a child of {parent_hash}"
                    )
                parent_hash = block.block_hash
                yield block

    def last_block_at(self, moment: datetime) -> Head:
        """By bisection over heights: about 26 calls on a chain of 50 million blocks."""
        _require_aware(moment)
        return self._client.on_any(lambda endpoint: _bisect(endpoint, moment))

    def has_contract(self, contract: Contract, height: int) -> bool:
        request = node_pb2.InstanceInfoRequest(
            block_hash=_at_height(height),
            address=node_pb2.ContractAddress(index=contract.index, subindex=contract.subindex),
        )

        def ask(endpoint: Endpoint) -> bool:
            _block_info(endpoint, _at_height(height))
            try:
                endpoint.unary("GetInstanceInfo", request)
            except NodeRefused as error:
                if error.code is grpc.StatusCode.NOT_FOUND:
                    return False
                raise
            return True

        return self._on_fresh(ask)

    # ---- writing ----

    def next_sequence_number(self, account: str) -> int:
        # The query named after it answers 1 for an account that does not exist, and counts what is only pending.
        return int(self._final_account(account).sequence_number.value)

    @cached_property
    def _signer(self) -> Signer:
        if self._signer_factory is None:
            raise ChainMisconfigured("this process has no signing keys")
        return self._signer_factory()

    def sign_transfers(
        self,
        *,
        sender: str,
        token_id: str,
        decimals: int,
        transfers: Sequence[Transfer],
        sequence_number: int,
        expires_at: datetime,
    ) -> SignedTransaction:
        """ValueError for a transfer that cannot be one: no recipient account, nothing to send, a memo over 64 bytes,
        no transfers at all. The chain counts expiry in whole seconds: what is signed, and given back, is `expires_at`
        rounded down."""
        _require_aware(expires_at)
        operations = tuple(_operation(transfer, decimals) for transfer in transfers)
        if not operations:
            raise ValueError("a token update without transfers")
        payload = transactions.TokenUpdate(token_id, tokens.encode_operations(operations)).encode()
        energy = transactions.token_update_energy(
            signature_count=self._signer.signature_count(sender), payload_size=len(payload), operations=operations
        )
        expiry_seconds = int(expires_at.timestamp())
        header = transactions.Header(addresses.decode(sender), sequence_number, energy, len(payload), expiry_seconds)
        signatures = self._signer.sign(sender, transactions.signing_digest(header, payload))
        raw = transactions.AccountTransaction(signatures, header, payload).encode()
        expiry = EPOCH + timedelta(seconds=expiry_seconds)
        return SignedTransaction(raw, transactions.transaction_hash(raw), sender, sequence_number, expiry, energy)

    def submit(self, raw: bytes) -> SubmitHint:
        """Offered to one node, and to the next where that one does not answer: the bytes are the same, so nothing can
        happen twice."""
        try:
            request = _send_request(transactions.parse_block_item(raw))
        except ValueError as error:
            return SubmitHint(Hint.REFUSED, f"not sent: {error}")
        try:
            answered = self._on_fresh(lambda endpoint: _send(endpoint, request))
        except NodeRefused as error:
            return SubmitHint(_hint(error), error.detail)
        except ChainUnavailable as error:
            return SubmitHint(Hint.UNREACHABLE, str(error))
        except (ChainRefused, ChainMisconfigured) as error:
            return SubmitHint(Hint.REFUSED, str(error))
        if answered is not None and answered.hex() != transactions.transaction_hash(raw):
            return SubmitHint(Hint.REFUSED, f"the node calls the transaction {answered.hex()}, which is not its hash")
        return SubmitHint(Hint.ACCEPTED, "")

    def states(self, transaction_hashes: Sequence[str]) -> Mapping[str, TransactionState]:
        """What one node knows of each hash; all answers come from the same node."""
        if not transaction_hashes:
            return {}
        return self._on_fresh(lambda endpoint: _states(endpoint, transaction_hashes))

    def provably_dead(
        self, *, sender: str, sequence_number: int, expires_at: datetime, transaction_hashes: Sequence[str]
    ) -> bool:
        """ChainUnavailable when no endpoint says otherwise but too few answer to be sure."""
        _require_aware(expires_at)
        agreeing, faults = 0, []
        for endpoint in self._client.endpoints:
            try:
                is_dead = self._client.on(
                    endpoint,
                    lambda node: self._is_dead_at(node, sender, sequence_number, expires_at, transaction_hashes),
                )
            except ChainUnavailable as error:
                faults.append(str(error))
                continue
            if not is_dead:
                return False
            agreeing += 1
            if agreeing == AGREEING_ENDPOINTS:
                return True
        if faults:
            raise ChainUnavailable("; ".join(faults))
        return True

    def _is_dead_at(
        self, node: Endpoint, sender: str, sequence_number: int, expires_at: datetime, hashes: Sequence[str]
    ) -> bool:
        """The order is the proof: a block past the expiry is final, the number is unused IN THAT block, and only then
        is each hash asked for. Asked for first, a transaction could be included between the two answers."""
        head = _head(_block_info(node, LAST_FINAL))
        if head.time <= expires_at:
            return False
        account = self._account(node, sender, _given(bytes.fromhex(head.block_hash)))
        if account.sequence_number.value > sequence_number:
            return False
        return all(state.stage is Stage.NOT_FOUND for state in _states(node, hashes).values())


# ---- reading a node's answers ----


def _is_verified_request(registry: Contract, address: str, block: Any) -> Any:
    return node_pb2.InvokeInstanceRequest(
        block_hash=block,
        instance=node_pb2.ContractAddress(index=registry.index, subindex=registry.subindex),
        amount=node_pb2.U64(value=0),
        entrypoint=node_pb2.Str(value=contracts.REGISTRY_IS_VERIFIED),
        parameter=node_pb2.Bytes(value=contracts.is_verified_parameter(address)),
        energy=node_pb2.U64(value=READ_CALL_ENERGY),
    )


def _registry_state(address: str, answer: Any) -> RegistryState:
    if isinstance(answer, NodeRefused):
        raise answer
    if answer.WhichOneof("result") != "success":
        reason = outcomes.rejection(answer.failure.reason)
        raise ChainRefused(f"the registry gives no answer for {address}: {reason.reason} {reason.detail}".rstrip())
    try:
        is_verified = contracts.read_bool(answer.success.return_value)
    except ValueError as error:
        raise ChainRefused(f"the registry gives no answer for {address}: {error}") from None
    return RegistryState.WHITELISTED if is_verified else RegistryState.NOT_IN_REGISTRY


def _fetch(endpoint: Endpoint, heights: range, with_events: bool) -> list[tuple[Any, list[Any]]]:
    """Block infos of these heights in order, with the transactions of each where they are wanted and there are any."""
    fetched = []
    for height, info in zip(
        heights, endpoint.many("GetBlockInfo", (_at_height(height) for height in heights)), strict=True
    ):
        if isinstance(info, NodeRefused) or not info.finalized or info.height.value != height:
            raise ChainUnavailable(f"{endpoint.address}: no finalised block at height {height} yet")
        summaries = []
        if with_events and info.transaction_count:
            summaries = endpoint.stream("GetBlockTransactionEvents", _given(info.hash.value))
        fetched.append((info, summaries))
    return fetched


def _block(info: Any, summaries: list[Any], wanted: Collection[Contract]) -> Block:
    events: list[LotEvent] = []
    for summary in sorted(summaries, key=lambda summary: summary.index.value):
        events += traces.lot_events(summary, wanted)
    head = _head(info)
    return Block(head.height, head.block_hash, info.parent_block.value.hex(), head.time, tuple(events))


def _bisect(endpoint: Endpoint, moment: datetime) -> Head:
    high = _head(_block_info(endpoint, LAST_FINAL))
    if high.time <= moment:
        # A later block may still qualify, here or at a node that lags less: only a block after the moment settles it.
        raise ChainUnavailable(f"{endpoint.address}: its last finalised block is not yet after {moment.isoformat()}")
    low = _head(_block_info(endpoint, _at_height(0)))
    if low.time > moment:
        raise ChainRefused(f"the chain began at {low.time.isoformat()}, after {moment.isoformat()}")
    while high.height - low.height > 1:
        middle = _head(_block_info(endpoint, _at_height((low.height + high.height) // 2)))
        low, high = (middle, high) if middle.time <= moment else (low, middle)
    return low


def _states(endpoint: Endpoint, hashes: Sequence[str]) -> dict[str, TransactionState]:
    unique = list(dict.fromkeys(hashes))
    requests = [node_pb2.Bytes(value=bytes.fromhex(transaction_hash)) for transaction_hash in unique]
    statuses = {
        transaction_hash: _known_status(answer)
        for transaction_hash, answer in zip(unique, endpoint.many("GetBlockItemStatus", requests), strict=True)
    }
    blocks = {transaction_hash: outcomes.finalized_block(status) for transaction_hash, status in statuses.items()}
    heights = {block: _block_info(endpoint, _given(block)).height.value for block in set(blocks.values()) if block}
    return {
        transaction_hash: outcomes.transaction_state(
            transaction_hash, status, heights.get(blocks[transaction_hash] or b"")
        )
        for transaction_hash, status in statuses.items()
    }


def _known_status(answer: Any) -> Any:
    if isinstance(answer, NodeRefused):
        if answer.code is not grpc.StatusCode.NOT_FOUND:
            raise answer
        return node_pb2.BlockItemStatus()  # of no stage: not found
    return answer


# ---- sending ----


def _operation(transfer: Transfer, decimals: int) -> tokens.TransferOperation:
    if transfer.amount_units <= 0:
        raise ValueError(f"a transfer of {transfer.amount_units} units")
    if len(transfer.memo) > MAX_MEMO_BYTES:
        raise ValueError(f"a memo of {len(transfer.memo)} bytes, at most {MAX_MEMO_BYTES} are sent")
    recipient = addresses.decode(transfer.recipient)
    return tokens.TransferOperation(recipient, transfer.amount_units, decimals, transfer.memo or None)


def _send_request(transaction: transactions.AccountTransaction) -> Any:
    """In parts, not as raw bytes: nodes before version 10 know no other way."""
    header = transaction.header
    signatures = {
        credential: node_pb2.CredentialSignatures(
            signatures={key: node_pb2.Signature(value=signature) for key, signature in keys.items()}
        )
        for credential, keys in transaction.signatures.items()
    }
    return node_pb2.SendBlockItemRequest(
        account_transaction=node_pb2.AccountTransaction(
            signature=node_pb2.AccountTransactionSignature(signatures=signatures),
            header=node_pb2.AccountTransactionHeader(
                sender=node_pb2.Bytes(value=header.sender),
                sequence_number=node_pb2.U64(value=header.sequence_number),
                energy_amount=node_pb2.U64(value=header.energy),
                expiry=node_pb2.U64(value=header.expiry_seconds),
            ),
            payload=node_pb2.AccountTransactionPayload(raw_payload=transaction.payload),
        )
    )


def _send(endpoint: Endpoint, request: Any) -> bytes | None:
    """The hash the node answers; None where it took the transaction but could not pass it on, which it calls an
    internal error."""
    try:
        return bytes(endpoint.unary("SendBlockItem", request).value)
    except NodeUnavailable as error:
        if error.code is grpc.StatusCode.INTERNAL and "outbound queue" in error.detail:
            return None
        raise


def _hint(error: NodeRefused) -> Hint:
    detail = error.detail.lower()
    if error.code is grpc.StatusCode.ALREADY_EXISTS or "duplicate nonce" in detail:
        return Hint.KNOWN
    if "nonce too large" in detail:
        return Hint.TOO_EARLY
    return Hint.REFUSED
