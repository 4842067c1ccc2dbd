"""The events of the watched contracts in a block, in the gateway's words, each read by the decoder of its contract's module.

An event that no decoder reads is never skipped and never guessed at: it is an UnreadEvent, and reading goes on. Frozen
parts, pauses, agents, operators and metadata are read and change no holding.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bonds.chain.concordium import contracts, traces
from bonds.chain.concordium.contracts import (
    DECODERS,
    AddressStateChanged,
    Burned,
    IdentityChanged,
    InvestmentChanged,
    Minted,
    Module,
    Recovered,
    Transferred,
    UnknownEvent,
)
from bonds.chain.concordium.modules import FIELD, Modules
from bonds.chain.concordium.values import Address, address_text
from bonds.chain.gateway import (
    Contract,
    FundEvent,
    FundEventKind,
    LotEvent,
    LotEventKind,
    RegistryEvent,
    RegistryState,
    UnreadEvent,
)

log = logging.getLogger(__name__)

UNKNOWN_MODULE = ""  # where the trace that may have upgraded a contract cannot be read
FUND_KINDS = {"invested": FundEventKind.INVEST, "claimed": FundEventKind.CLAIM, "cancelled": FundEventKind.REFUND}


@dataclass
class Events:
    """What a block holds for the watched contracts, in chain order within each kind."""

    lots: list[LotEvent] = field(default_factory=list)
    funds: list[FundEvent] = field(default_factory=list)
    registries: list[RegistryEvent] = field(default_factory=list)
    unread: list[UnreadEvent] = field(default_factory=list)


class SourceModules:
    """The module reference of each watched contract as the blocks go by: asked for once, then changed by what the blocks
    say. Good for blocks read in order from one block on, and for nothing else."""

    def __init__(self, ask: Callable[[Contract], str]) -> None:
        """`ask` answers for the state before the block that is being read."""
        self._ask = ask
        self._known: dict[Contract, str] = {}

    def of(self, contract: Contract) -> str:
        if contract not in self._known:
            self._known[contract] = self._ask(contract)
        return self._known[contract]

    def set(self, contract: Contract, module_ref: str) -> None:
        self._known[contract] = module_ref

    def forget(self, contract: Contract) -> None:
        """Ask again at the next block that needs it."""
        self._known.pop(contract, None)


@dataclass(frozen=True)
class _Place:
    contract: Contract
    transaction_hash: str
    event_index: int

    def unread(self, module_ref: str, data: bytes, reason: str) -> UnreadEvent:
        return UnreadEvent(self.contract, module_ref, data, reason, self.transaction_hash, self.event_index)


class EventReader:
    """Reads the transactions of blocks in order. `table` chooses the decoder, `sources` knows each contract's module."""

    def __init__(self, watched: Collection[Contract], table: Modules, sources: SourceModules) -> None:
        self._watched = watched
        self._table = table
        self._sources = sources
        self._doubtful: set[Contract] = set()

    def read(self, summaries: Iterable[Any]) -> Events:
        """The events of one block's transactions, given in order. Raises what asking for a module raises, and nothing of
        its own."""
        found = Events()
        for summary in summaries:
            for event in self._transaction(summary):
                match event:
                    case LotEvent():
                        found.lots.append(event)
                    case FundEvent():
                        found.funds.append(event)
                    case RegistryEvent():
                        found.registries.append(event)
                    case UnreadEvent():
                        found.unread.append(event)
        while self._doubtful:
            self._sources.forget(self._doubtful.pop())
        return found

    def _transaction(self, summary: Any) -> Iterator[LotEvent | FundEvent | RegistryEvent | UnreadEvent]:
        transaction_hash, effects = summary.hash.value.hex(), summary.account_transaction.effects
        if summary.WhichOneof("details") is None or (
            summary.WhichOneof("details") == "account_transaction" and effects.WhichOneof("effect") is None
        ):
            log.warning(
                "a transaction of an unknown kind was passed over", extra={"transaction_hash": transaction_hash}
            )
        try:
            steps = traces.steps(effects)
        except traces.UnreadableTrace as error:
            yield from self._unreadable(effects.contract_update_issued.effects, transaction_hash, str(error))
            return
        running: dict[int, str] = {}  # run -> module reference of the code it runs
        event_index = 0
        for step in steps:
            is_watched = step.contract in self._watched
            match step:
                case traces.Emitted(contract, call, data):
                    if is_watched:
                        place = _Place(contract, transaction_hash, event_index)
                        yield from _read(data, running[call], place, self._table)
                    event_index += 1
                case traces.ModuleSet(contract, module_ref) if is_watched:
                    self._sources.set(contract, module_ref)
                case traces.Began(contract, call) if is_watched:
                    running[call] = self._sources.of(contract)

    def _unreadable(self, trace: Iterable[Any], transaction_hash: str, why: str) -> Iterator[UnreadEvent]:
        """All that is seen of the watched contracts, because which of it took effect is not known."""
        reason = f"the execution trace of its transaction cannot be read: {why}"
        silent: list[Contract] = []
        seen: set[Contract] = set()
        event_index = 0
        for contract, events in traces.mentioned(trace):
            if contract in self._watched and not events:
                silent.append(contract)
            for data in events:
                if contract in self._watched:
                    seen.add(contract)
                    place = _Place(contract, transaction_hash, event_index)
                    yield place.unread(self._sources.of(contract), data, reason)
                event_index += 1
        for contract in dict.fromkeys(silent):
            if contract not in seen:
                place = _Place(contract, transaction_hash, event_index)
                yield place.unread(self._sources.of(contract), b"", reason)
                event_index += 1
        for contract in {*silent, *seen}:  # it may have been upgraded: for the rest of this block nobody knows
            self._sources.set(contract, UNKNOWN_MODULE)
            self._doubtful.add(contract)


