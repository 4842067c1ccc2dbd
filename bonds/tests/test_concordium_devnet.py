"""The gateway over the devnet's contracts: what they did comes out of blocks, views and signed calls as the devnet's own books have it."""

from datetime import UTC, datetime, timedelta

import pytest

from bonds.chain.concordium import contracts
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.gateway import (
    ChainMisconfigured,
    Contract,
    FundEventKind,
    Hint,
    LotEventKind,
    RegistryEvent,
    RegistryState,
    Stage,
    UnreadEvent,
)
from bonds.tests.conftest import REGISTRY_CONTRACT, TOKEN_CONTRACT, account

TOKEN, REGISTRY = Contract(TOKEN_CONTRACT), Contract(REGISTRY_CONTRACT)
PRESALE, FUND, STATES = Contract(1002), Contract(1003), Contract(1004)
DAY, NEXT_DAY = 20_485, 20_486
ANN, BEN, COY, DEE = (account(name) for name in ("ann", "ben", "coy", "dee"))


@pytest.fixture
def people(devnet):
    """Accounts the contracts can be asked about and pay."""
    devnet.control.create_accounts([(who, "ab" * 32) for who in (ANN, BEN, COY, DEE)])


def since(gateway: ConcordiumGateway, height: int, *watched: Contract):
    """The blocks above that height, all events of a kind in one tuple."""
    blocks = list(gateway.blocks(height + 1, gateway.head().height, watched))
    kinds = ("events", "fund_events", "registry_events", "unread")
    return tuple(tuple(event for block in blocks for event in getattr(block, kind)) for kind in kinds)


def balances(gateway: ConcordiumGateway, contract: Contract, *lots: tuple[str, int]) -> dict[tuple[str, int], int]:
    return dict(gateway.lot_balances(contract, lots, gateway.head().block_hash))


def test_lots_balances_at_a_block_are_the_devnets_own(devnet, gateway, people):
    devnet.control.mint_frozen(TOKEN_CONTRACT, [(ANN, DAY, 100, 40), (BEN, NEXT_DAY, 7, 0)])
    before = gateway.head()
    devnet.control.transfer_lots(TOKEN_CONTRACT, [(ANN, BEN, DAY, 30)])
    devnet.control.burn_lots(TOKEN_CONTRACT, [(BEN, NEXT_DAY, 7)])
    lots = [(who, day) for who in (ANN, BEN, COY) for day in (DAY, NEXT_DAY, 20_000)]  # no lot of day 20,000 ever was
    found = balances(gateway, TOKEN, *lots)
    assert {lot: balance for lot, balance in found.items() if balance} == {
        (who, day): amount for who, day, amount in devnet.control.lots(TOKEN_CONTRACT)
    }
    assert found == dict.fromkeys(lots, 0) | {(ANN, DAY): 70, (BEN, DAY): 30}
    earlier = gateway.lot_balances(TOKEN, lots, before.block_hash)
    assert {lot: balance for lot, balance in earlier.items() if balance} == {(ANN, DAY): 100, (BEN, NEXT_DAY): 7}


def test_a_recovery_is_one_event_and_freezing_and_pausing_are_none(devnet, gateway, people):
    start = gateway.head().height
    devnet.control.mint_frozen(TOKEN_CONTRACT, [(ANN, DAY, 100, 40)])
    devnet.control.freeze_lots(TOKEN_CONTRACT, [(ANN, DAY, 10)])
    devnet.control.freeze_lots(TOKEN_CONTRACT, [(ANN, DAY, 5)], frozen=False)
    devnet.control.pause_lots(TOKEN_CONTRACT, [DAY])
    devnet.control.pause_lots(TOKEN_CONTRACT, [DAY], paused=False)
    devnet.control.set_registry(REGISTRY_CONTRACT, [COY], "whitelisted")
    devnet.control.recover(TOKEN_CONTRACT, ANN, COY)
    lots, funds, states, unread = since(gateway, start, TOKEN, REGISTRY)
    assert [(event.kind, event.sender, event.recipient, event.amount_raw) for event in lots] == [
        (LotEventKind.MINT, None, ANN, 100),
        (LotEventKind.RECOVER, ANN, COY, 0),
    ]
    assert [(event.address, event.state) for event in states] == [(COY, RegistryState.WHITELISTED)]
    assert (funds, unread) == ((), ())
    assert balances(gateway, TOKEN, (ANN, DAY), (COY, DAY)) == {(ANN, DAY): 0, (COY, DAY): 100}


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_funds_life_is_read_with_the_lots_it_moves_in_two_tokens(devnet, gateway, people, succeeds):
    control, security = devnet.control, (TOKEN_CONTRACT, DAY)
    start = gateway.head().height
    control.create_contract(PRESALE.index, "token")
    control.create_contract(FUND.index, "fund", agents=[devnet.genesis.operator])
    control.add_fund(FUND.index, presale=(PRESALE.index, DAY), security=security)
    control.invest(FUND.index, security, [(ANN, 10, 1_000), (BEN, 20, 2_000)])
    control.set_fund_state(FUND.index, security, receiver=devnet.genesis.operator if succeeds else None)
    control.claim(FUND.index, security, [ANN, BEN])
    lots, funds, _, unread = since(gateway, start, TOKEN, PRESALE, FUND)
    ended = FundEventKind.CLAIM if succeeds else FundEventKind.REFUND
    assert [
        (event.kind, event.token, event.token_id, event.investor, event.security_amount_raw, event.currency_amount_raw)
        for event in funds
    ] == [
        (FundEventKind.INVEST, TOKEN, DAY, ANN, 10, 1_000),
        (FundEventKind.INVEST, TOKEN, DAY, BEN, 20, 2_000),
        (ended, TOKEN, DAY, ANN, 10, 1_000),
        (ended, TOKEN, DAY, BEN, 20, 2_000),
    ]
    assert unread == ()
    given = [(event.recipient, event.amount_raw) for event in lots if event.contract == TOKEN]
    assert given == ([(ANN, 10), (BEN, 20)] if succeeds else [])
    presale = [(event.kind.value, event.amount_raw) for event in lots if event.contract == PRESALE]
    assert presale == [("mint", 10), ("mint", 20), ("burn", 10), ("burn", 20)]
    assert len({(event.transaction_hash, event.event_index) for event in (*lots, *funds)}) == len(lots) + len(funds)


