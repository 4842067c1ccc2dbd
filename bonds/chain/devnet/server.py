"""The node's gRPC service: answers with the messages, codes and texts of a node. Must never touch state itself."""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc

from bonds.chain.devnet import contracts, render, token_module
from bonds.chain.devnet.chain import Block, Known, Refused
from bonds.chain.devnet.encoding import ContractAddress, identity
from bonds.chain.devnet.outcomes import Reject
from bonds.chain.devnet.parse import (
    MAX_PAYLOAD_BYTES,
    ParseError,
    Transaction,
    parse_block_item,
    signature_bytes,
)
from bonds.chain.devnet.peer import Peer
from bonds.chain.devnet.render import u64, wrapped
from bonds.chain.devnet.seed import token_key
from bonds.chain.devnet.state import Draft, StateAt
from bonds.chain.wire import node_pb2 as pb
from bonds.chain.wire import node_pb2_grpc as rpc

PROTOCOL_9 = 8  # how the enum travels
INVOKE_ENERGY = 100_000_000_000
EPOCH_MS, TIMEOUT_MS = 3_600_000, 10_000
POLL_SECONDS = 0.5  # how often an idle stream looks whether its client is still there


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    context.abort(code, text)
    raise AssertionError("abort raises")


def transaction_of(request: pb.SendBlockItemRequest) -> Transaction:
    """The transaction in a request, given as bytes or field by field. ParseError otherwise."""
    if request.WhichOneof("block_item") == "raw_block_item":
        return parse_block_item(request.raw_block_item)
    if request.WhichOneof("block_item") != "account_transaction":
        raise ParseError("only account transactions are known here")
    message = request.account_transaction
    header, payload = message.header, message.payload.raw_payload
    signatures = {
        credential: {key: signature.value for key, signature in keys.signatures.items()}
        for credential, keys in message.signature.signatures.items()
    }
    indexes = [*signatures, *(key for keys in signatures.values() for key in keys)]
    if len(header.sender.value) != 32 or max(indexes, default=256) > 255 or len(payload) > MAX_PAYLOAD_BYTES:
        raise ParseError("a field out of range")
    raw = b"\x00" + signature_bytes(signatures) + header.sender.value
    for value, width in (
        (header.sequence_number.value, 8),
        (header.energy_amount.value, 8),
        (len(payload), 4),
        (header.expiry.value, 8),
    ):
        raw += value.to_bytes(width, "big")
    return parse_block_item(raw + payload)


