"""Freeze who holds what at the last finalised block at or before a moment. Writes a snapshot once per block; never changes one."""

from datetime import datetime
from typing import Any

from django.db import connection

from bonds.chain.gateway import ChainGateway, ChainRefused, ChainUnavailable, Head
from bonds.models import Bond, ListenerCursor, Snapshot
from jobs.service import JobContext


class NotYet(Exception):
    """The snapshot cannot be taken yet; str() says what is missing. The caller comes back later."""


class SnapshotImpossible(Exception):
    """The books contradict themselves (a negative balance, lots that do not sum to the supply). The run stops; a person looks."""


# Every change up to the block, seen from both sides, summed per holder and lot. Holders are numbered in order of their address.
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
_NEGATIVE = _BALANCES + "SELECT holder, token_id, balance FROM balances WHERE balance < 0 LIMIT 1"
_SUPPLY = """
    SELECT coalesce(sum(CASE kind WHEN 'mint' THEN amount_raw WHEN 'burn' THEN -amount_raw ELSE 0 END), 0)
    FROM bonds_lotchange WHERE bond_id = %(bond)s AND block_height <= %(height)s
"""
_FILL = (
    "INSERT INTO bonds_snapshotlot (snapshot_id, position, holder, token_id, balance_raw) "
    + _BALANCES
    + "SELECT %(snapshot)s, dense_rank() OVER (ORDER BY holder), holder, token_id, balance FROM balances WHERE balance > 0"
)
_TOTALS = _BALANCES + "SELECT count(DISTINCT holder), coalesce(sum(balance), 0) FROM balances WHERE balance > 0"


def take(*, bond: Bond, record_at: datetime, context: JobContext) -> Snapshot:
    """The snapshot of the last finalised block at or before `record_at`; the same block gives the same snapshot.

    Raises NotYet (chain or listener has not come so far, node unreachable) and SnapshotImpossible.
    """
    head = _record_block(bond, record_at, context.chain)
    with context.fenced():
        existing = Snapshot.objects.filter(bond=bond, block_height=head.height).first()
        return existing or _freeze(bond, record_at, head)


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


def _freeze(bond: Bond, record_at: datetime, head: Head) -> Snapshot:
    with connection.cursor() as cursor:
        at: dict[str, Any] = {"bond": bond.pk, "height": head.height}
        cursor.execute(_NEGATIVE, at)
        if negative := cursor.fetchone():
            raise SnapshotImpossible(
                f"{negative[0]} would hold {negative[2]} of lot {negative[1]} at block {head.height}"
            )
        cursor.execute(_TOTALS, at)
        holders, held = cursor.fetchone()
        cursor.execute(_SUPPLY, at)
        (supply,) = cursor.fetchone()
        if held != supply:
            raise SnapshotImpossible(f"lots sum to {held} at block {head.height}, minted minus burned is {supply}")
        snapshot = Snapshot.objects.create(
            bond=bond,
            record_at=record_at,
            block_height=head.height,
            block_hash=head.block_hash,
            block_time=head.time,
            total_supply_raw=supply,
            total_holders=holders,
        )
        cursor.execute(_FILL, {**at, "snapshot": snapshot.pk})
    return snapshot
