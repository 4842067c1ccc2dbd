"""The devnet's bond token: who may mint, burn, move, freeze, pause and recover; the contract's own codes; the order of its events."""

import pytest

from bonds.chain.devnet.contracts import parameters
from bonds.chain.devnet.contracts.rights import Role
from bonds.chain.devnet.encoding import (
    Reader,
    agent_event,
    burn_event,
    contract_party,
    contract_token_id,
    frozen_event,
    mint_event,
    operator_event,
    paused_event,
    recovered_event,
    transfer_event,
    unfrozen_event,
)
from bonds.tests.contract_world import BOND, DAY, NEXT_DAY, World, hexes, logged

TOKEN_ID, FUNDS, UNAUTHORISED = -42000001, -42000002, -42000003
PARSE, PAUSED, AMOUNT, ADDRESS, RECOVERED = -1, -6, -7, -8, -15


@pytest.fixture
def world(tmp_path):
    with World.at(tmp_path) as found:
        yield found


@pytest.fixture
def agent(world):
    """Somebody with the role ForcedBurn and no other."""
    person = world.person()
    world.control.set_agent(BOND, person.text, [Role.FORCED_BURN])
    return person


@pytest.fixture
def holder(world):
    """Somebody with 1,500 free and 500 frozen."""
    person = world.person()
    world.control.mint_frozen(BOND, [(person.text, DAY, 2000, 500)])
    return person


def burn(*lots):
    return parameters.burn_parameter([(token_id, amount, who.address) for who, token_id, amount in lots])


def move(token_id, amount, sender, recipient):
    return parameters.cis2_transfers_parameter([(token_id, amount, sender.address, recipient.address)])


# ---- minting ----------------------------------------------------------------------------------------------------------


def test_a_mint_with_a_frozen_part_logs_the_whole_and_then_the_frozen_part(world, holder):
    other = world.person()
    parameter = parameters.mint_parameter(DAY, [(other.address, 500, 1500), (holder.address, 0, 1)])
    effects = world.operator.does(BOND, "mint", parameter)
    assert logged(effects) == hexes(
        [
            mint_event(DAY, 2000, other.address),
            frozen_event(DAY, 500, other.address),
            mint_event(DAY, 1, holder.address),
        ]
    )
    assert world.balances(other) == (2000, 500, 1500)
    assert world.balances(holder) == (2001, 500, 1501)


def test_who_may_not_mint_and_what_may_not_be_minted(world, holder, agent):
    one = parameters.mint_parameter(DAY, [(holder.address, 0, 1)])
    world.refuses(UNAUTHORISED, holder, BOND, "mint", one)
    world.refuses(UNAUTHORISED, agent, BOND, "mint", one)
    nothing = parameters.mint_parameter(DAY, [(holder.address, 0, 1), (holder.address, 0, 0)])
    world.refuses(AMOUNT, world.operator, BOND, "mint", nothing)
    world.refuses(TOKEN_ID, world.operator, BOND, "mint", parameters.mint_parameter(NEXT_DAY, [(holder.address, 0, 1)]))
    world.refuses(PARSE, world.operator, BOND, "mint", one[:-1])
    world.control.pause_lots(BOND, [DAY])
    world.refuses(PAUSED, world.operator, BOND, "mint", one)


# ---- burning ----------------------------------------------------------------------------------------------------------


def test_a_forced_burn_reaches_into_the_frozen_part_and_logs_the_unfreezing_first(world, holder, agent):
    effects = agent.does(BOND, "burn", burn((holder, DAY, 1800)))
    assert logged(effects) == hexes([unfrozen_event(DAY, 300, holder.address), burn_event(DAY, 1800, holder.address)])
    assert world.balances(holder) == (200, 200, 0)


def test_a_forced_burn_of_the_free_part_unfreezes_nothing(world, holder, agent):
    effects = agent.does(BOND, "burn", burn((holder, DAY, 1500)))
    assert logged(effects) == [burn_event(DAY, 1500, holder.address).hex()]
    assert world.balances(holder) == (500, 500, 0)


