"""A held devnet with its contracts and people, seen from the wire: what tests of the contracts' behaviour share."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from bonds.chain.devnet.contracts import parameters
from bonds.chain.devnet.encoding import Reader, address_bytes
from bonds.chain.devnet.genesis import new_account
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.devnet.signer import contract_update
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.wire import node_pb2 as pb

BOND, REGISTRY = 1000, 1001
DAY, NEXT_DAY = 20454, 20455
ENERGY = 30_000
CONTRACT_KINDS = (
    *("contract", "lot", "frozen", "supplied", "stopped", "holder"),
    *("roles", "operator", "registry", "fund", "invested"),
)


class Person:
    """An account holder with a key, and what the contracts call them."""

    def __init__(self, world: "World", address: str, seed: str) -> None:
        self.text, self.address, self.seed = address, address_bytes(address), seed
        self._world = world
        self._user = DevnetUser(world.devnet.address, address=address, seeds={0: {0: seed}})

    def close(self) -> None:
        self._user.close()

    def does(self, contract: int, entrypoint: str, parameter: bytes, *, energy: int = ENERGY) -> Any:
        """Send one contract update, make it final, and give its effects."""
        name = self._world.devnet.chain.state_at(self._world.head).get(f"contract/{contract}")["name"]
        payload = contract_update(contract, f"{name}.{entrypoint}", parameter)
        raw = self._user.signer.item(
            payload, sequence_number=self._user.next_number(), energy=energy, expiry=int(time.time()) + 600
        )
        transaction_hash = self._user.send(raw)
        self._world.control.advance(blocks=2)
        return self._user.status(transaction_hash).finalized.outcome.outcome.account_transaction.effects


class World:
    """The devnet, its operator, and as many people as a test makes."""

    def __init__(self, devnet: DevnetProcess) -> None:
        self.devnet, self.control = devnet, devnet.control
        self._people: list[Person] = []
        self.operator = self.known(devnet.genesis.operator, devnet.genesis.operator_seed)

    @classmethod
    @contextmanager
    def at(cls, directory: Path) -> Iterator[Self]:
        with DevnetProcess(directory, hold=True) as devnet:
            world = cls(devnet)
            try:
                yield world
            finally:
                for person in world._people:
                    person.close()

    @property
    def head(self) -> int:
        return self.devnet.chain.head.height

    def person(self) -> Person:
        address, seed, key = new_account()
        self.control.create_accounts([(address, key)], micro_ccd=10**12)
        return self.known(address, seed)

    def known(self, address: str, seed: str) -> Person:
        """Somebody whose account is there already."""
        person = Person(self, address, seed)
        self._people.append(person)
        return person

    def cells(self) -> dict[str, Any]:
        """Everything the contracts remember: equal before and after, nothing happened."""
        view = self.devnet.chain.state_at(self.head)
        return {key: view.get(key) for kind in CONTRACT_KINDS for key in view.keys(kind)}

    def refuses(self, code: int, who: Person, contract: int, entrypoint: str, parameter: bytes) -> None:
        """The contract answers with this code, and nothing of it changed."""
        before = self.cells()
        effects = who.does(contract, entrypoint, parameter)
        assert effects.none.reject_reason.rejected_receive.reject_reason == code, effects
        assert self.cells() == before

    def ask(
        self, contract: int, entrypoint: str, parameter: bytes, *, height: int | None = None, who: Person | None = None
    ) -> Any:
        """A call that changes nothing, at the last final block or another, of nobody or of `who`: the node's answer."""
        name = self.devnet.chain.state_at(self.head).get(f"contract/{contract}")["name"]
        block = (
            pb.BlockHashInput(last_final=pb.Empty())
            if height is None
            else pb.BlockHashInput(absolute_height=pb.U64(value=height))
        )
        return self.operator._user.node.InvokeInstance(
            pb.InvokeInstanceRequest(
                block_hash=block,
                invoker=None if who is None else pb.Address(account=pb.Bytes(value=who.address)),
                instance=pb.ContractAddress(index=contract),
                entrypoint=pb.Str(value=f"{name}.{entrypoint}"),
                parameter=pb.Bytes(value=parameter),
            )
        )

    def value(self, contract: int, entrypoint: str, parameter: bytes) -> bytes:
        return self.ask(contract, entrypoint, parameter).success.return_value

    def balances(self, who: Person, token_id: int = DAY, contract: int = BOND) -> tuple[int, int, int]:
        """Whole, frozen and free balance, as the contract's three answers say."""
        query = parameters.balances_parameter([(token_id, who.address)])
        found = []
        for entrypoint in ("balanceOf", "balanceOfFrozen", "balanceOfUnFrozen"):
            reader = Reader(self.value(contract, entrypoint, query))
            assert reader.little(2) == 1
            found.append(reader.uleb128())
        return found[0], found[1], found[2]


def events(effects: Any) -> list[tuple[int, str]]:
    """(contract index, event in hex) in the order in which they took effect."""
    assert effects.WhichOneof("effect") == "contract_update_issued", effects
    found = []
    for step in effects.contract_update_issued.effects:
        kind = step.WhichOneof("element")
        if kind in ("updated", "interrupted"):
            part = getattr(step, kind)
            found += [(part.address.index, event.value.hex()) for event in part.events]
    return found


def steps(effects: Any) -> list[tuple[str, int]]:
    """(kind of step, contract index) of the trace."""
    found = []
    for step in effects.contract_update_issued.effects:
        kind = step.WhichOneof("element")
        found.append((kind, getattr(step, kind).address.index))
    return found


def logged(effects: Any, contract: int = BOND) -> list[str]:
    """One contract's events in hex; nobody else may have logged any."""
    found = events(effects)
    assert {index for index, _ in found} <= {contract}
    return [event for _, event in found]


def hexes(items: Sequence[bytes]) -> list[str]:
    return [item.hex() for item in items]
