"""What a finalised transaction did to contracts, flattened from its execution trace in the order in which it took effect.

A contract that calls another is interrupted: its events so far, then the callee's trace, then whether the call
succeeded, then the rest. All that lies between an interruption and a failed resumption was undone and is dropped: events
and upgrades alike. A contract that is upgraded while it runs goes on with the code it began with; the next call of it
runs the new one. Sources: types.proto ContractTraceElement; the host function `upgrade` of the V1 contract interface.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bonds.chain.gateway import Contract


class UnreadableTrace(ValueError):
    """Calls that do not nest, or a step of a kind this product does not know: which events took effect is not known."""


@dataclass(frozen=True)
class Began:
    """A contract begins to run the code it has at this moment; `call` is the run's number within the transaction."""

    contract: Contract
    call: int


@dataclass(frozen=True)
class Emitted:
    """An event, of the run `call` of its contract."""

    contract: Contract
    call: int
    data: bytes


@dataclass(frozen=True)
class ModuleSet:
    """The contract was made from this module, or upgraded to it: what begins to run from here on is of it."""

    contract: Contract
    module_ref: str


Step = Began | Emitted | ModuleSet


class _Frame:
    """The steps of one level of calls; `running` is the run that is not yet over, and of which contract."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.running: Began | None = None


class _Flattener:
    def __init__(self) -> None:
        self.frames = [_Frame()]
        self.calls = 0

    def run(self, address: Any, events: Iterable[Any]) -> None:
        """Some events of the run of this level, which begins here unless it was only interrupted."""
        frame, contract = self.frames[-1], _contract(address)
        if frame.running is None:
            frame.running = Began(contract, self.calls)
            frame.steps.append(frame.running)
            self.calls += 1
        elif frame.running.contract != contract:
            raise UnreadableTrace("what one contract began, another goes on with")
        frame.steps += [Emitted(contract, frame.running.call, event.value) for event in events]

    def resume(self, success: bool) -> None:
        if len(self.frames) == 1:
            raise UnreadableTrace("it resumes what was not interrupted")
        inner = self.frames.pop()
        if success:
            self.frames[-1].steps += inner.steps

    def take(self, element: Any) -> None:
        kind = element.WhichOneof("element")
        if kind == "updated":
            self.run(element.updated.address, element.updated.events)
            self.frames[-1].running = None
        elif kind == "interrupted":
            self.run(element.interrupted.address, element.interrupted.events)
            self.frames.append(_Frame())
        elif kind == "resumed":
            self.resume(element.resumed.success)
        elif kind == "upgraded":
            upgraded = element.upgraded
            self.frames[-1].steps.append(ModuleSet(_contract(upgraded.address), upgraded.to.value.hex()))
        elif kind is None:
            raise UnreadableTrace("it has a step of a kind that is not known")


def _contract(address: Any) -> Contract:
    return Contract(address.index, address.subindex)


def flatten(trace: Iterable[Any]) -> list[Step]:
    """The steps that took effect, in order. UnreadableTrace for a trace whose calls do not nest."""
    flattener = _Flattener()
    for element in trace:
        flattener.take(element)
    if len(flattener.frames) != 1:
        raise UnreadableTrace("it ends inside an interruption")
    return flattener.frames[0].steps


def steps(effects: Any) -> list[Step]:
    """The contract steps of a transaction's effects; none for a transaction that failed or that called no contract.
    UnreadableTrace as `flatten`."""
    kind = effects.WhichOneof("effect")
    if kind == "contract_update_issued":
        return flatten(effects.contract_update_issued.effects)
    if kind == "contract_initialized":
        made = effects.contract_initialized
        contract = _contract(made.address)
        emitted = [Emitted(contract, 0, event.value) for event in made.events]
        return [ModuleSet(contract, made.origin_ref.value.hex()), Began(contract, 0), *emitted]
    return []


def mentioned(trace: Iterable[Any]) -> list[tuple[Contract, tuple[bytes, ...]]]:
    """Of a trace that cannot be read: the contract of every step that names one, with the step's events, undone or not."""
    found = []
    for element in trace:
        kind = element.WhichOneof("element")
        if kind in ("updated", "interrupted"):
            step = getattr(element, kind)
            found.append((_contract(step.address), tuple(event.value for event in step.events)))
        elif kind in ("resumed", "upgraded"):
            found.append((_contract(getattr(element, kind).address), ()))
    return found
