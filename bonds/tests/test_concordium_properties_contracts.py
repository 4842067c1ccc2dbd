"""Contract parameters, return values, events, traces and the table of modules there and back over arbitrary values.

What the adapter writes, the devnet's reader reads; what the adapter reads is put together from the devnet's primitives.
"""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonds.chain.concordium import addresses, contracts, modules, traces, values
from bonds.chain.concordium import events as events_of_blocks
from bonds.chain.concordium.contracts import AgentRole, Module
from bonds.chain.devnet import encoding as devnet
from bonds.chain.gateway import ChainMisconfigured, Contract, RegistryState
from bonds.chain.wire import node_pb2 as pb
from bonds.tests import fake_node
from bonds.tests.strategies import SENTENCE, accounts, beyond_u64, contract_addresses, other, parties, steady, u64

# ---- contract parameters ----

token_lots = st.lists(st.tuples(u64, u64, parties), max_size=8)


@steady
@given(token_lots)
def test_a_burn_is_what_the_token_contract_reads(burns):
    reader = devnet.Reader(contracts.burn_parameter(burns))
    read = [(reader.contract_token_id(), reader.uleb128(), reader.contract_party()) for _ in range(reader.little(2))]
    reader.finish()
    assert read == [(lot, raw, other(owner)) for lot, raw, owner in burns]


@steady
@given(st.lists(st.tuples(u64, parties), max_size=8))
def test_a_question_for_balances_is_what_the_token_contract_reads(queries):
    reader = devnet.Reader(contracts.balance_of_parameter(queries))
    read = [(reader.contract_token_id(), reader.contract_party()) for _ in range(reader.little(2))]
    reader.finish()
    assert read == [(lot, other(holder)) for lot, holder in queries]


@steady
@given(parties, st.lists(st.sampled_from(AgentRole), max_size=15))
def test_a_question_for_roles_and_one_for_identity_are_what_the_contracts_read(party, roles):
    reader = devnet.Reader(contracts.is_agent_parameter(party, roles))
    assert reader.contract_party() == other(party)
    assert [reader.little(1) for _ in range(reader.little(4))] == [int(role) for role in roles]
    reader.finish()
    assert contracts.is_verified_parameter(party) == devnet.contract_party(other(party))


@steady
@given(st.lists(st.tuples(contract_addresses, u64, accounts.map(addresses.encode)), max_size=6))
def test_claims_name_fund_and_investor_without_a_kind_byte(claims):
    reader = devnet.Reader(contracts.claim_investment_parameter(claims))
    read = [
        (Contract(reader.little(8), reader.little(8)), reader.contract_token_id(), addresses.encode(reader.take(32)))
        for _ in range(reader.little(4))
    ]
    reader.finish()
    assert read == claims


@steady
@given(contract_addresses, u64, st.none() | parties)
def test_a_funds_end_is_success_with_a_receiver_or_failure(token, token_id, receiver):
    reader = devnet.Reader(contracts.update_fund_state_parameter(token, token_id, receiver))
    assert Contract(reader.little(8), reader.little(8)) == token
    assert reader.contract_token_id() == token_id
    if reader.take(1) == b"\x00":
        assert reader.contract_party() == other(receiver)
    else:
        assert receiver is None
    reader.finish()


@steady
@given(beyond_u64)
def test_a_contract_integer_beyond_u64_is_not_encoded(value):
    someone = addresses.encode(bytes(32))
    for encode in (
        lambda: contracts.burn_parameter([(value, 1, someone)]),
        lambda: contracts.burn_parameter([(1, value, someone)]),
        lambda: contracts.balance_of_parameter([(1, Contract(value))]),
        lambda: contracts.claim_investment_parameter([(Contract(0, value), 1, someone)]),
    ):
        with pytest.raises(ValueError, match="unsigned 64-bit"):
            encode()


def test_more_entries_than_a_call_can_count_are_refused():
    with pytest.raises(ValueError, match="65536 entries are too many"):
        contracts.burn_parameter([(1, 1, Contract(0))] * 65_536)


@steady
@given(st.lists(u64, max_size=12), st.binary(min_size=1, max_size=4))
def test_balances_come_back_in_order_and_never_with_something_behind_them(balances, more):
    value = struct.pack("<H", len(balances)) + b"".join(map(devnet.uleb128, balances))
    assert contracts.read_balances(value) == tuple(balances)
    with pytest.raises(ValueError, match=SENTENCE):
        contracts.read_balances(value + more)
    with pytest.raises(ValueError, match=SENTENCE):
        contracts.read_balances(value[:-1])


@steady
@given(st.integers(2**64, 2**77), parties)
def test_an_amount_beyond_u64_is_not_read(amount, owner):
    with pytest.raises(ValueError, match="unsigned 64-bit"):
        contracts.read_balances(b"\x01\x00" + devnet.uleb128(amount))
    raw = devnet.mint_event(1, amount, other(owner))
    assert contracts.decode_event(Module.SECURITY, raw) == contracts.UnknownEvent(0xFE, raw)


