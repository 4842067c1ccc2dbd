"""The token contract events of a finalised transaction, flattened from its execution trace in the order in which they
took effect.

A contract that calls another is interrupted: its events so far, then the callee's trace, then whether the call
succeeded, then the rest. All that lies between an interruption and a failed resumption was undone and is dropped.
"""

from collections.abc import Collection, Iterable
from typing import Any

from bonds.chain.concordium import contracts
from bonds.chain.concordium.contracts import Address, Burned, Minted, Module, Recovered, Transferred, UnknownEvent
from bonds.chain.gateway import ChainRefused, Contract, LotEvent, LotEventKind

Emitted = tuple[Contract, bytes]


def _events(address: Any, events: Iterable[Any]) -> list[Emitted]:
    contract = Contract(address.index, address.subindex)
    return [(contract, event.value) for event in events]


def flatten(trace: Iterable[Any]) -> list[Emitted]:
    """Events that took effect, in order, each with its contract. ChainRefused for a trace whose calls do not nest."""
    frames: list[list[Emitted]] = [[]]
    for step in trace:
        kind = step.WhichOneof("element")
        if kind == "updated":
            frames[-1] += _events(step.updated.address, step.updated.events)
        elif kind == "interrupted":
            frames[-1] += _events(step.interrupted.address, step.interrupted.events)
            frames.append([])
        elif kind == "resumed":
            if len(frames) == 1:
                raise ChainRefused("a contract trace resumes what was not interrupted")
            inner = frames.pop()
            if step.resumed.success:
                frames[-1] += inner
        elif kind is None:
            raise ChainRefused("a contract trace has a step this product does not know")
    if len(frames) != 1:
        raise ChainRefused("a contract trace ends inside an interruption")
    return frames[0]


def emitted_events(effects: Any) -> list[Emitted]:
    """Every contract event of a transaction's effects; none for a transaction that failed or that called no
    contract."""
    kind = effects.WhichOneof("effect")
    if kind == "contract_update_issued":
        return flatten(effects.contract_update_issued.effects)
    if kind == "contract_initialized":
        return _events(effects.contract_initialized.address, effects.contract_initialized.events)
    return []


def _text(address: Address) -> str:
    return address if isinstance(address, str) else f"<{address.index},{address.subindex}>"


def lot_events(summary: Any, token_contracts: Collection[Contract]) -> list[LotEvent]:
    """Mints, transfers and burns of these contracts in one transaction.

    ChainRefused for an event of theirs that cannot be read, or that moves balances without saying which (a recovered
    account): holdings that skipped it would be wrong in silence, so the follower stops there and a person looks.
    """
    transaction_hash = summary.hash.value.hex()
    found = []
    for event_index, (contract, raw) in enumerate(emitted_events(summary.account_transaction.effects)):
        if contract not in token_contracts:
            continue
        event = contracts.decode_event(Module.SECURITY, raw)
        if isinstance(event, UnknownEvent | Recovered):
            what = "an account recovery" if isinstance(event, Recovered) else f"an unreadable event {raw.hex()}"
            place = f"contract {_text(contract)}, transaction {transaction_hash}, event {event_index}"
            raise ChainRefused(f"{what} of a token contract: {place}")
        if not isinstance(event, Minted | Burned | Transferred):
            continue
        kind, sender, recipient = _movement(event)
        found.append(
            LotEvent(contract, kind, event.token_id, event.amount_raw, sender, recipient, transaction_hash, event_index)
        )
    return found


def _movement(event: Minted | Burned | Transferred) -> tuple[LotEventKind, str | None, str | None]:
    if isinstance(event, Minted):
        return LotEventKind.MINT, None, _text(event.owner)
    if isinstance(event, Burned):
        return LotEventKind.BURN, _text(event.owner), None
    return LotEventKind.TRANSFER, _text(event.sender), _text(event.recipient)
