"""Whatever happens to listeners while they read 2,000 blocks, the books end as if nothing had happened.

One seed gives one history and the same misfortunes: LISTENER_SEED=<number> plays others.
"""

import os
import random
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from bonds.models import Holding, InvestmentRecord, ListenerCursor, LotChange, ParkedEvent, RegistryChange
from bonds.services import listener, parking, snapshots
from bonds.tests import factories
from bonds.tests.generated_chain import block_hash, block_time, generate
from jobs.models import Job
from jobs.service import JobContext

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(600),
]  # real commits, as the process makes them

SEED = 20_261_125
LENGTH = 2_000
UNDISTURBED, DISTURBED = 30_000, 40_000
TABLES = (
    "bonds_listenercursor",
    "bonds_lotchange",
    "bonds_holding",
    "bond_investment_records",
    "bonds_registrychange",
    "bonds_parkedevent",
)


class Crash(BaseException):
    """The process dies here. Nothing of ours may catch it."""


class Crasher:
    """Dies before or after one statement of its connection: the nth, or the next that writes to a table."""

    def __init__(self, rng, hit, table=None, is_before=None):
        self.left = rng.randint(1, 90)
        self.table = table
        self.is_before = rng.random() < 0.5 if is_before is None else is_before
        self.hit = hit

    def __call__(self, execute, sql, params, many, context):
        if not self._is_here(sql):
            return execute(sql, params, many, context)
        self.hit.update(_name(table, self.is_before) for table in TABLES if _writes(sql, table))
        if not self.is_before:
            execute(sql, params, many, context)
        raise Crash

    def _is_here(self, sql):
        self.left -= 1
        return _writes(sql, self.table) if self.table else self.left == 0


def _writes(sql, table):
    return table in sql and sql.lstrip().startswith(("INSERT", "UPDATE"))


class Repeating:
    """A node that gives blocks again that it has given before."""

    def __init__(self, chain, rng, given):
        self._chain, self._rng, self._given = chain, rng, given

    def __getattr__(self, name):
        return getattr(self._chain, name)

    def blocks(self, first, last, contracts):
        for block in self._chain.blocks(first, last, contracts):
            yield block
            if self._rng.random() < 0.05:
                self._given["again"] += 1
                back = self._rng.randint(0, 3)
                yield from self._chain.blocks(max(0, block.height - back), block.height, contracts)


def books(bond):
    """Everything the listener wrote about a bond, without what two histories of one seed cannot share."""
    fund = InvestmentRecord.objects.filter(bond=bond).order_by("pk")
    at = {"contract_index__gte": bond.postsale_contract_index, "contract_index__lt": bond.postsale_contract_index + 10}
    place = ("block_height", "block_hash", "block_time", "event_index")
    return {
        "cursor": list(ListenerCursor.objects.filter(bond=bond).values_list("height", "block_hash", "block_time")),
        "holdings": holdings(bond),
        "changes": list(
            LotChange.objects.filter(bond=bond)
            .order_by("pk")
            .values_list("block_height", "event_index", "kind", "token_id", "amount_raw", "sender", "recipient")
        ),
        "records": list(
            fund.values_list(*place, "kind", "investor", "token_id", "security_amount_raw", "currency_amount_raw")
        ),
        "jobs": sorted(
            Job.objects.filter(
                job_type="bond_investment", payload__record__in=list(fund.values_list("pk", flat=True))
            ).values_list("payload__record", flat=True)
        )
        == sorted(fund.values_list("pk", flat=True)),
        "registry": list(RegistryChange.objects.filter(**at).order_by("pk").values_list(*place, "address", "state")),
        "parked": [
            (*rest, bytes(data))
            for *rest, data in ParkedEvent.objects.filter(**at).order_by("pk").values_list(*place, "reason", "data")
        ],
    }


def holdings(bond):
    rows = Holding.objects.filter(bond=bond).exclude(balance_raw=0)
    return {(row.holder, int(row.token_id)): int(row.balance_raw) for row in rows}