def test_one_update_burns_several_holders_and_token_ids_in_order(world, holder, agent):
    other = world.person()
    world.control.mint(BOND, [(other.text, DAY, 7), (other.text, NEXT_DAY, 9)])
    effects = agent.does(BOND, "burn", burn((other, NEXT_DAY, 9), (holder, DAY, 2000), (other, DAY, 7)))
    assert logged(effects) == hexes(
        [
            burn_event(NEXT_DAY, 9, other.address),
            unfrozen_event(DAY, 500, holder.address),
            burn_event(DAY, 2000, holder.address),
            burn_event(DAY, 7, other.address),
        ]
    )
    assert world.control.lots(BOND) == []
    assert world.balances(holder) == (0, 0, 0)


def test_one_bad_burn_undoes_the_whole_update(world, holder, agent):
    other = world.person()
    world.control.mint(BOND, [(other.text, DAY, 7)])
    world.refuses(FUNDS, agent, BOND, "burn", burn((holder, DAY, 2000), (other, DAY, 8)))


def test_the_operator_trap(world, holder, agent):
    """A holder who names the agent an operator takes the forced path away: only the free part can be burned then."""
    effects = holder.does(BOND, "updateOperator", parameters.operators_parameter([(agent.address, True)]))
    assert logged(effects) == [operator_event(holder.address, agent.address, added=True).hex()]
    question = parameters.pairs_parameter([(holder.address, agent.address), (agent.address, holder.address)])
    assert world.value(BOND, "operatorOf", question) == b"\x02\x00\x01\x00"
    world.refuses(FUNDS, agent, BOND, "burn", burn((holder, DAY, 2000)))
    agent.does(BOND, "burn", burn((holder, DAY, 1500)))
    assert world.balances(holder) == (500, 500, 0)
    holder.does(BOND, "updateOperator", parameters.operators_parameter([(agent.address, False)]))
    assert world.value(BOND, "operatorOf", question) == b"\x02\x00\x00\x00"
    agent.does(BOND, "burn", burn((holder, DAY, 500)))
    assert world.balances(holder) == (0, 0, 0)


def test_a_holder_burns_their_own_free_lots_and_no_frozen_one(world, holder):
    world.refuses(FUNDS, holder, BOND, "burn", burn((holder, DAY, 1501)))
    assert logged(holder.does(BOND, "burn", burn((holder, DAY, 1500)))) == [burn_event(DAY, 1500, holder.address).hex()]


def test_an_agent_that_is_only_operator_burns_like_the_holder(world, holder):
    plain = world.person()
    world.control.set_agent(BOND, plain.text, [Role.OPERATOR])
    world.refuses(FUNDS, plain, BOND, "burn", burn((holder, DAY, 1501)))
    assert len(logged(plain.does(BOND, "burn", burn((holder, DAY, 1))))) == 1
    world.control.set_agent(BOND, plain.text, [Role.OPERATOR, Role.FORCED_BURN])
    assert len(logged(plain.does(BOND, "burn", burn((holder, DAY, 1600))))) == 2


def test_every_refusal_of_a_burn_has_its_own_code(world, holder, agent):
    stranger = world.person()
    world.refuses(UNAUTHORISED, stranger, BOND, "burn", burn((holder, DAY, 1)))
    world.refuses(ADDRESS, agent, BOND, "burn", burn((stranger, DAY, 1)))
    world.refuses(AMOUNT, agent, BOND, "burn", burn((holder, DAY, 0)))
    world.refuses(TOKEN_ID, agent, BOND, "burn", burn((holder, NEXT_DAY, 1)))
    world.refuses(FUNDS, agent, BOND, "burn", burn((holder, DAY, 2001)))
    world.refuses(PARSE, agent, BOND, "burn", burn((holder, DAY, 1))[:-1])
    world.control.mint(BOND, [(agent.text, NEXT_DAY, 1)])
    world.refuses(FUNDS, agent, BOND, "burn", burn((holder, NEXT_DAY, 1)))


