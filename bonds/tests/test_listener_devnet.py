"""The real listener against a devnet: killed at any moment, doubled by mistake, and never wrong about who holds what.

The seed is printed: LISTENER_SEED=<number> plays the same operations again.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.process import DevnetProcess
from bonds.models import BondInvestor, Holding, InvestmentRecord, ListenerCursor, LotChange, ParkedEvent
from bonds.services import investments, listener, snapshots
from bonds.tests import factories
from bonds.tests.conftest import TOKEN_CONTRACT, account
from jobs.models import Job
from jobs.service import JobContext

SEED = 20_261_125
OPERATIONS = 2_000
HOLDERS = [account(f"holder {number}") for number in range(12)]
TOKEN_IDS = [20485, 20490, 20501]


class Operations:
    """Random valid operations on the devnet's token contract, and what they should amount to."""

    def __init__(self, control, rng):
        self.control, self.rng = control, rng
        self.ledger: dict[tuple[str, int], int] = {}
        self.holders = list(HOLDERS)
        self.done = self.recovered = 0

    def go_on(self, until: int) -> None:
        """Blocks of one to five operations of one kind each, until that many are done."""
        while self.done < until:
            kinds = [self._mint, self._transfer, self._burn, self._recover]
            kind = self.rng.choices(kinds, weights=[40, 40, 20, 3])[0]
            self.done += kind(self.rng.randint(1, 5))

    def _put(self, holder, token_id, delta):
        self.ledger[holder, token_id] = self.ledger.get((holder, token_id), 0) + delta

    def _mint(self, count):
        made = [
            (self.rng.choice(self.holders), self.rng.choice(TOKEN_IDS), self.rng.randint(1, 10**12))
            for _ in range(count)
        ]
        for lot in made:
            self._put(*lot)
        self.control.mint(TOKEN_CONTRACT, made)
        return count

    def _taken(self, count):
        """(holder, token id, amount) that can be taken from there one after the other; already taken from the ledger."""
        taken = []
        for _ in range(count):
            lots = sorted(lot for lot, held in self.ledger.items() if held)
            if lots:
                holder, token_id = self.rng.choice(lots)
                amount = self.rng.choice(
                    [self.ledger[holder, token_id], self.rng.randint(1, self.ledger[holder, token_id])]
                )
                self._put(holder, token_id, -amount)
                taken.append((holder, token_id, amount))
        return taken

    def _transfer(self, count):
        moves = [
            (sender, self.rng.choice(self.holders), token_id, amount) for sender, token_id, amount in self._taken(count)
        ]
        for _, recipient, token_id, amount in moves:
            self._put(recipient, token_id, amount)
        if moves:
            self.control.transfer_lots(TOKEN_CONTRACT, moves)
        return len(moves)

    def _recover(self, count):
        """A holder who lost their key goes on under a new address; the old one takes no part any more."""
        known = sorted({holder for holder, _ in self.ledger} & set(self.holders))
        if not known:
            return 0
        self.recovered += 1
        lost, new = self.rng.choice(known), account(f"holder again {self.recovered}")
        self.control.recover(TOKEN_CONTRACT, lost, new)
        self.holders[self.holders.index(lost)] = new
        for token_id in TOKEN_IDS:
            self._put(new, token_id, self.ledger.pop((lost, token_id), 0))
        return 1

    def _burn(self, count):
        burned = self._taken(count)
        if burned:
            self.control.burn_lots(TOKEN_CONTRACT, burned)
        return len(burned)


def held(rows) -> dict[tuple[str, int], int]:
    return {(holder, int(token_id)): int(amount) for holder, token_id, amount in rows if amount}


def in_books() -> dict[tuple[str, int], int]:
    return held(Holding.objects.values_list("holder", "token_id", "balance_raw"))


def seeded(capsys) -> random.Random:
    seed = int(os.environ.get("LISTENER_SEED", SEED))
    with capsys.disabled():
        print(f"\n  seed {seed}")  # noqa: T201
    return random.Random(seed)


