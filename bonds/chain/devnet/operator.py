"""Issues what the network's operator does: minting, registering, funding, pausing. Must never act for another account."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bonds.chain.devnet import contracts, signer
from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.contracts import parameters
from bonds.chain.devnet.encoding import Address, ContractAddress, identity
from bonds.chain.devnet.parse import Transaction, parse_block_item

ITEMS_PER_CALL = 1000  # 52 bytes at most each, in a parameter of at most 65,535
TRANSFERS_PER_CALL = 700  # 85 bytes at most each
INVESTMENTS_PER_CALL = 700  # 77 bytes at most each
EXPIRY_SECONDS = 3600

Call = tuple[bytes, int]  # a payload and the energy its execution may use


class Operator:
    """The account a genesis names as operator, with its key."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._signer = signer.Signer(chain.genesis.operator, {0: {0: chain.genesis.operator_seed}})

    @property
    def address(self) -> bytes:
        return self._signer.address

    def sign(self, payloads: Sequence[Call]) -> list[Transaction]:
        """Transactions with the operator's next numbers: (payload, energy to execute) each. Use at once, under the chain's lock."""
        number, _ = self.chain.next_number(identity(self._signer.address))
        expiry = self.chain.now_ms() // 1000 + EXPIRY_SECONDS
        return [
            parse_block_item(self._signer.item(payload, sequence_number=number + n, energy=energy, expiry=expiry))
            for n, (payload, energy) in enumerate(payloads)
        ]

    def instance(self, contract: int) -> Mapping[str, Any]:
        """One of the network's contracts. ValueError when there is no such one."""
        instance = self.chain.state_at(self.chain.head.height).get(f"contract/{contract}")
        if instance is None:
            raise ValueError(f"no contract {ContractAddress(contract)}")
        return instance

    def call(self, contract: int, entrypoint: str, parameter: bytes, *, items: int, calls: int = 0) -> Call:
        """A call of one of the network's contracts with so many `items`, each of which makes it call other contracts `calls` times."""
        payload = signer.contract_update(contract, f"{self.instance(contract)['name']}.{entrypoint}", parameter)
        inner = calls * (contracts.CALL_ENERGY + contracts.ITEM_ENERGY)
        return payload, contracts.CALL_ENERGY + items * (contracts.ITEM_ENERGY + inner)

    def lots(self, contract: int, entrypoint: str, lots: Sequence[tuple[int, int, Address]]) -> list[Call]:
        """Calls of mint or burn, as many as the (token id, amount, owner) need."""
        if entrypoint == "mint":
            return self.mint(contract, [(token_id, amount, 0, owner) for token_id, amount, owner in lots])
        return [
            self.call(contract, entrypoint, parameters.lots_parameter(piece), items=len(piece))
            for piece in _pieces(lots, ITEMS_PER_CALL)
        ]

    def mint(self, contract: int, lots: Iterable[tuple[int, int, int, Address]]) -> list[Call]:
        """Calls of mint for (token id, amount, frozen part of it, owner): one token id each, at least."""
        by_token: dict[int, list[tuple[Address, int, int]]] = {}
        for token_id, amount, frozen, owner in lots:
            by_token.setdefault(token_id, []).append((owner, frozen, amount - frozen))
        return [
            self.call(contract, "mint", parameters.mint_parameter(token_id, piece), items=len(piece))
            for token_id, owners in by_token.items()
            for piece in _pieces(owners, ITEMS_PER_CALL)
        ]

    def new_token_ids(self, contract: int, token_ids: Iterable[int]) -> dict[str, int]:
        """The cells of those token ids the contract does not know yet, as if each had been added. Use at once, under the chain's lock."""
        view = self.chain.state_at(self.chain.head.height)
        cells = {f"supplied/{contract}/{token_id}": 0 for token_id in token_ids}
        return {cell: supply for cell, supply in cells.items() if view.get(cell) is None}

    def registry(self, contract: int, state: str, holders: Sequence[Address]) -> list[Call]:
        """Calls that put holders into one state, in either kind of registry."""
        return [
            self.call(contract, "devnetSetStates", parameters.registry_parameter(state, piece), items=len(piece))
            for piece in _pieces(holders, ITEMS_PER_CALL)
        ]

    def invest(
        self, fund: int, security: parameters.Security, investments: Sequence[tuple[bytes, int, int]]
    ) -> list[Call]:
        """Calls of devnetInvest for (investor, security amount, currency amount)."""
        return [
            self.call(
                fund, "devnetInvest", parameters.investments_parameter(security, piece), items=len(piece), calls=1
            )
            for piece in _pieces(investments, INVESTMENTS_PER_CALL)
        ]

    def claim(self, fund: int, security: parameters.Security, investors: Sequence[bytes]) -> list[Call]:
        """Calls of claimInvestment: claims or refunds, as the fund's state has it."""
        return [
            self.call(fund, "claimInvestment", parameters.claims_parameter(security, piece), items=len(piece), calls=2)
            for piece in _pieces(investors, INVESTMENTS_PER_CALL)
        ]


def _pieces(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[n : n + size] for n in range(0, len(items), size)]
