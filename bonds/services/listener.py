"""Keep the books as the watched contracts' own events say, block by finalised block. One database transaction per block.

Never skips a height, never accepts a block that does not continue the last one, and never guesses at an event: what no decoder can
read is parked. A block is in the books wholly or not at all. Only one listener works at a time; a second one can write nothing.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from bonds.chain.gateway import Block, ChainReader, Contract, Head, RegistryEvent, UnreadEvent
from bonds.models import Bond, ListenerCursor, ParkedEvent, RegistryChange
from bonds.models.bond import contract_of_fund, contract_of_tokens, watched_contracts
from bonds.services import investments, lots
from bonds.services.fetching import fetched_ahead

log = logging.getLogger(__name__)

LISTENER_LOCK = 7_105_011  # advisory lock: one listener per database
CHUNK = 500  # empty heights read before the cursor is written again
AHEAD = 100  # blocks fetched while earlier ones are being written


class ChainBroken(Exception):
    """A finalised block does not continue the books: wrong network or a lying node. The listener stops; an operator acts."""


class Overtaken(Exception):
    """Another listener has moved the cursor. Nothing was written; the next round goes on from where the books are then."""


@dataclass(frozen=True)
class Place:
    """A block the books have come to; no hash before the first one."""

    height: int
    block_hash: str | None


@dataclass(frozen=True)
class Watched:
    """Bonds that have been read equally far, and which of them an event concerns. Funds and registries may serve several."""

    bonds: Sequence[Bond]
    contracts: Sequence[Contract]
    by_tokens: dict[Contract, Bond]
    by_fund: dict[tuple[Contract, Contract], Bond] = field(
        default_factory=dict
    )  # fund, and the token contract it sells

    @classmethod
    def of(cls, bonds: Sequence[Bond]) -> "Watched":
        contracts = dict.fromkeys(contract for bond in bonds for contract in watched_contracts(bond))
        by_fund = {(fund, contract_of_tokens(bond)): bond for bond in bonds if (fund := contract_of_fund(bond))}
        return cls(bonds, list(contracts), {contract_of_tokens(bond): bond for bond in bonds}, by_fund)


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


def catch_up(chain: ChainReader, *, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Read every bond's contracts up to the finalised head; returns the number of lot changes written.

    Safe to call at any time, by any number of processes, and after any crash. `is_stopping` is asked after every block. Raises
    ChainUnavailable, ChainBroken and lots.BooksContradicted; the blocks before the fault are in the books by then.
    """
    head = chain.head()
    written = 0
    for place, bonds in _groups(chain):
        _check_head(place, head)
        if place.height < head.height:
            try:
                written += _read(chain, Watched.of(bonds), place, head, is_stopping)
            except Overtaken as error:
                log.warning("another listener is at work on this database", extra={"detail": str(error)})
    ListenerCursor.objects.filter(height__lte=head.height).update(
        head_height=head.height, head_time=head.time, updated_at=timezone.now()
    )
    return written


def _groups(chain: ChainReader) -> list[tuple[Place, list[Bond]]]:
    """The bonds by how far they have been read, the ones that are behind first."""
    cursors = {cursor.bond_id: Place(cursor.height, cursor.block_hash) for cursor in ListenerCursor.objects.all()}
    found: dict[Place, list[Bond]] = defaultdict(list)
    for bond in Bond.objects.order_by("pk"):
        if bond.pk in cursors or _starts_in_time(chain, bond):
            found[cursors.get(bond.pk, Place(bond.listen_from_height - 1, None))].append(bond)
    return sorted(found.items(), key=lambda item: item[0].height)


def _starts_in_time(chain: ChainReader, bond: Bond) -> bool:
    """Whether nothing of the contract can have happened before the bond's first block to read. A fund sells no token that is not there."""
    if bond.listen_from_height == 0 or not chain.has_contract(contract_of_tokens(bond), bond.listen_from_height - 1):
        return True
    log.error(
        "a bond's first block to read lies after its contract's first: not read",
        extra={"bond": str(bond.pk), "first_block_to_read": bond.listen_from_height},
    )
    return False


