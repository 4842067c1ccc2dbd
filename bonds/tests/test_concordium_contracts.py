"""Contract parameters, return values and events, byte for byte against the official SDK's vectors of the deployed schemas."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonds.chain.concordium import addresses, contracts
from bonds.chain.concordium.contracts import AgentRole, Module
from bonds.chain.gateway import Contract, RegistryState
from bonds.tests.fake_node import ALICE, BOB, VECTORS

EVENTS = json.loads((VECTORS / "contract_events.json").read_text())["events"]
PARAMETERS = json.loads((VECTORS / "contract_params.json").read_text())["params"]
HOLDER, OTHER = addresses.decode(ALICE), addresses.decode(BOB)

u64 = st.integers(0, 2**64 - 1)
any_address = st.one_of(st.binary(min_size=32, max_size=32).map(addresses.encode), st.builds(Contract, u64, u64))


def token_id(schema_value: str) -> int:
    return int.from_bytes(bytes.fromhex(schema_value), "little")


def address(schema_value: dict) -> contracts.Address:
    if "Account" in schema_value:
        return schema_value["Account"][0]
    return contract(schema_value["Contract"][0])


def contract(schema_value: dict) -> Contract:
    return Contract(int(schema_value["index"]), int(schema_value["subindex"]))


ROLES = {"ForcedBurn": AgentRole.FORCED_BURN}


def roles(schema_value: list[dict]) -> list[AgentRole]:
    return [ROLES[name] for entry in schema_value for name in entry]


PARAMETER_OF = {
    "burn_one": lambda v: contracts.burn_parameter(
        [(token_id(burn["token_id"]), int(burn["amount"]), address(burn["owner"])) for burn in v]
    ),
    "balanceOf": lambda v: contracts.balance_of_parameter(
        [(token_id(query["token_id"]), address(query["address"])) for query in v]
    ),
    "isAgent": lambda v: contracts.is_agent_parameter(address(v["address"]), roles(v["roles"])),
    "isVerified_account": lambda v: contracts.is_verified_parameter(address(v)),
    "claimInvestment": lambda v: contracts.claim_investment_parameter(
        [
            (contract(i["security_token"]["contract"]), token_id(i["security_token"]["id"]), i["investor"])
            for i in v["investments"]
        ]
    ),
    "updateFundState_success": lambda v: contracts.update_fund_state_parameter(
        contract(v["security_token"]["contract"]),
        token_id(v["security_token"]["id"]),
        address(v["state"]["Success"][0]),
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_contract_parameter_is_the_schemas_byte_for_byte(name):
    entry = PARAMETERS[name]
    assert PARAMETER_OF[name](entry["value"]).hex() == entry["hex"]


def test_a_failed_fund_names_no_receiver():
    failed = contracts.update_fund_state_parameter(Contract(10), 20454, None).hex()
    success = PARAMETERS["updateFundState_success"]["hex"]
    assert failed == success[: -2 * 34] + "01"


def expected_event(name: str, value: dict) -> contracts.Event:
    (body,) = value.values()
    body = body[0] if isinstance(body, list) else body
    if name in ("Mint", "Burn"):
        event = contracts.Minted if name == "Mint" else contracts.Burned
        return event(token_id(body["token_id"]), int(body["amount"]), address(body["owner"]))
    if name == "Transfer":
        sender, recipient = address(body["from"]), address(body["to"])
        return contracts.Transferred(token_id(body["token_id"]), int(body["amount"]), sender, recipient)
    if name == "AgentAdded":
        return contracts.AgentChanged(True, address(body["agent"]), tuple(roles(body["roles"])))
    if name.startswith("Identity"):
        return contracts.IdentityChanged(name == "IdentityRegistered", address(body))
    stage = {"Invested": "invested", "InvestmentCancelled": "cancelled"}[name]
    fund = body["security_token"]
    amounts = int(body["security_amount"]), int(body["currency_amount"])
    return contracts.InvestmentChanged(
        stage, contract(fund["contract"]), token_id(fund["id"]), body["investor"], *amounts
    )


def module_of(name: str) -> Module:
    if name.startswith("Identity"):
        return Module.REGISTRY
    return Module.FUND if name.startswith("Invest") else Module.SECURITY


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_read_as_the_schema_reads_it(name):
    entry = EVENTS[name]
    assert contracts.decode_event(module_of(name), bytes.fromhex(entry["hex"])) == expected_event(name, entry["value"])


def test_the_same_tag_means_another_thing_in_another_module():
    raw = bytes.fromhex(EVENTS["IdentityRegistered"]["hex"])
    assert isinstance(contracts.decode_event(Module.REGISTRY, raw), contracts.IdentityChanged)
    assert contracts.decode_event(Module.FUND, raw) == contracts.UnknownEvent(0, raw)
    assert contracts.decode_event(Module.SECURITY, raw) == contracts.UnknownEvent(0, raw)


def test_a_recovery_is_told_apart_because_it_moves_balances_without_a_transfer():
    raw = b"\xf2\x00" + HOLDER + b"\x00" + OTHER
    assert contracts.decode_event(Module.SECURITY, raw) == contracts.Recovered(
        addresses.encode(HOLDER), addresses.encode(OTHER)
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x2a",
        bytes.fromhex(EVENTS["Mint"]["hex"])[:-1],
        bytes.fromhex(EVENTS["Mint"]["hex"]) + b"\x00",
        b"\xfe\x04" + bytes(4) + b"\x01\x00" + HOLDER,  # a token id of four bytes is not ours
        b"\xfe\x08" + bytes(8) + b"\x80" * 10 + b"\x01\x00" + HOLDER,  # an amount without end
        b"\xfe\x08" + bytes(8) + b"\xff" * 9 + b"\x02\x00" + HOLDER,  # an amount of 65 bits
        b"\xfe\x08" + bytes(8) + b"\x01\x02" + HOLDER,  # neither account nor contract
    ],
)
def test_what_cannot_be_read_surfaces_as_unknown(raw):
    assert contracts.decode_event(Module.SECURITY, raw) == contracts.UnknownEvent(raw[0] if raw else None, raw)


@given(st.sampled_from(list(Module)), st.binary(max_size=80))
def test_no_bytes_make_the_event_reader_fail(module, raw):
    contracts.decode_event(module, raw)


@given(u64, u64, any_address, any_address)
def test_a_transfer_event_survives_the_round_trip(token, amount, sender, recipient):
    burn = contracts.burn_parameter([(token, amount, sender)])[2:]  # token id, amount, address: the same encoding
    raw = b"\xff" + burn + contracts.encode_address(recipient)
    assert contracts.decode_event(Module.SECURITY, raw) == contracts.Transferred(token, amount, sender, recipient)


@given(st.lists(u64, max_size=20))
def test_balances_are_read_in_the_order_of_the_queries(balances):
    value = len(balances).to_bytes(2, "little")
    for balance in balances:
        value += contracts.burn_parameter([(0, balance, Contract(0))])[2 + 9 : -17]
    assert contracts.read_balances(value) == tuple(balances)


def test_a_yes_or_no_is_one_byte_and_nothing_else():
    assert contracts.read_bool(b"\x01") is True
    assert contracts.read_bool(b"\x00") is False
    for value in (b"", b"\x02", b"\x01\x00"):
        with pytest.raises(ValueError, match="not a boolean"):
            contracts.read_bool(value)


def test_an_address_state_is_one_of_three_numbers_and_nothing_else():
    assert contracts.read_address_state(b"\x00") is RegistryState.NOT_IN_REGISTRY
    assert contracts.read_address_state(b"\x01") is RegistryState.WHITELISTED
    assert contracts.read_address_state(b"\x02") is RegistryState.BLACKLISTED
    for value in (b"", b"\x03", b"\x01\x00"):
        with pytest.raises(ValueError, match="not an address state"):
            contracts.read_address_state(value)


def test_a_listed_address_is_told_with_its_list_whose_numbers_are_not_those_of_the_view():
    address = b"\x00" + HOLDER
    read = {
        number: contracts.decode_event(Module.ADDRESS_STATES, b"\x02" + address + bytes([number])) for number in (0, 1)
    }
    assert read == {
        0: contracts.AddressStateChanged(ALICE, RegistryState.WHITELISTED),
        1: contracts.AddressStateChanged(ALICE, RegistryState.BLACKLISTED),
    }
    raw = b"\x02" + address + b"\x02"
    assert contracts.decode_event(Module.ADDRESS_STATES, raw) == contracts.UnknownEvent(2, raw)
