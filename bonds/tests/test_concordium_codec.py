"""Addresses, token operations and transactions, byte for byte against the official SDK's vectors."""

import hashlib
import json
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey

from bonds.chain.concordium import addresses, tokens, transactions
from bonds.chain.concordium.tokens import (
    ListOperation,
    SupplyOperation,
    SwitchOperation,
    TransferOperation,
    UnknownOperation,
)
from bonds.chain.gateway import Contract

VECTORS = Path(__file__).parent / "vectors"


def load(name: str) -> dict:
    return json.loads((VECTORS / name).read_text())


ADDRESSES = load("addresses.json")
CBOR = load("plt_cbor.json")
TOKEN_UPDATES = load("plt_transactions.json")["transactions"]
CONTRACT_UPDATES = load("contract_update_tx.json")["transactions"]
TRANSACTIONS = TOKEN_UPDATES | CONTRACT_UPDATES
HOLDER = addresses.decode(ADDRESSES["addresses"][1]["base58"])

accounts = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)


# ---- addresses ----


@pytest.mark.parametrize("entry", [*ADDRESSES["addresses"], ADDRESSES["zero"]], ids=lambda entry: entry["base58"][:6])
def test_an_address_is_the_base58check_of_its_bytes(entry):
    assert addresses.encode(bytes.fromhex(entry["bytes"])) == entry["base58"]
    assert addresses.decode(entry["base58"]).hex() == entry["bytes"]


def test_an_alias_shares_the_first_29_bytes_and_the_key_of_its_account():
    entry = ADDRESSES["alias"]
    assert addresses.alias(addresses.decode(entry["of"]), entry["counter"]).hex() == entry["bytes"]
    assert addresses.encode(bytes.fromhex(entry["bytes"])) == entry["base58"]
    assert addresses.same_account(entry["of"], entry["base58"])
    assert addresses.canonical(entry["of"]) == addresses.canonical(entry["base58"])
    assert not addresses.same_account(entry["of"], ADDRESSES["zero"]["base58"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        ADDRESSES["zero"]["base58"][:-1],
        "1" + ADDRESSES["zero"]["base58"],
        ADDRESSES["zero"]["base58"][:-1] + "4",  # checksum
        ADDRESSES["zero"]["base58"][:-1] + "0",  # no base58 character
        "z" * 50,  # more than 37 bytes
        "<7,0>",
    ],
)
def test_a_malformed_address_is_refused(text):
    with pytest.raises(ValueError, match="not an account address"):
        addresses.decode(text)


