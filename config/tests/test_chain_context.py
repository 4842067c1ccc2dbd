"""The gateway is built from settings: how contracts are read is one of them, and a malformed one is refused by name."""

import pytest

from bonds.chain.concordium import modules
from bonds.chain.concordium.contracts import Module
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