def read_undisturbed(seed):
    bond, chain = factories.bond_with_fund(UNDISTURBED), generate(seed, LENGTH, number=UNDISTURBED)
    listener.catch_up(chain)
    return bond, chain


def test_crashes_rivals_and_repeated_blocks_leave_the_books_of_an_undisturbed_run(monkeypatch, capsys):
    seed = int(os.environ.get("LISTENER_SEED", SEED))
    quiet_bond, chain = read_undisturbed(seed)
    bond = factories.bond_with_fund(DISTURBED, wallet=quiet_bond.wallet)
    given = Counter()
    rng = random.Random(seed + 1)
    node = Repeating(generate(seed, LENGTH, number=DISTURBED), random.Random(seed + 2), given)
    _let_rivals_in(monkeypatch, node, rng, given)

    # A point stays the next one until it was hit: a listener that a rival overtook ends without coming to it.
    points = [(table, is_before) for table in TABLES for is_before in (True, False)]
    while not _try_to_finish(node, rng, given, *(points[-1] if points else ())):
        while points and given[_name(*points[-1])]:
            points.pop()
        if rng.random() < 0.25:
            _restore_an_older_cursor(bond, rng, given)

    with capsys.disabled():
        print(f"\n  seed {seed}: {LENGTH} blocks, {dict(given)}")  # noqa: T201
    assert books(bond) == books(quiet_bond)
    assert books(bond)["jobs"] is True
    assert holdings(bond) == chain.ledgers[-1]
    assert LotChange.objects.filter(bond=bond, kind="recover").exists()
    every = [_name(table, is_before) for table in TABLES for is_before in (True, False)]
    assert [name for name in (*every, "again", "rival", "restored") if not given[name]] == []


def _name(table, is_before):
    return f"{'before' if is_before else 'after'} {table}"


def _try_to_finish(node, rng, given, *point):
    try:
        with connection.execute_wrapper(Crasher(rng, given, *point)):
            listener.catch_up(node)
    except Crash:
        given["crashes"] += 1
    return ListenerCursor.objects.filter(height=LENGTH, bond__postsale_contract_index=DISTURBED).exists()


def _let_rivals_in(monkeypatch, node, rng, given):
    """Now and then another listener reads on between a block's reading and its writing."""
    has_news = listener._has_news
    is_rival = []

    def hook(block):
        if not is_rival and rng.random() < 0.01:
            given["rival"] += 1
            is_rival.append(True)
            try:
                listener.catch_up(node.up_to(block.height + rng.randint(-1, 5)))
            finally:
                is_rival.clear()
        return has_news(block)

    monkeypatch.setattr(listener, "_has_news", hook)


def _restore_an_older_cursor(bond, rng, given):
    """What the restore of one table, or a hand, might do: the books are ahead of their own cursor."""
    cursor = ListenerCursor.objects.filter(bond=bond).first()
    if cursor and cursor.height > 20:
        back = cursor.height - rng.randint(1, 20)
        ListenerCursor.objects.filter(bond=bond).update(height=back, block_hash=block_hash(back))
        given["restored"] += 1


def test_the_snapshot_of_any_earlier_block_is_what_the_chain_held_then():
    seed = int(os.environ.get("LISTENER_SEED", SEED))
    print(f"seed {seed}")  # noqa: T201
    bond, chain = read_undisturbed(seed)
    staff = User.objects.create(username="staff")
    for parked in parking.unresolved(bond):
        parking.resolve(parked.pk, actor=staff, reason="an event of no consequence")
    context = JobContext(chain=chain, fence=transaction.atomic)
    for height in sorted(random.Random(seed).sample(range(10, LENGTH), 25)):
        taken = snapshots.take(bond=bond, record_at=block_time(height) + timedelta(milliseconds=1), context=context)
        frozen = {(lot.holder, int(lot.token_id)): int(lot.balance_raw) for lot in taken.lots.all()}
        assert (taken.block_height, frozen) == (height, chain.ledgers[height])