def test_a_paused_token_id_refuses_even_a_forced_burn(world, holder, agent):
    pause = parameters.token_ids_parameter([DAY])
    world.refuses(UNAUTHORISED, agent, BOND, "pause", pause)
    assert logged(world.operator.does(BOND, "pause", pause)) == [paused_event(DAY, paused=True).hex()]
    assert world.value(BOND, "isPaused", pause) == b"\x01\x00\x00\x00\x01"
    world.refuses(PAUSED, agent, BOND, "burn", burn((holder, DAY, 1)))
    world.refuses(PAUSED, holder, BOND, "burn", burn((holder, DAY, 1)))
    world.refuses(UNAUTHORISED, agent, BOND, "unPause", pause)
    assert logged(world.operator.does(BOND, "unPause", pause)) == [paused_event(DAY, paused=False).hex()]
    assert len(logged(agent.does(BOND, "burn", burn((holder, DAY, 1))))) == 1
    world.refuses(TOKEN_ID, world.operator, BOND, "pause", parameters.token_ids_parameter([DAY, NEXT_DAY]))


# ---- moving -----------------------------------------------------------------------------------------------------------


def test_a_holder_moves_free_lots_only(world, holder):
    other = world.person()
    effects = holder.does(BOND, "transfer", move(DAY, 1500, holder, other))
    assert logged(effects) == [transfer_event(DAY, 1500, holder.address, other.address).hex()]
    assert (world.balances(holder), world.balances(other)) == ((500, 500, 0), (1500, 0, 1500))
    world.refuses(FUNDS, holder, BOND, "transfer", move(DAY, 1, holder, other))


def test_an_agent_of_force_moves_frozen_lots_too_and_they_arrive_free(world, holder):
    other, forced = world.person(), world.person()
    world.control.set_agent(BOND, forced.text, [Role.FORCED_TRANSFER])
    effects = forced.does(BOND, "transfer", move(DAY, 1600, holder, other))
    assert logged(effects) == hexes(
        [unfrozen_event(DAY, 100, holder.address), transfer_event(DAY, 1600, holder.address, other.address)]
    )
    assert (world.balances(holder), world.balances(other)) == ((400, 400, 0), (1600, 0, 1600))


def test_every_refusal_of_a_transfer_has_its_own_code(world, holder, agent):
    stranger = world.person()
    world.refuses(UNAUTHORISED, stranger, BOND, "transfer", move(DAY, 1, holder, stranger))
    world.refuses(UNAUTHORISED, agent, BOND, "transfer", move(DAY, 1, holder, agent))
    world.refuses(ADDRESS, holder, BOND, "transfer", move(DAY, 1, stranger, holder))
    world.refuses(AMOUNT, holder, BOND, "transfer", move(DAY, 0, holder, stranger))
    world.refuses(TOKEN_ID, holder, BOND, "transfer", move(NEXT_DAY, 1, holder, stranger))
    world.refuses(PARSE, holder, BOND, "transfer", move(DAY, 1, holder, stranger)[:-1])
    world.control.pause_lots(BOND, [DAY])
    world.refuses(TOKEN_ID, holder, BOND, "transfer", move(DAY, 1, holder, stranger))  # so the contract, not -6


def test_the_devnets_forced_transfer_knows_no_operator_trap(world, holder):
    trap = parameters.operators_parameter([(world.operator.address, True)])
    holder.does(BOND, "updateOperator", trap)
    other = world.person()
    world.control.transfer_lots(BOND, [(holder.text, other.text, DAY, 2000), (other.text, "<77,0>", DAY, 1)])
    assert (world.balances(holder), world.balances(other)) == ((0, 0, 0), (1999, 0, 1999))
    by_hand = parameters.transfers_parameter([(DAY, 1, other.address, holder.address)])
    world.refuses(UNAUTHORISED, other, BOND, "forcedTransfer", by_hand)
    unknown = parameters.transfers_parameter([(DAY, 1, world.person().address, holder.address)])
    world.refuses(ADDRESS, world.operator, BOND, "forcedTransfer", unknown)


# ---- freezing ---------------------------------------------------------------------------------------------------------


