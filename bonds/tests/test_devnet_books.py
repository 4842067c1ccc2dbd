"""Whatever is done to the devnet's bond token, its events tell the whole of it: balances followed from them equal its own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bonds.chain.devnet.contracts import Call, invoke, parameters
from bonds.chain.devnet.encoding import ContractAddress, Reader, address_text
from bonds.chain.devnet.network import Contract
from bonds.chain.devnet.outcomes import ContractRejected
from bonds.chain.devnet.seed import contract_cells, lot_cell
from bonds.chain.devnet.state import Draft, State
from bonds.tests.contract_world import BOND, DAY, NEXT_DAY

OWNER = bytes(31) + b"\xff"
PEOPLE = st.integers(0, 3).map(lambda number: bytes(31) + bytes([number]))
AMOUNTS = st.integers(0, 40)
DAYS = st.sampled_from([DAY, NEXT_DAY])
ACTIONS = st.one_of(
    st.builds(lambda d, w, f, a: ("mint", parameters.mint_parameter(d, [(w, f, a)])), DAYS, PEOPLE, AMOUNTS, AMOUNTS),
    st.builds(lambda d, a, w: ("burn", parameters.burn_parameter([(d, a, w)])), DAYS, AMOUNTS, PEOPLE),
    st.builds(
        lambda d, a, s, r: ("transfer", parameters.cis2_transfers_parameter([(d, a, s, r)])),
        DAYS,
        AMOUNTS,
        PEOPLE,
        PEOPLE,
    ),
    st.builds(lambda d, a, w: ("freeze", parameters.freeze_parameter(w, [(d, a)])), DAYS, AMOUNTS, PEOPLE),
    st.builds(lambda d, a, w: ("unFreeze", parameters.freeze_parameter(w, [(d, a)])), DAYS, AMOUNTS, PEOPLE),
    st.builds(
        lambda lost, number: ("recover", parameters.recover_parameter(lost, bytes(30) + bytes([1, number]))),
        PEOPLE,
        st.integers(0, 9),
    ),
)


def followed(holdings, raw):
    """What one event makes of the holdings, for somebody who reads nothing but events."""
    reader = Reader(raw[1:])

    def change(token_id, who, difference):
        holdings[token_id, who] = holdings.get((token_id, who), 0) + difference

    match raw[0]:
        case 0xFE:
            token_id, amount, who = reader.contract_token_id(), reader.uleb128(), reader.contract_party()
            change(token_id, who, amount)
        case 0xFD:
            token_id, amount, who = reader.contract_token_id(), reader.uleb128(), reader.contract_party()
            change(token_id, who, -amount)
        case 0xFF:
            token_id, amount = reader.contract_token_id(), reader.uleb128()
            change(token_id, reader.contract_party(), -amount)
            change(token_id, reader.contract_party(), amount)
        case 0xF2:
            lost, new = reader.contract_party(), reader.contract_party()
            for token_id in (DAY, NEXT_DAY):
                change(token_id, new, holdings.pop((token_id, lost), 0))


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_whoever_follows_the_events_knows_every_balance(actions):
    known = {OWNER[:29].hex()}
    books = Draft(State().at(0))
    for key, value in contract_cells(Contract(index=BOND, kind="token", owner=address_text(OWNER)), known).items():
        books.put(key, value)
    for day in (DAY, NEXT_DAY):
        books.put(f"supplied/{BOND}/{day}", 0)
    instance, holdings = books.get(f"contract/{BOND}"), {}
    for name, parameter in actions:
        trial = Draft(books)
        call = Call(trial, ContractAddress(BOND), instance, f"{instance['name']}.{name}", parameter, caller=OWNER)
        try:
            invoke(call)
        except ContractRejected:
            continue
        trial.commit_to(books)
        for raw in call.events:
            followed(holdings, raw)
    lots = {key: books.get(key) for key in books.keys("lot")}
    assert {lot_cell(BOND, *lot): amount for lot, amount in holdings.items() if amount} == lots
    for key in books.keys("frozen"):
        assert 0 < books.get(key) <= lots[key.replace("frozen", "lot")]
    for day in (DAY, NEXT_DAY):
        total = sum(amount for (token_id, _), amount in holdings.items() if token_id == day)
        assert books.get(f"supplied/{BOND}/{day}") == total
