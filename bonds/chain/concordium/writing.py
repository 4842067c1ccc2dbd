"""The writing side of the gateway over the nodes' gRPC API: numbers, signatures, sending, following. Decides nothing about
money; stores nothing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import grpc

from bonds.chain.concordium import addresses, contracts, outcomes, tokens, transactions
from bonds.chain.concordium.client import Endpoint, NodeRefused, NodeUnavailable
from bonds.chain.concordium.nodes import (
    EPOCH,
    LAST_FINAL,
    Nodes,
    account_info,
    block_info,
    given,
    head_of,
    require_aware,
)
from bonds.chain.concordium.signer import Signer
from bonds.chain.gateway import (
    ChainMisconfigured,
    ChainRefused,
    ChainUnavailable,
    Contract,
    Hint,
    Investment,
    SignedTransaction,
    Stage,
    SubmitHint,
    TransactionState,
    Transfer,
)
from bonds.chain.wire import node_pb2

MAX_MEMO_BYTES = 64
AGREEING_ENDPOINTS = 2  # who must say that a transaction is dead, where that many are configured


class Writing:
    """`signer_factory` is called at the first signature, so that a process which never signs never holds a key."""

    def __init__(self, nodes: Nodes, signer_factory: Callable[[], Signer] | None) -> None:
        self._nodes = nodes
        self._signer_factory = signer_factory

    def next_sequence_number(self, account: str) -> int:
        # The query named after it answers 1 for an account that does not exist, and counts what is only pending.
        decoded = addresses.decode(account)
        info = self._nodes.on_fresh(lambda endpoint: account_info(endpoint, decoded, LAST_FINAL))
        return int(info.sequence_number.value)

    # ---- signing ----

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
        operations = tuple(_operation(transfer, decimals) for transfer in transfers)
        if not operations:
            raise ValueError("a token update without transfers")
        payload = transactions.TokenUpdate(token_id, tokens.encode_operations(operations)).encode()
        energy = transactions.token_update_energy(
            signature_count=self._signer.signature_count(sender), payload_size=len(payload), operations=operations
        )
        return self._signed(sender, payload, energy, sequence_number, expires_at)

    def sign_update(
        self,
        *,
        sender: str,
        contract: Contract,
        receive_name: str,
        parameter: bytes,
        execution_energy: int,
        sequence_number: int,
        expires_at: datetime,
    ) -> SignedTransaction:
        """One call of a contract's entrypoint (`receive_name` "contract.entrypoint", such as contracts.BURN_RECEIVE_NAME with
        `burn_parameter`), carrying no CCD. Pure: same input, same bytes, same hash.

        `execution_energy` is the most the contract may use: a dry run's figure and a margin. ValueError for what cannot
        be sent, ChainMisconfigured without the sender's key. Expiry as in `sign_transfers`.
        """
        if execution_energy <= 0:
            raise ValueError(f"a contract call with {execution_energy} energy")
        payload = transactions.ContractUpdate(contract, receive_name, parameter).encode()
        energy = transactions.contract_update_energy(
            signature_count=self._signer.signature_count(sender),
            payload_size=len(payload),
            execution_energy=execution_energy,
        )
        return self._signed(sender, payload, energy, sequence_number, expires_at)

    def sign_settlements(
        self,
        *,
        sender: str,
        fund: Contract,
        investments: Sequence[Investment],
        execution_energy: int,
        sequence_number: int,
        expires_at: datetime,
    ) -> SignedTransaction:
        """`claimInvestment`, which is claim and refund in one: the fund's state says which. ValueError without investments."""
        if not investments:
            raise ValueError("a settlement without investments")
        parameter = contracts.claim_investment_parameter((one.token, one.token_id, one.investor) for one in investments)
        return self.sign_update(
            sender=sender,
            contract=fund,
            receive_name=contracts.CLAIM_INVESTMENT_RECEIVE_NAME,
            parameter=parameter,
            execution_energy=execution_energy,
            sequence_number=sequence_number,
            expires_at=expires_at,
        )

    def _signed(
        self, sender: str, payload: bytes, energy: int, sequence_number: int, expires_at: datetime
    ) -> SignedTransaction:
        require_aware(expires_at)
        expiry_seconds = int(expires_at.timestamp())
        header = transactions.Header(addresses.decode(sender), sequence_number, energy, len(payload), expiry_seconds)
        signatures = self._signer.sign(sender, transactions.signing_digest(header, payload))
        raw = transactions.AccountTransaction(signatures, header, payload).encode()
        expiry = EPOCH + timedelta(seconds=expiry_seconds)
        return SignedTransaction(raw, transactions.transaction_hash(raw), sender, sequence_number, expiry, energy)

    # ---- sending and following ----

    def submit(self, raw: bytes) -> SubmitHint:
        """Offered to one node, and to the next where that one does not answer: the bytes are the same, so nothing can
        happen twice. TOO_EARLY where that node misses a predecessor: whoever holds the window sends it again in order."""
        try:
            request = _send_request(transactions.parse_block_item(raw))
        except ValueError as error:
            return SubmitHint(Hint.REFUSED, f"not sent: {error}")
        try:
            answered = self._nodes.on_fresh(lambda endpoint: _send(endpoint, request))
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
        return self._nodes.on_fresh(lambda endpoint: _states(endpoint, transaction_hashes))

    def provably_dead(
        self, *, sender: str, sequence_number: int, expires_at: datetime, transaction_hashes: Sequence[str]
    ) -> bool:
        """ChainUnavailable when no endpoint says otherwise but too few answer to be sure."""
        require_aware(expires_at)
        account = addresses.decode(sender)
        agreeing, faults = 0, []
        for endpoint in self._nodes.client.endpoints:
            try:
                is_dead = self._nodes.client.on(
                    endpoint,
                    lambda node: _is_dead_at(node, account, sequence_number, expires_at, transaction_hashes),
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


def _states(endpoint: Endpoint, hashes: Sequence[str]) -> dict[str, TransactionState]:
    unique = list(dict.fromkeys(hashes))
    requests = [node_pb2.Bytes(value=bytes.fromhex(transaction_hash)) for transaction_hash in unique]
    statuses = {
        transaction_hash: _known_status(answer)
        for transaction_hash, answer in zip(unique, endpoint.many("GetBlockItemStatus", requests), strict=True)
    }
    blocks = {transaction_hash: outcomes.finalized_block(status) for transaction_hash, status in statuses.items()}
    heights = {block: block_info(endpoint, given(block)).height.value for block in set(blocks.values()) if block}
    return {
        transaction_hash: _state(transaction_hash, status, heights.get(blocks[transaction_hash] or b""))
        for transaction_hash, status in statuses.items()
    }


def _state(transaction_hash: str, status: Any, block_height: int | None) -> TransactionState:
    """ChainRefused for an outcome that cannot be read, such as a transfer to a holder of a kind no account is."""
    try:
        return outcomes.transaction_state(transaction_hash, status, block_height)
    except ValueError as error:
        raise ChainRefused(f"the outcome of {transaction_hash} cannot be read: {error}") from None


def _known_status(answer: Any) -> Any:
    if isinstance(answer, NodeRefused):
        if answer.code is not grpc.StatusCode.NOT_FOUND:
            raise answer
        return node_pb2.BlockItemStatus()  # of no stage: not found
    return answer


def _is_dead_at(
    node: Endpoint, sender: bytes, sequence_number: int, expires_at: datetime, hashes: Sequence[str]
) -> bool:
    """The order is the proof: a block past the expiry is final, the number is unused IN THAT block, and only then
    is each hash asked for. Asked for first, a transaction could be included between the two answers."""
    head = head_of(block_info(node, LAST_FINAL))
    if head.time <= expires_at:
        return False
    account = account_info(node, sender, given(bytes.fromhex(head.block_hash)))
    if account.sequence_number.value > sequence_number:
        return False
    return all(state.stage is Stage.NOT_FOUND for state in _states(node, hashes).values())