class Node(rpc.QueriesServicer):
    """One node of the network, answering what it knows of the chain. Stateless beside that."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    # ---- sending and following ------------------------------------------------------------------------------------

    def SendBlockItem(self, request: pb.SendBlockItemRequest, context: grpc.ServicerContext) -> pb.Bytes:
        self._available(context)
        try:
            transaction = transaction_of(request)
            self.peer.receive(transaction)
            if self.peer.faults.take("duplicate_submits"):
                self.peer.receive(transaction)
        except Known as known:
            _abort(context, grpc.StatusCode.ALREADY_EXISTS, str(known))
        except (Refused, ParseError) as refused:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(refused))
        if self.peer.faults.take("lose_replies"):
            _abort(context, grpc.StatusCode.UNAVAILABLE, "the connection broke")
        return wrapped(transaction.transaction_hash)

    def GetBlockItemStatus(self, request: pb.Bytes, context: grpc.ServicerContext) -> pb.BlockItemStatus:
        self._available(context)
        status = self.peer.status(request.value)
        if status is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, "Transaction not found.")
        if status.block is None:
            return pb.BlockItemStatus(received=pb.Empty())
        outcome = pb.BlockItemSummaryInBlock(
            block_hash=wrapped(status.block.block_hash), outcome=pb.BlockItemSummary.FromString(status.summary)
        )
        if status.final:
            return pb.BlockItemStatus(finalized=pb.FinalizedStatus(outcome=outcome))
        return pb.BlockItemStatus(committed=pb.CommittedStatus(outcomes=[outcome]))

    def GetNextAccountSequenceNumber(
        self, request: pb.Bytes, context: grpc.ServicerContext
    ) -> pb.NextAccountSequenceNumber:
        self._available(context)
        number, all_final = self.peer.next_number(self._identity(request.value, context))
        return pb.NextAccountSequenceNumber(sequence_number=u64(number), all_final=all_final)

    def GetAccountNonFinalizedTransactions(
        self, request: pb.Bytes, context: grpc.ServicerContext
    ) -> Iterator[pb.Bytes]:
        self._available(context)
        yield from map(wrapped, self.peer.pending_of(self._identity(request.value, context)))

    # ---- blocks ---------------------------------------------------------------------------------------------------

    def GetConsensusInfo(self, request: pb.Empty, context: grpc.ServicerContext) -> pb.ConsensusInfo:
        self._available(context)
        with self.peer.chain.changed:
            head, final_height = self.peer.head, self.peer.final_height
        genesis, final = self._height(0, context), self._height(final_height, context)
        head_ms, final_ms = self.peer.slot_time_ms(head), self.peer.slot_time_ms(final)
        since_genesis = head.slot_time_ms - genesis.slot_time_ms
        return pb.ConsensusInfo(
            best_block=wrapped(head.block_hash),
            genesis_block=wrapped(genesis.block_hash),
            genesis_time=u64(genesis.slot_time_ms),
            epoch_duration=u64(EPOCH_MS),
            last_finalized_block=wrapped(final.block_hash),
            best_block_height=u64(head.height),
            last_finalized_block_height=u64(final.height),
            blocks_received_count=head.height,
            block_last_received_time=u64(head_ms),
            blocks_verified_count=head.height,
            block_last_arrived_time=u64(head_ms),
            finalization_count=final.height,
            last_finalized_time=u64(final_ms),
            protocol_version=PROTOCOL_9,
            genesis_index=pb.U32(value=0),
            current_era_genesis_block=wrapped(genesis.block_hash),
            current_era_genesis_time=u64(genesis.slot_time_ms),
            current_timeout_duration=u64(TIMEOUT_MS),
            current_round=u64(head.height + 1),
            current_epoch=u64(since_genesis // EPOCH_MS),
            trigger_block_time=u64(genesis.slot_time_ms + (since_genesis // EPOCH_MS + 1) * EPOCH_MS),
        )

    def GetBlockInfo(self, request: pb.BlockHashInput, context: grpc.ServicerContext) -> pb.BlockInfo:
        self._available(context)
        block = self._block(request, context)
        final_height = self.peer.final_height
        last_final = self._height(max(0, min(final_height, block.height - 1)), context)
        slot = u64(self.peer.slot_time_ms(block))
        info = pb.BlockInfo(
            hash=wrapped(block.block_hash),
            height=u64(block.height),
            parent_block=wrapped(block.parent_hash),
            last_finalized_block=wrapped(last_final.block_hash),
            genesis_index=pb.U32(value=0),
            era_block_height=u64(block.height),
            receive_time=slot,
            arrive_time=slot,
            slot_time=slot,
            finalized=block.height <= final_height,
            transaction_count=block.items,
            transactions_energy_cost=u64(block.energy),
            transactions_size=block.size,
            state_hash=wrapped(block.state_hash),
            protocol_version=PROTOCOL_9,
            round=u64(block.height),
            epoch=u64((block.slot_time_ms - self.peer.chain.genesis.genesis_time_ms) // EPOCH_MS),
        )
        if block.height:
            info.baker.value = 0
            info.baker.SetInParent()
        return info

    def GetBlocksAtHeight(
        self, request: pb.BlocksAtHeightRequest, context: grpc.ServicerContext
    ) -> pb.BlocksAtHeightResponse:
        self._available(context)
        which = request.WhichOneof("blocks_at_height")
        height = request.absolute.height.value if which == "absolute" else request.relative.height.value
        block = self.peer.block(height)
        return pb.BlocksAtHeightResponse(blocks=[wrapped(block.block_hash)] if block else [])

    def GetBlockTransactionEvents(
        self, request: pb.BlockHashInput, context: grpc.ServicerContext
    ) -> Iterator[pb.BlockItemSummary]:
        self._available(context)
        for summary in self.peer.chain.store.summaries(self._block(request, context).height):
            yield pb.BlockItemSummary.FromString(summary)

    def GetBlocks(self, request: pb.Empty, context: grpc.ServicerContext) -> Iterator[pb.BlockHashAndHeight]:
        yield from self._follow(context, lambda: self.peer.head.height)

    def GetFinalizedBlocks(self, request: pb.Empty, context: grpc.ServicerContext) -> Iterator[pb.BlockHashAndHeight]:
        yield from self._follow(context, lambda: self.peer.final_height)

    def _follow(self, context: grpc.ServicerContext, top: Callable[[], int]) -> Iterator[pb.BlockHashAndHeight]:
        """New blocks as they come, until the client goes away; one that takes the place of another is a new one."""
        self._available(context)
        chain = self.peer.chain
        with chain.changed:
            told = self._height(top(), context)
        while context.is_active() and not self.peer.faults.refusing:
            with chain.changed:
                kept = chain.block(told.height) == told
                fresh = [self._height(height, context) for height in range(told.height + kept, top() + 1)]
                if not fresh:
                    chain.changed.wait(POLL_SECONDS)
            for told in fresh:
                yield pb.BlockHashAndHeight(hash=wrapped(told.block_hash), height=u64(told.height))

    def GetBlockChainParameters(self, request: pb.BlockHashInput, context: grpc.ServicerContext) -> pb.ChainParameters:
        self._available(context)
        self._block(request, context)
        genesis = self.peer.chain.genesis
        energy, euro = genesis.euro_per_energy, genesis.micro_ccd_per_euro
        return pb.ChainParameters(
            v3=pb.ChainParametersSinceV2(
                consensus_parameters=pb.ConsensusParameters(
                    min_block_time=u64(1000), block_energy_limit=u64(genesis.block_energy_limit)
                ),
                euro_per_energy=pb.ExchangeRate(value=pb.Ratio(numerator=energy[0], denominator=energy[1])),
                micro_ccd_per_euro=pb.ExchangeRate(value=pb.Ratio(numerator=euro[0], denominator=euro[1])),
            )
        )

    # ---- accounts and tokens --------------------------------------------------------------------------------------

    def GetAccountList(self, request: pb.BlockHashInput, context: grpc.ServicerContext) -> Iterator[pb.Bytes]:
        self._available(context)
        view = self._view(request, context)
        for key in view.keys("account"):
            yield wrapped(bytes.fromhex(view.get(key)["address"]))

    def GetAccountInfo(self, request: pb.AccountInfoRequest, context: grpc.ServicerContext) -> pb.AccountInfo:
        self._available(context)
        view = self._view(request.block_hash, context)
        name, account = self._account(request.account_identifier, view, context)
        balance = u64(view.get(f"ccd/{name}", 0))
        address = bytes.fromhex(account["address"])
        return pb.AccountInfo(
            sequence_number=u64(view.get(f"nonce/{name}")),
            amount=balance,
            schedule=pb.ReleaseSchedule(total=u64(0)),
            creds={int(index): render.credential(index, account) for index in account["keys"]},
            threshold=pb.U32(value=account["account_threshold"]),
            encrypted_balance=pb.EncryptedBalance(self_amount=wrapped(bytes(192)), start_index=0),
            encryption_key=wrapped(bytes(48) + address + bytes(16)),
            index=u64(account["index"]),
            address=wrapped(address),
            available_balance=balance,
            tokens=list(self._tokens_of(view, name)),
        )

    @staticmethod
    def _tokens_of(view: StateAt, account: str) -> Iterator[pb.AccountToken]:
        for cell in view.keys("token"):
            token = view.get(cell)
            balance = view.get(f"balance/{token_key(token['token_id'])}/{account}")
            if balance is not None:
                yield pb.AccountToken(
                    token_id=pb.Str(value=token["token_id"]),
                    token_account_state=pb.TokenAccountState(
                        balance=pb.TokenAmount(value=balance, decimals=token["decimals"]),
                        module_state=wrapped(token_module.account_state(view, token, account)),
                    ),
                )

    def GetTokenList(self, request: pb.BlockHashInput, context: grpc.ServicerContext) -> Iterator[pb.Str]:
        self._available(context)
        view = self._view(request, context)
        for key in view.keys("token"):
            yield pb.Str(value=view.get(key)["token_id"])

    def GetTokenInfo(self, request: pb.TokenInfoRequest, context: grpc.ServicerContext) -> pb.TokenInfo:
        self._available(context)
        view = self._view(request.block_hash, context)
        key = token_key(request.token_id.value)
        token = view.get(f"token/{key}")
        if token is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, "Token or block not found.")
        return pb.TokenInfo(
            token_id=pb.Str(value=token["token_id"]),
            token_state=pb.TokenState(
                token_module_ref=wrapped(token_module.MODULE_REF),
                decimals=token["decimals"],
                total_supply=pb.TokenAmount(value=view.get(f"supply/{key}", 0), decimals=token["decimals"]),
                module_state=wrapped(token_module.module_state(view, token)),
            ),
        )

    # ---- contracts ------------------------------------------------------------------------------------------------

    def GetInstanceList(
        self, request: pb.BlockHashInput, context: grpc.ServicerContext
    ) -> Iterator[pb.ContractAddress]:
        self._available(context)
        for key in self._view(request, context).keys("contract"):
            yield pb.ContractAddress(index=int(key.partition("/")[2]), subindex=0)

    def GetInstanceInfo(self, request: pb.InstanceInfoRequest, context: grpc.ServicerContext) -> pb.InstanceInfo:
        self._available(context)
        view = self._view(request.block_hash, context)
        instance = view.get(f"contract/{request.address.index}") if request.address.subindex == 0 else None
        if instance is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, "Contract or block not found.")
        return pb.InstanceInfo(
            v1=pb.InstanceInfoV1(
                owner=wrapped(bytes.fromhex(instance["owner"])),
                amount=u64(0),
                methods=[pb.Str(value=name) for name in contracts.methods(instance)],
                name=pb.Str(value=f"init_{instance['name']}"),
                source_module=wrapped(bytes.fromhex(instance["module_ref"])),
            )
        )

    def InvokeInstance(
        self, request: pb.InvokeInstanceRequest, context: grpc.ServicerContext
    ) -> pb.InvokeInstanceResponse:
        """Run an entrypoint on the block's state and throw what it writes away."""
        self._available(context)
        draft = Draft(self._view(request.block_hash, context))
        contract = ContractAddress(request.instance.index, request.instance.subindex)
        invoker: Any = None
        if request.invoker.WhichOneof("type") == "account":
            invoker = request.invoker.account.value
        elif request.invoker.WhichOneof("type") == "contract":
            invoker = ContractAddress(request.invoker.contract.index, request.invoker.contract.subindex)
        energy = contracts.CALL_ENERGY
        try:
            call = contracts.Call(
                draft=draft,
                contract=contract,
                instance=contracts.find(draft, contract),
                receive_name=request.entrypoint.value,
                parameter=request.parameter.value,
                caller=invoker,
                amount=request.amount.value,
            )
            contracts.invoke(call)
            energy = call.energy
        except Reject as reject:
            reason = render.reject_reason(reject)
            return pb.InvokeInstanceResponse(failure=pb.InvokeFailure(used_energy=u64(energy), reason=reason))
        return pb.InvokeInstanceResponse(success=pb.InvokeSuccess(return_value=call.returned, used_energy=u64(energy)))

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _available(self, context: grpc.ServicerContext) -> None:
        if self.peer.faults.refusing:
            _abort(context, grpc.StatusCode.UNAVAILABLE, "connection refused")

    def _height(self, height: int, context: grpc.ServicerContext) -> Block:
        block = self.peer.block(height)
        if block is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, "Block not found.")
        return block

    def _block(self, wanted: pb.BlockHashInput, context: grpc.ServicerContext) -> Block:
        """The block an input names; NOT_FOUND when there is none."""
        match wanted.WhichOneof("block_hash_input"):
            case "best":
                return self.peer.head
            case "last_final":
                return self._height(self.peer.final_height, context)
            case "given":
                block = self.peer.block_named(wanted.given.value)
                if block is None:
                    _abort(context, grpc.StatusCode.NOT_FOUND, "Block not found.")
                return block
            case "absolute_height":
                return self._height(wanted.absolute_height.value, context)
            case "relative_height" if wanted.relative_height.genesis_index.value == 0:
                return self._height(wanted.relative_height.height.value, context)
        _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "Invalid argument.")

    def _view(self, wanted: pb.BlockHashInput, context: grpc.ServicerContext) -> StateAt:
        return self.peer.state_at(self._block(wanted, context).height)

    @staticmethod
    def _identity(address: bytes, context: grpc.ServicerContext) -> str:
        if len(address) != 32:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "Invalid argument.")
        return identity(address)

    def _account(
        self, wanted: pb.AccountIdentifier, view: StateAt, context: grpc.ServicerContext
    ) -> tuple[str, dict[str, Any]]:
        if wanted.WhichOneof("account_identifier_input") == "address":
            name = self._identity(wanted.address.value, context)
            account = view.get(f"account/{name}")
            if account is not None:
                return name, account
        elif wanted.WhichOneof("account_identifier_input") == "account_index":
            for key in view.keys("account"):
                if view.get(key)["index"] == wanted.account_index.value:
                    return key.partition("/")[2], view.get(key)
        _abort(context, grpc.StatusCode.NOT_FOUND, "Account or block not found.")
