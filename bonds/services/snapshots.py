"""Freeze who holds what at the last finalised block at or before a moment. Writes a snapshot once per block; never changes one.

Two independent readings must agree before anything is frozen: the sum of the contract's events in the books, and the balances the
contract itself gives at that block.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from bonds.chain.gateway import ChainGateway, ChainReader, ChainRefused, ChainUnavailable, Head
from bonds.models import Bond, ListenerCursor, Snapshot
from bonds.models.bond import contract_of_tokens
from bonds.services import parking
from jobs.service import JobContext

SHOWN = 3  # lots a refusal names


class NotYet(Exception):
    """The snapshot cannot be taken yet; str() says what is missing. The caller comes back later."""


class SnapshotImpossible(Exception):
    """The books contradict themselves or the chain; str() shows both figures. The run stops; a person looks."""


Lots = dict[tuple[str, int], int]  # raw balance by holder and token id, nothing left included

# Every change up to the block, seen from both sides, summed per holder and lot.
_BALANCES = """
    WITH sides AS (
        SELECT recipient AS holder, token_id, amount_raw AS delta FROM bonds_lotchange
        WHERE bond_id = %(bond)s AND block_height <= %(height)s AND recipient <> ''
        UNION ALL
        SELECT sender, token_id, -amount_raw FROM bonds_lotchange
        WHERE bond_id = %(bond)s AND block_height <= %(height)s AND sender <> ''
    ), balances AS (
        SELECT holder, token_id, sum(delta) AS balance FROM sides GROUP BY holder, token_id
    )
"""
_LOTS = _BALANCES + "SELECT holder, token_id, balance FROM balances ORDER BY holder, token_id"
_SUPPLY = """
    SELECT token_id, sum(CASE kind WHEN 'mint' THEN amount_raw WHEN 'burn' THEN -amount_raw ELSE 0 END)
    FROM bonds_lotchange WHERE bond_id = %(bond)s AND block_height <= %(height)s GROUP BY token_id ORDER BY token_id
"""
# The present holdings and the sum of all changes, in one statement: the listener moves both in one transaction.
_HOLDINGS_THAT_DIFFER = (
    _BALANCES
    + """
    , kept AS (SELECT holder, token_id, balance_raw FROM bonds_holding WHERE bond_id = %(bond)s)
    SELECT holder, token_id, coalesce(balance_raw, 0), coalesce(balance, 0) FROM balances FULL JOIN kept USING (holder, token_id)
    WHERE coalesce(balance_raw, 0) <> coalesce(balance, 0) ORDER BY holder, token_id
