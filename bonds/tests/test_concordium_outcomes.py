"""What a node says of a transaction, read into the gateway's words: stages, transfers, rejections told apart."""

import cbor2
import pytest

from bonds.chain.concordium import addresses, outcomes
from bonds.chain.gateway import Rejection, Stage, TokenTransferred
from bonds.chain.wire import node_pb2

ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32
HASH = "ab" * 32


def bytes_of(value: bytes) -> node_pb2.Bytes:
    return node_pb2.Bytes(value=value)


def text(value: str) -> node_pb2.Str:
    return node_pb2.Str(value=value)


def finalized(effects: node_pb2.AccountTransactionEffects) -> node_pb2.BlockItemStatus:
    details = node_pb2.AccountTransactionDetails(cost=node_pb2.U64(value=900), sender=bytes_of(ALICE), effects=effects)
    summary = node_pb2.BlockItemSummary(
        energy_cost=node_pb2.U64(value=656), hash=bytes_of(bytes.fromhex(HASH)), account_transaction=details
    )
    outcome = node_pb2.BlockItemSummaryInBlock(block_hash=bytes_of(b"\xbb" * 32), outcome=summary)
    return node_pb2.BlockItemStatus(finalized=node_pb2.FinalizedStatus(outcome=outcome))


def rejected(**reason: object) -> node_pb2.RejectReason:
    return node_pb2.RejectReason(**reason)


def token_reject(kind: str, details: bytes | None) -> node_pb2.RejectReason:
    encoded = None if details is None else bytes_of(details)
    fact = node_pb2.TokenModuleRejectReason(token_id=text("EUROe"), type=kind, details=encoded)
    return rejected(token_update_transaction_failed=fact)


# ---- transactions ----


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        (node_pb2.BlockItemStatus(), Stage.NOT_FOUND),
        (node_pb2.BlockItemStatus(received=node_pb2.Empty()), Stage.RECEIVED),
        (node_pb2.BlockItemStatus(committed=node_pb2.CommittedStatus()), Stage.COMMITTED),
    ],
)
def test_before_finality_only_the_stage_is_told(status, stage):
    state = outcomes.transaction_state(HASH, status, None)
    assert state.stage is stage
    assert (state.block_hash, state.block_height, state.energy, state.transfers) == (None, None, None, ())
    assert outcomes.finalized_block(status) is None


def transfer_event(units: int, memo: bytes | None) -> node_pb2.TokenEvent:
    event = node_pb2.TokenTransferEvent(
        to=node_pb2.TokenHolder(account=bytes_of(BOB)),
        amount=node_pb2.TokenAmount(value=units, decimals=6),
        memo=None if memo is None else bytes_of(memo),
    )
    getattr(event, "from").CopyFrom(node_pb2.TokenHolder(account=bytes_of(ALICE)))
    return node_pb2.TokenEvent(token_id=text("EUROe"), transfer_event=event)


def test_a_finalised_token_update_tells_its_transfers_in_order():
    events = [transfer_event(2**64 - 1, b"\x01"), transfer_event(7, None), transfer_event(8, b"")]
    status = finalized(node_pb2.AccountTransactionEffects(token_update_effect=node_pb2.TokenEffect(events=events)))
    state = outcomes.transaction_state(HASH, status, 12)
    sender, recipient = addresses.encode(ALICE), addresses.encode(BOB)
    assert state.transfers == (
        TokenTransferred("EUROe", sender, recipient, 2**64 - 1, 6, b"\x01"),
        TokenTransferred("EUROe", sender, recipient, 7, 6, None),
        TokenTransferred("EUROe", sender, recipient, 8, 6, b""),
    )
    assert (state.stage, state.block_hash, state.block_height) == (Stage.FINALIZED, "bb" * 32, 12)
    assert (state.energy, state.cost_microccd, state.rejection) == (656, 900, None)
    assert outcomes.finalized_block(status) == b"\xbb" * 32


def test_a_finalised_rejection_has_no_transfers_but_costs():
    effect = node_pb2.NoEffect(transaction_type=21, reject_reason=rejected(out_of_energy=node_pb2.Empty()))
    state = outcomes.transaction_state(HASH, finalized(node_pb2.AccountTransactionEffects(none=effect)), 12)
    assert state.rejection == Rejection("out_of_energy")
    assert (state.transfers, state.cost_microccd) == ((), 900)


def test_an_effect_of_another_kind_is_neither_a_transfer_nor_a_rejection():
    effects = node_pb2.AccountTransactionEffects(account_transfer=node_pb2.AccountTransfer())
    state = outcomes.transaction_state(HASH, finalized(effects), 12)
    assert (state.stage, state.transfers, state.rejection) == (Stage.FINALIZED, (), None)


BALANCE = cbor2.CBORTag(4, [-2, 1050])
RECIPIENT = cbor2.CBORTag(40307, {3: BOB})


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            token_reject(
                "tokenBalanceInsufficient",
                cbor2.dumps({"index": 2, "availableBalance": BALANCE, "requiredBalance": cbor2.CBORTag(4, [-2, 5])}),
            ),
            Rejection("tokenBalanceInsufficient", 2, "availableBalance 10.50, requiredBalance 0.05"),
        ),
        (
            token_reject("addressNotFound", cbor2.dumps({"index": 0, "address": RECIPIENT})),
            Rejection("addressNotFound", 0, f"address {addresses.encode(BOB)}"),
        ),
        (
            token_reject(
                "operationNotPermitted",
                cbor2.dumps({"index": 99, "address": RECIPIENT, "reason": "recipient in deny list"}),
            ),
            Rejection("operationNotPermitted", 99, "recipient in deny list"),
        ),
        (
            token_reject("deserializationFailure", cbor2.dumps({"cause": "unexpected exponent"})),
            Rejection("deserializationFailure", None, "unexpected exponent"),
        ),
        (token_reject("somethingNew", None), Rejection("somethingNew")),
        (token_reject("somethingNew", b"\xff"), Rejection("somethingNew", None, "unreadable details ff")),
        (rejected(non_existent_token_id=text("EURX")), Rejection("non_existent_token_id", None, "EURX")),
        (
            rejected(invalid_account_reference=bytes_of(BOB)),
            Rejection("invalid_account_reference", None, addresses.encode(BOB)),
        ),
        (
            rejected(
                rejected_receive=node_pb2.RejectedReceive(
                    reject_reason=-42000003, receive_name=text("security_sft_multi.burn")
                )
            ),
            Rejection("rejected_receive", None, "security_sft_multi.burn code -42000003"),
        ),
        (
            rejected(invalid_receive_method=node_pb2.InvalidReceiveMethod(receive_name=text("a.b"))),
            Rejection("invalid_receive_method", None, "a.b"),
        ),
        (
            rejected(invalid_contract_address=node_pb2.ContractAddress(index=7, subindex=1)),
            Rejection("invalid_contract_address", None, "<7,1>"),
        ),
        (rejected(), Rejection("unknown_reject_reason")),
    ],
    ids=lambda value: value.reason if isinstance(value, Rejection) else "",
)
def test_every_rejection_is_told_in_the_chains_words(reason, expected):
    assert outcomes.rejection(reason) == expected