@pytest.mark.django_db
def test_after_two_thousand_operations_the_holdings_are_the_contracts_own(devnet, gateway, capsys):
    operations = Operations(devnet.control, seeded(capsys))
    bond = factories.bond(postsale_contract_index=TOKEN_CONTRACT)
    for done in range(250, OPERATIONS + 1, 250):
        operations.go_on(done)
        devnet.control.advance(blocks=1)
        listener.catch_up(gateway)
    assert (
        in_books()
        == held(devnet.control.lots(TOKEN_CONTRACT))
        == held((*lot, n) for lot, n in operations.ledger.items())
    )
    assert operations.recovered > 0
    one_row_each = LotChange.objects.exclude(kind="recover").count() + operations.recovered
    assert one_row_each == operations.done >= OPERATIONS
    assert not ParkedEvent.objects.exists()
    assert_snapshots(bond, gateway, devnet.control)


def assert_snapshots(bond, gateway, control):
    """The contract confirms the books as they are, and nothing else."""
    context = JobContext(chain=gateway, fence=transaction.atomic)

    def take():
        record_at = gateway.head().time
        control.advance(blocks=2, seconds=5)
        listener.catch_up(gateway)
        return snapshots.take(bond=bond, record_at=record_at, context=context)

    rows = take().lots.values_list("holder", "token_id", "balance_raw")
    assert held(rows) == held(control.lots(TOKEN_CONTRACT))
    some = Holding.objects.filter(balance_raw__gt=0).first()
    Holding.objects.filter(pk=some.pk).update(balance_raw=some.balance_raw + 1)
    with pytest.raises(snapshots.SnapshotImpossible, match="the holdings differ from the events behind them"):
        take()
    LotChange.objects.create(
        bond=bond, kind="mint", token_id=some.token_id, amount_raw=1, recipient=some.holder, block_height=1,
        block_time=factories.NOW, transaction_hash="ab" * 32, event_index=0,
    )  # fmt: skip
    with pytest.raises(
        snapshots.SnapshotImpossible, match=f"{some.holder} holds {some.balance_raw} of lot .* by the books"
    ):
        take()
    assert bond.snapshots.count() == 1


@pytest.mark.django_db
def test_investments_claims_and_refunds_of_a_real_fund_become_records_and_investors(devnet, gateway):
    control, (presale, failing, fund) = devnet.control, (1010, 1011, 1012)
    bond = factories.bond(postsale_contract_index=TOKEN_CONTRACT, fund_contract_index=fund)
    other = factories.bond(postsale_contract_index=failing, fund_contract_index=fund, wallet=bond.wallet)
    control.create_contract(presale, "token")
    control.create_contract(failing, "token")
    control.create_contract(fund, "fund", agents=[devnet.genesis.operator])
    ann, bob = HOLDERS[:2]
    for token in (TOKEN_CONTRACT, failing):
        control.add_fund(fund, presale=(presale, token), security=(token, TOKEN_IDS[0]))
        control.invest(fund, (token, TOKEN_IDS[0]), [(ann, 10, 10_000), (bob, 3, 3_000)])
    control.set_fund_state(fund, (TOKEN_CONTRACT, TOKEN_IDS[0]), receiver=devnet.genesis.operator)
    control.set_fund_state(fund, (failing, TOKEN_IDS[0]), receiver=None)
    control.claim(fund, (TOKEN_CONTRACT, TOKEN_IDS[0]), [ann, bob])
    control.claim(fund, (failing, TOKEN_IDS[0]), [ann])
    control.advance(blocks=1)
    listener.catch_up(gateway)

    assert not ParkedEvent.objects.exists()
    assert in_books() == {(ann, TOKEN_IDS[0]): 10, (bob, TOKEN_IDS[0]): 3}
    assert [(r.bond, r.kind, r.investor) for r in InvestmentRecord.objects.order_by("pk")] == [
        (bond, "invest", ann), (bond, "invest", bob), (other, "invest", ann), (other, "invest", bob),
        (bond, "claim", ann), (bond, "claim", bob), (other, "refund", ann),
    ]  # fmt: skip
    for job in Job.objects.filter(job_type="bond_investment"):
        investments.derive(job.payload["record"], account_key=gateway.account_key)
    key = gateway.account_key(ann)
    kept, back = (BondInvestor.objects.get(bond=of, address=key) for of in (bond, other))
    assert (kept.invested_currency_raw, kept.claimed_security_raw, kept.refunded_currency_raw) == (10_000, 10, 0)
    assert (back.invested_currency_raw, back.claimed_security_raw, back.refunded_currency_raw) == (10_000, 0, 10_000)
    assert BondInvestor.objects.count() == 4


