"""The table of module references: read from the setting, every malformed entry named."""

import pytest

from bonds.chain.concordium import modules
from bonds.chain.concordium.contracts import Module
from bonds.chain.gateway import ChainMisconfigured

REF, OTHER = "ab" * 32, "cd" * 32


def test_each_reference_speaks_the_interface_it_is_given():
    table = modules.parse([f"{REF.upper()}=security_sft_multi", f" {OTHER} = address_state_registry "])
    assert table == {REF: Module.SECURITY, OTHER: Module.ADDRESS_STATES}


def test_the_same_entry_twice_is_one_and_no_entry_is_none():
    assert modules.parse([f"{REF}=security_mint_fund"] * 2) == {REF: Module.FUND}
    assert modules.parse([]) == {}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("", "no interface of this name"),
        (REF, "no interface of this name"),
        (f"{REF}=", "no interface of this name"),
        (f"{REF}=security", "no interface of this name, only security_sft_multi, security_mint_fund, rwa_identity"),
        (f"{REF[:-1]}=security_sft_multi", "a module reference has 64 hex digits"),
        (f"{REF}ab=security_sft_multi", "a module reference has 64 hex digits"),
        (f"{REF[:-1]}g=security_sft_multi", "a module reference has 64 hex digits"),
        (f"0x{REF[2:]}=security_sft_multi", "a module reference has 64 hex digits"),
        ("=security_sft_multi", "a module reference has 64 hex digits"),
        (f"{OTHER}=security_mint_fund", "the same module reference is also given as security_sft_multi"),
    ],
)
def test_a_malformed_entry_is_refused_with_the_settings_name_and_its_place(entry, fault):
    with pytest.raises(ChainMisconfigured, match=f"^CHAIN_MODULES, entry 2 .*: {fault}"):
        modules.parse([f"{OTHER}=security_sft_multi", entry])
