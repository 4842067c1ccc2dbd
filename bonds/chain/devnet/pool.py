"""Transactions received and not yet in a block, in order per account. Must never hold two for one account and number, nor a gap.

Not locked: the chain's lock guards it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bonds.chain.devnet.parse import Transaction


@dataclass(frozen=True)
class Pending:
    transaction: Transaction
    received_ms: int


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

    def add(self, pending: Pending) -> None:
        waiting = self._by_account.setdefault(pending.transaction.account, [])
        assert not waiting or waiting[-1].transaction.sequence_number + 1 == pending.transaction.sequence_number
        waiting.append(pending)
        self._by_hash[pending.transaction.transaction_hash] = pending

    def settled(self, account: str, next_number: int) -> None:
        """The account's number went on: what carried a lower one is in a block, or can never be."""
        while (waiting := self._by_account.get(account)) and waiting[0].transaction.sequence_number < next_number:
            self._forget(waiting[0])

    def drop(self, transaction: Transaction) -> None:
        """Forget the transaction and its successors: without it they can never be next."""
        for pending in self.of_account(transaction.account):
            if pending.transaction.sequence_number >= transaction.sequence_number:
                self._forget(pending)

    def drop_where(self, hopeless: Callable[[Pending], bool]) -> None:
        for pending in self:
            if pending.transaction.transaction_hash in self and hopeless(pending):
                self.drop(pending.transaction)

    def _forget(self, pending: Pending) -> None:
        del self._by_hash[pending.transaction.transaction_hash]
        waiting = self._by_account[pending.transaction.account]
        waiting.remove(pending)
        if not waiting:
            del self._by_account[pending.transaction.account]