# --- real processes ------------------------------------------------------------------------------------------------------


class Listeners:
    """Processes of the real command."""

    def __init__(self, node):
        self.environment = {
            **os.environ,
            "DEVDB_NAME": connection.settings_dict["NAME"],
            "CHAIN_ENDPOINTS": node.address,
            "CHAIN_MAX_BEHIND_SECONDS": "100000",  # the devnet is held: its last block grows old
            "LOG_LEVEL": "WARNING",
        }
        self.running: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "manage.py", "listen_events", "--every", "0.05"],
            cwd=settings.BASE_DIR,
            env=self.environment,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        self.running.remove(process)

    def stop(self) -> None:
        for process in list(self.running):
            self.kill(process)


@pytest.fixture
def world(tmp_path, transactional_db) -> Iterator[tuple[DevnetProcess, Listeners]]:
    with DevnetProcess(tmp_path / "devnet", hold=True) as node:
        listeners = Listeners(node)
        try:
            yield node, listeners
        finally:
            listeners.stop()


def height() -> int:
    return ListenerCursor.objects.values_list("height", flat=True).first() or 0


def until(condition: Callable[[], bool], what: str, *processes: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while not condition():
        ended = [process.returncode for process in processes if process.poll() is not None]
        assert not ended, f"a listener ended with {ended} before {what}"
        assert time.monotonic() < end, f"not within a minute: {what}; the books are at block {height()}"
        time.sleep(0.001)


@pytest.mark.slow
def test_listeners_killed_at_random_moments_and_doubled_leave_the_chains_own_holdings(world, capsys):
    node, listeners = world
    rng = seeded(capsys)
    factories.bond(postsale_contract_index=TOKEN_CONTRACT)
    operations = Operations(node.control, rng)
    operations.go_on(600)
    last = ConcordiumGateway(endpoints=[node.address]).head().height
    kills = sorted(rng.sample(range(5, last - 20), 5))
    for place in kills:
        first, second = listeners.start(), listeners.start()
        until(lambda place=place: height() >= place, f"block {place} is read", first, second)
        listeners.kill(first)  # the one that reads, or the one that waits for its turn
        if rng.random() < 0.5:
            listeners.kill(second)
        else:
            at = height()
            until(lambda at=at: height() > at or height() >= last, "the other one goes on", second)
            listeners.kill(second)
        assert not LotChange.objects.filter(block_height__gt=F("bond__cursor__height")).exists()
    operations.go_on(650)
    node.control.advance(blocks=1)
    last = ConcordiumGateway(endpoints=[node.address]).head().height
    survivor = listeners.start()
    until(lambda: height() >= last, "the rest is read", survivor)
    assert (
        in_books() == held(node.control.lots(TOKEN_CONTRACT)) == held((*lot, n) for lot, n in operations.ledger.items())
    )
    assert LotChange.objects.exclude(kind="recover").count() + operations.recovered == operations.done
    survivor.send_signal(signal.SIGTERM)
    assert survivor.wait(20) == 0
    listeners.running.remove(survivor)