"""
)
# Holders are numbered in order of their address.
_FILL = (
    "INSERT INTO bonds_snapshotlot (snapshot_id, position, holder, token_id, balance_raw) "
    + _BALANCES
    + "SELECT %(snapshot)s, dense_rank() OVER (ORDER BY holder), holder, token_id, balance FROM balances WHERE balance > 0"
)
_EVERY_HEIGHT = 2**63 - 1


def take(*, bond: Bond, record_at: datetime, context: JobContext) -> Snapshot:
    """The snapshot of the last finalised block at or before `record_at`; the same block gives the same snapshot.

    Asks the contract for every lot, outside any transaction, before it writes. Raises NotYet (chain or listener has not come so far,
    node unreachable) and SnapshotImpossible (an event nobody could read, books that do not add up, a contract that says otherwise);
    nothing is written then.
    """
    head = _record_block(bond, record_at, context.chain)
    confirmed = None if _existing(bond, head) else _confirmed(bond, head, context.chain)
    with context.fenced():
        existing = _existing(bond, head)
        if existing:
            return existing
        if confirmed is None:
            raise AssertionError("a snapshot cannot vanish: its rows are append-only")
        return _freeze(bond, record_at, head, confirmed)


def _record_block(bond: Bond, record_at: datetime, chain: ChainGateway) -> Head:
    try:
        final = chain.head()
        if final.time <= record_at:
            raise NotYet(
                f"the chain's last final block ({final.time:%Y-%m-%d %H:%M:%S} UTC) is not after the record time"
            )
        head = chain.last_block_at(record_at)
    except ChainUnavailable as error:
        raise NotYet(f"the chain cannot be reached: {error}") from error
    except ChainRefused as error:
        raise SnapshotImpossible(f"no block at or before {record_at:%Y-%m-%d %H:%M:%S} UTC: {error}") from error
    read_to = ListenerCursor.objects.filter(bond=bond).values_list("height", flat=True).first()
    if read_to is None or read_to < head.height:
        raise NotYet(f"the listener has read to block {read_to}, the record block is {head.height}")
    return head


def _existing(bond: Bond, head: Head) -> Snapshot | None:
    found = Snapshot.objects.filter(bond=bond, block_height=head.height).first()
    if found and found.block_hash != head.block_hash:
        raise SnapshotImpossible(
            f"block {head.height} is {head.block_hash}, a snapshot was taken of it as {found.block_hash}"
        )
    return found


# --- the first reading: the events in the books ------------------------------------------------------------------------


def _confirmed(bond: Bond, head: Head, chain: ChainReader) -> Lots:
    """The lots at the block, after everything that could speak against them has been asked."""
    parked = parking.unresolved(bond, up_to_height=head.height).first()
    if parked:
        raise SnapshotImpossible(
            f"{parked} in block {parked.block_height}, of contract <{parked.contract_index},{parked.contract_subindex}>, could not be "
            f"read ({parked.reason}): a person must look at it and settle it"
        )
    lots = _lots_in_books(bond, head.height)
    _check_holdings(bond)
    supply = _supply(bond, head.height)
    _check_supply(lots, supply, head)
    _check_contract(bond, head, {lot: held for lot, held in lots.items() if held or supply[lot[1]]}, chain)
    return lots


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _lots_in_books(bond: Bond, height: int) -> Lots:
    rows = _rows(_LOTS, bond=bond.pk, height=height)
    for holder, token_id, balance in rows:
        if balance < 0:
            raise SnapshotImpossible(f"{holder} would hold {balance} of lot {token_id} at block {height}")
    return {(holder, int(token_id)): int(balance) for holder, token_id, balance in rows}


def _check_holdings(bond: Bond) -> None:
    """The holdings the listener keeps equal the sum of the changes it wrote: otherwise somebody else has been at one of them."""
    differing = _rows(_HOLDINGS_THAT_DIFFER, bond=bond.pk, height=_EVERY_HEIGHT)
    if differing:
        raise SnapshotImpossible(
            "the holdings differ from the events behind them: "
            + _shown([f"{who} holds {kept} of lot {lot}, {came} by the events" for who, lot, kept, came in differing])
        )


def _supply(bond: Bond, height: int) -> dict[int, int]:
    return {int(token_id): int(supply) for token_id, supply in _rows(_SUPPLY, bond=bond.pk, height=height)}


def _check_supply(lots: Lots, supply: Mapping[int, int], head: Head) -> None:
    held: dict[int, int] = defaultdict(int)
    for (_, token_id), balance in lots.items():
        held[token_id] += balance
    for token_id, minted in supply.items():
        if held[token_id] != minted:
            raise SnapshotImpossible(
                f"lots of {token_id} sum to {held[token_id]} at block {head.height}, minted minus burned is {minted}"
            )


# --- the second reading: the contract itself ---------------------------------------------------------------------------


def _check_contract(bond: Bond, head: Head, lots: Lots, chain: ChainReader) -> None:
    """The contract gives every one of these lots the same balance at that block; with the supply checked, the sums agree then, too.

    Lots that were sold in full are asked for as well, unless nothing is left of the whole token id: a contract may have removed that.
    """
    try:
        told = chain.lot_balances(contract_of_tokens(bond), list(lots), head.block_hash)
    except ChainUnavailable as error:
        raise NotYet(f"the chain cannot be reached: {error}") from error
    except ChainRefused as error:
        raise SnapshotImpossible(f"the contract does not give its balances at block {head.height}: {error}") from error
    differing = [
        f"{holder} holds {told.get((holder, token_id), 'an unknown balance')} of lot {token_id} by the contract, {held} by the books"
        for (holder, token_id), held in lots.items()
        if told.get((holder, token_id)) != held
    ]
    if differing:
        raise SnapshotImpossible(f"the contract contradicts the books at block {head.height}: {_shown(differing)}")


def _shown(differing: list[str]) -> str:
    more = len(differing) - SHOWN
    return "; ".join(differing[:SHOWN]) + (f"; and {more} more lots" if more > 0 else "")


# --- freezing ------------------------------------------------------------------------------------------------------------


def _freeze(bond: Bond, record_at: datetime, head: Head, confirmed: Lots) -> Snapshot:
    held = {lot: balance for lot, balance in confirmed.items() if balance}
    snapshot = Snapshot.objects.create(
        bond=bond,
        record_at=record_at,
        block_height=head.height,
        block_hash=head.block_hash,
        block_time=head.time,
        total_supply_raw=sum(held.values()),
        total_holders=len({holder for holder, _ in held}),
    )
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"bond": bond.pk, "height": head.height, "snapshot": snapshot.pk})
    frozen = snapshot.lots.values_list("holder", "token_id", "balance_raw")
    if {(holder, int(token_id)): int(balance) for holder, token_id, balance in frozen} != held:
        raise SnapshotImpossible(f"the books changed under block {head.height} while its lots were being confirmed")
    return snapshot
