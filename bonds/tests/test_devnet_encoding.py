"""The devnet's own codecs against the official SDK's bytes, and against malformed ones."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonds.chain.devnet import cbor, contracts, signer
from bonds.chain.devnet.contracts import parameters
from bonds.chain.devnet.contracts.rights import Role
from bonds.chain.devnet.encoding import (
    ContractAddress,
    EncodingError,
    Reader,
    address_bytes,
    address_of,
    address_text,
    agent_event,
    burn_event,
    contract_party,
    identity,
    investment_event,
    mint_event,
    transfer_event,
    uleb128,
)
from bonds.chain.devnet.parse import ContractUpdate, ParseError, TokenUpdate, parse_block_item, parse_payload, signed_by
from bonds.chain.devnet.token_module import decode_operations

VECTORS = Path(__file__).parent / "vectors"
TOKEN_DAY = 20454  # e64f, little endian


def vectors(name):
    return json.loads((VECTORS / name).read_text())


def transactions():
    plt = vectors("plt_transactions.json")["transactions"]
    update = vectors("contract_update_tx.json")["transactions"]
    return [pytest.param(case, id=name) for name, case in {**plt, **update}.items()]


def account_of(case):
    """The account cell that the vector's seeds belong to, every key required."""
    keys = {
        credential: {
            index: bytes(signer.SigningKey(bytes.fromhex(seed)).verify_key).hex() for index, seed in seeds.items()
        }
        for credential, seeds in case["keys"].items()
    }
    return {"keys": keys, "account_threshold": len(keys), "credential_threshold": min(map(len, keys.values()))}


@pytest.mark.parametrize("case", transactions())
def test_the_sdks_transactions_parse_and_verify(case):
    transaction = parse_block_item(bytes.fromhex(case["block_item"]))
    assert transaction.transaction_hash.hex() == case["sha256_block_item"]
    assert transaction.digest.hex() == case["sign_digest"]
    assert address_text(transaction.sender) == case["sender"]
    assert (transaction.sequence_number, transaction.expiry) == (case["nonce"], case["expiry"])
    assert (transaction.energy, len(transaction.payload)) == (case["energy"], case["payloadSize"])
    assert signed_by(transaction, account_of(case))
    assert not signed_by(transaction, {**account_of(case), "account_threshold": 9})
    wrong = {**account_of(case), "keys": {c: dict.fromkeys(k, "22" * 32) for c, k in case["keys"].items()}}
    assert not signed_by(transaction, wrong)


@pytest.mark.parametrize("case", transactions())
def test_the_sdks_transactions_are_rebuilt_from_their_parts(case):
    transaction = parse_block_item(bytes.fromhex(case["block_item"]))
    seeds = {int(c): {int(k): seed for k, seed in keys.items()} for c, keys in case["keys"].items()}
    built = signer.Signer(case["sender"], seeds).item(
        bytes.fromhex(case["payload"]),
        sequence_number=case["nonce"],
        energy=transaction.energy - transaction.base_energy,
        expiry=case["expiry"],
    )
    assert built.hex() == case["block_item"]


@pytest.mark.parametrize("case", transactions())
def test_the_stated_energy_is_what_the_devnet_charges(case):
    transaction = parse_block_item(bytes.fromhex(case["block_item"]))
    payload = parse_payload(transaction.payload)
    if isinstance(payload, ContractUpdate):
        assert payload.contract == ContractAddress(*case["contract"])
        assert payload.receive_name == case["receiveName"]
        assert transaction.energy == transaction.base_energy + case["execution_energy"]
    else:
        assert payload.token_id == case["tokenId"]
        assert transaction.energy == transaction.base_energy + 300 + 100 * len(cbor.loads(payload.operations))


@pytest.mark.parametrize("case", transactions())
def test_a_transaction_cut_short_or_too_long_is_refused(case):
    raw = bytes.fromhex(case["block_item"])
    for broken in (raw[:-1], raw + b"\x00", raw[:70], b"\x01" + raw[1:]):
        with pytest.raises(ParseError):
            parse_block_item(broken)


def test_every_operation_of_the_sdk_is_written_back_byte_for_byte():
    for name, text in vectors("plt_cbor.json")["operations"].items():
        assert cbor.dumps(cbor.loads(bytes.fromhex(text))).hex() == text, name


def test_the_sdks_operations_mean_what_they_say():
    operations = vectors("plt_cbor.json")["operations"]
    (largest,) = decode_operations(bytes.fromhex(operations["transfer_max"]), decimals=6)
    assert (largest.name, largest.amount) == ("transfer", 2**64 - 1)
    (with_memo,) = decode_operations(bytes.fromhex(operations["transfer_raw_memo"]), decimals=2)
    assert with_memo.memo == bytes([1, 2, 3, 4])
    with pytest.raises(ValueError, match="precision mismatch"):
        decode_operations(bytes.fromhex(operations["transfer_6dec"]), decimals=2)
    (denied,) = decode_operations(bytes.fromhex(operations["addDenyList"]), decimals=6)
    assert denied.target.address.hex() == "c9fe077a6f828862444c895e5e9079e3b478a3f2bed9b1f88bcf8f28da67de86"


def test_maps_and_lists_of_indefinite_length_are_read():
    assert cbor.loads(bytes.fromhex("9fbf616101ff5f41014102ffff")) == [{"a": 1}, b"\x01\x02"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ff",
        "81",
        "a1",
        "a161",
        "1c",
        "f97c00",
        "fb3ff0000000000000",
        "0000",
        "a2010102",
        "a201010102",
        "c4ff",
        "62ff",
    ],
)
def test_bytes_that_are_no_cbor_raise_the_declared_error(text):
    with pytest.raises(cbor.CborError):
        cbor.loads(bytes.fromhex(text))


VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.integers(0, 9) | st.text(), inner)
        | st.builds(cbor.Tag, st.integers(0, 2**32), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_cbor_reads_what_it_writes(value):
    assert cbor.loads(cbor.dumps(value)) == value


@given(st.binary())
def test_any_bytes_give_a_value_or_the_declared_error(data):
    with suppress(cbor.CborError):
        cbor.dumps(cbor.loads(data))


def test_addresses_and_aliases():
    data = vectors("addresses.json")
    for case in [*data["addresses"], data["zero"], data["alias"]]:
        assert address_text(bytes.fromhex(case["bytes"])) == case["base58"]
        assert address_bytes(case["base58"]).hex() == case["bytes"]
    alias, owner = address_bytes(data["alias"]["base58"]), address_bytes(data["alias"]["of"])
    assert alias != owner
    assert identity(alias) == identity(owner)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[:-1],
        lambda a: a + "1",
        lambda a: "1" + a,
        lambda a: a[:-1] + "0",
        lambda a: a[:-1] + "z",
        lambda a: "",
    ],
)
def test_a_mistyped_address_is_refused(change):
    address = vectors("addresses.json")["addresses"][0]["base58"]
    with pytest.raises(EncodingError):
        address_bytes(change(address))


def test_contract_events_are_the_deployed_contracts_bytes():
    cases = vectors("contract_events.json")["events"]
    owner = address_bytes("4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm")
    assert mint_event(TOKEN_DAY, 1500, owner).hex() == cases["Mint"]["hex"]
    assert burn_event(TOKEN_DAY, 1500, owner).hex() == cases["Burn"]["hex"]
    assert transfer_event(TOKEN_DAY, 300, owner, ContractAddress(77)).hex() == cases["Transfer"]["hex"]
    assert (contracts.IDENTITY_REGISTERED + b"\x00" + owner).hex() == cases["IdentityRegistered"]["hex"]
    assert (contracts.IDENTITY_REMOVED + b"\x00" + owner).hex() == cases["IdentityRemoved"]["hex"]


def test_a_burns_parameter_is_the_deployed_contracts_bytes():
    owner = address_bytes("4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm")
    expected = vectors("contract_params.json")["params"]["burn_one"]["hex"]
    assert contracts.lots_parameter([(TOKEN_DAY, 1500, owner)]).hex() == expected


def test_agent_and_fund_events_are_the_deployed_contracts_bytes():
    cases = vectors("contract_events.json")["events"]
    agent = address_bytes("3fT2RVyKFcdpSfkKK9TsHqZ53RCSd3T6k9LLoQHmKPNyWiGZtu")
    assert agent_event(0xFA, agent, [Role.FORCED_BURN]).hex() == cases["AgentAdded"]["hex"]
    owner = address_bytes("4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm")
    security = (ContractAddress(10), TOKEN_DAY)
    for tag, name in ((6, "Invested"), (8, "InvestmentCancelled")):
        assert investment_event(tag, security, owner, (1000, 1_000_000)).hex() == cases[name]["hex"]


def test_contract_parameters_are_the_deployed_contracts_bytes():
    cases = {name: case["hex"] for name, case in vectors("contract_params.json")["params"].items()}
    owner = address_bytes("4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm")
    agent = address_bytes("3fT2RVyKFcdpSfkKK9TsHqZ53RCSd3T6k9LLoQHmKPNyWiGZtu")
    receiver = address_bytes("4KTifCA2dr9rLKkTmcafDe7B7jrM7WdvTTJLCdiJ8EcgkZfxi6")
    security = (ContractAddress(10), TOKEN_DAY)
    assert {
        "burn_one": parameters.burn_parameter([(TOKEN_DAY, 1500, owner)]).hex(),
        "balanceOf": parameters.balances_parameter([(TOKEN_DAY, owner), (1, ContractAddress(5))]).hex(),
        "isAgent": parameters.agent_parameter(agent, [Role.FORCED_BURN]).hex(),
        "isVerified_account": contract_party(owner).hex(),
        "claimInvestment": parameters.claims_parameter(security, [owner]).hex(),
        "updateFundState_success": parameters.fund_state_parameter(security, receiver).hex(),
    } == cases


@pytest.mark.parametrize(
    "text", ["<>", "<1", "1,0>", "<1,0,0>", "<-1,0>", "<1,x>", "<\N{SUPERSCRIPT TWO},0>", "<1,0> ", f"<{2**64},0>"]
)
def test_a_mistyped_contract_is_refused(text):
    with pytest.raises(EncodingError):
        contract_party(address_of(text))


def test_a_contract_is_read_with_and_without_its_subindex():
    assert address_of("<77>") == address_of("<77,0>") == ContractAddress(77)
    assert address_of(str(ContractAddress(7, 3))) == ContractAddress(7, 3)


@given(st.integers(0, 2**64 - 1))
def test_uleb128_round_trip(value):
    reader = Reader(uleb128(value))
    assert reader.uleb128() == value
    reader.finish()


def test_an_amount_over_u64_is_refused():
    with pytest.raises(EncodingError):
        Reader(uleb128(2**64)).uleb128()


def test_a_payload_of_another_type_is_named():
    with pytest.raises(ParseError, match="type 3"):
        parse_payload(b"\x03" + bytes(40))
    payload, _ = signer.token_update("EURD", [])
    assert parse_payload(payload) == TokenUpdate("EURD", b"\x80")
