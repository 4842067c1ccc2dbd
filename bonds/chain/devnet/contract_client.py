"""The contract verbs of the devnet's control client. Needs nothing of the node's own code, and the product must never use it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

Security = tuple[int, int]  # what a fund sells: index of the token contract, token id


class ContractCalls:
    """A part of `DevnetControl`. Each verb returns the height of the block it made, already final; a refusal makes no block."""

    def _height(self, verb: str, **request: Any) -> int:
        raise NotImplementedError

    def _call(self, verb: str, **request: Any) -> Any:
        raise NotImplementedError

    def create_contract(
        self, contract: int, kind: str, *, agents: Sequence[str] = (), name: str = "", module_ref: str = ""
    ) -> int:
        """A new instance, owned by the operator. `kind`: token, fund, registry or state_registry (whitelist and blacklist)."""
        return self._height(
            "create_contract", contract=contract, kind=kind, agents=list(agents), name=name, module_ref=module_ref
        )

    def set_agent(self, contract: int, address: str, roles: Sequence[int] | None = None) -> int:
        """The address has exactly these roles of a token or fund from now on; without `roles`, all of them."""
        wanted = None if roles is None else [int(role) for role in roles]
        return self._height("set_agent", contract=contract, address=address, roles=wanted)

    def add_token_ids(self, contract: int, token_ids: Iterable[int]) -> int:
        return self._height("add_token_ids", contract=contract, token_ids=list(token_ids))

    def mint_frozen(
        self, contract: int, lots: Iterable[tuple[str, int, int, int]], *, at: datetime | None = None
    ) -> int:
        """(owner, token id, amount, frozen part of it) each."""
        items = [
            {"owner": owner, "token_id": token_id, "amount": amount, "frozen": frozen}
            for owner, token_id, amount, frozen in lots
        ]
        return self._height("mint_frozen", contract=contract, lots=items, at=_text(at))

    def freeze_lots(self, contract: int, lots: Iterable[tuple[str, int, int]], frozen: bool = True) -> int:
        """(owner, token id, amount) each; `frozen` False unfreezes."""
        items = [{"owner": owner, "token_id": token_id, "amount": amount} for owner, token_id, amount in lots]
        return self._height("freeze_lots", contract=contract, lots=items, frozen=frozen)

    def pause_lots(self, contract: int, token_ids: Iterable[int], paused: bool = True) -> int:
        return self._height("pause_lots", contract=contract, token_ids=list(token_ids), paused=paused)

    def recover(self, contract: int, lost: str, new: str) -> int:
        """Everything of `lost` becomes `new`'s, who must be unknown to the contract."""
        return self._height("recover", contract=contract, lost=lost, new=new)

    # ---- funds ----------------------------------------------------------------------------------------------------

    def add_fund(self, fund: int, *, presale: Security, security: Security) -> int:
        """Let the fund contract sell `security`, with `presale` for its investors until they claim."""
        return self._height("add_fund", fund=fund, presale=list(presale), security=list(security))

    def invest(
        self,
        fund: int,
        security: Security,
        investments: Iterable[tuple[str, int, int]],
        *,
        at: datetime | None = None,
    ) -> int:
        """(investor, security amount, currency amount) each."""
        items = [
            {"investor": investor, "security_amount": amount, "currency_amount": paid}
            for investor, amount, paid in investments
        ]
        return self._height("invest", fund=fund, security=list(security), investments=items, at=_text(at))

    def set_fund_state(self, fund: int, security: Security, *, receiver: str | None) -> int:
        """Success, with the receiver of the currency, or failure with None."""
        return self._height("set_fund_state", fund=fund, security=list(security), receiver=receiver)

    def claim(self, fund: int, security: Security, investors: Iterable[str]) -> int:
        """Claims after success, refunds after failure, all or none."""
        return self._height("claim", fund=fund, security=list(security), investors=list(investors))

    def investments(self, fund: int) -> list[tuple[Security, str, int, int]]:
        """Every unsettled investment in the last block: (security, investor, security amount, currency amount)."""
        return [
            ((item["contract"], item["token_id"]), item["investor"], item["security_amount"], item["currency_amount"])
            for item in self._call("investments", fund=fund)["investments"]
        ]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