@steady
@given(parties)
def test_an_address_in_words_is_read_back(address):
    text = values.address_text(address)
    assert values.parse_address(text) == address
    if isinstance(address, Contract):
        assert text == str(devnet.ContractAddress(address.index, address.subindex))


@steady
@given(
    st.text(max_size=60)
    | st.tuples(st.integers(-3, 2**66), st.integers(-3, 2**66))
    .filter(lambda pair: not all(0 <= number < 2**64 for number in pair))
    .map(lambda pair: f"<{pair[0]},{pair[1]}>")
    | st.tuples(u64, u64).map(lambda pair: f"<0{pair[0]},{pair[1]}>")
)
def test_words_that_are_no_address_are_refused(text):
    with pytest.raises(ValueError, match=r"not an? \w+ address"):
        values.parse_address(text)


@steady
@given(st.binary(max_size=3))
def test_an_address_state_is_one_byte_of_three(value):
    states = [RegistryState.NOT_IN_REGISTRY, RegistryState.WHITELISTED, RegistryState.BLACKLISTED]
    if len(value) == 1 and value[0] < 3:
        assert contracts.read_address_state(value) is states[value[0]]
    else:
        with pytest.raises(ValueError, match="not an address state"):
            contracts.read_address_state(value)


# ---- modules ----

module_tables = st.dictionaries(accounts.map(bytes.hex), st.sampled_from(Module), max_size=6)


@steady
@given(module_tables, st.booleans())
def test_the_table_of_modules_is_what_was_configured(table, upper):
    entries = [f" {ref.upper() if upper else ref} = {module.value} " for ref, module in table.items()]
    assert modules.parse(entries) == table


@steady
@given(st.text(max_size=80), accounts)
def test_an_entry_that_is_none_names_the_setting_and_its_place(text, reference):
    good = f"{reference.hex()}={Module.FUND.value}"
    for bad in (text, f"{text}={Module.FUND.value}", f"{reference.hex()}={text}"):
        if bad.strip() in (good, *(f"{reference.hex()}={module.value}" for module in Module)):
            continue
        with pytest.raises(ChainMisconfigured, match="CHAIN_MODULES, entry 2"):
            modules.parse([good, bad])


@steady
@given(contract_addresses, accounts, st.sampled_from(Module), st.sampled_from(Module))
def test_only_a_contract_of_the_wanted_interface_is_asked(contract, reference, interface, wanted):
    table = {reference.hex(): interface}
    if interface is wanted:
        assert modules.require(table, contract, reference.hex(), [wanted]) is wanted
    else:
        with pytest.raises(ChainMisconfigured, match=f"a {interface}; asked for was {wanted}"):
            modules.require(table, contract, reference.hex(), [wanted])
    with pytest.raises(ChainMisconfigured, match="names no interface"):
        modules.require({}, contract, reference.hex(), [wanted])


# ---- contract events ----


def lot(token_id: int, amount: int) -> bytes:
    return devnet.contract_token_id(token_id) + devnet.uleb128(amount)


def party(address: contracts.Address) -> bytes:
    return devnet.contract_party(other(address))


def written(event: contracts.Event) -> tuple[Module, bytes]:
    """The event's bytes, put together from the devnet's primitives, and the module that logs it."""
    match event:
        case contracts.Minted():
            return Module.SECURITY, devnet.mint_event(event.token_id, event.amount_raw, other(event.owner))
        case contracts.Burned():
            return Module.SECURITY, devnet.burn_event(event.token_id, event.amount_raw, other(event.owner))
        case contracts.Transferred():
            sides = other(event.sender), other(event.recipient)
            return Module.SECURITY, devnet.transfer_event(event.token_id, event.amount_raw, *sides)
        case contracts.Frozen():
            tag = b"\xf7" if event.frozen else b"\xf8"
            return Module.SECURITY, tag + lot(event.token_id, event.amount_raw) + party(event.holder)
        case contracts.Paused():
            tag = b"\xf6" if event.paused else b"\xf5"
            return Module.SECURITY, tag + devnet.contract_token_id(event.token_id)
        case contracts.Recovered():
            return Module.SECURITY, b"\xf2" + party(event.lost) + party(event.new)
        case contracts.AgentChanged():
            roles = struct.pack("<I", len(event.roles)) + bytes(event.roles)
            return Module.SECURITY, (b"\xfa" if event.added else b"\xf9") + party(event.agent) + roles
        case contracts.ContractLinked():
            tag = b"\xf4" if event.role == "compliance" else b"\xf3"
            return Module.SECURITY, tag + party(event.contract)[1:]
        case contracts.InvestmentChanged():
            tag = bytes([{"invested": 6, "claimed": 7, "cancelled": 8}[event.stage]])
            fund = party(event.token)[1:] + devnet.contract_token_id(event.token_id) + party(event.investor)[1:]
            amounts = devnet.uleb128(event.security_amount_raw) + devnet.uleb128(event.currency_amount_raw)
            return Module.FUND, tag + fund + amounts
        case contracts.IdentityChanged():
            return Module.REGISTRY, (b"\x00" if event.registered else b"\x01") + party(event.address)
        case contracts.AddressStateChanged(state=RegistryState.NOT_IN_REGISTRY):
            return Module.ADDRESS_STATES, b"\x03" + party(event.address)
        case contracts.AddressStateChanged():
            number = [RegistryState.WHITELISTED, RegistryState.BLACKLISTED].index(event.state)
            return Module.ADDRESS_STATES, b"\x02" + party(event.address) + bytes([number])
    raise AssertionError(event)


