"""The gateway is built from settings: how contracts are read is one of them, and a malformed one is refused by name."""

import json

import pytest

from bonds.chain.concordium import addresses, modules
from bonds.chain.concordium.contracts import Module
from bonds.chain.concordium.signer import KeyEnvironmentSigner, KeyFileSigner
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.gateway import ChainMisconfigured
from config import context


def test_unset_the_devnets_contracts_are_read_each_by_its_own_interface():
    table = modules.parse(context.devnet_modules())
    assert {kind: table[reference] for kind, reference in MODULE_REFS.items()} == {
        "token": Module.SECURITY,
        "fund": Module.FUND,
        "registry": Module.REGISTRY,
        "state_registry": Module.ADDRESS_STATES,
    }


def test_a_setting_that_cannot_be_used_stops_the_process_and_is_named(settings):
    settings.CHAIN_MODULES = ["security_sft_multi"]
    with pytest.raises(ChainMisconfigured, match=r"CHAIN_MODULES, entry 1 \('security_sft_multi'\): no interface"):
        context.chain.__wrapped__()


# --- who signs -----------------------------------------------------------------------------------------------------
KEYS = json.dumps({"address": addresses.encode(bytes(32)), "keys": {"0": {"0": "01" * 32}}})


def hsm() -> str:
    return "a signer of somebody else's"


def test_a_signer_is_named_by_its_path_before_any_keys_are_looked_for(settings, monkeypatch):
    monkeypatch.setenv("CLOUD_WALLET_KEYS", KEYS)
    settings.CLOUD_WALLET_SIGNER = "config.tests.test_chain_context.hsm"
    assert context.signer() == "a signer of somebody else's"


def test_keys_of_the_environment_come_before_the_file(settings, monkeypatch, tmp_path):
    settings.CLOUD_WALLET_KEYS_FILE = str(tmp_path / "wallet.json")
    (tmp_path / "wallet.json").write_text(KEYS)
    assert type(context.signer()) is KeyFileSigner
    monkeypatch.setenv("CLOUD_WALLET_KEYS", KEYS)
    assert type(context.signer()) is KeyEnvironmentSigner


def test_a_signer_that_cannot_be_had_is_refused_by_name(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("CLOUD_WALLET_KEYS", raising=False)
    settings.CLOUD_WALLET_SIGNER = "nowhere.signer"
    with pytest.raises(ChainMisconfigured, match="CLOUD_WALLET_SIGNER: No module named 'nowhere'"):
        context.signer()
    settings.CLOUD_WALLET_SIGNER = ""
    settings.CLOUD_WALLET_KEYS_FILE = str(tmp_path / "none.json")
    with pytest.raises(ChainMisconfigured, match=r"none\.json cannot be read"):
        context.signer()
