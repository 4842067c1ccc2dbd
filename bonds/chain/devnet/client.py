"""A typed client of the devnet's control service, for seeding a demo and for tests. Must never be used by the product itself."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import grpc

from bonds.chain.devnet.contract_client import ContractCalls

SERVICE, MAIN = "devnet.v1.Control", "main"  # spelt here too: a client needs nothing of the node's own code
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Lot = tuple[str, int, int]  # owner (base58, or "<index,subindex>"), token id, amount


class DevnetControlError(Exception):
    """The devnet does not answer, or says why it will not."""


class DevnetControl(ContractCalls):
    """One connection to a devnet's control service. Verbs that change the chain return the height of the block they made, already final."""

    def __init__(self, address: str, *, timeout_seconds: float = 60.0) -> None:
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._timeout = timeout_seconds

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- contracts ------------------------------------------------------------------------------------------------

    def mint(self, contract: int, lots: Iterable[Lot], *, at: datetime | None = None) -> int:
        """Mint lots; `at` back-dates the block (not before the last one, not in the future)."""
        return self._height("mint", contract=contract, lots=[_lot(lot) for lot in lots], at=_text(at))

    def burn_lots(self, contract: int, lots: Iterable[Lot], *, at: datetime | None = None) -> int:
        return self._height("burn_lots", contract=contract, lots=[_lot(lot) for lot in lots], at=_text(at))

    def transfer_lots(
        self, contract: int, lots: Iterable[tuple[str, str, int, int]], *, at: datetime | None = None
    ) -> int:
        """Move lots between holders: (sender, recipient, token id, amount) each."""
        moves = [
            {"sender": sender, "recipient": recipient, "token_id": token_id, "amount": amount}
            for sender, recipient, token_id, amount in lots
        ]
        return self._height("transfer_lots", contract=contract, lots=moves, at=_text(at))

    def set_registry(self, contract: int, addresses: Sequence[str], state: str, *, at: datetime | None = None) -> int:
        """`state`: whitelisted, blacklisted or not_in_registry."""
        return self._height("set_registry", contract=contract, addresses=list(addresses), state=state, at=_text(at))

    def lots(self, contract: int) -> list[Lot]:
        """Every lot in the last block."""
        return [(lot["owner"], lot["token_id"], lot["amount"]) for lot in self._call("lots", contract=contract)["lots"]]

    # ---- accounts and tokens --------------------------------------------------------------------------------------

    def create_accounts(
        self, accounts: Iterable[tuple[str, str | None]], *, micro_ccd: int = 0, at: datetime | None = None
    ) -> int:
        """(address, verification key in hex or None) each; known accounts stay as they are."""
        items = [{"address": address, "verify_key": key} for address, key in accounts]
        return self._height("create_accounts", accounts=items, micro_ccd=micro_ccd, at=_text(at))

    def set_ccd(self, address: str, micro_ccd: int) -> int:
        return self._height("set_ccd", address=address, micro_ccd=micro_ccd)

    def fund_plt(self, token_id: str, address: str, units: int, *, at: datetime | None = None) -> int:
        """Mint that many base units and send them to the account."""
        return self._height("fund_plt", token_id=token_id, address=address, units=units, at=_text(at))

    def take_plt(self, token_id: str, address: str, units: int) -> int:
        """Take PLT away from an account without any transaction of its own; the token's governance account gets it."""
        return self._height("take_plt", token_id=token_id, address=address, units=units)

    def foreign_use(self, token_id: str, address: str, recipient: str, units: int) -> int:
        """Somebody else uses the account's next sequence number, to pay units to the recipient; final at once."""
        return self._height("foreign_use", token_id=token_id, address=address, recipient=recipient, units=units)

    def pause_token(self, token_id: str, paused: bool = True) -> int:
        return self._height("pause_token", token_id=token_id, paused=paused)

    def set_list(self, token_id: str, which: str, address: str, listed: bool = True) -> int:
        """`which`: allow or deny."""
        return self._height("set_list", token_id=token_id, list=which, address=address, listed=listed)

    def balances(self, token_id: str, addresses: Sequence[str] | None = None) -> dict[str, int]:
        """Base units by address in the last block; without addresses, of every account that ever held the token."""
        wanted = None if addresses is None else list(addresses)
        return dict(self._call("balances", token_id=token_id, addresses=wanted)["balances"])

    def supply(self, token_id: str) -> int:
        return int(self._call("balances", token_id=token_id)["supply"])

    # ---- blocks, time and faults ----------------------------------------------------------------------------------

    def advance(self, *, blocks: int = 1, seconds: float = 0) -> int:
        """Move chain time forward and make that many blocks now, held or not."""
        return self._height("advance", blocks=blocks, seconds=seconds)

    def hold(self) -> None:
        """No ordinary block until `resume`."""
        self._call("hold")

    def resume(self) -> None:
        self._call("resume")

    def drop_next_submits(self, count: int = 1, *, node: str = MAIN) -> None:
        """The next transactions are accepted and forgotten."""
        self._call("drop_next_submits", count=count, node=node)

    def lose_reply_next(self, count: int = 1, *, node: str = MAIN) -> None:
        """The next transactions are accepted, and their sender is told the connection broke."""
        self._call("lose_reply_next", count=count, node=node)

    def duplicate_next_submits(self, count: int = 1, *, node: str = MAIN) -> None:
        """The next transactions are delivered twice, and their sender hears the second answer."""
        self._call("duplicate_next_submits", count=count, node=node)

    def refuse(self, refusing: bool = True, *, node: str = MAIN) -> None:
        """Every call of the node's own service answers UNAVAILABLE."""
        self._call("refuse", refusing=refusing, node=node)

    def add_node(self, name: str) -> str:
        """Serve one more node of the same chain; its address."""
        return str(self._call("add_node", name=name)["address"])

    def close_port(self, node: str) -> None:
        """Connections break and none can be made, until `open_port`. Not for `main`, where the control service answers."""
        self._call("close_port", node=node)

    def open_port(self, node: str) -> None:
        self._call("open_port", node=node)

    def lag(self, blocks: int, *, node: str = MAIN) -> None:
        """The node is so many blocks behind the network; 0: in step again."""
        self._call("lag", blocks=blocks, node=node)

    def freeze(self, frozen: bool = True, *, node: str = MAIN) -> None:
        """The node hears no more of the network: it stays at the block it has."""
        self._call("freeze", frozen=frozen, node=node)

    def deny(self, transaction_hashes: Iterable[str], *, node: str = MAIN) -> None:
        """The node never heard of these hashes; none: it tells all it knows again."""
        self._call("deny", hashes=list(transaction_hashes), node=node)

    def skew(self, seconds: int, *, node: str = MAIN) -> None:
        """The node tells the times of blocks so much later than they are."""
        self._call("skew", seconds=seconds, node=node)

    def slow_inclusion(self, blocks: int) -> None:
        """A transaction received from now on is passed over by so many blocks."""
        self._call("slow_inclusion", blocks=blocks)

    def withhold_inclusion(self, withholding: bool = True) -> None:
        """No block takes any transaction; what was received waits until it expires."""
        self._call("withhold_inclusion", withholding=withholding)

    def purge(self, transaction_hashes: Iterable[str] | None = None) -> list[str]:
        """The network forgets what waits, these with their successors or all; the hashes of what it forgot."""
        named = None if transaction_hashes is None else list(transaction_hashes)
        return list(self._call("purge", hashes=named)["hashes"])

    def deliver_again(self, transaction_hash: str) -> str:
        """The network is handed a transaction it met before: "received", or the words it is ignored with."""
        return str(self._call("deliver_again", hash=transaction_hash)["answer"])

    def fork(self, *, reinclude: bool = True) -> list[str]:
        """The last block, not final, vanishes: its transactions wait for another block, or are forgotten. Their hashes."""
        return list(self._call("fork", reinclude=reinclude)["hashes"])

    def heal(self) -> None:
        """Every switch off, every port open; block production stays as it is."""
        self._call("heal")

    def state(self) -> dict[str, Any]:
        return dict(self._call("state"))

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _height(self, verb: str, **request: Any) -> int:
        return int(self._call(verb, **request)["height"])

    def _call(self, verb: str, **request: Any) -> Any:
        method = self._channel.unary_unary(f"/{SERVICE}/{verb}", _as_is, _as_is)
        try:
            answer = method(json.dumps(request).encode(), timeout=self._timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            raise DevnetControlError(f"{verb}: {details}" if details else f"{verb}: {code.name}") from error
        return json.loads(answer)


def _as_is(data: bytes) -> bytes:
    return data


def _lot(lot: Lot) -> dict[str, Any]:
    owner, token_id, amount = lot
    return {"owner": owner, "token_id": token_id, "amount": amount}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