def test_a_checked_address_of_another_version_is_refused():
    data = b"\x02" + bytes(32)
    number = int.from_bytes(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = addresses.ALPHABET[digit] + text
    with pytest.raises(ValueError, match="not an account address"):
        addresses.decode(text)


@given(accounts, st.integers(0, 2**24 - 1))
def test_every_account_survives_the_round_trip_and_keeps_its_key_under_every_alias(account, counter):
    text = addresses.encode(account)
    assert addresses.decode(text) == account
    assert addresses.canonical(addresses.encode(addresses.alias(account, counter))) == addresses.canonical(text)


@given(accounts, st.integers(0, 49), st.sampled_from(addresses.ALPHABET))
def test_one_wrong_character_never_names_another_account(account, position, character):
    text = addresses.encode(account)
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(ValueError, match="not an account address"):
            addresses.decode(changed)


# ---- token operations ----

OPERATIONS = {
    "transfer_plain": TransferOperation(HOLDER, 12300, 3),
    "transfer_6dec": TransferOperation(HOLDER, 1234567890, 6),
    "transfer_0dec": TransferOperation(HOLDER, 7, 0),
    "transfer_zero": TransferOperation(HOLDER, 0, 6),
    "transfer_2pow32": TransferOperation(HOLDER, 2**32, 6),
    "transfer_max": TransferOperation(HOLDER, 2**64 - 1, 6),
    "transfer_raw_memo": TransferOperation(HOLDER, 500, 2, memo=b"\x01\x02\x03\x04"),
    "mint": SupplyOperation("mint", 12300, 3),
    "burn": SupplyOperation("burn", 12300, 3),
    "addAllowList": ListOperation("addAllowList", HOLDER),
    "removeAllowList": ListOperation("removeAllowList", HOLDER),
    "addDenyList": ListOperation("addDenyList", HOLDER),
    "pause": SwitchOperation("pause"),
    "unpause": SwitchOperation("unpause"),
}


@pytest.mark.parametrize("name", CBOR["operations"])
def test_token_operations_are_the_sdks_cbor_byte_for_byte(name):
    expected = CBOR["operations"][name]
    assert tokens.encode_operations([OPERATIONS[name]]).hex() == expected
    assert tokens.decode_operations(bytes.fromhex(expected)) == (OPERATIONS[name],)


def test_the_exponent_is_minus_the_decimals_even_where_another_would_be_equal():
    assert tokens.encode_operations([TransferOperation(HOLDER, 100, 2)]) != tokens.encode_operations(
        [TransferOperation(HOLDER, 1_000_000, 6)]
    )


def test_an_account_without_coin_info_is_read():
    account = cbor2.CBORTag(40307, {3: HOLDER})
    data = cbor2.dumps([{"transfer": {"amount": cbor2.CBORTag(4, [-2, 5]), "recipient": account}}])
    assert tokens.decode_operations(data) == (TransferOperation(HOLDER, 5, 2),)


def test_an_operation_of_a_newer_protocol_is_read_as_unknown():
    assert tokens.decode_operations(cbor2.dumps([{"assignRole": {"role": 1}}])) == (UnknownOperation("assignRole"),)


def transfer_map(**changes: object) -> dict:
    body = {"amount": cbor2.CBORTag(4, [-2, 5]), "recipient": cbor2.CBORTag(40307, {3: HOLDER})} | changes
    return {"transfer": {key: value for key, value in body.items() if value is not None}}


@pytest.mark.parametrize(
    "value",
    [
        {"transfer": {}},  # not a list
        [transfer_map(amount=None)],
        [transfer_map(surprise=1)],
        [transfer_map() | {"pause": {}}],  # two operations in one
        [transfer_map(amount=5)],
        [transfer_map(amount=cbor2.CBORTag(4, [2, 5]))],  # positive exponent
        [transfer_map(amount=cbor2.CBORTag(4, [-2, -5]))],
        [transfer_map(amount=cbor2.CBORTag(4, [-2, 2**64]))],
        [transfer_map(amount=cbor2.CBORTag(4, [-2]))],
        [transfer_map(recipient=cbor2.CBORTag(40307, {3: HOLDER[:31]}))],
        [transfer_map(recipient=cbor2.CBORTag(40307, {1: cbor2.CBORTag(40305, {1: 60}), 3: HOLDER}))],  # Ethereum
        [transfer_map(memo="text")],
    ],
)
def test_malformed_operations_are_refused(value):
    with pytest.raises(ValueError, match=r"."):
        tokens.decode_operations(cbor2.dumps(value))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_operations_or_a_value_error(data):
    try:
        tokens.decode_operations(data)
    except ValueError:
        return


def test_bytes_after_the_operations_are_refused():
    with pytest.raises(ValueError, match="left over"):
        tokens.decode_operations(bytes.fromhex(CBOR["operations"]["pause"]) + b"\x00")


@pytest.mark.parametrize(
    "operation",
    [
        TransferOperation(HOLDER, 2**64, 6),
        TransferOperation(HOLDER, -1, 6),
        TransferOperation(HOLDER, 1, 256),
        TransferOperation(HOLDER[:31], 1, 6),
        TransferOperation(HOLDER, 1, 6, memo=bytes(257)),
    ],
)
def test_what_cannot_travel_is_not_encoded(operation):
    with pytest.raises(ValueError, match=r"."):
        tokens.encode_operations([operation])


transfers = st.builds(
    TransferOperation, accounts, u64, st.integers(0, 255), st.none() | st.binary(max_size=256), st.just(False)
)
other_operations = st.one_of(
    st.builds(SupplyOperation, st.sampled_from(tokens.SUPPLY_KINDS), u64, st.integers(0, 255)),
    st.builds(ListOperation, st.sampled_from(tokens.LIST_KINDS), accounts),
    st.builds(SwitchOperation, st.sampled_from(tokens.SWITCH_KINDS)),
    st.builds(TransferOperation, accounts, u64, st.integers(0, 255), st.binary(max_size=256), st.just(True)),
)


@given(st.lists(transfers | other_operations, max_size=8))
def test_operations_survive_the_round_trip(operations):
    assert tokens.decode_operations(tokens.encode_operations(operations)) == tuple(operations)


@pytest.mark.parametrize(
    ("name", "index", "reason"),
    [
        ("tokenBalanceInsufficient", 3, "availableBalance 12.300, requiredBalance 22.300"),
        (
            "addressNotFound",
            3,
            f"address {addresses.encode(bytes(range(1, 33)))}",
        ),
    ],
)
def test_reject_details_name_the_failing_operation_and_the_facts(name, index, reason):
    decoded = tokens.decode_reject_details(bytes.fromhex(CBOR["decode_reject"][name]))
    assert (decoded.operation_index, decoded.reason) == (index, reason)


def test_a_reject_reason_in_words_is_kept_in_the_chains_words():
    account = cbor2.CBORTag(40307, {3: HOLDER})
    details = cbor2.dumps({"index": 0, "address": account, "reason": "recipient not in allow list"})
    assert tokens.decode_reject_details(details) == tokens.RejectDetails(0, "recipient not in allow list")


def test_an_odd_fact_of_a_reject_is_told_in_hex_and_hides_nothing_else():
    details = cbor2.dumps({"index": 4, "limit": cbor2.CBORTag(4, [2, 1]), "why": [1, 2]})
    assert tokens.decode_reject_details(details) == tokens.RejectDetails(4, "limit c4820201, why 820102")


@pytest.mark.parametrize("token_id", ["", "EURO e", "EUR€", "x" * 129])
def test_a_token_id_no_chain_could_know_is_refused(token_id):
    with pytest.raises(ValueError, match="not a token id"):
        transactions.TokenUpdate(token_id, b"").encode()


# ---- transactions ----


def keys_of(entry: dict) -> dict[int, dict[int, SigningKey]]:
    return {
        int(credential): {int(index): SigningKey(bytes.fromhex(seed)) for index, seed in keys.items()}
        for credential, keys in entry["keys"].items()
    }


def rebuilt(name: str) -> transactions.AccountTransaction:
    """The transaction of a vector built from its meaning: payload, energy, header and signatures are all ours."""
    entry = TRANSACTIONS[name]
    payload = transactions.parse_payload(bytes.fromhex(entry["payload"]))
    keys = keys_of(entry)
    signature_count = sum(len(indices) for indices in keys.values())
    if isinstance(payload, transactions.TokenUpdate):
        operations = tokens.decode_operations(payload.operations)
        encoded = transactions.TokenUpdate(entry["tokenId"], tokens.encode_operations(operations)).encode()
        energy = transactions.token_update_energy(
            signature_count=signature_count, payload_size=len(encoded), operations=operations
        )
    else:
        encoded = transactions.ContractUpdate(
            Contract(*entry["contract"]), entry["receiveName"], payload.parameter
        ).encode()
        energy = transactions.contract_update_energy(
            signature_count=signature_count, payload_size=len(encoded), execution_energy=entry["execution_energy"]
        )
    header = transactions.Header(
        addresses.decode(entry["sender"]), entry["nonce"], energy, len(encoded), entry["expiry"]
    )
    digest = transactions.signing_digest(header, encoded)
    signatures = {
        credential: {index: key.sign(digest).signature for index, key in indices.items()}
        for credential, indices in keys.items()
    }
    return transactions.AccountTransaction(signatures, header, encoded)


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_a_transaction_is_the_sdks_byte_for_byte(name):
    entry, transaction = TRANSACTIONS[name], rebuilt(name)
    assert transaction.payload.hex() == entry["payload"]
    assert transaction.header.payload_size == entry["payloadSize"]
    assert transaction.header.energy == entry["energy"]
    assert transaction.header.encode().hex() == entry["header"]
    assert transactions.signing_digest(transaction.header, transaction.payload).hex() == entry["sign_digest"]
    assert {
        str(credential): {str(index): signature.hex() for index, signature in keys.items()}
        for credential, keys in transaction.signatures.items()
    } == entry["signatures"]
    assert transaction.encode().hex() == entry["block_item"]


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_hash_is_that_of_the_whole_block_item_kind_byte_included(name):
    entry = TRANSACTIONS[name]
    computed = transactions.transaction_hash(bytes.fromhex(entry["block_item"]))
    assert computed == entry["sha256_block_item"]
    assert computed != entry["hash_new_Transaction_getAccountTransactionHash"]  # names a hash that never exists


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_a_block_item_is_read_back_exactly(name):
    raw = bytes.fromhex(TRANSACTIONS[name]["block_item"])
    assert transactions.parse_block_item(raw) == rebuilt(name)


def test_the_memo_of_the_sdks_transfer_is_read_with_its_tag():
    payload = transactions.parse_payload(bytes.fromhex(TOKEN_UPDATES["plt_transfer_memo"]["payload"]))
    (operation,) = tokens.decode_operations(payload.operations)
    assert (operation.memo, operation.memo_is_cbor) == (b"tyield:2026-03:inv-42", True)


def test_several_credentials_and_keys_are_written_in_order_whatever_order_they_come_in():
    header = transactions.Header(HOLDER, 1, 1, 0, 1)
    ordered = {0: {0: b"a" * 64, 1: b"b" * 64}, 2: {5: b"c" * 64}}
    shuffled = {2: {5: b"c" * 64}, 0: {1: b"b" * 64, 0: b"a" * 64}}
    one, two = (transactions.AccountTransaction(signatures, header, b"") for signatures in (ordered, shuffled))
    assert one.encode() == two.encode()
    assert transactions.parse_block_item(two.encode()) == one


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw + b"\x00",
        lambda raw: b"\x03" + raw[1:],  # a sponsored transaction
        lambda raw: raw[:40],
    ],
)
def test_a_damaged_block_item_is_refused(damage):
    raw = bytes.fromhex(TOKEN_UPDATES["plt_transfer_single"]["block_item"])
    with pytest.raises(ValueError, match=r"."):
        transactions.parse_block_item(damage(raw))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_block_item_or_a_value_error(data):
    try:
        transaction = transactions.parse_block_item(b"\x00" + data)
    except ValueError:
        return
    assert transaction.encode() == b"\x00" + data


