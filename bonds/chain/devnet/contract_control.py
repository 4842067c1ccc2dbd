"""The control service's verbs about contracts: instances, agents, token ids, frozen lots, recovery, funds. Each asks a contract for it.

Addresses are text (base58, or "<index,subindex>"), amounts whole numbers. Every verb that changes something sends the operator's own
transactions, so a contract refuses it as it would refuse anybody; only `create_contract` writes state, as if the instance had been there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bonds.chain.devnet.contracts import ROLE_COUNT, parameters
from bonds.chain.devnet.contracts.call import FUND, TOKEN
from bonds.chain.devnet.contracts.rights import Role
from bonds.chain.devnet.encoding import ContractAddress, EncodingError, address_of, address_text
from bonds.chain.devnet.network import Contract
from bonds.chain.devnet.operator import Call, Operator
from bonds.chain.devnet.seed import contract_cells

Request = Mapping[str, Any]
PRESALE_ROLES, POSTSALE_ROLES = (Role.MINT, Role.FORCED_BURN, Role.UNFREEZE), (Role.MINT, Role.UNFREEZE)


class ContractVerbs:
    """A part of the control service: the whole gives it an operator and a way to send."""

    operator: Operator

    CONTRACT_VERBS = (
        "create_contract",
        "set_agent",
        "add_token_ids",
        "mint_frozen",
        "freeze_lots",
        "pause_lots",
        "recover",
        "add_fund",
        "invest",
        "set_fund_state",
        "claim",
        "investments",
    )

    def _send(self, request: Request, payloads: list[Call], extra: Iterable[tuple[str, Any]] = ()) -> Any:
        raise NotImplementedError

    # ---- instances and their agents -------------------------------------------------------------------------------

    def create_contract(self, request: Request) -> Any:
        """A new instance of `kind` at `contract`, owned by the operator; `agents` hold every role."""
        with self.operator.chain.changed:
            view = self.operator.chain.state_at(self.operator.chain.head.height)
            index = int(request["contract"])
            if view.get(f"contract/{index}") is not None:
                raise ValueError(f"contract {ContractAddress(index)} is there already")
            known = {key.partition("/")[2] for key in view.keys("account")}
            contract = Contract(
                index=index,
                kind=request["kind"],
                owner=address_text(self.operator.address),
                name=request.get("name", ""),
                module_ref=request.get("module_ref", ""),
                agents=tuple(request.get("agents", ())),
            )
            return self._send(request, [], contract_cells(contract, known).items())

    def set_agent(self, request: Request) -> Any:
        """Make an address an agent of a token or a fund with exactly these roles (all where none are named), or no agent at all."""
        contract = int(request["contract"])
        kind = self.operator.instance(contract)["kind"]
        if kind not in (TOKEN, FUND):
            raise ValueError("only the agents of a token or a fund have roles")
        agent = address_of(request["address"])
        roles = request.get("roles")
        wanted = range(ROLE_COUNT[kind]) if roles is None else roles
        return self._send(request, [self._one(contract, "addAgent", parameters.agent_parameter(agent, wanted))])

    # ---- lots -----------------------------------------------------------------------------------------------------

    def add_token_ids(self, request: Request) -> Any:
        """Announce token ids to a bond token, so that others than the operator can mint them."""
        contract = int(request["contract"])
        return self._send(request, [self._add_token(contract, int(token_id)) for token_id in request["token_ids"]])

    def mint_frozen(self, request: Request) -> Any:
        """Mint lots of which the part `frozen` is frozen."""
        contract = int(request["contract"])
        lots = [
            (int(lot["token_id"]), int(lot["amount"]), int(lot["frozen"]), address_of(lot["owner"]))
            for lot in request["lots"]
        ]
        with self.operator.chain.changed:
            fresh = self.operator.new_token_ids(contract, (lot[0] for lot in lots))
            return self._send(request, self.operator.mint(contract, lots), fresh.items())

    def freeze_lots(self, request: Request) -> Any:
        """Freeze or unfreeze amounts of holders' lots."""
        entrypoint = "freeze" if request["frozen"] else "unFreeze"
        by_owner: dict[str, list[tuple[int, int]]] = {}
        for lot in request["lots"]:
            by_owner.setdefault(lot["owner"], []).append((int(lot["token_id"]), int(lot["amount"])))
        contract = int(request["contract"])
        calls = [
            self._one(contract, entrypoint, parameters.freeze_parameter(address_of(owner), lots), items=len(lots))
            for owner, lots in by_owner.items()
        ]
        return self._send(request, calls)

    def pause_lots(self, request: Request) -> Any:
        """Pause or unpause token ids of a bond token."""
        token_ids = [int(token_id) for token_id in request["token_ids"]]
        entrypoint = "pause" if request["paused"] else "unPause"
        call = self._one(int(request["contract"]), entrypoint, parameters.token_ids_parameter(token_ids))
        return self._send(request, [call])

    def recover(self, request: Request) -> Any:
        """Hand everything of a lost address to a new one."""
        parameter = parameters.recover_parameter(address_of(request["lost"]), address_of(request["new"]))
        return self._send(request, [self._one(int(request["contract"]), "recover", parameter)])

    # ---- funds ----------------------------------------------------------------------------------------------------

    def add_fund(self, request: Request) -> Any:
        """Let a fund sell lots: announce the token ids to both tokens, make the fund their agent, add what it sells."""
        fund = int(request["fund"])
        presale, security = _security(request["presale"]), _security(request["security"])
        calls = [self._add_token(token.index, token_id) for token, token_id in dict.fromkeys((presale, security))]
        roles = {security[0].index: POSTSALE_ROLES} | {presale[0].index: PRESALE_ROLES}
        agent = ContractAddress(fund)
        for token, wanted in roles.items():
            calls.append(self._one(token, "addAgent", parameters.agent_parameter(agent, wanted)))
        calls.append(self._one(fund, "addFund", parameters.add_fund_parameter(presale, security)))
        return self._send(request, calls)

    def invest(self, request: Request) -> Any:
        """Investments as the currency token would report them: investor, security amount, currency amount each."""
        investments = [
            (_account(item["investor"]), int(item["security_amount"]), int(item["currency_amount"]))
            for item in request["investments"]
        ]
        return self._send(
            request, self.operator.invest(int(request["fund"]), _security(request["security"]), investments)
        )

    def set_fund_state(self, request: Request) -> Any:
        """End a fund: with success when `receiver` is named, else with failure."""
        receiver = request.get("receiver")
        parameter = parameters.fund_state_parameter(
            _security(request["security"]), None if receiver is None else address_of(receiver)
        )
        return self._send(request, [self._one(int(request["fund"]), "updateFundState", parameter)])

    def claim(self, request: Request) -> Any:
        """Settle investments as the operator: claims after success, refunds after failure."""
        investors = [_account(text) for text in request["investors"]]
        return self._send(request, self.operator.claim(int(request["fund"]), _security(request["security"]), investors))

    def investments(self, request: Request) -> Any:
        """Every unsettled investment of a fund in the last block."""
        view = self.operator.chain.state_at(self.operator.chain.head.height)
        found = []
        for key in view.keys("invested"):
            _, fund, contract, token_id, investor = key.split("/")
            if int(fund) == request["fund"]:
                amounts = view.get(key)
                found.append(
                    {
                        "contract": int(contract.partition(".")[0]),
                        "token_id": int(token_id),
                        "investor": address_text(bytes.fromhex(investor)),
                        "security_amount": amounts[0],
                        "currency_amount": amounts[1],
                    }
                )
        return {"investments": found}

    # ---- shared ---------------------------------------------------------------------------------------------------

    def _one(self, contract: int, entrypoint: str, parameter: bytes, *, items: int = 1) -> Call:
        return self.operator.call(contract, entrypoint, parameter, items=items)

    def _add_token(self, contract: int, token_id: int) -> Call:
        return self._one(contract, "addToken", parameters.add_token_parameter(token_id))


def _security(value: Sequence[Any]) -> parameters.Security:
    """[contract index, token id]"""
    contract, token_id = value
    return ContractAddress(int(contract)), int(token_id)


def _account(text: str) -> bytes:
    address = address_of(text)
    if isinstance(address, ContractAddress):
        raise EncodingError("only accounts invest")
    return address
