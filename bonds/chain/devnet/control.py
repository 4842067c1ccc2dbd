"""The devnet's second service, `devnet.v1.Control`: what a test or a demo asks of the network itself. No real node has anything like it.

Unary verbs; request and answer are JSON. A verb that changes the chain makes a block of its own at once and a child that finalises it, and
returns that block's height. What users sent waits for ordinary blocks. A request that makes no sense is INVALID_ARGUMENT with the reason.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import grpc

from bonds.chain.devnet.chain import BadMoment, Block, Chain, Refused
from bonds.chain.devnet.contract_control import ContractVerbs
from bonds.chain.devnet.contracts import REGISTRY_STATES, transfers_parameter
from bonds.chain.devnet.encoding import (
    ContractAddress,
    EncodingError,
    address_bytes,
    address_of,
    address_text,
    identity,
)
from bonds.chain.devnet.fields import ControlError, Request, flag, text, whole
from bonds.chain.devnet.network import Account
from bonds.chain.devnet.nodes import Nodes
from bonds.chain.devnet.operator import EXPIRY_SECONDS, TRANSFERS_PER_CALL, Operator
from bonds.chain.devnet.parse import parse_block_item
from bonds.chain.devnet.producer import Producer
from bonds.chain.devnet.seed import account_cells, party_address, token_key
from bonds.chain.devnet.signer import Signer, token_update, transfer
from bonds.chain.devnet.state import StateAt
from bonds.chain.devnet.switches import Switches
from bonds.chain.devnet.token_module import amount_cbor, holder_cbor

SERVICE = "devnet.v1.Control"
VERBS = (
    "mint",
    "transfer_lots",
    "burn_lots",
    "set_registry",
    "create_accounts",
    "fund_plt",
    "take_plt",
    "foreign_use",
    "pause_token",
    "set_list",
    "set_ccd",
    "balances",
    "lots",
)


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


class Control(ContractVerbs):
    """The verbs. Each takes and returns what JSON can hold."""

    def __init__(self, chain: Chain, producer: Producer, nodes: Nodes) -> None:
        self.chain = chain
        self.operator = Operator(chain)
        self.verbs: Mapping[str, Callable[[Request], Any]] = {
            **{name: getattr(self, name) for name in (*VERBS, *self.CONTRACT_VERBS)},
            **Switches(chain, producer, nodes).verbs,
        }

    # ---- contracts ------------------------------------------------------------------------------------------------

    def mint(self, request: Request) -> Any:
        return self._lots(request, "mint")

    def burn_lots(self, request: Request) -> Any:
        return self._lots(request, "burn")

    def _lots(self, request: Request, entrypoint: str) -> Any:
        lots = [(int(lot["token_id"]), int(lot["amount"]), address_of(lot["owner"])) for lot in request["lots"]]
        with self.chain.changed:
            minted = (token_id for token_id, _, _ in lots if entrypoint == "mint")
            fresh = self.operator.new_token_ids(request["contract"], minted)
            return self._send(request, self.operator.lots(request["contract"], entrypoint, lots), fresh.items())

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
        holders = [address_of(address) for address in request["addresses"]]
        return self._send(request, self.operator.registry(request["contract"], request["state"], holders))

    def lots(self, request: Request) -> Any:
        """Every lot of a contract in the last block: [{owner, token_id, amount}]."""
        view, found = self._head(), []
        for key in view.keys("lot"):
            _, contract, token_id, holder = key.split("/")
            if int(contract) == request["contract"]:
                owner = party_address(holder)
                named = str(owner) if isinstance(owner, ContractAddress) else address_text(owner)
                found.append({"owner": named, "token_id": int(token_id), "amount": view.get(key)})
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
                account = Account(address=item["address"], micro_ccd=whole(request, "micro_ccd", default=0), keys=keys)
                name = f"account/{identity(address_bytes(account.address))}"
                if view.get(name) is None and name not in cells:
                    cells.update(account_cells(account, index=index))
                    index += 1
            return _height(self.chain.issue([], extra=cells.items(), at_ms=_at(request)))

    def set_ccd(self, request: Request) -> Any:
        """Give an account exactly this much CCD, or take it away."""
        name, amount = self._account(request, "address"), whole(request, "micro_ccd")
        return _height(self.chain.issue([], extra=[(f"ccd/{name}", amount)], at_ms=_at(request)))

    def fund_plt(self, request: Request) -> Any:
        """Mint to the governance account and send it on: two operations of one real transaction."""
        token = self._token(request["token_id"])
        amount = amount_cbor(int(request["units"]), token["decimals"])
        recipient = holder_cbor(address_bytes(request["address"]))
        operations = [{"mint": {"amount": amount}}, {"transfer": {"amount": amount, "recipient": recipient}}]
        return self._govern(request, operations)

    def take_plt(self, request: Request) -> Any:
        """Move units from an account to the token's governance account without any transaction: nobody signed, no number is used."""
        token, name, units = (
            self._token(text(request, "token_id")),
            self._account(request, "address"),
            whole(request, "units"),
        )
        with self.chain.changed:
            view, key = self._head(), token_key(token["token_id"])
            source, target = f"balance/{key}/{name}", f"balance/{key}/{identity(bytes.fromhex(token['governance']))}"
            if view.get(source, 0) < units:
                raise ControlError(f"units: the account holds {view.get(source, 0)}, less than {units}")
            if source == target:
                raise ControlError("address: what is taken goes to this account")
            cells = [(source, view.get(source, 0) - units), (target, view.get(target, 0) + units)]
            return _height(self.chain.issue([], extra=cells))

    def foreign_use(self, request: Request) -> Any:
        """Somebody else uses the account's next number: pays units to a recipient, in a final block at once.

        What we had sent with that number is forgotten. The signature is not the account's: the block makers stand in for a stolen key.
        """
        token, units = self._token(text(request, "token_id")), whole(request, "units")
        name, _ = self._account(request, "address"), self._account(request, "recipient")
        recipient = address_bytes(request["recipient"])
        payload, energy = token_update(token["token_id"], [transfer(recipient, units, token["decimals"])])
        thief = Signer(text(request, "address"), {0: {0: self.chain.genesis.operator_seed}})
        with self.chain.changed:
            raw = thief.item(
                payload,
                sequence_number=self._head().get(f"nonce/{name}"),
                energy=energy,
                expiry=self.chain.now_ms() // 1000 + EXPIRY_SECONDS,
            )
            return _height(self.chain.issue([parse_block_item(raw)]))

    def pause_token(self, request: Request) -> Any:
        return self._govern(request, [{"pause" if flag(request, "paused") else "unpause": {}}])

    def set_list(self, request: Request) -> Any:
        """Put an account on the token's allow or deny list, or take it off."""
        which = text(request, "list")
        if which not in ("allow", "deny"):
            raise ControlError(f"list: allow or deny, not {which!r}")
        self._account(request, "address")
        name = f"{'add' if flag(request, 'listed') else 'remove'}{which.capitalize()}List"
        return self._govern(request, [{name: {"target": holder_cbor(address_bytes(request["address"]))}}])

    def balances(self, request: Request) -> Any:
        """PLT balances in the last block: of the accounts asked for, or of all that ever held the token."""
        key, view = token_key(self._token(request["token_id"])["token_id"]), self._head()
        if request.get("addresses") is not None:
            names = {address: identity(address_bytes(address)) for address in request["addresses"]}
            return {"balances": {address: view.get(f"balance/{key}/{name}", 0) for address, name in names.items()}}
        found = {}
        for cell in view.keys("balance"):
            _, token, name = cell.split("/")
            if token == key:
                found[address_text(bytes.fromhex(view.get(f"account/{name}")["address"]))] = view.get(cell)
        return {"balances": found, "supply": view.get(f"supply/{key}", 0)}

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _head(self) -> StateAt:
        return self.chain.state_at(self.chain.head.height)

    def _token(self, token_id: str) -> Mapping[str, Any]:
        token = self._head().get(f"token/{token_key(token_id)}")
        if token is None:
            raise ControlError(f"token_id: no token {token_id}")
        return token

    def _account(self, request: Request, field: str) -> str:
        """The identity of the account a field names."""
        address = text(request, field)
        try:
            name = identity(address_bytes(address))
        except EncodingError as error:
            raise ControlError(f"{field}: {error}") from error
        if self._head().get(f"account/{name}") is None:
            raise ControlError(f"{field}: no account {address}")
        return name

    def _govern(self, request: Request, operations: list[dict[str, Any]]) -> Any:
        token = self._token(text(request, "token_id"))
        return self._issue([token_update(token["token_id"], operations)], _at(request))

    def _send(self, request: Request, payloads: list[tuple[bytes, int]], extra: Iterable[tuple[str, Any]] = ()) -> Any:
        return self._issue(payloads, _at(request), extra)

    def _issue(
        self, payloads: list[tuple[bytes, int]], at_ms: int | None, extra: Iterable[tuple[str, Any]] = ()
    ) -> Any:
        with self.chain.changed:
            transactions = self.operator.sign(payloads)
            block = self.chain.issue(transactions, extra=extra, at_ms=at_ms)
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