def _check_head(place: Place, head: Head) -> None:
    if place.height == head.height and place.block_hash not in {None, head.block_hash}:
        raise ChainBroken(f"block {head.height} is {head.block_hash}, the books end with {place.block_hash}")


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(chain: ChainReader, watched: Watched, place: Place, head: Head, is_stopping: Callable[[], bool]) -> int:
    """Write the blocks after `place`, which the cursors of all these bonds stand at."""
    written, last = 0, place  # last: read; place: in the books
    known_to = lots.last_height(watched.bonds, after=place.height)
    with fetched_ahead(chain.blocks(place.height + 1, head.height, watched.contracts), AHEAD) as blocks:
        for block in blocks:
            if not _continues(block, last):
                continue
            last = Place(block.height, block.block_hash)
            is_known = block.height <= known_to
            if _has_news(block) or is_known or block.height == head.height or block.height % CHUNK == 0:
                with transaction.atomic(durable=True):
                    written += _write(block, place, watched, is_known=is_known)
                place = last
                _report(block, head, is_full=bool(block.height % CHUNK == 0))
            if is_stopping():
                break
    return written


def _continues(block: Block, last: Place) -> bool:
    """Whether the block is the next one; False for one delivered again, ChainBroken for any other."""
    if block.height < last.height or (block.height == last.height and block.block_hash == last.block_hash):
        return False
    if block.height != last.height + 1:
        raise ChainBroken(f"block {block.height} {block.block_hash} after {last.height} {last.block_hash}")
    if last.block_hash is not None and block.parent_hash != last.block_hash:
        raise ChainBroken(f"block {block.height} follows {block.parent_hash}, the books end with {last.block_hash}")
    return True


def _has_news(block: Block) -> bool:
    return bool(block.events or block.fund_events or block.registry_events or block.unread)


def _report(block: Block, head: Head, *, is_full: bool) -> None:
    if is_full:
        log.info("blocks read", extra={"block": block.height, "behind": head.height - block.height})


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(block: Block, place: Place, watched: Watched, *, is_known: bool) -> int:
    _move_cursors(watched.bonds, place, block)
    changes = lots.write(block, watched.by_tokens, is_known=is_known)
    recorded = investments.record(block, watched.by_fund)
    RegistryChange.objects.bulk_create(
        [_registry_change(event, block) for event in block.registry_events], batch_size=1000, ignore_conflicts=True
    )
    ParkedEvent.objects.bulk_create(
        [_parked(event, block) for event in block.unread], batch_size=1000, ignore_conflicts=True
    )
    for event in block.unread:
        log.error(
            "an event cannot be read and is parked: no snapshot of its bonds until a person has looked",
            extra={"contract": _text(event.contract), "block": block.height, "reason": event.reason},
        )
    if changes or recorded:
        log.info("events written", extra={"block": block.height, "lot_changes": changes, "investments": recorded})
    return changes


_INSERT_CURSORS = """
INSERT INTO bonds_listenercursor (bond_id, height, block_hash, block_time, updated_at)
SELECT bond, %s, %s, %s, statement_timestamp() FROM unnest(%s::uuid[]) AS bond ORDER BY bond ON CONFLICT DO NOTHING
"""
_MOVE_CURSORS = """
UPDATE bonds_listenercursor SET height = %s, block_hash = %s, block_time = %s, updated_at = statement_timestamp()
WHERE bond_id = ANY(%s::uuid[]) AND height = %s AND block_hash = %s
"""


def _move_cursors(bonds: Sequence[Bond], place: Place, block: Block) -> None:
    """First statement of a block's transaction: its row count says whether this listener is the one that writes it."""
    ids: list[UUID] = [bond.pk for bond in bonds]
    to: list[Any] = [block.height, block.block_hash, block.time, ids]
    with connection.cursor() as cursor:
        if place.block_hash is None:
            cursor.execute(_INSERT_CURSORS, to)
        else:
            cursor.execute(_MOVE_CURSORS, [*to, place.height, place.block_hash])
        moved = cursor.rowcount
    if moved != len(ids):
        raise Overtaken(f"{moved} of {len(ids)} cursors still stood at block {place.height}")


def _registry_change(event: RegistryEvent, block: Block) -> RegistryChange:
    return RegistryChange(
        contract_index=event.contract.index,
        contract_subindex=event.contract.subindex,
        address=event.address,
        state=event.state,
        transaction_hash=event.transaction_hash,
        event_index=event.event_index,
        block_height=block.height,
        block_hash=block.block_hash,
        block_time=block.time,
    )


def _parked(event: UnreadEvent, block: Block) -> ParkedEvent:
    return ParkedEvent(
        contract_index=event.contract.index,
        contract_subindex=event.contract.subindex,
        module_ref=event.module_ref,
        data=event.data,
        reason=event.reason,
        transaction_hash=event.transaction_hash,
        event_index=event.event_index,
        block_height=block.height,
        block_hash=block.block_hash,
        block_time=block.time,
    )


def _text(contract: Contract) -> str:
    return f"<{contract.index},{contract.subindex}>"
