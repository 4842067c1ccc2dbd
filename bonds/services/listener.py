"""Keep the holdings as the token contracts' own events say, block by finalised block. One database transaction per block with events.

Never skips a height and never accepts a block that does not continue the last one. Only one listener runs at a time.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import F

from bonds.chain.gateway import Block, ChainReader, Contract, LotEvent, LotEventKind
from bonds.models import Bond, Holding, ListenerCursor, LotChange
from bonds.models.bond import contract_of_tokens

log = logging.getLogger(__name__)

LISTENER_LOCK = 7_105_011  # advisory lock: one listener per database
CHUNK = 500  # heights read before the cursor is written again


class ChainBroken(Exception):
    """A finalised block does not continue the one before it: wrong network or a lying node. The listener stops; an operator acts."""


@contextmanager
def only_listener() -> Iterator[bool]:
    """Whether this process is the one listener; held until the block ends or the connection is lost."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LISTENER_LOCK])
        won = bool(cursor.fetchone()[0])
        try:
            yield won
        finally:
            if won:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LISTENER_LOCK])


def catch_up(chain: ChainReader) -> int:
    """Read every bond's contract up to the finalised head; returns the number of events written. Raises ChainUnavailable, ChainBroken."""
    head = chain.head()
    waiting: dict[int, list[Bond]] = defaultdict(list)
    cursors = dict(ListenerCursor.objects.values_list("bond", "height"))
    for bond in Bond.objects.all():
        if bond.pk not in cursors and not _starts_in_time(chain, bond):
            continue
        waiting[cursors.get(bond.pk, bond.listen_from_height - 1)].append(bond)
    return sum(
        _read(chain, bonds, height + 1, head.height)
        for height, bonds in sorted(waiting.items())
        if height < head.height
    )


def _starts_in_time(chain: ChainReader, bond: Bond) -> bool:
    """Whether nothing of the contract can have happened before the bond's first block to read."""
    if bond.listen_from_height == 0 or not chain.has_contract(contract_of_tokens(bond), bond.listen_from_height - 1):
        return True
    log.error(
        "a bond's first block to read lies after its contract's first: not read",
        extra={"bond": str(bond.pk), "first_block_to_read": bond.listen_from_height},
    )
    return False


def _read(chain: ChainReader, bonds: Sequence[Bond], first: int, last: int) -> int:
    by_contract: dict[Contract, Bond] = {contract_of_tokens(bond): bond for bond in bonds}
    previous = ListenerCursor.objects.filter(bond=bonds[0]).values_list("block_hash", flat=True).first()
    written = 0
    for block in chain.blocks(first, last, list(by_contract)):
        if previous is not None and block.parent_hash != previous:
            raise ChainBroken(f"block {block.height} follows {block.parent_hash}, the books end with {previous}")
        previous = block.block_hash
        if block.events or block.height == last or block.height % CHUNK == 0:
            with transaction.atomic(durable=True):
                written += _write(block, bonds, by_contract)
    return written


def _write(block: Block, bonds: Sequence[Bond], by_contract: dict[Contract, Bond]) -> int:
    for bond in bonds:
        ListenerCursor.objects.update_or_create(
            bond=bond, defaults={"height": block.height, "block_hash": block.block_hash, "block_time": block.time}
        )
    changes = [_change(event, by_contract[event.contract], block) for event in block.events]
    LotChange.objects.bulk_create(changes, batch_size=1000)
    _apply(changes)
    if changes:
        log.info("lot changes written", extra={"block": block.height, "events": len(changes)})
    return len(changes)


def _change(event: LotEvent, bond: Bond, block: Block) -> LotChange:
    return LotChange(
        bond=bond,
        kind=LotChange.Kind(LotEventKind(event.kind).value),
        token_id=event.token_id,
        amount_raw=event.amount_raw,
        sender=event.sender or "",
        recipient=event.recipient or "",
        block_height=block.height,
        block_time=block.time,
        transaction_hash=event.transaction_hash,
        event_index=event.event_index,
    )


def _apply(changes: Sequence[LotChange]) -> None:
    deltas: dict[tuple[Bond, str, int], int] = defaultdict(int)  # int: a Decimal would round beyond 28 digits
    for change in changes:
        if change.recipient:
            deltas[(change.bond, change.recipient, int(change.token_id))] += int(change.amount_raw)
        if change.sender:
            deltas[(change.bond, change.sender, int(change.token_id))] -= int(change.amount_raw)
    fresh = [Holding(bond=b, holder=h, token_id=t, balance_raw=0) for (b, h, t), delta in deltas.items() if delta]
    Holding.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=1000)
    for (bond, holder, token_id), delta in deltas.items():
        if delta:
            Holding.objects.filter(bond=bond, holder=holder, token_id=token_id).update(
                balance_raw=F("balance_raw") + delta
            )
