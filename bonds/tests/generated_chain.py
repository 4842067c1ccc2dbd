"""A chain made up from a seed, and a ledger of what its events amount to, kept without any code of the product's."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bonds.chain.gateway import (
    Block,
    ChainRefused,
    ChainUnavailable,
    Contract,
    FundEvent,
    FundEventKind,
    Head,
    LotEvent,
    LotEventKind,
    RegistryEvent,
    RegistryState,
    UnreadEvent,
)

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
HOLDERS = [f"holder-{number}" for number in range(10)] + ["<77,0>"]
TOKEN_IDS = [20485, 20486, 20500, 20530]
EMPTY = 0.65  # share of blocks without an event

Ledger = dict[tuple[str, int], int]


def block_hash(height: int) -> str:
    return hashlib.sha256(f"block {height}".encode()).hexdigest()


def block_time(height: int) -> datetime:
    return BEGAN + timedelta(seconds=height)


@dataclass
class GeneratedChain:
    """A reading side over blocks in memory. `ledgers[height]`: who holds what after that block."""

    all_blocks: list[Block]
    ledgers: list[Ledger]
    head_height: int = 0

    def __post_init__(self) -> None:
        self.head_height = self.head_height or len(self.all_blocks) - 1

    def up_to(self, height: int) -> "GeneratedChain":
        """The same chain as it was when that block was the last final one."""
        return replace(self, head_height=max(1, min(height, len(self.all_blocks) - 1)))

    def head(self) -> Head:
        return Head(self.head_height, block_hash(self.head_height), block_time(self.head_height))

    def has_contract(self, contract: Contract, height: int) -> bool:
        return height >= 0

    def blocks(self, first: int, last: int, contracts: Sequence[Contract]) -> Iterator[Block]:
        for block in self.all_blocks[first : last + 1]:
            yield only(block, set(contracts))

    def last_block_at(self, moment: datetime) -> Head:
        height = int((moment - BEGAN).total_seconds())
        if height >= self.head_height:
            raise ChainUnavailable("not yet")
        return Head(height, block_hash(height), block_time(height))

    def lot_balances(self, contract: Contract, lots: Sequence[tuple[str, int]], at: str) -> Ledger:
        for height, ledger in enumerate(self.ledgers):
            if block_hash(height) == at:
                return {lot: ledger.get(lot, 0) for lot in lots}
        raise ChainRefused("no such block")

    def account_key(self, address: str) -> str:
        return address


def only(block: Block, contracts: set[Contract]) -> Block:
    """The block with the events of these contracts alone, as a gateway gives it."""
    return replace(
        block,
        events=tuple(e for e in block.events if e.contract in contracts),
        fund_events=tuple(e for e in block.fund_events if e.contract in contracts),
        registry_events=tuple(e for e in block.registry_events if e.contract in contracts),
        unread=tuple(e for e in block.unread if e.contract in contracts),
    )


def generate(seed: int, length: int, *, number: int) -> GeneratedChain:
    """`length` blocks after the first, with events of the contracts of factories.bond_with_fund(number).

    The same seed gives the same history whatever `number` is: only contracts and transaction hashes differ.
    """
    maker = _Maker(random.Random(seed), number)
    blocks, ledgers = [], []
    for height in range(length + 1):
        blocks.append(maker.block(height))
        ledgers.append({lot: held for lot, held in maker.ledger.items() if held})
    return GeneratedChain(blocks, ledgers)


@dataclass
class _Maker:
    rng: random.Random
    number: int
    ledger: Ledger = field(default_factory=dict)

    def block(self, height: int) -> Block:
        parts: dict[type, list] = {LotEvent: [], FundEvent: [], RegistryEvent: [], UnreadEvent: []}
        if height and self.rng.random() >= EMPTY:
            for transaction in range(self.rng.randint(1, 3)):
                name = hashlib.sha256(f"{self.number} {height} {transaction}".encode()).hexdigest()
                for index in range(self.rng.randint(1, 4)):
                    event = self._event(name, index * 2)  # not every event of a transaction is of our contracts
                    if event is not None:
                        parts[type(event)].append(event)
        return Block(
            height,
            block_hash(height),
            block_hash(height - 1),
            block_time(height),
            *(tuple(parts[kind]) for kind in (LotEvent, FundEvent, RegistryEvent, UnreadEvent)),
        )

    def _event(self, name: str, index: int):
        kinds = [self._mint, self._transfer, self._burn, self._recover, self._fund, self._registry, self._unread]
        kind = self.rng.choices(kinds, weights=[35, 30, 15, 8, 12, 6, 1])[0]
        return kind(name, index)

    def _held(self) -> tuple[tuple[str, int], int] | None:
        lots = sorted((lot, held) for lot, held in self.ledger.items() if held)
        return self.rng.choice(lots) if lots else None

    def _lot(
        self, kind: LotEventKind, token_id: int, amount: int, sender, recipient, name: str, index: int
    ) -> LotEvent:
        for holder, delta in ((sender, -amount), (recipient, amount)):
            if holder and kind is not LotEventKind.RECOVER:
                self.ledger[holder, token_id] = self.ledger.get((holder, token_id), 0) + delta
        return LotEvent(Contract(self.number), kind, token_id, amount, sender, recipient, name, index)

    def _mint(self, name: str, index: int) -> LotEvent:
        amount = self.rng.choice([1, 7, 1000, 10**30 + 1])
        to = self.rng.choice(HOLDERS)
        return self._lot(LotEventKind.MINT, self.rng.choice(TOKEN_IDS), amount, None, to, name, index)

    def _transfer(self, name: str, index: int) -> LotEvent | None:
        found = self._held()
        if found is None:
            return None
        (sender, token_id), held = found
        recipient = self.rng.choice(HOLDERS)  # the sender too, now and then
        return self._lot(LotEventKind.TRANSFER, token_id, self.rng.randint(1, held), sender, recipient, name, index)

    def _burn(self, name: str, index: int) -> LotEvent | None:
        found = self._held()
        if found is None:
            return None
        (sender, token_id), held = found
        return self._lot(LotEventKind.BURN, token_id, self.rng.randint(1, held), sender, None, name, index)

    def _recover(self, name: str, index: int) -> LotEvent:
        lost, new = self.rng.sample(HOLDERS, 2)
        for token_id in TOKEN_IDS:
            moved = self.ledger.pop((lost, token_id), 0)
            self.ledger[new, token_id] = self.ledger.get((new, token_id), 0) + moved
        return self._lot(LotEventKind.RECOVER, 0, 0, lost, new, name, index)

    def _fund(self, name: str, index: int) -> FundEvent:
        return FundEvent(
            Contract(self.number + 3),
            self.rng.choice(list(FundEventKind)),
            Contract(self.number + self.rng.choice([0, 0, 0, 9])),  # now and then of a bond that is not in the books
            self.rng.choice(TOKEN_IDS),
            self.rng.choice(HOLDERS[:-1]),
            self.rng.randint(1, 100),
            self.rng.randint(1, 10**20),
            name,
            index,
        )

    def _registry(self, name: str, index: int) -> RegistryEvent:
        state = self.rng.choice(list(RegistryState))
        return RegistryEvent(Contract(self.number + 1), self.rng.choice(HOLDERS), state, name, index)

    def _unread(self, name: str, index: int) -> UnreadEvent:
        contract = Contract(self.number + self.rng.choice([0, 1, 3]))
        return UnreadEvent(contract, "ab" * 32, self.rng.randbytes(5), "tag 200 is unknown", name, index)
