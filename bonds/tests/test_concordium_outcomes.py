"""What a node says of a transaction, read into the gateway's words: rejections told apart, undone contract events
dropped."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonds.chain.concordium import addresses, contracts, outcomes, traces
from bonds.chain.gateway import ChainRefused, Contract, LotEventKind, Rejection, Stage, TokenTransferred
from bonds.chain.wire import node_pb2

ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32
TOKEN, OTHER = Contract(10), Contract(11, 3)
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


# ---- contract events ----


def address_of(contract: Contract) -> node_pb2.ContractAddress:
    return node_pb2.ContractAddress(index=contract.index, subindex=contract.subindex)


def updated(contract: Contract, *events: bytes) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceUpdated(address=address_of(contract), events=[bytes_of(event) for event in events])
    return node_pb2.ContractTraceElement(updated=step)


def interrupted(contract: Contract, *events: bytes) -> node_pb2.ContractTraceElement:
    step = node_pb2.InstanceInterrupted(address=address_of(contract), events=[bytes_of(event) for event in events])
    return node_pb2.ContractTraceElement(interrupted=step)


def resumed(contract: Contract, success: bool = True) -> node_pb2.ContractTraceElement:
    return node_pb2.ContractTraceElement(
        resumed=node_pb2.InstanceResumed(address=address_of(contract), success=success)
    )


def transferred() -> node_pb2.ContractTraceElement:
    return node_pb2.ContractTraceElement(transferred=node_pb2.InstanceTransferred())


def test_a_trace_is_flattened_in_the_order_in_which_events_took_effect():
    trace = [
        interrupted(TOKEN, b"1"),
        interrupted(OTHER, b"2"),
        transferred(),
        resumed(OTHER),
        updated(OTHER, b"3"),
        resumed(TOKEN),
        updated(TOKEN, b"4", b"5"),
    ]
    assert traces.flatten(trace) == [(TOKEN, b"1"), (OTHER, b"2"), (OTHER, b"3"), (TOKEN, b"4"), (TOKEN, b"5")]


def test_everything_under_a_failed_call_was_undone_and_is_dropped():
    trace = [
        interrupted(TOKEN, b"kept"),
        interrupted(OTHER, b"undone"),
        updated(TOKEN, b"undone, though its own call succeeded"),
        resumed(OTHER),
        updated(OTHER, b"undone"),
        resumed(TOKEN, success=False),
        interrupted(TOKEN, b"kept too"),
        updated(OTHER, b"a second call, which succeeded"),
        resumed(TOKEN),
        updated(TOKEN, b"last"),
    ]
    assert [raw for _, raw in traces.flatten(trace)] == [
        b"kept",
        b"kept too",
        b"a second call, which succeeded",
        b"last",
    ]


@pytest.mark.parametrize(
    "trace",
    [
        [resumed(TOKEN)],
        [interrupted(TOKEN)],
        [node_pb2.ContractTraceElement()],
    ],
)
def test_a_trace_that_does_not_nest_is_refused(trace):
    with pytest.raises(ChainRefused, match="contract trace"):
        traces.flatten(trace)


@st.composite
def calls(draw, depth: int = 3):
    """A random call tree as a trace, with the events that survive it."""
    trace, kept = [], []
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        before = draw(st.binary(min_size=1, max_size=3))
        inner_trace, inner_kept = draw(calls(depth - 1))
        success = draw(st.booleans())
        trace += [interrupted(TOKEN, before), *inner_trace, resumed(TOKEN, success)]
        kept += [before, *(inner_kept if success else [])]
    last = draw(st.binary(min_size=1, max_size=3))
    return [*trace, updated(TOKEN, last)], [*kept, last]


@given(calls())
def test_whatever_the_nesting_what_survives_is_what_was_not_undone(call):
    trace, kept = call
    assert [raw for _, raw in traces.flatten(trace)] == kept


def moved(tag: int, *parties: bytes) -> bytes:
    event = bytes([tag]) + b"\x08" + (19_723).to_bytes(8, "little") + b"\x05"
    return event + b"".join(b"\x00" + party for party in parties)


def summary(*trace: node_pb2.ContractTraceElement) -> node_pb2.BlockItemSummary:
    effects = node_pb2.AccountTransactionEffects(contract_update_issued=node_pb2.ContractUpdateIssued(effects=trace))
    details = node_pb2.AccountTransactionDetails(effects=effects)
    return node_pb2.BlockItemSummary(hash=bytes_of(bytes.fromhex(HASH)), account_transaction=details)


def test_lot_events_are_the_token_contracts_own_numbered_over_all_events_of_the_transaction():
    frozen = b"\xf7" + moved(0, ALICE)[1:]
    to_contract = moved(0xFF, ALICE) + contracts.encode_address(OTHER)
    found = traces.lot_events(
        summary(
            updated(OTHER, moved(0xFE, ALICE)), updated(TOKEN, frozen, moved(0xFE, ALICE)), updated(TOKEN, to_contract)
        ),
        {TOKEN},
    )
    mint, transfer = found
    assert (mint.kind, mint.token_id, mint.amount_raw, mint.event_index) == (LotEventKind.MINT, 19_723, 5, 2)
    assert (mint.sender, mint.recipient) == (None, addresses.encode(ALICE))
    assert (mint.contract, mint.transaction_hash) == (TOKEN, HASH)
    assert (transfer.kind, transfer.event_index) == (LotEventKind.TRANSFER, 3)
    assert (transfer.sender, transfer.recipient) == (addresses.encode(ALICE), "<11,3>")


def test_a_burn_has_a_sender_and_no_recipient():
    (burn,) = traces.lot_events(summary(updated(TOKEN, moved(0xFD, BOB))), {TOKEN})
    assert (burn.kind, burn.sender, burn.recipient) == (LotEventKind.BURN, addresses.encode(BOB), None)


def test_tokens_minted_when_a_contract_is_made_are_seen():
    effect = node_pb2.ContractInitialized(address=address_of(TOKEN), events=[bytes_of(moved(0xFE, BOB))])
    details = node_pb2.AccountTransactionDetails(
        effects=node_pb2.AccountTransactionEffects(contract_initialized=effect)
    )
    made = node_pb2.BlockItemSummary(hash=bytes_of(bytes.fromhex(HASH)), account_transaction=details)
    assert [event.kind for event in traces.lot_events(made, {TOKEN})] == [LotEventKind.MINT]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\x2a\x01", "an unreadable event 2a01"),
        (moved(0xFE, ALICE)[:-1], "an unreadable event"),
        (b"\xf2\x00" + ALICE + b"\x00" + BOB, "an account recovery"),
    ],
)
def test_an_event_that_may_move_balances_unseen_stops_the_follower(raw, what):
    emitted = summary(updated(OTHER, b"\x00"), updated(TOKEN, raw))
    with pytest.raises(ChainRefused, match=f"{what}.* of a token contract: contract <10,0>, .* event 1"):
        traces.lot_events(emitted, {TOKEN})
    assert traces.lot_events(emitted, {Contract(99)}) == []
