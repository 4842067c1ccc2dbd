"""Turn a block's token events into lot changes and holdings. Called by the listener inside the block's transaction, and by nobody else."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Max

from bonds.chain.gateway import Block, Contract, LotEvent, LotEventKind
from bonds.models import Bond, Holding, LotChange


class BooksContradicted(Exception):
    """The chain's events cannot all be true of the books: more leaves a holder than came. The listener stops; a person looks."""


Key = tuple[str, int]  # transaction hash, event index
Deltas = dict[tuple[UUID, str], dict[int, int]]  # by bond and holder, then by token id


def last_height(bonds: Sequence[Bond], *, after: int) -> int:
    """The highest block after `after` that any of these bonds has a change of, else `after`: higher where a cursor was set back."""
    rows = LotChange.objects.filter(bond__in=bonds, block_height__gt=after)
    return int(rows.aggregate(last=Max("block_height", default=after))["last"])


def write(block: Block, by_contract: Mapping[Contract, Bond], *, is_known: bool) -> int:
    """Write the block's lot changes and move the holdings; returns how many changes.

    `is_known`: the block may be in the books; a bond that has it already is left alone then. Raises BooksContradicted; the caller's
    transaction must then be rolled back.
    """
    events = [event for event in block.events if event.contract in by_contract]
    if is_known:
        events = _not_in_books(events, by_contract, block)
    changes, deltas = _changes(events, by_contract, block)
    LotChange.objects.bulk_create(changes, batch_size=1000)
    _apply(deltas, block)
    return len(changes)


def _not_in_books(events: Sequence[LotEvent], by_contract: Mapping[Contract, Bond], block: Block) -> list[LotEvent]:
    """The events of the bonds that have none of this block's yet: a block is in the books wholly or not at all."""
    by_bond: dict[UUID, list[LotEvent]] = defaultdict(list)
    for event in events:
        by_bond[by_contract[event.contract].pk].append(event)
    known: dict[UUID, set[Key]] = defaultdict(set)
    rows = LotChange.objects.filter(bond__in=[bond.pk for bond in by_contract.values()], block_height=block.height)
    for bond_id, transaction_hash, event_index in rows.values_list("bond", "transaction_hash", "event_index"):
        known[bond_id].add((transaction_hash, event_index))
    for bond_id, keys in known.items():
        _check_same(keys, by_bond[bond_id], block)
    return [event for bond_id, events in by_bond.items() if bond_id not in known for event in events]


def _check_same(known: set[Key], events: Sequence[LotEvent], block: Block) -> None:
    said = {(event.transaction_hash, event.event_index) for event in events}
    certain = {(e.transaction_hash, e.event_index) for e in events if e.kind is not LotEventKind.RECOVER}
    if not certain <= known <= said:  # a recovery of nothing leaves no row
        raise BooksContradicted(f"block {block.height} is in the books with other events than the chain now gives")


def _changes(
    events: Sequence[LotEvent], by_contract: Mapping[Contract, Bond], block: Block
) -> tuple[list[LotChange], Deltas]:
    changes: list[LotChange] = []
    deltas: Deltas = defaultdict(lambda: defaultdict(int))  # int: a Decimal would round beyond 28 digits
    for event in events:
        bond = by_contract[event.contract]
        for token_id, amount in _moves(event, bond, deltas):
            changes.append(_change(event, bond, block, token_id, amount))
            if event.recipient:
                deltas[bond.pk, event.recipient][token_id] += amount
            if event.sender:
                deltas[bond.pk, event.sender][token_id] -= amount
    return changes, deltas


def _moves(event: LotEvent, bond: Bond, deltas: Deltas) -> list[tuple[int, int]]:
    """(token id, amount) of what the event moves: a recovery moves all that its sender holds at that event."""
    if event.kind is not LotEventKind.RECOVER:
        return [(event.token_id, event.amount_raw)]
    sender = event.sender or ""
    rows = Holding.objects.filter(bond=bond, holder=sender, balance_raw__gt=0).values_list("token_id", "balance_raw")
    held = defaultdict(int, {int(token_id): int(balance) for token_id, balance in rows})
    for token_id, delta in deltas[bond.pk, sender].items():
        held[token_id] += delta
    return [(token_id, balance) for token_id, balance in sorted(held.items()) if balance > 0]


def _change(event: LotEvent, bond: Bond, block: Block, token_id: int, amount: int) -> LotChange:
    return LotChange(
        bond=bond,
        kind=LotChange.Kind(event.kind.value),
        token_id=token_id,
        amount_raw=amount,
        sender=event.sender or "",
        recipient=event.recipient or "",
        block_height=block.height,
        block_time=block.time,
        transaction_hash=event.transaction_hash,
        event_index=event.event_index,
    )


_DELTAS = "unnest(%s::uuid[], %s::text[], %s::numeric[], %s::numeric[])"
_GAIN = f"""
INSERT INTO bonds_holding (bond_id, holder, token_id, balance_raw) SELECT * FROM {_DELTAS}
ON CONFLICT (bond_id, holder, token_id) DO UPDATE SET balance_raw = bonds_holding.balance_raw + excluded.balance_raw
"""
_LOSE = f"""
UPDATE bonds_holding SET balance_raw = balance_raw + lost.delta FROM {_DELTAS} AS lost (bond, owner, token, delta)
WHERE bond_id = lost.bond AND holder = lost.owner AND token_id = lost.token AND balance_raw + lost.delta >= 0
"""


def _apply(deltas: Deltas, block: Block) -> None:
    rows = [
        (bond, holder, str(token_id), str(delta))
        for (bond, holder), by_token in deltas.items()
        for token_id, delta in by_token.items()
    ]
    gained = [row for row in rows if row[3] != "0" and not row[3].startswith("-")]
    lost = [row for row in rows if row[3].startswith("-")]
    with connection.cursor() as cursor:
        if gained:
            cursor.execute(_GAIN, list(map(list, zip(*gained, strict=True))))
        if lost:
            cursor.execute(_LOSE, list(map(list, zip(*lost, strict=True))))
            if cursor.rowcount != len(lost):
                raise BooksContradicted(
                    f"block {block.height} takes more from {len(lost) - cursor.rowcount} lots than the books have in them"
                )
