"""Addresses, token operations and transactions there and back over arbitrary values, beside the devnet's own reader and writer.

The devnet shares no line with the adapter, so a value that survives both was not mistaken twice in the same way.
"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from bonds.chain.concordium import addresses, outcomes, tokens, transactions
from bonds.chain.concordium.tokens import ListOperation, SupplyOperation, SwitchOperation, TransferOperation
from bonds.chain.devnet import cbor as devnet_cbor
from bonds.chain.devnet import encoding as devnet
from bonds.chain.devnet import parse as devnet_parse
from bonds.chain.devnet import signer as devnet_signer
from bonds.chain.gateway import ChainRefused, Stage, TokenTransferred
from bonds.chain.wire import node_pb2 as pb
from bonds.tests import fake_node
from bonds.tests.strategies import (
    SENTENCE,
    accounts,
    beyond_u64,
    contract_addresses,
    decimals,
    memos,
    operations,
    signature_maps,
    steady,
    token_ids,
    transfers,
    u64,
    wrong_accounts,
)

# ---- addresses ----


@steady
@given(accounts, st.integers(0, 2**24 - 1))
def test_an_address_is_the_same_text_and_the_same_account_in_both_implementations(account, counter):
    text = addresses.encode(account)
    assert text == devnet.address_text(account)
    assert addresses.decode(text) == devnet.address_bytes(text) == account
    alias = addresses.alias(account, counter)
    assert addresses.same_account(text, addresses.encode(alias))
    assert devnet.identity(alias) == devnet.identity(account)
    assert addresses.canonical(addresses.encode(alias)) == addresses.canonical(text)


@steady
@given(accounts, accounts)
def test_two_accounts_share_a_key_only_when_their_first_29_bytes_do(left, right):
    texts = addresses.encode(left), addresses.encode(right)
    assert addresses.same_account(*texts) == (left[:29] == right[:29])
    assert (addresses.canonical(texts[0]) == addresses.canonical(texts[1])) == (left[:29] == right[:29])


@steady
@given(st.text(max_size=60) | st.text(addresses.ALPHABET, min_size=48, max_size=52))
def test_text_that_is_no_address_is_refused_as_such_by_both(text):
    for decode in (addresses.decode, addresses.canonical):
        with pytest.raises(ValueError, match="not an account address"):
            decode(text)
    with pytest.raises(devnet.EncodingError):
        devnet.address_bytes(text)


@steady
@given(accounts, st.integers(0, 49), st.sampled_from(addresses.ALPHABET))
def test_one_other_character_is_no_address_to_either(account, position, character):
    text = addresses.encode(account)
    changed = text[:position] + character + text[position + 1 :]
    if changed == text:
        return
    with pytest.raises(ValueError, match="not an account address"):
        addresses.decode(changed)
    with pytest.raises(devnet.EncodingError):
        devnet.address_bytes(changed)


@steady
@given(wrong_accounts)
def test_bytes_of_another_length_are_no_address(data):
    with pytest.raises(ValueError, match="32 bytes"):
        addresses.encode(data)
    with pytest.raises(ValueError, match="32 bytes"):
        tokens.encode_operations([ListOperation("addDenyList", data)])


# ---- token operations ----


def as_devnet_writes(operation: tokens.KnownOperation) -> dict:
    """The operation in the devnet's own CBOR values."""
    if isinstance(operation, SwitchOperation):
        return {operation.kind: {}}
    if isinstance(operation, ListOperation):
        return {operation.kind: {"target": devnet_signer.holder_cbor(operation.target)}}
    amount = devnet_signer.amount_cbor(operation.amount_units, operation.decimals)
    if isinstance(operation, SupplyOperation):
        return {operation.kind: {"amount": amount}}
    body = {"amount": amount, "recipient": devnet_signer.holder_cbor(operation.recipient)}
    if operation.memo is not None:
        body["memo"] = devnet_cbor.Tag(24, operation.memo) if operation.memo_is_cbor else operation.memo
    return {"transfer": body}


@steady
@given(st.lists(operations, max_size=6))
def test_token_operations_are_the_same_bytes_in_both_implementations_and_read_back(listed):
    encoded = tokens.encode_operations(listed)
    assert encoded == devnet_cbor.dumps([as_devnet_writes(operation) for operation in listed])
    assert tokens.decode_operations(encoded) == tuple(listed)


@steady
@given(st.lists(transfers, min_size=1, max_size=3), st.data())
def test_operations_cut_short_or_with_more_behind_them_are_refused(listed, data):
    encoded = tokens.encode_operations(listed)
    kept = data.draw(st.integers(0, len(encoded) - 1))
    for damaged in (encoded[:kept], encoded + b"\x00"):
        with pytest.raises(ValueError, match=SENTENCE):
            tokens.decode_operations(damaged)


