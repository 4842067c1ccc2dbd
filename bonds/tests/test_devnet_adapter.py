"""What the devnet's contracts do is what the adapter reads: two codes that share nothing but the wire must tell the same story."""

import pytest

from bonds.chain.gateway import Contract, FundEventKind, LotEventKind, RegistryState
from bonds.tests.conftest import REGISTRY_CONTRACT, TOKEN_CONTRACT, account

PRESALE, FUND, STATES = 1002, 1003, 1004
DAY = 20454
BOND = Contract(TOKEN_CONTRACT)
ALICE, BOB, CAROL = (account(name) for name in ("Alice", "Bob", "Carol"))


@pytest.fixture
def control(devnet):
    devnet.control.create_accounts([(person, None) for person in (ALICE, BOB, CAROL)])
    devnet.control.create_contract(PRESALE, "token")
    devnet.control.create_contract(FUND, "fund", agents=[devnet.genesis.operator])
    devnet.control.create_contract(STATES, "state_registry")
    return devnet.control


@pytest.fixture
def read(control, gateway):
    """All events of the contracts since the chain began; none may be unread."""

    def blocks():
        control.advance(blocks=2)
        watched = [Contract(index) for index in (TOKEN_CONTRACT, REGISTRY_CONTRACT, PRESALE, FUND, STATES)]
        found = list(gateway.blocks(1, gateway.head().height, watched))
        assert [block.unread for block in found if block.unread] == []
        return found

    return blocks


def test_frozen_lots_forced_burns_and_a_recovery(control, gateway, read):
    control.mint_frozen(TOKEN_CONTRACT, [(ALICE, DAY, 2000, 500), (BOB, DAY, 7, 7)])
    control.burn_lots(TOKEN_CONTRACT, [(ALICE, DAY, 1800), (BOB, DAY, 7)])
    control.recover(TOKEN_CONTRACT, ALICE, CAROL)
    control.pause_lots(TOKEN_CONTRACT, [DAY])
    events = [event for block in read() for event in block.events]
    assert [(e.kind, e.sender, e.recipient, e.token_id, e.amount_raw, e.event_index) for e in events] == [
        (LotEventKind.MINT, None, ALICE, DAY, 2000, 0),
        (LotEventKind.MINT, None, BOB, DAY, 7, 2),
        (LotEventKind.BURN, ALICE, None, DAY, 1800, 1),
        (LotEventKind.BURN, BOB, None, DAY, 7, 3),
        (LotEventKind.RECOVER, ALICE, CAROL, 0, 0, 0),
    ]
    lots = [(person, DAY) for person in (ALICE, BOB, CAROL)]
    balances = gateway.lot_balances(BOND, lots, gateway.head().block_hash)
    assert balances == {(ALICE, DAY): 0, (BOB, DAY): 0, (CAROL, DAY): 200}


@pytest.mark.parametrize("success", [True, False])
def test_investments_claims_and_refunds_with_the_tokens_inside_them(devnet, control, read, success):
    control.add_fund(FUND, presale=(PRESALE, DAY), security=(TOKEN_CONTRACT, DAY))
    control.invest(FUND, (TOKEN_CONTRACT, DAY), [(ALICE, 10, 10_000), (BOB, 3, 3_000)])
    receiver = devnet.genesis.operator if success else None
    control.set_fund_state(FUND, (TOKEN_CONTRACT, DAY), receiver=receiver)
    control.claim(FUND, (TOKEN_CONTRACT, DAY), [ALICE, BOB])
    blocks = read()
    settled = FundEventKind.CLAIM if success else FundEventKind.REFUND
    assert [
        (e.kind, e.contract, e.token, e.token_id, e.investor, e.security_amount_raw, e.currency_amount_raw)
        for block in blocks
        for e in block.fund_events
    ] == [
        (kind, Contract(FUND), BOND, DAY, *investment)
        for kind in (FundEventKind.INVEST, settled)
        for investment in ((ALICE, 10, 10_000), (BOB, 3, 3_000))
    ]
    moved = [(e.kind, e.contract.index, e.sender or e.recipient, e.amount_raw) for b in blocks for e in b.events]
    expected = [(LotEventKind.MINT, PRESALE, ALICE, 10), (LotEventKind.MINT, PRESALE, BOB, 3)]
    for person, amount in ((ALICE, 10), (BOB, 3)):
        expected.append((LotEventKind.BURN, PRESALE, person, amount))
        expected += [(LotEventKind.MINT, TOKEN_CONTRACT, person, amount)] if success else []
    assert moved == expected


def test_each_registry_is_read_as_its_module_says(control, gateway, read):
    everyone = [ALICE, BOB, CAROL]
    for registry in (REGISTRY_CONTRACT, STATES):
        control.set_registry(registry, [ALICE, BOB], "whitelisted")
        control.set_registry(registry, [BOB], "blacklisted")
    control.set_registry(STATES, [ALICE], "not_in_registry")
    white, black, none = RegistryState.WHITELISTED, RegistryState.BLACKLISTED, RegistryState.NOT_IN_REGISTRY
    events = [(e.contract.index, e.address, e.state) for block in read() for e in block.registry_events]
    assert events == [
        (REGISTRY_CONTRACT, ALICE, white),
        (REGISTRY_CONTRACT, BOB, white),
        (REGISTRY_CONTRACT, BOB, none),
        (STATES, ALICE, white),
        (STATES, BOB, white),
        (STATES, BOB, black),
        (STATES, ALICE, none),
    ]
    head = gateway.head().block_hash
    deployed = gateway.registry_states(Contract(REGISTRY_CONTRACT), everyone, head)
    assert deployed == {ALICE: white, BOB: none, CAROL: none}
    planned = gateway.registry_states(Contract(STATES), everyone, head)
    assert planned == {ALICE: none, BOB: black, CAROL: none}
