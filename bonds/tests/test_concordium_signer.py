"""The key file: read once, signs with every key, and shows nothing of them."""

import json
import pickle
import traceback

import pytest
from nacl.signing import SigningKey

from bonds.chain.concordium import addresses
from bonds.chain.concordium.signer import KeyEnvironmentSigner, KeyFileSigner
from bonds.chain.gateway import ChainMisconfigured

ACCOUNT = addresses.encode(bytes(range(32)))
SEEDS = {"0": {"0": "01" * 32, "3": "02" * 32}, "2": {"1": "ab" * 32}}


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps({"address": ACCOUNT, "keys": SEEDS}))
    return path


def test_it_signs_with_every_key_of_every_credential(key_file):
    signer = KeyFileSigner(key_file)
    signatures = signer.sign(ACCOUNT, bytes(32))
    assert signer.signature_count(ACCOUNT) == 3
    assert {credential: sorted(keys) for credential, keys in signatures.items()} == {0: [0, 3], 2: [1]}
    for credential, keys in SEEDS.items():
        for index, seed in keys.items():
            verify_key = SigningKey(bytes.fromhex(seed)).verify_key
            verify_key.verify(bytes(32), signatures[int(credential)][int(index)])


def test_it_signs_for_an_alias_of_its_account(key_file):
    alias = addresses.encode(addresses.alias(bytes(range(32)), 7))
    assert KeyFileSigner(key_file).sign(alias, bytes(32)) == KeyFileSigner(key_file).sign(ACCOUNT, bytes(32))


def test_it_signs_for_no_other_account(key_file):
    other = addresses.encode(bytes(32))
    signer = KeyFileSigner(key_file)
    with pytest.raises(ChainMisconfigured, match="no key for the account"):
        signer.sign(other, bytes(32))
    with pytest.raises(ChainMisconfigured, match="no key for the account"):
        signer.signature_count(other)


def test_keys_show_in_no_repr_and_are_never_pickled(key_file):
    signer = KeyFileSigner(key_file)
    assert repr(signer) == f"<KeyFileSigner {ACCOUNT}>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"address": ACCOUNT, "keys": {}},
        {"address": ACCOUNT, "keys": {"0": {}}},
        {"address": "nobody", "keys": SEEDS},
        {"address": ACCOUNT, "keys": {"0": {"0": "5ec7e7" * 10}}},
        {"address": ACCOUNT, "keys": {"0": {"0": "5ec7e7-not-hex"}}},
        {"address": ACCOUNT, "keys": {"256": {"0": "5e" * 32}}},
        {"address": ACCOUNT, "keys": {"0": "5ec7e7"}},
    ],
)
def test_a_malformed_file_is_refused_without_repeating_what_it_holds(tmp_path, document):
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ChainMisconfigured, match="does not hold an address and its keys") as caught:
        KeyFileSigner(path)
    assert "5ec7e7" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_file_and_one_that_is_not_json_are_refused(tmp_path):
    with pytest.raises(ChainMisconfigured, match="cannot be read"):
        KeyFileSigner(tmp_path / "absent.json")
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps("5ec7e7"))
    with pytest.raises(ChainMisconfigured, match="does not hold"):
        KeyFileSigner(path)
    path.write_text("{5ec7e7")
    with pytest.raises(ChainMisconfigured, match="not JSON") as caught:
        KeyFileSigner(path)
    assert "5ec7e7" not in "".join(traceback.format_exception(caught.value))


def test_keys_come_from_the_environment_as_well(key_file, monkeypatch):
    monkeypatch.setenv("WALLET_KEYS", key_file.read_text())
    signer = KeyEnvironmentSigner("WALLET_KEYS")
    assert signer.sign(ACCOUNT, bytes(32)) == KeyFileSigner(key_file).sign(ACCOUNT, bytes(32))
    assert repr(signer) == f"<KeyEnvironmentSigner {ACCOUNT}>"
    with pytest.raises(TypeError):
        pickle.dumps(signer)


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"address": "x", "keys": {"0": {"0": "5ec7e7"}}}'])
def test_a_variable_without_usable_keys_is_named_and_its_content_is_not(monkeypatch, text):
    monkeypatch.setenv("WALLET_KEYS", text)
    with pytest.raises(ChainMisconfigured, match="the environment variable WALLET_KEYS") as refused:
        KeyEnvironmentSigner("WALLET_KEYS")
    assert "5ec7e7" not in "".join(traceback.format_exception(refused.value))
