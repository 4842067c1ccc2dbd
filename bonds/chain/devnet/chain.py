"""The chain itself: receives transactions, makes blocks, finalises each by its child. Must never undo a finalised block."""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bonds.chain.devnet import ledger, render
from bonds.chain.devnet.faults import NetworkFaults
from bonds.chain.devnet.network import Genesis
from bonds.chain.devnet.outcomes import Outcome
from bonds.chain.devnet.parse import Transaction, parse_block_item, signed_by
from bonds.chain.devnet.pool import Pending, Pool
from bonds.chain.devnet.seed import first_cells
from bonds.chain.devnet.state import Draft, State, StateAt
from bonds.chain.devnet.store import Block, Included, Store, StoreError

KEEP_ALIVE_MS = 600_000  # a transaction no block took is forgotten after this, expired or not
MAX_EXPIRY_MS = 7_200_000


class Refused(Exception):
    """A transaction the node will not take; the text is the node's own."""


class Known(Exception):
    """The node holds this transaction already, received or in a block that is not final."""


class BadMoment(ValueError):
    """A block time that is in the future or behind the chain; or a fork of a block that is final."""


class Unheard(LookupError):
    """The network never met a transaction of this hash."""


@dataclass(frozen=True)
class Status:
    """Where a transaction is: received when `block` is None."""

    block: Block | None = None
    summary: bytes = b""
    final: bool = False