@steady
@given(st.lists(operations, min_size=1, max_size=3), st.data())
def test_damaged_operations_are_operations_or_a_value_error(listed, data):
    damaged = bytearray(tokens.encode_operations(listed))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        tokens.decode_operations(bytes(damaged))
    except ValueError as error:
        assert str(error)  # noqa: PT017 - the error is allowed, not expected


@steady
@given(beyond_u64)
def test_an_amount_no_chain_integer_can_hold_is_not_encoded(units):
    for operation in (TransferOperation(bytes(32), units, 6), SupplyOperation("mint", units, 6)):
        with pytest.raises(ValueError, match=f"amount {units} does not fit"):
            tokens.encode_operations([operation])


@steady
@given(st.integers(max_value=-1) | st.integers(min_value=256))
def test_decimals_no_token_can_have_are_not_encoded(places):
    with pytest.raises(ValueError, match="decimals"):
        tokens.encode_operations([TransferOperation(bytes(32), 1, places)])


@steady
@given(st.binary(min_size=tokens.MAX_MEMO_BYTES + 1, max_size=600), st.booleans())
def test_a_memo_over_its_limit_is_not_encoded(memo, is_cbor):
    with pytest.raises(ValueError, match="a memo has at most 256 bytes"):
        tokens.encode_operations([TransferOperation(bytes(32), 1, 6, memo, is_cbor)])


@steady
@given(token_ids)
def test_a_token_id_of_the_allowed_characters_travels_as_it_is(token_id):
    payload = transactions.TokenUpdate(token_id, b"\x80").encode()
    assert transactions.parse_payload(payload) == transactions.TokenUpdate(token_id, b"\x80")
    assert devnet_parse.parse_payload(payload) == devnet_parse.TokenUpdate(token_id, b"\x80")


@steady
@given(st.text(max_size=140).filter(lambda text: not 0 < len(text) <= 128 or set(text) - tokens.TOKEN_ID_CHARACTERS))
def test_any_other_token_id_is_refused(token_id):
    with pytest.raises(ValueError, match="not a token id"):
        tokens.check_token_id(token_id)


# ---- what the token module says ----


@steady
@given(st.integers(0, 2**32), u64, u64, st.integers(0, 40), accounts)
def test_reject_details_keep_index_and_facts(index, available, required, places, account):
    amounts = {
        "availableBalance": devnet_signer.amount_cbor(available, places),
        "requiredBalance": devnet_signer.amount_cbor(required, places),
    }
    short = tokens.decode_reject_details(devnet_cbor.dumps({"index": index, **amounts}))
    assert short.operation_index == index
    available_text, required_text = (part.split(" ")[1] for part in short.reason.split(", "))
    for text, units in ((available_text, available), (required_text, required)):
        assert len(text.partition(".")[2]) == places
        assert int(text.replace(".", "")) == units
    unknown = devnet_cbor.dumps({"index": index, "address": devnet_signer.holder_cbor(account)})
    assert tokens.decode_reject_details(unknown) == tokens.RejectDetails(index, f"address {addresses.encode(account)}")


@steady
@given(st.dictionaries(st.text(max_size=12), st.booleans() | st.text(max_size=20) | st.integers(-(2**63), 2**64 - 1)))
def test_a_tokens_state_is_read_by_name(state):
    assert tokens.decode_token_state(devnet_cbor.dumps(state)) == state


@steady
@given(st.binary(max_size=80))
def test_no_bytes_make_the_readers_of_module_states_and_rejects_fail_otherwise(data):
    for decode in (tokens.decode_reject_details, tokens.decode_token_state):
        try:
            decode(data)
        except ValueError as error:
            assert str(error)  # noqa: PT017


odd_values = (
    st.integers(0, 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8) | st.lists(st.integers(-9, 9), max_size=3)
)


@steady
@given(st.sampled_from(tokens.KEPT_TAGS), odd_values)
def test_a_tag_is_told_and_never_interpreted(tag, value):
    encoded = devnet_cbor.dumps({"index": 3, "why": devnet_cbor.Tag(tag, value)})
    decoded = tokens.decode_reject_details(encoded)
    assert decoded.operation_index == 3
    if tag == 4 and isinstance(value, list) and len(value) == 2:
        return  # a decimal fraction, told as an amount
    assert decoded.reason == f"why {devnet_cbor.dumps(devnet_cbor.Tag(tag, value)).hex()}"


@pytest.mark.parametrize("tag", [25, 28, 29, 256])
@pytest.mark.parametrize("value", [0, [1], "text"])
def test_a_reference_between_values_is_refused(tag, value):
    encoded = devnet_cbor.dumps({"why": devnet_cbor.Tag(tag, value)})
    for decode in (tokens.decode_reject_details, tokens.decode_token_state):
        with pytest.raises(ValueError, match="malformed CBOR"):
            decode(encoded)


