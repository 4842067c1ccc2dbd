"""The devnet's fund and registries: investing, claiming, refunding through the tokens, two kinds of registry, restart with it all."""

import json
from pathlib import Path

import pytest

from bonds.chain.devnet.client import DevnetControlError
from bonds.chain.devnet.contracts import parameters
from bonds.chain.devnet.contracts.rights import Role
from bonds.chain.devnet.encoding import (
    ContractAddress,
    address_bytes,
    burn_event,
    contract_party,
    frozen_event,
    investment_event,
    mint_event,
    unfrozen_event,
)
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.wire import node_pb2 as pb
from bonds.tests.contract_world import BOND, DAY, NEXT_DAY, REGISTRY, World, events, logged, steps

PRESALE, FUND, STATES = 1002, 1003, 1004
SECURITY = (ContractAddress(BOND), DAY)
VECTORS = Path(__file__).parent / "vectors"
FUND_UNAUTHORISED, BAD_STATE, NOT_MINTED, NOT_BURNED, NO_FUND, NO_INVESTMENT = -1, -6, -7, -8, -11, -12


def vector(name, key):
    return {name: case["hex"] for name, case in json.loads((VECTORS / name).read_text())[key].items()}


@pytest.fixture
def world(tmp_path):
    with World.at(tmp_path) as found:
        yield found


@pytest.fixture
def fund(world):
    """An open fund that sells lots of the bond, with a pre-sale token."""
    control = world.control
    control.create_contract(PRESALE, "token")
    control.create_contract(FUND, "fund", agents=[world.operator.text])
    control.add_fund(FUND, presale=(PRESALE, DAY), security=(BOND, DAY))
    return FUND


@pytest.fixture
def investors(world, fund):
    people = [world.person(), world.person()]
    world.control.invest(FUND, (BOND, DAY), [(people[0].text, 10, 10_000), (people[1].text, 3, 3_000)])
    return people


def claim(*people):
    return parameters.claims_parameter(SECURITY, [person.address for person in people])


def end(world, *, success):
    receiver = world.operator.text if success else None
    world.control.set_fund_state(FUND, (BOND, DAY), receiver=receiver)


# ---- investing --------------------------------------------------------------------------------------------------------


def test_an_investment_mints_frozen_presale_lots_and_is_logged_after_them(world, fund):
    investor = world.person()
    parameter = parameters.investments_parameter(SECURITY, [(investor.address, 10, 10_000)])
    effects = world.operator.does(FUND, "devnetInvest", parameter)
    assert steps(effects) == [("interrupted", FUND), ("updated", PRESALE), ("resumed", FUND), ("updated", FUND)]
    assert effects.contract_update_issued.effects[1].updated.instigator.contract.index == FUND
    assert events(effects) == [
        (PRESALE, mint_event(DAY, 10, investor.address).hex()),
        (PRESALE, frozen_event(DAY, 10, investor.address).hex()),
        (FUND, investment_event(6, SECURITY, investor.address, (10, 10_000)).hex()),
    ]
    assert world.balances(investor, contract=PRESALE) == (10, 10, 0)
    assert world.control.investments(FUND) == [((BOND, DAY), investor.text, 10, 10_000)]
    world.control.invest(FUND, (BOND, DAY), [(investor.text, 1, 900)])
    assert world.control.investments(FUND) == [((BOND, DAY), investor.text, 11, 10_900)]


def test_investments_the_fund_does_not_take(world, fund, investors):
    def parameter(*amounts, security=SECURITY):
        return parameters.investments_parameter(security, [(investors[0].address, *amounts)])

    world.refuses(FUND_UNAUTHORISED, investors[0], FUND, "devnetInvest", parameter(1, 1))
    world.refuses(-5, world.operator, FUND, "devnetInvest", parameter(0, 1))
    other = (ContractAddress(BOND), NEXT_DAY)
    world.refuses(NO_FUND, world.operator, FUND, "devnetInvest", parameter(1, 1, security=other))
    world.refuses(-2, world.operator, FUND, "devnetInvest", parameter(1, 1)[:-1])
    world.control.pause_lots(PRESALE, [DAY])
    world.refuses(NOT_MINTED, world.operator, FUND, "devnetInvest", parameter(1, 1))
    world.control.pause_lots(PRESALE, [DAY], paused=False)
    end(world, success=True)
    world.refuses(BAD_STATE, world.operator, FUND, "devnetInvest", parameter(1, 1))


