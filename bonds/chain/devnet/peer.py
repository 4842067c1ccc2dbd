"""The chain as one node of the network knows it: in step with the network, or behind it, or denying what it knows.

What a node is sent it passes on to the network, whatever its own view; a node that is behind knows no transaction but those it was sent
itself. Must never change the chain but by passing a transaction on.
"""

from dataclasses import replace

from bonds.chain.devnet.chain import Chain, Known, Status
from bonds.chain.devnet.faults import NodeFaults
from bonds.chain.devnet.parse import Transaction
from bonds.chain.devnet.state import StateAt
from bonds.chain.devnet.store import Block


class Peer:
    """One node's view. Every public method may be called from any thread."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.faults = NodeFaults()
        self._sent_here: dict[bytes, Transaction] = {}  # while behind

    # ---- blocks ---------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Block:
        if not self.faults.behind:
            return self.chain.head
        with self.chain.changed:
            height = self.chain.head.height - self.faults.lag_blocks
            if self.faults.frozen_at is not None:
                height = min(height, self.faults.frozen_at[0])
            block = self.chain.block(max(0, height))
            assert block is not None
            return block

    @property
    def final_height(self) -> int:
        if not self.faults.behind:
            return self.chain.final_height
        with self.chain.changed:
            height = self.chain.final_height - self.faults.lag_blocks
            if self.faults.frozen_at is not None:
                height = min(height, self.faults.frozen_at[1])
            return max(0, height)

    def lag(self, blocks: int) -> None:
        """From now on this node is so many blocks behind the network; 0: in step again, unless it is frozen."""
        with self.chain.changed:
            self.faults.lag_blocks = blocks
            self._catch_up()

    def freeze(self, frozen: bool) -> None:
        """From now on this node hears nothing of the network, or hears of it again."""
        with self.chain.changed:
            self.faults.frozen_at = (self.head.height, self.final_height) if frozen else None
            self._catch_up()

    def heal(self) -> None:
        """Every switch off: in step with the network again."""
        with self.chain.changed:
            self.faults = NodeFaults()
            self._catch_up()

    def _catch_up(self) -> None:
        if not self.faults.behind:
            self._sent_here.clear()
        self.chain.changed.notify_all()

    def block(self, height: int) -> Block | None:
        if self.faults.behind and height > self.head.height:
            return None
        return self.chain.block(height)

    def block_named(self, block_hash: bytes) -> Block | None:
        block = self.chain.store.block_named(block_hash)
        if block is not None and self.faults.behind and block.height > self.head.height:
            return None
        return block

    def state_at(self, height: int) -> StateAt:
        return self.chain.state_at(height)

    def slot_time_ms(self, block: Block) -> int:
        """The block's time as this node tells it."""
        return block.slot_time_ms + 1000 * self.faults.skew_seconds

    # ---- transactions ---------------------------------------------------------------------------------------------

    def receive(self, transaction: Transaction) -> None:
        """Take a transaction sent to this node. Known, or Refused with the node's words; checks in the node's order, on its own view.

        What the network then makes of it is not told to the sender.
        """
        with self.chain.changed:
            status = self.status(transaction.transaction_hash)
            if status is not None and not status.final:
                raise Known("Duplicate entry")
            following, _ = self.next_number(transaction.account)
            self.chain.check(transaction, height=self.head.height, following=following)
            if self.faults.take("drop_submits"):
                self.chain.lose(transaction)
                return
            if self.faults.behind:
                self._sent_here[transaction.transaction_hash] = transaction
            self.chain.pass_on(transaction)

    def next_number(self, account: str) -> tuple[int, bool]:
        """The account's next number as this node sees it, received ones counted, and whether all before it are final.

        An account the node does not know answers 1: a node's habit, and a trap.
        """
        with self.chain.changed:
            if not self.faults.behind and not self.faults.denied:
                return self.chain.next_number(account)
            following = self.chain.state.read(f"nonce/{account}", self.head.height)
            if following is None:
                return 1, True
            received = {transaction.sequence_number for transaction in self._received(account)}
            while following in received:
                following += 1
            return following, following == self.chain.state.read(f"nonce/{account}", self.final_height)

    def pending_of(self, account: str) -> list[bytes]:
        """Hashes of the account's transactions that are not final."""
        with self.chain.changed:
            head, committed = self.head, []
            if head.height > self.final_height:
                committed = self.chain.store.hashes(head.height, sender=account)
            received = [transaction.transaction_hash for transaction in self._received(account)]
            return [item for item in dict.fromkeys(committed + received) if item not in self.faults.denied]

    def status(self, transaction_hash: bytes) -> Status | None:
        """What this node knows of a hash; None when nothing."""
        with self.chain.changed:
            if transaction_hash in self.faults.denied:
                return None
            found = self.chain.status(transaction_hash)
            if not self.faults.behind:
                return found
            if found is None or found.block is None or found.block.height > self.head.height:
                return Status() if transaction_hash in self._sent_here else None
            return replace(found, final=found.block.height <= self.final_height)

    def _received(self, account: str) -> list[Transaction]:
        if self.faults.behind:
            return [transaction for transaction in self._sent_here.values() if transaction.account == account]
        waiting = self.chain.waiting(account)
        return [transaction for transaction in waiting if transaction.transaction_hash not in self.faults.denied]