def test_a_value_that_contains_itself_is_refused():
    shared_list_of_itself = bytes.fromhex("d81c81d81d00")
    with pytest.raises(ValueError, match="malformed CBOR"):
        tokens.decode_reject_details(b"\xa1\x63why" + shared_list_of_itself)


@steady
@given(st.integers(0, 2**64 - 1) | st.binary(max_size=4))
def test_an_operation_without_a_name_is_refused(kind):
    with pytest.raises(ValueError, match="named by a text"):
        tokens.decode_operations(devnet_cbor.dumps([{kind: {}}]))


@pytest.mark.parametrize(
    ("coin_info", "message"),
    [(0, "another chain"), ([1], "another chain"), ("ab", "another chain"), ({1: 60}, "another chain")],
)
def test_coin_info_of_any_other_shape_is_refused(coin_info, message):
    account = devnet_cbor.Tag(40307, {1: devnet_cbor.Tag(40305, coin_info), 3: bytes(32)})
    amount = devnet_signer.amount_cbor(1, 6)
    with pytest.raises(ValueError, match=message):
        tokens.decode_operations(devnet_cbor.dumps([{"transfer": {"amount": amount, "recipient": account}}]))


# ---- transactions ----


@steady
@given(accounts, st.integers(1, 2**64 - 1), u64, u64, signature_maps, st.lists(transfers, min_size=1, max_size=4))
def test_both_implementations_read_the_same_transaction_out_of_the_same_bytes(
    sender, number, energy, expiry, signatures, listed
):
    payload = transactions.TokenUpdate("EURO.e", tokens.encode_operations(listed)).encode()
    header = transactions.Header(sender, number, energy, len(payload), expiry)
    raw = transactions.AccountTransaction(signatures, header, payload).encode()
    ours, theirs = transactions.parse_block_item(raw), devnet_parse.parse_block_item(raw)
    assert (ours.signatures, ours.header, ours.payload) == (signatures, header, payload)
    assert theirs.signatures == signatures
    assert (theirs.sender, theirs.sequence_number, theirs.energy, theirs.expiry) == (sender, number, energy, expiry)
    assert theirs.payload == payload
    assert transactions.transaction_hash(raw) == theirs.transaction_hash.hex() == hashlib.sha256(raw).hexdigest()
    assert transactions.signing_digest(header, payload) == theirs.digest
    assert tokens.decode_operations(devnet_parse.parse_payload(payload).operations) == tuple(listed)


@steady
@given(
    st.dictionaries(
        st.integers(0, 255),
        st.dictionaries(st.integers(0, 255), st.binary(min_size=32, max_size=32), min_size=1, max_size=2),
        min_size=1,
        max_size=2,
    ),
    st.integers(1, 2**64 - 1),
    st.lists(transfers.filter(lambda transfer: transfer.memo is None), min_size=1, max_size=3),
)
def test_signed_bytes_hash_and_energy_are_those_of_the_devnets_own_signer(seeds, number, listed):
    account, expiry = hashlib.sha256(b"signer").digest(), 1_800_000_000
    described = [devnet_signer.transfer(one.recipient, one.amount_units, one.decimals) for one in listed]
    payload, execution = devnet_signer.token_update("EURD", described)
    hex_seeds = {credential: {key: seed.hex() for key, seed in keys.items()} for credential, keys in seeds.items()}
    theirs = devnet_signer.Signer(addresses.encode(account), hex_seeds).item(
        payload, sequence_number=number, energy=execution, expiry=expiry
    )
    encoded = transactions.TokenUpdate("EURD", tokens.encode_operations(listed)).encode()
    energy = transactions.token_update_energy(
        signature_count=sum(map(len, seeds.values())), payload_size=len(encoded), operations=tuple(listed)
    )
    header = transactions.Header(account, number, energy, len(encoded), expiry)
    digest = transactions.signing_digest(header, encoded)
    signatures = {
        credential: {key: SigningKey(seed).sign(digest).signature for key, seed in keys.items()}
        for credential, keys in seeds.items()
    }
    assert transactions.AccountTransaction(signatures, header, encoded).encode() == theirs


@steady
@given(contract_addresses, st.text("abcdefgh_.", max_size=100), st.binary(max_size=300), u64)
def test_a_contract_update_is_read_alike_by_both(contract, receive_name, parameter, amount):
    update = transactions.ContractUpdate(contract, receive_name, parameter, amount)
    payload = update.encode()
    assert transactions.parse_payload(payload) == update
    theirs = devnet_parse.parse_payload(payload)
    assert (theirs.contract.index, theirs.contract.subindex) == (contract.index, contract.subindex)
    assert (theirs.receive_name, theirs.parameter, theirs.amount) == (receive_name, parameter, amount)