# ---- claiming and refunding -------------------------------------------------------------------------------------------


def test_a_claim_after_success_turns_presale_lots_into_the_bonds(world, investors):
    end(world, success=True)
    first, second = investors
    effects = world.operator.does(FUND, "claimInvestment", claim(first, second))
    expected = []
    for person, amounts in ((first, (10, 10_000)), (second, (3, 3_000))):
        expected += [
            (PRESALE, unfrozen_event(DAY, amounts[0], person.address).hex()),
            (PRESALE, burn_event(DAY, amounts[0], person.address).hex()),
            (BOND, mint_event(DAY, amounts[0], person.address).hex()),
            (FUND, investment_event(7, SECURITY, person.address, amounts).hex()),
        ]
    assert events(effects) == expected
    assert world.control.lots(PRESALE) == []
    assert sorted(world.control.lots(BOND)) == sorted([(first.text, DAY, 10), (second.text, DAY, 3)])
    assert world.balances(first) == (10, 0, 10)
    assert world.control.investments(FUND) == []


def test_a_claim_after_failure_is_a_refund(world, investors):
    end(world, success=False)
    effects = world.operator.does(FUND, "claimInvestment", claim(investors[0]))
    assert events(effects) == [
        (PRESALE, unfrozen_event(DAY, 10, investors[0].address).hex()),
        (PRESALE, burn_event(DAY, 10, investors[0].address).hex()),
        (FUND, investment_event(8, SECURITY, investors[0].address, (10, 10_000)).hex()),
    ]
    assert world.control.lots(BOND) == []
    assert world.control.investments(FUND) == [((BOND, DAY), investors[1].text, 3, 3_000)]


@pytest.mark.parametrize("success", [True, False])
def test_an_investment_is_settled_once_and_a_batch_whole_or_not_at_all(world, investors, success):
    first, second = investors
    world.refuses(BAD_STATE, world.operator, FUND, "claimInvestment", claim(first))
    end(world, success=success)
    world.refuses(NO_INVESTMENT, world.operator, FUND, "claimInvestment", claim(first, first))
    world.refuses(NO_INVESTMENT, world.operator, FUND, "claimInvestment", claim(first, world.person()))
    world.control.claim(FUND, (BOND, DAY), [first.text])
    world.refuses(NO_INVESTMENT, world.operator, FUND, "claimInvestment", claim(second, first))
    world.refuses(-2, world.operator, FUND, "claimInvestment", claim(second)[:-1])


def test_investors_claim_for_themselves_and_for_nobody_else(world, investors):
    end(world, success=True)
    first, second = investors
    world.refuses(FUND_UNAUTHORISED, second, FUND, "claimInvestment", claim(first))
    assert events(second.does(FUND, "claimInvestment", claim(second)))[-1] == (
        FUND,
        investment_event(7, SECURITY, second.address, (3, 3_000)).hex(),
    )
    world.control.set_agent(FUND, second.text, [3])
    assert len(events(second.does(FUND, "claimInvestment", claim(first)))) == 4


def test_a_token_that_will_not_stops_the_claim_and_the_presale_lots_stay(world, investors):
    end(world, success=True)
    first, second = investors
    world.control.pause_lots(BOND, [DAY])
    world.refuses(NOT_MINTED, world.operator, FUND, "claimInvestment", claim(first))
    world.control.pause_lots(BOND, [DAY], paused=False)
    # The operator trap again: the fund may act for this investor, so it may not touch what is frozen.
    first.does(PRESALE, "updateOperator", parameters.operators_parameter([(ContractAddress(FUND), True)]))
    world.refuses(NOT_BURNED, world.operator, FUND, "claimInvestment", claim(second, first))
    world.control.claim(FUND, (BOND, DAY), [second.text])