def test_freezing_and_unfreezing_leave_the_balance_as_it_is(world, holder):
    lots = parameters.freeze_parameter(holder.address, [(DAY, 1000), (DAY, 500)])
    assert logged(world.operator.does(BOND, "freeze", lots)) == hexes(
        [frozen_event(DAY, 1000, holder.address), frozen_event(DAY, 500, holder.address)]
    )
    assert world.balances(holder) == (2000, 2000, 0)
    less = parameters.freeze_parameter(holder.address, [(DAY, 1999)])
    assert logged(world.operator.does(BOND, "unFreeze", less)) == [unfrozen_event(DAY, 1999, holder.address).hex()]
    assert world.balances(holder) == (2000, 1, 1999)


def test_every_refusal_to_freeze_has_its_own_code(world, holder, agent):
    def lots(who, *tokens):
        return parameters.freeze_parameter(who.address, tokens)

    for entrypoint, too_much in (("freeze", 1501), ("unFreeze", 501)):
        world.refuses(UNAUTHORISED, agent, BOND, entrypoint, lots(holder, (DAY, 1)))
        world.refuses(FUNDS, world.operator, BOND, entrypoint, lots(holder, (DAY, 1), (DAY, too_much)))
        world.refuses(FUNDS, world.operator, BOND, entrypoint, lots(holder, (NEXT_DAY, 1)))
        world.refuses(AMOUNT, world.operator, BOND, entrypoint, lots(holder, (DAY, 0)))
        world.refuses(ADDRESS, world.operator, BOND, entrypoint, lots(world.person(), (DAY, 1)))


# ---- recovery ---------------------------------------------------------------------------------------------------------


def test_a_recovery_moves_every_lot_and_right_and_logs_one_event(world, holder, agent):
    new = world.person()
    world.control.mint(BOND, [(holder.text, NEXT_DAY, 3)])
    holder.does(BOND, "updateOperator", parameters.operators_parameter([(agent.address, True)]))
    effects = world.operator.does(BOND, "recover", parameters.recover_parameter(holder.address, new.address))
    assert logged(effects) == [recovered_event(holder.address, new.address).hex()]
    assert (world.balances(holder), world.balances(new)) == ((0, 0, 0), (2000, 500, 1500))
    assert (world.balances(holder, NEXT_DAY), world.balances(new, NEXT_DAY)) == ((0, 0, 0), (3, 0, 3))
    assert (
        world.value(BOND, "operatorOf", parameters.pairs_parameter([(new.address, agent.address)])) == b"\x01\x00\x01"
    )
    found = world.value(BOND, "recoveryAddress", contract_party(holder.address))
    assert found == b"\x01" + contract_party(new.address)
    assert world.value(BOND, "recoveryAddress", contract_party(new.address)) == b"\x00"


def test_a_recovered_address_is_closed_for_good(world, holder, agent):
    new, other = world.person(), world.person()
    world.control.recover(BOND, holder.text, new.text)
    world.refuses(RECOVERED, world.operator, BOND, "mint", parameters.mint_parameter(DAY, [(holder.address, 0, 1)]))
    world.refuses(RECOVERED, agent, BOND, "burn", burn((holder, DAY, 1)))
    world.refuses(RECOVERED, holder, BOND, "burn", burn((holder, DAY, 1)))
    world.refuses(RECOVERED, new, BOND, "transfer", move(DAY, 1, new, holder))
    world.refuses(RECOVERED, holder, BOND, "updateOperator", parameters.operators_parameter([(new.address, True)]))
    again = parameters.recover_parameter(holder.address, other.address)
    world.refuses(RECOVERED, world.operator, BOND, "recover", again)


def test_who_may_not_be_recovered_and_to_whom_not(world, holder, agent):
    stranger = world.person()
    world.refuses(UNAUTHORISED, agent, BOND, "recover", parameters.recover_parameter(holder.address, stranger.address))
    world.refuses(
        RECOVERED, world.operator, BOND, "recover", parameters.recover_parameter(stranger.address, holder.address)
    )
    for known in (agent, holder):
        parameter = parameters.recover_parameter(holder.address, known.address)
        world.refuses(ADDRESS, world.operator, BOND, "recover", parameter)


# ---- agents and token ids ---------------------------------------------------------------------------------------------


