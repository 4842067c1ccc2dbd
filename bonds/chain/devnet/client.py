"""A typed client of the devnet's control service, for seeding a demo and for tests. Must never be used by the product itself."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import grpc

SERVICE = "devnet.v1.Control"  # spelt here too: a client needs nothing of the node's own code
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Lot = tuple[str, int, int]  # owner (base58, or "<index,subindex>"), token id, amount


class DevnetControlError(Exception):
    """The devnet does not answer, or says why it will not."""


class DevnetControl:
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

    def drop_next_submits(self, count: int = 1) -> None:
        """The next transactions are accepted and forgotten."""
        self._call("drop_next_submits", count=count)

    def lose_reply_next(self, count: int = 1) -> None:
        """The next transactions are accepted, and their sender is told the connection broke."""
        self._call("lose_reply_next", count=count)

    def refuse(self, refusing: bool = True) -> None:
        """Every call of the node's own service answers UNAVAILABLE."""
        self._call("refuse", refusing=refusing)

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