def test_where_presale_and_bond_are_one_token_a_claim_unfreezes(world):
    world.control.create_contract(FUND, "fund", agents=[world.operator.text])
    world.control.add_fund(FUND, presale=(BOND, DAY), security=(BOND, DAY))
    investor = world.person()
    world.control.invest(FUND, (BOND, DAY), [(investor.text, 10, 10_000)])
    end(world, success=True)
    effects = investor.does(FUND, "claimInvestment", claim(investor))
    assert events(effects) == [
        (BOND, unfrozen_event(DAY, 10, investor.address).hex()),
        (FUND, investment_event(7, SECURITY, investor.address, (10, 10_000)).hex()),
    ]
    assert world.balances(investor) == (10, 0, 10)


def test_a_fund_ends_once_and_by_an_agent(world, investors):
    success = parameters.fund_state_parameter(SECURITY, world.operator.address)
    failure = parameters.fund_state_parameter(SECURITY, None)
    world.refuses(FUND_UNAUTHORISED, investors[0], FUND, "updateFundState", success)
    nothing = parameters.fund_state_parameter((ContractAddress(BOND), NEXT_DAY), None)
    world.refuses(NO_FUND, world.operator, FUND, "updateFundState", nothing)
    assert logged(world.operator.does(FUND, "updateFundState", success), FUND) == ["05" + success.hex()]
    for again in (success, failure):
        world.refuses(BAD_STATE, world.operator, FUND, "updateFundState", again)


def test_what_a_fund_may_sell(world, investors):
    add, remove = parameters.add_fund_parameter, parameters.security_token
    presale, unknown = (ContractAddress(PRESALE), DAY), (ContractAddress(BOND), NEXT_DAY)
    nowhere = (ContractAddress(77), DAY)
    world.refuses(FUND_UNAUTHORISED, investors[0], FUND, "addFund", add(presale, presale))
    world.refuses(NO_FUND, world.operator, FUND, "addFund", add(presale, SECURITY))
    for wrong in (unknown, nowhere):
        world.refuses(-13, world.operator, FUND, "addFund", add(presale, wrong))
    world.refuses(BAD_STATE, world.operator, FUND, "removeFund", remove(SECURITY))
    end(world, success=False)
    world.control.claim(FUND, (BOND, DAY), [investor.text for investor in investors])
    assert logged(world.operator.does(FUND, "removeFund", remove(SECURITY)), FUND) == ["04" + remove(SECURITY).hex()]
    world.refuses(NO_FUND, world.operator, FUND, "removeFund", remove(SECURITY))


def test_the_funds_agents(world, fund):
    agent = world.person()
    parameter = parameters.agent_parameter(agent.address, [2])
    world.refuses(FUND_UNAUTHORISED, agent, FUND, "addAgent", parameter)
    assert logged(world.operator.does(FUND, "addAgent", parameter), FUND) == ["01" + parameter.hex()]
    world.refuses(-14, world.operator, FUND, "addAgent", parameter)
    name = contract_party(agent.address)
    assert logged(world.operator.does(FUND, "removeAgent", name), FUND) == ["02" + name.hex()]
    failure = parameters.fund_state_parameter(SECURITY, None)
    world.refuses(FUND_UNAUTHORISED, agent, FUND, "updateFundState", failure)


def test_the_funds_bytes_are_the_schemas(world):
    """The vectors' own fund: security <10,0>, one investor, 1000 for 1000000."""
    params, logs = vector("contract_params.json", "params"), vector("contract_events.json", "events")
    security = (ContractAddress(10), DAY)
    text = "4UhoKfxyW6HXQ1369Ss4xHfKGHrfUeWQ7kHuqHA5yjiJrZSzcm"
    world.control.create_accounts([(text, None)])
    for contract, kind in ((10, "token"), (11, "token"), (FUND, "fund")):
        world.control.create_contract(contract, kind, agents=[world.operator.text])
    world.control.add_fund(FUND, presale=(11, DAY), security=(10, DAY))
    invest = parameters.investments_parameter(security, [(address_bytes(text), 1000, 1_000_000)])
    assert events(world.operator.does(FUND, "devnetInvest", invest))[-1] == (FUND, logs["Invested"])
    world.control.set_fund_state(FUND, (10, DAY), receiver=None)
    effects = world.operator.does(FUND, "claimInvestment", bytes.fromhex(params["claimInvestment"]))
    assert events(effects)[-1] == (FUND, logs["InvestmentCancelled"])


# ---- registries -------------------------------------------------------------------------------------------------------