events = st.one_of(
    st.builds(contracts.Minted, u64, u64, parties),
    st.builds(contracts.Burned, u64, u64, parties),
    st.builds(contracts.Transferred, u64, u64, parties, parties),
    st.builds(contracts.Frozen, st.booleans(), u64, u64, parties),
    st.builds(contracts.Paused, st.booleans(), u64),
    st.builds(contracts.Recovered, parties, parties),
    st.builds(contracts.AgentChanged, st.booleans(), parties, st.lists(st.integers(0, 255)).map(tuple)),
    st.builds(contracts.ContractLinked, st.sampled_from(["compliance", "identity registry"]), contract_addresses),
    st.builds(
        contracts.InvestmentChanged,
        st.sampled_from(["invested", "claimed", "cancelled"]),
        contract_addresses,
        u64,
        accounts.map(addresses.encode),
        u64,
        u64,
    ),
    st.builds(contracts.IdentityChanged, st.booleans(), parties),
    st.builds(contracts.AddressStateChanged, parties, st.sampled_from(RegistryState)),
)


@settings(steady, max_examples=300)
@given(events)
def test_every_event_is_read_back_as_it_was_written(event):
    module, raw = written(event)
    assert contracts.decode_event(module, raw) == event


@settings(steady, max_examples=200)
@given(events, st.data())
def test_an_event_cut_or_lengthened_is_unknown_and_nothing_else(event, data):
    module, raw = written(event)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    assert contracts.decode_event(module, cut) == contracts.UnknownEvent(cut[0] if cut else None, cut)
    longer = raw + data.draw(st.binary(min_size=1, max_size=4))
    assert contracts.decode_event(module, longer) == contracts.UnknownEvent(raw[0], longer)


# ---- traces ----

marks = st.lists(st.binary(min_size=1, max_size=3), max_size=2)
calls = st.recursive(
    st.tuples(marks, st.just(())),
    lambda inner: st.tuples(marks, st.lists(st.tuples(marks, inner, st.booleans()), max_size=3)),
    max_leaves=8,
)


def traced(call) -> tuple[list[pb.ContractTraceElement], list[bytes]]:
    """A call's trace, and the events of it that take effect. A call: its last events, and each callee after the events that precede it."""
    last, callees = call
    steps, effective = [], []
    for before, callee, success in callees:
        step = pb.ContractTraceElement()
        step.interrupted.events.extend(pb.Bytes(value=mark) for mark in before)
        step.interrupted.SetInParent()
        inner_steps, inner_effective = traced(callee)
        resumed = pb.ContractTraceElement(resumed=pb.InstanceResumed(success=success))
        steps += [step, *inner_steps, resumed]
        effective += before + (inner_effective if success else [])
    end = pb.ContractTraceElement()
    end.updated.events.extend(pb.Bytes(value=mark) for mark in last)
    end.updated.SetInParent()
    return [*steps, end], effective + last


@steady
@given(calls)
def test_a_trace_gives_the_events_of_calls_that_succeeded_in_the_order_they_took_effect(call):
    steps, effective = traced(call)
    emitted = [step for step in traces.flatten(steps) if isinstance(step, traces.Emitted)]
    assert [step.data for step in emitted] == effective


def test_a_run_that_another_contract_goes_on_with_cannot_be_read_and_its_events_are_parked():
    began, went_on, called = fake_node.REGISTRY, fake_node.TOKEN, fake_node.FUND
    trace = [
        fake_node.interrupted(began, b"\x00"),
        fake_node.updated(called),
        fake_node.resumed(began),
        fake_node.updated(went_on, b"\xfe"),
    ]
    with pytest.raises(traces.UnreadableTrace, match="another goes on"):
        traces.flatten(trace)
    sources = events_of_blocks.SourceModules(lambda contract: fake_node.REFERENCES[Module.SECURITY])
    reader = events_of_blocks.EventReader([went_on], fake_node.MODULES, sources)
    found = reader.read([fake_node.called(*trace)])
    assert [(event.contract, event.data, event.event_index) for event in found.unread] == [(went_on, b"\xfe", 1)]
    assert (found.lots, found.funds, found.registries) == ([], [], [])
