"""Execution traces flattened: what took effect, in its order, and which code emitted it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonds.chain.concordium import traces
from bonds.chain.concordium.traces import Began, Emitted, ModuleSet
from bonds.chain.gateway import Contract
from bonds.chain.wire import node_pb2
from bonds.tests.fake_node import FUND as OTHER
from bonds.tests.fake_node import TOKEN, interrupted, made, resumed, transferred, updated, upgraded

OLD, NEW = "0d" * 32, "0e" * 32


def emitted(trace: list[node_pb2.ContractTraceElement]) -> list[tuple[Contract, bytes]]:
    return [(step.contract, step.data) for step in traces.flatten(trace) if isinstance(step, Emitted)]


def test_a_trace_is_flattened_in_the_order_in_which_events_took_effect():
    trace = [
        interrupted(TOKEN, b"1"),
        interrupted(OTHER, b"2"),
        transferred(),
        resumed(OTHER),
        updated(OTHER, b"3"),
        resumed(TOKEN),
        updated(TOKEN, b"4", b"5"),
    ]
    assert emitted(trace) == [(TOKEN, b"1"), (OTHER, b"2"), (OTHER, b"3"), (TOKEN, b"4"), (TOKEN, b"5")]


def test_everything_under_a_failed_call_was_undone_and_is_dropped():
    trace = [
        interrupted(TOKEN, b"kept"),
        interrupted(OTHER, b"undone"),
        updated(TOKEN, b"undone, though its own call succeeded"),
        resumed(OTHER),
        updated(OTHER, b"undone"),
        resumed(TOKEN, success=False),
        interrupted(TOKEN, b"kept too"),
        updated(OTHER, b"a second call, which succeeded"),
        resumed(TOKEN),
        updated(TOKEN, b"last"),
    ]
    assert [data for _, data in emitted(trace)] == [b"kept", b"kept too", b"a second call, which succeeded", b"last"]


def test_an_upgrade_is_for_the_runs_that_begin_after_it():
    trace = [
        interrupted(TOKEN, b"old code"),
        upgraded(TOKEN, NEW),
        resumed(TOKEN),
        interrupted(TOKEN, b"still the old code"),
        updated(TOKEN, b"the new code, called by the old"),
        resumed(TOKEN),
        updated(TOKEN, b"the old code again"),
    ]
    assert traces.flatten(trace) == [
        Began(TOKEN, 0),
        Emitted(TOKEN, 0, b"old code"),
        ModuleSet(TOKEN, NEW),
        Emitted(TOKEN, 0, b"still the old code"),
        Began(TOKEN, 1),
        Emitted(TOKEN, 1, b"the new code, called by the old"),
        Emitted(TOKEN, 0, b"the old code again"),
    ]


def test_an_upgrade_under_a_failed_call_was_undone():
    trace = [
        interrupted(OTHER),
        interrupted(TOKEN),
        upgraded(TOKEN, NEW),
        resumed(TOKEN),
        resumed(OTHER, success=False),
        updated(OTHER, b"after"),
    ]
    assert traces.flatten(trace) == [Began(OTHER, 0), Emitted(OTHER, 0, b"after")]


def test_a_contract_is_made_of_its_module_before_it_says_anything():
    effects = made(TOKEN, OLD, b"1", b"2").account_transaction.effects
    assert traces.steps(effects) == [
        ModuleSet(TOKEN, OLD),
        Began(TOKEN, 0),
        Emitted(TOKEN, 0, b"1"),
        Emitted(TOKEN, 0, b"2"),
    ]


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        ([resumed(TOKEN)], "resumes what was not interrupted"),
        ([interrupted(TOKEN)], "ends inside an interruption"),
        ([updated(TOKEN), node_pb2.ContractTraceElement()], "a step of a kind that is not known"),
    ],
)
def test_a_trace_that_does_not_nest_or_has_an_unknown_step_is_unreadable(trace, why):
    with pytest.raises(traces.UnreadableTrace, match=why):
        traces.flatten(trace)


@st.composite
def calls(draw, depth: int = 3):
    """A random call tree as a trace, with the events that survive it."""
    trace, kept = [], []
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        before = draw(st.binary(min_size=1, max_size=3))
        inner_trace, inner_kept = draw(calls(depth - 1))
        success = draw(st.booleans())
        trace += [interrupted(TOKEN, before), *inner_trace, resumed(TOKEN, success)]
        kept += [before, *(inner_kept if success else [])]
    last = draw(st.binary(min_size=1, max_size=3))
    return [*trace, updated(TOKEN, last)], [*kept, last]


@given(calls())
def test_whatever_the_nesting_what_survives_is_what_was_not_undone(call):
    trace, kept = call
    assert [data for _, data in emitted(trace)] == kept


@given(calls())
def test_every_event_belongs_to_a_run_that_began_before_it(call):
    begun: set[int] = set()
    for step in traces.flatten(call[0]):
        if isinstance(step, Began):
            assert step.call not in begun
            begun.add(step.call)
        else:
            assert step.call in begun