def test_an_identity_is_registered_and_deleted(world):
    someone = world.person()
    name, identity = contract_party(someone.address), bytes(8)
    assert world.value(REGISTRY, "isVerified", name) == world.value(REGISTRY, "hasIdentity", name) == b"\x00"
    world.refuses(-3, someone, REGISTRY, "registerIdentity", identity + name)
    world.refuses(-1, world.operator, REGISTRY, "registerIdentity", b"\x01" + identity[1:] + name)
    assert logged(world.operator.does(REGISTRY, "registerIdentity", identity + name), REGISTRY) == ["00" + name.hex()]
    assert world.value(REGISTRY, "isVerified", name) == world.value(REGISTRY, "hasIdentity", name) == b"\x01"
    world.refuses(-3, someone, REGISTRY, "deleteIdentity", name)
    assert logged(world.operator.does(REGISTRY, "deleteIdentity", name), REGISTRY) == ["01" + name.hex()]
    assert world.value(REGISTRY, "isVerified", name) == b"\x00"
    world.refuses(-4, world.operator, REGISTRY, "deleteIdentity", name)


def test_the_planned_registry_knows_white_and_black(world):
    world.control.create_contract(STATES, "state_registry")
    someone = world.person()
    name = contract_party(someone.address)

    def answers():
        return [world.value(STATES, verb, name)[0] for verb in ("getAddressState", "isWhitelisted", "isBlacklisted")]

    assert answers() == [0, 0, 0]
    world.refuses(-3, someone, STATES, "setAddressState", name + b"\x00")
    world.refuses(-1, world.operator, STATES, "setAddressState", name + b"\x02")
    world.refuses(-6, world.operator, STATES, "removeAddress", name)
    for number, expected in ((0, [1, 1, 0]), (1, [2, 0, 1])):
        effects = world.operator.does(STATES, "setAddressState", name + bytes([number]))
        assert logged(effects, STATES) == [f"02{name.hex()}0{number}"]
        assert answers() == expected
    world.refuses(-3, someone, STATES, "removeAddress", name)
    assert logged(world.operator.does(STATES, "removeAddress", name), STATES) == ["03" + name.hex()]
    assert answers() == [0, 0, 0]


def test_the_two_registries_share_a_name_and_nothing_else(world):
    world.control.create_contract(STATES, "state_registry")
    cells = world.cells()
    old, planned = cells[f"contract/{REGISTRY}"], cells[f"contract/{STATES}"]
    assert old["name"] == planned["name"] == "rwa_identity_registry"
    assert (old["module_ref"], planned["module_ref"]) == (MODULE_REFS["registry"], MODULE_REFS["state_registry"])
    assert old["module_ref"] != planned["module_ref"]
    name = contract_party(world.operator.address)
    for contract, missing in ((REGISTRY, "getAddressState"), (REGISTRY, "setAddressState"), (STATES, "isVerified")):
        reason = world.ask(contract, missing, name).failure.reason
        assert reason.invalid_receive_method.receive_name.value == f"rwa_identity_registry.{missing}"


@pytest.mark.parametrize(("contract", "tags"), [(REGISTRY, ("04", "05", -7, -8)), (STATES, ("00", "01", -4, -5))])
def test_the_registries_agents(world, contract, tags):
    world.control.create_contract(STATES, "state_registry")
    added, removed, exists, missing = tags
    agent = world.person()
    name = contract_party(agent.address)
    world.refuses(-3, agent, contract, "addAgent", name)
    world.refuses(missing, world.operator, contract, "removeAgent", name)
    assert world.value(contract, "isAgent", name) == b"\x00"
    assert logged(world.operator.does(contract, "addAgent", name), contract) == [added + name.hex()]
    assert world.value(contract, "isAgent", name) == b"\x01"
    world.refuses(exists, world.operator, contract, "addAgent", name)
    assert logged(world.operator.does(contract, "removeAgent", name), contract) == [removed + name.hex()]
    assert world.value(contract, "isAgent", name) == b"\x00"


