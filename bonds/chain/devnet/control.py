"""The devnet's second service, `devnet.v1.Control`: what a test or a demo asks of the network itself. No real node has anything like it.

Unary verbs; request and answer are JSON. A verb that changes the chain makes a block of its own at once and a child that finalises it, and
returns that block's height. What users sent waits for ordinary blocks. A request that makes no sense is INVALID_ARGUMENT with the reason.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import grpc

from bonds.chain.devnet.chain import BadMoment, Block, Chain, Refused
from bonds.chain.devnet.contracts import REGISTRY_STATES, registry_parameter, transfers_parameter
from bonds.chain.devnet.encoding import (
    U64_MAX,
    Address,
    ContractAddress,
    EncodingError,
    address_bytes,
    address_text,
    identity,
)
from bonds.chain.devnet.network import Account
from bonds.chain.devnet.operator import ITEMS_PER_CALL, TRANSFERS_PER_CALL, Operator
from bonds.chain.devnet.producer import Producer
from bonds.chain.devnet.seed import account_cells, party_address, token_key
from bonds.chain.devnet.signer import token_update
from bonds.chain.devnet.state import StateAt
from bonds.chain.devnet.token_module import amount_cbor, holder_cbor

SERVICE = "devnet.v1.Control"
Request = Mapping[str, Any]


class ControlError(ValueError):
    """The request cannot be done; the text says why."""


def address_of(text: str) -> Address:
    """An account in base58 or a contract as "<index,subindex>"."""
    if text.startswith("<") and text.endswith(">"):
        index, _, subindex = text[1:-1].partition(",")
        return ContractAddress(int(index), int(subindex or 0))
    return address_bytes(text)


def _at(request: Request) -> int | None:
    moment = request.get("at")
    if moment is None:
        return None
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        raise ControlError("`at` needs a time zone")
    return int(parsed.timestamp() * 1000)


def _pieces(items: list[Any], size: int) -> list[list[Any]]:
    return [items[n : n + size] for n in range(0, len(items), size)]


def _micro_ccd(value: Any) -> int:
    if not 0 <= int(value) <= U64_MAX:
        raise ControlError("an amount of CCD fits u64")
    return int(value)


class Control:
    """The verbs. Each takes and returns what JSON can hold."""

    def __init__(self, chain: Chain, producer: Producer) -> None:
        self.chain = chain
        self.producer = producer
        self.operator = Operator(chain)
        self.verbs: Mapping[str, Callable[[Request], Any]] = {
            name: getattr(self, name)
            for name in (
                "mint",
                "transfer_lots",
                "burn_lots",
                "set_registry",
                "create_accounts",
                "fund_plt",
                "pause_token",
                "set_list",
                "set_ccd",
                "advance",
                "hold",
                "resume",
                "drop_next_submits",
                "lose_reply_next",
                "refuse",
                "balances",
                "lots",
                "state",
            )
        }

    # ---- contracts ------------------------------------------------------------------------------------------------

    def mint(self, request: Request) -> Any:
        return self._lots(request, "mint")

    def burn_lots(self, request: Request) -> Any:
        return self._lots(request, "burn")

    def _lots(self, request: Request, entrypoint: str) -> Any:
        lots = [(int(lot["token_id"]), int(lot["amount"]), address_of(lot["owner"])) for lot in request["lots"]]
        return self._issue(self.operator.lots(request["contract"], entrypoint, lots), _at(request))

    def transfer_lots(self, request: Request) -> Any:
        moves = [
            (int(lot["token_id"]), int(lot["amount"]), address_of(lot["sender"]), address_of(lot["recipient"]))
            for lot in request["lots"]
        ]
        calls = [
            self.operator.call(request["contract"], "forcedTransfer", transfers_parameter(piece), items=len(piece))
            for piece in _pieces(moves, TRANSFERS_PER_CALL)
        ]
        return self._issue(calls, _at(request))

    def set_registry(self, request: Request) -> Any:
        if request["state"] not in REGISTRY_STATES:
            raise ControlError(f"a registry state is one of {', '.join(REGISTRY_STATES)}")
        holders = [address_of(text) for text in request["addresses"]]
        calls = [
            self.operator.call(
                request["contract"], "setAddressState", registry_parameter(request["state"], piece), items=len(piece)
            )
            for piece in _pieces(holders, ITEMS_PER_CALL)
        ]
        return self._issue(calls, _at(request))

    def lots(self, request: Request) -> Any:
        """Every lot of a contract in the last block: [{owner, token_id, amount}]."""
        view, found = self._head(), []
        for key in view.keys("lot"):
            _, contract, token_id, holder = key.split("/")
            if int(contract) == request["contract"]:
                owner = party_address(holder)
                text = str(owner) if isinstance(owner, ContractAddress) else address_text(owner)
                found.append({"owner": text, "token_id": int(token_id), "amount": view.get(key)})
        return {"lots": found}

    # ---- accounts and tokens --------------------------------------------------------------------------------------

    def create_accounts(self, request: Request) -> Any:
        """New accounts, known ones left as they are. Their creation carries no transaction: it is as if they had been there."""
        with self.chain.changed:
            view = self._head()
            index = sum(1 for _ in view.keys("account"))
            cells: dict[str, Any] = {}
            for item in request["accounts"]:
                keys = {"0": {"0": item["verify_key"]} if item.get("verify_key") else {}}
                account = Account(address=item["address"], micro_ccd=_micro_ccd(request.get("micro_ccd", 0)), keys=keys)
                name = f"account/{identity(address_bytes(account.address))}"
                if view.get(name) is None and name not in cells:
                    cells.update(account_cells(account, index=index))
                    index += 1
            return _height(self.chain.issue([], extra=cells.items(), at_ms=_at(request)))

    def set_ccd(self, request: Request) -> Any:
        """Give an account exactly this much CCD, or take it away."""
        name, amount = self._account(request["address"]), _micro_ccd(request["micro_ccd"])
        return _height(self.chain.issue([], extra=[(f"ccd/{name}", amount)], at_ms=_at(request)))

    def fund_plt(self, request: Request) -> Any:
        """Mint to the governance account and send it on: two operations of one real transaction."""
        token = self._token(request["token_id"])
        amount = amount_cbor(int(request["units"]), token["decimals"])
        recipient = holder_cbor(address_bytes(request["address"]))
        operations = [{"mint": {"amount": amount}}, {"transfer": {"amount": amount, "recipient": recipient}}]
        return self._govern(request, operations)

    def pause_token(self, request: Request) -> Any:
        return self._govern(request, [{"pause" if request["paused"] else "unpause": {}}])

    def set_list(self, request: Request) -> Any:
        """Put an account on the token's allow or deny list, or take it off."""
        if request["list"] not in ("allow", "deny"):
            raise ControlError("a list is allow or deny")
        name = f"{'add' if request['listed'] else 'remove'}{request['list'].capitalize()}List"
        return self._govern(request, [{name: {"target": holder_cbor(address_bytes(request["address"]))}}])

    def balances(self, request: Request) -> Any:
        """PLT balances in the last block: of the accounts asked for, or of all that ever held the token."""
        key, view = token_key(self._token(request["token_id"])["token_id"]), self._head()
        if request.get("addresses") is not None:
            names = {text: identity(address_bytes(text)) for text in request["addresses"]}
            return {"balances": {text: view.get(f"balance/{key}/{name}", 0) for text, name in names.items()}}
        found = {}
        for cell in view.keys("balance"):
            _, token, name = cell.split("/")
            if token == key:
                found[address_text(bytes.fromhex(view.get(f"account/{name}")["address"]))] = view.get(cell)
        return {"balances": found, "supply": view.get(f"supply/{key}", 0)}

    # ---- blocks, time and faults ----------------------------------------------------------------------------------

    def advance(self, request: Request) -> Any:
        """Move the chain's clock forward, then make that many blocks, held or not."""
        self.chain.skip(float(request.get("seconds", 0)))
        for _ in range(int(request.get("blocks", 1))):
            self.chain.produce()
        return _height(self.chain.head)

    def hold(self, request: Request) -> Any:
        self.producer.hold()
        return self.state(request)

    def resume(self, request: Request) -> Any:
        self.producer.resume()
        return self.state(request)

    def drop_next_submits(self, request: Request) -> Any:
        self.chain.faults.drop_submits = int(request["count"])
        return self.state(request)

    def lose_reply_next(self, request: Request) -> Any:
        self.chain.faults.lose_replies = int(request["count"])
        return self.state(request)

    def refuse(self, request: Request) -> Any:
        self.chain.faults.refusing = bool(request["refusing"])
        return self.state(request)

    def state(self, request: Request) -> Any:
        """Where the chain is and which switches are on."""
        with self.chain.changed:
            chain = self.chain
            return {
                "height": chain.head.height,
                "block_hash": chain.head.block_hash.hex(),
                "block_time_ms": chain.head.slot_time_ms,
                "final_height": chain.final_height,
                "genesis_hash": chain.genesis.block_hash.hex(),
                "now_ms": chain.now_ms(),
                "pending": chain.pending_count(),
                "held": self.producer.held,
                "drop_submits": chain.faults.drop_submits,
                "lose_replies": chain.faults.lose_replies,
                "refusing": chain.faults.refusing,
            }

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _head(self) -> StateAt:
        return self.chain.state_at(self.chain.head.height)

    def _token(self, token_id: str) -> Mapping[str, Any]:
        token = self._head().get(f"token/{token_key(token_id)}")
        if token is None:
            raise ControlError(f"no token {token_id}")
        return token

    def _account(self, text: str) -> str:
        name = identity(address_bytes(text))
        if self._head().get(f"account/{name}") is None:
            raise ControlError(f"no account {text}")
        return name

    def _govern(self, request: Request, operations: list[dict[str, Any]]) -> Any:
        return self._issue([token_update(request["token_id"], operations)], _at(request))

    def _issue(self, payloads: list[tuple[bytes, int]], at_ms: int | None) -> Any:
        with self.chain.changed:
            transactions = self.operator.sign(payloads)
            block = self.chain.issue(transactions, at_ms=at_ms)
            return {
                **_height(block),
                "transactions": [transaction.transaction_hash.hex() for transaction in transactions],
            }


def _height(block: Block) -> dict[str, int]:
    return {"height": block.height}


def handler(control: Control) -> grpc.GenericRpcHandler:
    """The verbs as unary methods of `devnet.v1.Control`."""

    def method(verb: Callable[[Request], Any]) -> grpc.RpcMethodHandler:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return json.dumps(verb(json.loads(request or b"{}"))).encode()
            except (ControlError, BadMoment, Refused, EncodingError) as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except (KeyError, TypeError, ValueError) as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"malformed request: {error!r}")
            raise AssertionError("abort raises")

        return grpc.unary_unary_rpc_method_handler(call)

    return grpc.method_handlers_generic_handler(SERVICE, {name: method(verb) for name, verb in control.verbs.items()})