def _read(
    data: bytes, module_ref: str, place: _Place, table: Modules
) -> Iterator[LotEvent | FundEvent | RegistryEvent | UnreadEvent]:
    module = table.get(module_ref)
    if module is None:
        yield place.unread(module_ref, data, f"{FIELD} names no interface for its contract's module")
        return
    event = contracts.decode_event(module, data)
    if isinstance(event, UnknownEvent):
        yield place.unread(module_ref, data, _why_unknown(module, event))
        return
    translated = _translated(event, place)
    if translated is not None:
        yield translated


def _why_unknown(module: Module, event: UnknownEvent) -> str:
    if event.tag is None:
        return "an event without content"
    if event.tag in DECODERS[module]:
        return f"a malformed event {event.tag} of {module}"
    return f"{module} has no event {event.tag}"


def _translated(event: contracts.Event, place: _Place) -> LotEvent | FundEvent | RegistryEvent | None:
    """None for an event that changes no lot, no investment and no address."""
    match event:
        case Minted() | Burned() | Transferred() | Recovered():
            return _lot(place, event)
        case InvestmentChanged():
            return _fund(place, event)
        case IdentityChanged():
            # Registered is not yet verified where the registry has issuers; who is paid, the registry itself is asked.
            state = RegistryState.WHITELISTED if event.registered else RegistryState.NOT_IN_REGISTRY
            return _registry(place, event, state)
        case AddressStateChanged():
            return _registry(place, event, event.state)
    return None


def _lot(place: _Place, event: Minted | Burned | Transferred | Recovered) -> LotEvent:
    token_id, amount_raw = (0, 0) if isinstance(event, Recovered) else (event.token_id, event.amount_raw)
    sender: Address | None = None
    recipient: Address | None = None
    match event:
        case Minted():
            kind, recipient = LotEventKind.MINT, event.owner
        case Burned():
            kind, sender = LotEventKind.BURN, event.owner
        case Transferred():
            kind, sender, recipient = LotEventKind.TRANSFER, event.sender, event.recipient
        case Recovered():
            kind, sender, recipient = LotEventKind.RECOVER, event.lost, event.new
    return LotEvent(
        contract=place.contract,
        kind=kind,
        token_id=token_id,
        amount_raw=amount_raw,
        sender=None if sender is None else address_text(sender),
        recipient=None if recipient is None else address_text(recipient),
        transaction_hash=place.transaction_hash,
        event_index=place.event_index,
    )


def _fund(place: _Place, event: InvestmentChanged) -> FundEvent:
    return FundEvent(
        contract=place.contract,
        kind=FUND_KINDS[event.stage],
        token=event.token,
        token_id=event.token_id,
        investor=event.investor,
        security_amount_raw=event.security_amount_raw,
        currency_amount_raw=event.currency_amount_raw,
        transaction_hash=place.transaction_hash,
        event_index=place.event_index,
    )


def _registry(place: _Place, event: IdentityChanged | AddressStateChanged, state: RegistryState) -> RegistryEvent:
    address = address_text(event.address)
    return RegistryEvent(place.contract, address, state, place.transaction_hash, place.event_index)