def test_one_verb_seeds_either_registry_and_logs_only_changes(world):
    world.control.create_contract(STATES, "state_registry")
    one, two = world.person(), world.person()
    for contract, whites, gone in ((REGISTRY, ["00", "00"], ["01"]), (STATES, ["02", "02"], ["02"])):
        heights = [
            world.control.set_registry(contract, [one.text, two.text], "whitelisted"),
            world.control.set_registry(contract, [two.text], "whitelisted"),
            world.control.set_registry(contract, [two.text], "blacklisted"),
        ]
        node = world.operator._user.node
        tags = [
            [event.value.hex()[:2] for event in found] for found in (_events_at(node, height) for height in heights)
        ]
        assert tags == [whites, [], gone]
    assert world.value(STATES, "getAddressState", contract_party(two.address)) == b"\x02"
    world.control.set_registry(STATES, [two.text], "not_in_registry")
    assert world.value(STATES, "getAddressState", contract_party(two.address)) == b"\x00"
    with pytest.raises(DevnetControlError):
        world.control.set_registry(BOND, [two.text], "whitelisted")


def _events_at(node, height):
    block = pb.BlockHashInput(absolute_height=pb.U64(value=height))
    return [
        event
        for summary in node.GetBlockTransactionEvents(block)
        for step in summary.account_transaction.effects.contract_update_issued.effects
        for event in step.updated.events
    ]


# ---- instances and restart --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "arguments", "why"),
    [
        ("create_contract", (BOND, "token"), "there already"),
        ("create_contract", (77, "bank"), "no kind"),
        ("set_agent", (77, "<1,0>"), "no contract"),
        ("set_agent", (REGISTRY, "<1,0>"), "have roles"),
        ("set_agent", (BOND, "<1,0>", [15]), "-1"),
        ("mint_frozen", (BOND, [("<1,0>", DAY, 1, 2)]), "negative"),
        ("freeze_lots", (BOND, [("<1,0>", DAY, 1)]), "-8"),
        ("invest", (BOND, (BOND, DAY), [("<1,0>", 1, 1)]), "only accounts"),
        ("recover", (BOND, "<1>", "1,0>"), "not base58"),
    ],
)
def test_a_contract_verb_that_makes_no_sense_is_refused_and_makes_no_block(world, verb, arguments, why):
    before = world.head
    with pytest.raises(DevnetControlError, match=why):
        getattr(world.control, verb)(*arguments)
    assert world.head == before


def test_a_restart_keeps_everything_the_contracts_know(tmp_path):
    with World.at(tmp_path) as world:
        control = world.control
        control.create_contract(PRESALE, "token")
        control.create_contract(FUND, "fund", agents=[world.operator.text])
        control.create_contract(STATES, "state_registry")
        control.add_fund(FUND, presale=(PRESALE, DAY), security=(BOND, DAY))
        investor, holder, agent, heir = (world.person() for _ in range(4))
        control.invest(FUND, (BOND, DAY), [(investor.text, 10, 10_000)])
        control.set_fund_state(FUND, (BOND, DAY), receiver=None)
        control.mint_frozen(BOND, [(holder.text, DAY, 20, 5), (agent.text, NEXT_DAY, 1, 0)])
        control.pause_lots(BOND, [NEXT_DAY])
        control.set_agent(BOND, agent.text, [Role.FORCED_BURN])
        control.recover(BOND, holder.text, heir.text)
        control.set_registry(STATES, [heir.text], "blacklisted")
        heir.does(BOND, "updateOperator", parameters.operators_parameter([(investor.address, True)]))
        before, people = world.cells(), [(who.text, who.seed) for who in (investor, holder, agent, heir)]
    with World.at(tmp_path) as world:
        assert world.cells() == before
        investor, holder, agent, heir = (world.known(*who) for who in people)
        assert world.control.investments(FUND) == [((BOND, DAY), investor.text, 10, 10_000)]
        assert len(events(investor.does(FUND, "claimInvestment", claim(investor)))) == 3
        burn = parameters.burn_parameter([(DAY, 20, heir.address)])
        assert logged(agent.does(BOND, "burn", burn)) == [
            unfrozen_event(DAY, 5, heir.address).hex(),
            burn_event(DAY, 20, heir.address).hex(),
        ]
        world.refuses(-6, agent, BOND, "burn", parameters.burn_parameter([(NEXT_DAY, 1, agent.address)]))
        world.refuses(-15, world.operator, BOND, "mint", parameters.mint_parameter(DAY, [(holder.address, 0, 1)]))
        assert world.value(STATES, "isBlacklisted", contract_party(heir.address)) == b"\x01"