@steady
@given(signature_maps, st.lists(transfers, min_size=1, max_size=2), st.data())
def test_a_block_item_cut_anywhere_or_lengthened_is_refused(signatures, listed, data):
    payload = transactions.TokenUpdate("EURD", tokens.encode_operations(listed)).encode()
    raw = transactions.AccountTransaction(
        signatures, transactions.Header(bytes(32), 1, 1, len(payload), 1), payload
    ).encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    for damaged in (raw[:cut], raw + data.draw(st.binary(min_size=1, max_size=8))):
        with pytest.raises(ValueError, match=SENTENCE):
            transactions.parse_block_item(damaged)
    short = data.draw(st.integers(0, len(payload) - 1))
    for damaged in (payload[:short], payload + b"\x00"):
        with pytest.raises(ValueError, match=SENTENCE):
            transactions.parse_payload(damaged)


@steady
@given(beyond_u64, st.sampled_from(["sequence_number", "energy", "expiry_seconds"]))
def test_a_header_number_no_u64_holds_is_refused(value, field):
    numbers = {"sequence_number": 1, "energy": 1, "payload_size": 0, "expiry_seconds": 1, field: value}
    with pytest.raises(ValueError, match="out of range"):
        transactions.Header(bytes(32), **numbers).encode()


@steady
@given(wrong_accounts)
def test_a_header_never_pads_or_cuts_a_sender(sender):
    with pytest.raises(ValueError, match="sender"):
        transactions.Header(sender, 1, 1, 0, 1).encode()


# ---- outcomes ----


@steady
@given(st.lists(st.tuples(token_ids, accounts, accounts, u64, decimals, st.none() | memos), max_size=5), u64, u64)
def test_token_events_of_a_final_transaction_are_told_in_order(moves, energy, cost):
    token_events = []
    for token_id, sender, recipient, units, places, memo in moves:
        event = pb.TokenEvent(token_id=pb.Str(value=token_id))
        getattr(event.transfer_event, "from").account.value = sender
        event.transfer_event.to.account.value = recipient
        event.transfer_event.amount.value, event.transfer_event.amount.decimals = units, places
        if memo is not None:
            event.transfer_event.memo.value = memo
            event.transfer_event.memo.SetInParent()
        token_events.append(event)
    details = pb.AccountTransactionDetails(cost=pb.U64(value=cost))
    details.effects.token_update_effect.events.extend(token_events)
    details.effects.token_update_effect.SetInParent()
    status = pb.BlockItemStatus()
    outcome = status.finalized.outcome
    outcome.block_hash.value = b"\x07" * 32
    outcome.outcome.CopyFrom(pb.BlockItemSummary(energy_cost=pb.U64(value=energy), account_transaction=details))
    state = outcomes.transaction_state("ab" * 32, pb.BlockItemStatus.FromString(status.SerializeToString()), 9)
    assert (state.stage, state.energy, state.cost_microccd, state.block_height) == (Stage.FINALIZED, energy, cost, 9)
    assert state.rejection is None
    assert state.transfers == tuple(
        TokenTransferred(token_id, addresses.encode(sender), addresses.encode(recipient), units, places, memo)
        for token_id, sender, recipient, units, places, memo in moves
    )


@pytest.mark.parametrize("stage", ["committed", "finalized"])
def test_a_transfer_to_a_holder_that_is_no_account_is_refused_naming_the_transaction(network, node, stage):
    event = pb.TokenEvent(transfer_event=pb.TokenTransferEvent(amount=pb.TokenAmount(value=1)))
    effects = pb.AccountTransactionEffects(token_update_effect=pb.TokenEffect(events=[event]))
    outcome = pb.BlockItemSummaryInBlock(
        block_hash=fake_node.wrapped(fake_node.block_hash(3)), outcome=fake_node.summary(effects)
    )
    final = pb.BlockItemStatus(finalized=pb.FinalizedStatus(outcome=outcome))
    committed = pb.BlockItemStatus(committed=pb.CommittedStatus(outcomes=[outcome]))
    node.answers["GetBlockItemStatus"] = final if stage == "finalized" else committed
    gateway = fake_node.connect(network.serve(node))
    if stage == "committed":  # not read before it is final
        assert gateway.states(["ab" * 32])["ab" * 32].stage is Stage.COMMITTED
        return
    with pytest.raises(
        ChainRefused, match=f"the outcome of {'ab' * 32} cannot be read: an account address has 32 bytes"
    ):
        gateway.states(["ab" * 32])