@dataclass
class _Made:
    """A block being made."""

    draft: Draft
    outcomes: list[tuple[Transaction, Outcome]] = field(default_factory=list)
    energy: int = 0

    def add(self, transaction: Transaction, outcome: Outcome) -> None:
        self.outcomes.append((transaction, outcome))
        self.energy += outcome.energy


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Chain:
    """One network's chain in one state directory. Every public method may be called from any thread."""

    def __init__(self, directory: Path, genesis: Genesis, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        self.genesis = genesis
        self.faults = NetworkFaults()
        self.changed = threading.Condition(threading.RLock())
        self._clock_ms = clock_ms
        self._pool = Pool()
        self._lost: dict[bytes, Transaction] = {}  # what a fault made the network forget: it may turn up again
        self._orphan_slot_ms = 0
        self.state = State()
        self.store = Store(directory)
        try:
            self._open()
        except StoreError:
            self.store.close()
            raise

    def _open(self) -> None:
        """Load the chain, or write its first block."""
        name = self.genesis.block_hash
        first = self.store.block_at(0)
        if first is None:
            first = Block(0, name, name, self.genesis.genesis_time_ms, 0, 0, 0, name)
            self.store.add_block(first, (), first_cells(self.genesis).items())
        if first.block_hash != name:
            raise StoreError("the state directory belongs to another network: its genesis was replaced")
        for height, key, value in self.store.cells():
            self.state.apply(height, [(key, value)])
        self.head = self.store.head() or first
        self._offset_ms = int(self.store.meta("clock_offset_ms") or 0)
        self._final_before_fork = int(self.store.meta("final_before_fork") or 0)

    def close(self) -> None:
        with self.changed:
            self.changed.notify_all()
            self.store.close()

    # ---- time and blocks ------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The chain's clock: the machine's, moved forward by what `skip` was told."""
        return self._clock_ms() + self._offset_ms

    def skip(self, seconds: float) -> None:
        """Move the chain's clock forward, for good."""
        if seconds < 0:
            raise BadMoment("the clock only goes forward")
        with self.changed:
            self._offset_ms += int(seconds * 1000)
            self.store.set_meta("clock_offset_ms", str(self._offset_ms))

    @property
    def final_height(self) -> int:
        """A block is final once it had a child; the first block always is."""
        return max(self._final_before_fork, self.head.height - 1)

    def block(self, height: int) -> Block | None:
        return self.store.block_at(height)

    def state_at(self, height: int) -> StateAt:
        return self.state.at(height)

    def produce(self) -> Block:
        """Make the next block from what was received, in order, up to the block's energy."""
        with self.changed:
            slot = max(self.now_ms(), self._earliest_ms())
            self._pool.drop_where(lambda pending: self._hopeless(pending, slot))
            made = _Made(Draft(self.state.at(self.head.height)))
            if not self.faults.withholding:
                self._fill(made)
            return self._append(made, slot)

    def _fill(self, made: _Made) -> None:
        """Execute what was received in order of arrival, as far as the block's energy goes."""
        waiting: set[str] = set()  # accounts whose next transaction may not enter a block yet
        for pending in self._pool:
            transaction = pending.transaction
            if transaction.transaction_hash not in self._pool or transaction.account in waiting:
                continue  # dropped with a predecessor, or has to wait for it
            if pending.earliest_height > self.head.height + 1:
                waiting.add(transaction.account)
                continue
            if made.energy + transaction.energy > self.genesis.block_energy_limit:
                break
            self._include(made, transaction)

    def issue(
        self, transactions: Sequence[Transaction], *, extra: Iterable[tuple[str, Any]] = (), at_ms: int | None = None
    ) -> Block:
        """Make a block of exactly these transactions and state changes at `at_ms`, and a child that finalises it. What was received waits.

        BadMoment when `at_ms` lies in the future or before the last block. Refused when one of them would have no effect: then no
        block is made.
        """
        with self.changed:
            slot = self._slot(at_ms)
            made = _Made(Draft(self.state.at(self.head.height)))
            for key, value in extra:
                made.draft.put(key, value)
            for transaction in transactions:
                made.add(transaction, self._effective(made, transaction))
            block = self._append(made, slot)
            self._append(_Made(Draft(self.state.at(self.head.height))), slot + 1)
            return block

    def _effective(self, made: _Made, transaction: Transaction) -> Outcome:
        """The outcome of a transaction that has an effect. Refused otherwise."""
        try:
            outcome = ledger.execute(made.draft, transaction, self.genesis)
        except ledger.CannotInclude as error:
            raise Refused("no block can take this: its number is not the next, or its sender lacks CCD") from error
        if outcome.reject is not None:
            raise Refused(f"the chain would reject this: {outcome.reject!r}")
        return outcome

    def _earliest_ms(self) -> int:
        """The next block comes after its parent, and after the one it replaces, if it does."""
        return max(self.head.slot_time_ms, self._orphan_slot_ms) + 1

    def _slot(self, at_ms: int | None) -> int:
        now, earliest = self.now_ms(), self._earliest_ms()
        if at_ms is None:
            return max(now, earliest)
        if at_ms > now:
            raise BadMoment("that time is still to come")
        # Several steps of one seeding name the same moment; each block still needs its own.
        if at_ms < earliest - 60_000:
            raise BadMoment(
                "the chain's time is past that already: seed before the first live block (start with production held)"
            )
        return max(at_ms, earliest)

    @staticmethod
    def _hopeless(pending: Pending, slot_ms: int) -> bool:
        return pending.transaction.expired(slot_ms) or slot_ms - pending.received_ms > KEEP_ALIVE_MS

    def _include(self, made: _Made, transaction: Transaction) -> None:
        try:
            outcome = ledger.execute(made.draft, transaction, self.genesis)
        except ledger.CannotInclude:
            self._pool.drop(transaction)
            return
        made.add(transaction, outcome)

    def _append(self, made: _Made, slot: int) -> Block:
        parent, writes = self.head, made.draft.writes
        state_hash = hashlib.sha256(repr((parent.state_hash, sorted(writes.items()))).encode()).digest()
        items = [
            Included(
                transaction.transaction_hash,
                transaction.account,
                transaction.raw,
                render.summary(outcome, position=n).SerializeToString(),
            )
            for n, (transaction, outcome) in enumerate(made.outcomes)
        ]
        content = b"".join(hashlib.sha256(item.transaction_hash + item.summary).digest() for item in items)
        height = parent.height + 1
        block = Block(
            height=height,
            block_hash=hashlib.sha256(
                parent.block_hash + height.to_bytes(8, "big") + slot.to_bytes(8, "big") + content
            ).digest(),
            parent_hash=parent.block_hash,
            slot_time_ms=slot,
            items=len(items),
            energy=made.energy,
            size=sum(len(item.raw) for item in items),
            state_hash=state_hash,
        )
        self.store.add_block(block, items, writes.items())
        self.state.apply(height, writes.items())
        self.head = block
        for account in {transaction.account for transaction, _ in made.outcomes}:
            self._pool.settled(account, self.state.read(f"nonce/{account}", height))
        self.changed.notify_all()
        return block

    # ---- transactions ---------------------------------------------------------------------------------------------

    def check(self, transaction: Transaction, *, height: int, following: int) -> None:
        """What a node checks of a transaction sent to it, in its order, on the state at `height`; `following`: the sender's next number
        there. Refused with the node's words."""
        now = self.now_ms()
        account = self.state.read(f"account/{transaction.account}", height)
        if transaction.expired(now):
            raise Refused("Stale")
        if 1000 * transaction.expiry > now + MAX_EXPIRY_MS:
            raise Refused("Expiry too late")
        if transaction.energy < transaction.base_energy:
            raise Refused("Too low energy")
        if transaction.energy > self.genesis.block_energy_limit:
            raise Refused("The stated energy of the transaction exceeds the maximum allowed")
        if account is None:
            raise Refused("Nonexisting sender account")
        _check_number(transaction, following)
        if self.genesis.cost(transaction.energy) > self.state.read(f"ccd/{transaction.account}", height):
            raise Refused("The sender did not have enough funds to cover the costs")
        if not signed_by(transaction, account):
            raise Refused("Verification failed")

    def pass_on(self, transaction: Transaction) -> str:
        """Bring a transaction that some node has checked to the network: "received", or the words it is ignored with."""
        with self.changed:
            status = self.status(transaction.transaction_hash)
            if status is not None and not status.final:
                return "Duplicate entry"
            if transaction.expired(self.now_ms()):
                return "Stale"
            try:
                _check_number(transaction, self.next_number(transaction.account)[0])
            except Refused as refused:
                return str(refused)
            self._pool.add(self._pending(transaction))
            self._lost.pop(transaction.transaction_hash, None)
            return "received"

    def _pending(self, transaction: Transaction) -> Pending:
        return Pending(transaction, self.now_ms(), self.head.height + 1 + self.faults.slow_blocks)

    def next_number(self, account: str) -> tuple[int, bool]:
        """The account's next number, received ones counted, and whether all before it are final. 1 for an account that does not exist."""
        with self.changed:
            number = self.state.read(f"nonce/{account}", self.head.height)
            if number is None:
                return 1, True
            final = self.state.read(f"nonce/{account}", self.final_height)
            following = number + self._pool.count(account)
            return following, following == final or final is None

    def waiting(self, account: str) -> list[Transaction]:
        """The account's transactions that were received and are in no block."""
        with self.changed:
            return [pending.transaction for pending in self._pool.of_account(account)]

    def pending_count(self) -> int:
        with self.changed:
            return len(self._pool)

    def status(self, transaction_hash: bytes) -> Status | None:
        """What the network knows of a hash; None when nothing."""
        with self.changed:
            if transaction_hash in self._pool:
                return Status()
            found = self.store.find(transaction_hash)
            if found is None:
                return None
            height, summary = found
            return Status(block=self.store.block_at(height), summary=summary, final=height <= self.final_height)

    # ---- faults ---------------------------------------------------------------------------------------------------

    def lose(self, transaction: Transaction) -> None:
        """The network never hears of it, until it is delivered again."""
        with self.changed:
            self._lost[transaction.transaction_hash] = transaction

    def purge(self, hashes: Collection[bytes] | None = None) -> list[bytes]:
        """Forget what was received and is in no block: these, or all; the successors of one with it. Returns what was forgotten."""
        with self.changed:
            dropped = self._pool.drop_where(
                lambda pending: hashes is None or pending.transaction.transaction_hash in hashes
            )
            for transaction in dropped:
                self.lose(transaction)
            return [transaction.transaction_hash for transaction in dropped]

    def deliver_again(self, transaction_hash: bytes) -> str:
        """The network is handed a transaction that it met before: "received", or the words it is ignored with. Unheard otherwise."""
        with self.changed:
            if transaction_hash in self._pool:
                return "Duplicate entry"
            transaction = self._lost.get(transaction_hash)
            if transaction is None:
                raw = self.store.raw(transaction_hash)
                if raw is None:
                    raise Unheard
                transaction = parse_block_item(raw)
            return self.pass_on(transaction)

    def fork(self, *, reinclude: bool) -> list[bytes]:
        """The last block, which is not final, turns out to be on the wrong branch: the next one takes its place. Its transactions wait
        again, or are forgotten with their successors. Returns them. BadMoment when the last block is final."""
        with self.changed:
            orphan = self.head
            parent = self.store.block_at(orphan.height - 1)
            if parent is None or orphan.height <= self.final_height:
                raise BadMoment("the last block is final: only one that is not can vanish")
            transactions = [parse_block_item(raw) for raw in self.store.raws(orphan.height)]
            # Written first: what was final with the vanished child stays final whatever happens now.
            self.store.set_meta("final_before_fork", str(parent.height))
            self._final_before_fork = parent.height
            self.state.revert(orphan.height, self.store.remove_block(orphan.height))
            self.head, self._orphan_slot_ms = parent, orphan.slot_time_ms
            if not reinclude:
                for transaction in transactions:
                    for forgotten in (transaction, *self._pool.drop(transaction)):
                        self.lose(forgotten)
            self._pool.put_back([self._pending(transaction) for transaction in transactions if reinclude])
            self.changed.notify_all()
            return [transaction.transaction_hash for transaction in transactions]


def _check_number(transaction: Transaction, following: int) -> None:
    if transaction.sequence_number != following:
        raise Refused("Duplicate nonce" if transaction.sequence_number < following else "Nonce too large")