@pytest.mark.parametrize(
    "header",
    [
        transactions.Header(HOLDER, 2**64, 1, 0, 1),
        transactions.Header(HOLDER, -1, 1, 0, 1),
        transactions.Header(HOLDER, 1, 1, 0, 2**64),
    ],
)
def test_a_header_field_out_of_range_is_refused(header):
    with pytest.raises(ValueError, match="out of range"):
        header.encode()


def test_a_payload_over_the_chains_limit_is_refused():
    payload = bytes(transactions.MAX_PAYLOAD_BYTES + 1)
    header = transactions.Header(HOLDER, 1, 1, len(payload), 1)
    with pytest.raises(ValueError, match="payload of"):
        transactions.AccountTransaction({0: {0: bytes(64)}}, header, payload).encode()


def test_a_transactions_repr_shows_no_signed_bytes():
    transaction = rebuilt("plt_transfer_single")
    assert repr(transaction) == "<AccountTransaction number 42>"


@given(st.lists(transfers, min_size=1, max_size=5), u64, st.integers(1, 2**40), st.binary(min_size=32, max_size=32))
def test_a_signed_update_is_read_back_and_its_signature_verifies(operations, sequence_number, expiry, seed):
    payload = transactions.TokenUpdate("EUROe", tokens.encode_operations(operations)).encode()
    energy = transactions.token_update_energy(
        signature_count=1, payload_size=len(payload), operations=tuple(operations)
    )
    assert energy == 100 + 60 + len(payload) + 300 + 100 * len(operations)
    header = transactions.Header(HOLDER, sequence_number, energy, len(payload), expiry)
    key = SigningKey(seed)
    digest = transactions.signing_digest(header, payload)
    raw = transactions.AccountTransaction({0: {0: key.sign(digest).signature}}, header, payload).encode()
    read = transactions.parse_block_item(raw)
    assert read.header == header
    update = transactions.parse_payload(read.payload)
    assert tokens.decode_operations(update.operations) == tuple(operations)
    VerifyKey(bytes(key.verify_key)).verify(
        transactions.signing_digest(read.header, read.payload), read.signatures[0][0]
    )