def test_a_registry_of_address_states_shows_a_blacklisted_address(devnet, gateway, people):
    start = gateway.head().height
    devnet.control.create_contract(STATES.index, "state_registry")
    for who, state in ((ANN, "whitelisted"), (BEN, "blacklisted"), (COY, "whitelisted"), (COY, "not_in_registry")):
        devnet.control.set_registry(STATES.index, [who], state)
    _, _, states, unread = since(gateway, start, STATES)
    assert [(event.address, event.state.value) for event in states] == [
        (ANN, "whitelisted"),
        (BEN, "blacklisted"),
        (COY, "whitelisted"),
        (COY, "not_in_registry"),
    ]
    assert isinstance(states[0], RegistryEvent)
    assert unread == ()
    assert gateway.registry_states(STATES, [ANN, BEN, COY, DEE], gateway.head().block_hash) == {
        ANN: RegistryState.WHITELISTED,
        BEN: RegistryState.BLACKLISTED,
        COY: RegistryState.NOT_IN_REGISTRY,
        DEE: RegistryState.NOT_IN_REGISTRY,
    }


def test_a_contract_of_a_module_nobody_named_is_parked_whole_and_never_asked(devnet, gateway, people):
    start, stranger = gateway.head().height, Contract(1005)
    devnet.control.create_contract(stranger.index, "token", module_ref="4d" * 32)
    devnet.control.mint(stranger.index, [(ANN, DAY, 5)])
    devnet.control.mint(TOKEN_CONTRACT, [(ANN, DAY, 6)])
    lots, _, _, unread = since(gateway, start, TOKEN, stranger)
    assert [(event.contract, event.amount_raw) for event in lots] == [(TOKEN, 6)]
    assert {(type(event), event.contract, event.module_ref) for event in unread} == {(UnreadEvent, stranger, "4d" * 32)}
    assert bytes([0xFE]) in {event.data[:1] for event in unread}
    with pytest.raises(ChainMisconfigured, match=f"contract <1005,0> is of module {'4d' * 32}"):
        balances(gateway, stranger, (ANN, DAY))
    with pytest.raises(ChainMisconfigured, match=f"is of module {MODULE_REFS['token']}, a security_sft_multi"):
        gateway.registry_states(TOKEN, [ANN], gateway.head().block_hash)


def test_a_signed_burn_burns_several_holders_lots_in_one_transaction(devnet, gateway, people):
    wallet = devnet.genesis.accounts[0].address  # an agent of the token
    devnet.control.mint(TOKEN_CONTRACT, [(ANN, DAY, 100), (BEN, NEXT_DAY, 7)])
    start = gateway.head().height
    signed = gateway.sign_update(
        sender=wallet,
        contract=TOKEN,
        receive_name=contracts.BURN_RECEIVE_NAME,
        parameter=contracts.burn_parameter([(DAY, 60, ANN), (NEXT_DAY, 7, BEN)]),
        execution_energy=30_000,
        sequence_number=gateway.next_sequence_number(wallet),
        expires_at=datetime.now(UTC) + timedelta(minutes=5),
    )
    assert gateway.submit(signed.raw).hint is Hint.ACCEPTED
    devnet.control.advance(blocks=3)
    state = gateway.states([signed.transaction_hash])[signed.transaction_hash]
    assert (state.stage, state.rejection) == (Stage.FINALIZED, None)
    lots, _, _, unread = since(gateway, start, TOKEN)
    assert unread == ()
    assert [(event.kind.value, event.sender, event.amount_raw, event.transaction_hash) for event in lots] == [
        ("burn", ANN, 60, signed.transaction_hash),
        ("burn", BEN, 7, signed.transaction_hash),
    ]
    assert balances(gateway, TOKEN, (ANN, DAY), (BEN, NEXT_DAY)) == {(ANN, DAY): 40, (BEN, NEXT_DAY): 0}


def test_a_burn_the_contract_rejects_changes_nothing_and_says_why(devnet, gateway, people):
    wallet = devnet.genesis.accounts[0].address
    devnet.control.mint(TOKEN_CONTRACT, [(ANN, DAY, 5)])
    start = gateway.head().height
    signed = gateway.sign_update(
        sender=wallet,
        contract=TOKEN,
        receive_name=contracts.BURN_RECEIVE_NAME,
        parameter=contracts.burn_parameter([(DAY, 1, ANN), (DAY, 5, ANN)]),  # six of five
        execution_energy=30_000,
        sequence_number=gateway.next_sequence_number(wallet),
        expires_at=datetime.now(UTC) + timedelta(minutes=5),
    )
    assert gateway.submit(signed.raw).hint is Hint.ACCEPTED
    devnet.control.advance(blocks=3)
    state = gateway.states([signed.transaction_hash])[signed.transaction_hash]
    assert state.rejection.reason == "rejected_receive"
    assert "security_sft_multi.burn code -42000002" in state.rejection.detail
    assert since(gateway, start, TOKEN) == ((), (), (), ())
    assert balances(gateway, TOKEN, (ANN, DAY)) == {(ANN, DAY): 5}
