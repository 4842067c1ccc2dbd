"""Transactions received and not yet in a block, in order per account. Must never hold two for one account and number, nor a gap.

Not locked: the chain's lock guards it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bonds.chain.devnet.parse import Transaction


@dataclass(frozen=True)
class Pending:
    transaction: Transaction
    received_ms: int
    earliest_height: int = 0  # no lower block takes it


class Pool:
    def __init__(self) -> None:
        self._by_hash: dict[bytes, Pending] = {}  # in order of arrival
        self._by_account: dict[str, list[Pending]] = {}

    def __contains__(self, transaction_hash: bytes) -> bool:
        return transaction_hash in self._by_hash

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[Pending]:
        return iter(list(self._by_hash.values()))

    def of_account(self, account: str) -> list[Pending]:
        return list(self._by_account.get(account, ()))

    def count(self, account: str) -> int:
        return len(self._by_account.get(account, ()))

    def add(self, pending: Pending) -> None:
        waiting = self._by_account.setdefault(pending.transaction.account, [])
        assert not waiting or waiting[-1].transaction.sequence_number + 1 == pending.transaction.sequence_number
        waiting.append(pending)
        self._by_hash[pending.transaction.transaction_hash] = pending

    def put_back(self, returned: Sequence[Pending]) -> None:
        """The last block is gone and what it had taken waits again, before everything received since: that may enter one block earlier."""
        later = [replace(pending, earliest_height=pending.earliest_height - 1) for pending in self]
        self._by_hash.clear()
        self._by_account.clear()
        for pending in (*returned, *later):
            self.add(pending)

    def settled(self, account: str, next_number: int) -> None:
        """The account's number went on: what carried a lower one is in a block, or can never be."""
        while (waiting := self._by_account.get(account)) and waiting[0].transaction.sequence_number < next_number:
            self._forget(waiting[0])

    def drop(self, transaction: Transaction) -> list[Transaction]:
        """Forget the transaction and its successors, without it never next, and return what was forgotten."""
        hopeless = [
            pending
            for pending in self.of_account(transaction.account)
            if pending.transaction.sequence_number >= transaction.sequence_number
        ]
        for pending in reversed(hopeless):
            self._forget(pending)
        return [pending.transaction for pending in hopeless]

    def drop_where(self, hopeless: Callable[[Pending], bool]) -> list[Transaction]:
        dropped = []
        for pending in self:
            if pending.transaction.transaction_hash in self and hopeless(pending):
                dropped += self.drop(pending.transaction)
        return dropped

    def _forget(self, pending: Pending) -> None:
        del self._by_hash[pending.transaction.transaction_hash]
        waiting = self._by_account[pending.transaction.account]
        waiting.remove(pending)
        if not waiting:
            del self._by_account[pending.transaction.account]