def test_is_agent_asks_for_all_of_the_roles(world, agent):
    def has(who, *roles):
        return world.value(BOND, "isAgent", parameters.agent_parameter(who.address, roles))

    assert has(agent, Role.FORCED_BURN) == b"\x01"
    assert has(agent, Role.FORCED_BURN, Role.MINT) == b"\x00"
    assert has(world.operator, *Role) == b"\x01"
    assert has(world.person(), Role.FORCED_BURN) == b"\x00"
    assert has(world.person()) == b"\x00"
    beyond = world.ask(BOND, "isAgent", parameters.agent_parameter(agent.address, [15]))
    assert beyond.failure.reason.rejected_receive.reject_reason == PARSE


def test_only_the_owner_names_agents_and_a_new_naming_replaces_the_roles(world, holder, agent):
    roles = [Role.FREEZE, Role.PAUSE]
    parameter = parameters.agent_parameter(agent.address, roles)
    world.refuses(UNAUTHORISED, agent, BOND, "addAgent", parameter)
    assert logged(world.operator.does(BOND, "addAgent", parameter)) == [agent_event(0xFA, agent.address, roles).hex()]
    world.refuses(UNAUTHORISED, agent, BOND, "burn", burn((holder, DAY, 1)))
    assert len(logged(agent.does(BOND, "freeze", parameters.freeze_parameter(holder.address, [(DAY, 1)])))) == 1
    name = contract_party(agent.address)
    world.refuses(UNAUTHORISED, agent, BOND, "removeAgent", name)
    assert logged(world.operator.does(BOND, "removeAgent", name)) == [agent_event(0xF9, agent.address, ()).hex()]
    world.refuses(UNAUTHORISED, agent, BOND, "freeze", parameters.freeze_parameter(holder.address, [(DAY, 1)]))
    world.refuses(ADDRESS, world.operator, BOND, "removeAgent", contract_party(world.person().address))


def test_token_ids_are_announced_before_they_are_minted_and_removed_when_empty(world, holder, agent):
    announce = parameters.add_token_parameter(NEXT_DAY, "https://example.com/20455")
    world.refuses(UNAUTHORISED, agent, BOND, "addToken", announce)
    (event,) = logged(world.operator.does(BOND, "addToken", announce))
    url = b"https://example.com/20455"
    assert bytes.fromhex(event) == b"\xfb" + contract_token_id(NEXT_DAY) + len(url).to_bytes(2, "little") + url + b"\0"
    assert world.balances(holder, NEXT_DAY) == (0, 0, 0)
    world.control.add_token_ids(BOND, [DAY])  # known: nothing is lost
    assert world.balances(holder) == (2000, 500, 1500)
    world.refuses(TOKEN_ID, world.operator, BOND, "removeToken", contract_token_id(DAY))
    assert logged(world.operator.does(BOND, "removeToken", contract_token_id(NEXT_DAY))) == [
        (b"\xf1" + contract_token_id(NEXT_DAY)).hex()
    ]
    query = parameters.balances_parameter([(NEXT_DAY, holder.address)])
    assert world.ask(BOND, "balanceOf", query).failure.reason.rejected_receive.reject_reason == TOKEN_ID


def test_answers_are_those_of_the_block_that_was_asked(world, holder, agent):
    height = world.head
    agent.does(BOND, "burn", burn((holder, DAY, 2000)))
    query = parameters.balances_parameter([(DAY, holder.address)])
    then = Reader(world.ask(BOND, "balanceOf", query, height=height).success.return_value)
    assert (then.little(2), then.uleb128()) == (1, 2000)
    assert world.balances(holder) == (0, 0, 0)


def test_a_burn_costs_what_its_dry_run_said(world, holder, agent):
    """Dry-run, then the energy it named: enough; one less: nothing happens and all of it is charged."""
    parameter = burn((holder, DAY, 1))
    used = world.ask(BOND, "burn", parameter, who=agent).success.used_energy.value
    assert used > 0
    before = world.cells()
    effects = agent.does(BOND, "burn", parameter, energy=used - 1)
    assert effects.none.reject_reason.WhichOneof("reason") == "out_of_energy"
    assert world.cells() == before
    assert len(logged(agent.does(BOND, "burn", parameter, energy=used))) == 1
