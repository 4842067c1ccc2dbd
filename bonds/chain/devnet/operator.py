"""Issues what the network's operator does: minting, registering, funding, pausing. Must never act for another account."""

from collections.abc import Sequence

from bonds.chain.devnet import contracts, signer
from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.encoding import Address, ContractAddress, identity
from bonds.chain.devnet.parse import Transaction, parse_block_item

ITEMS_PER_CALL = 1000  # 52 bytes at most each, in a parameter of at most 65,535
TRANSFERS_PER_CALL = 700  # 85 bytes at most each
EXPIRY_SECONDS = 3600


class Operator:
    """The account a genesis names as operator, with its key."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._signer = signer.Signer(chain.genesis.operator, {0: {0: chain.genesis.operator_seed}})

    def sign(self, payloads: Sequence[tuple[bytes, int]]) -> list[Transaction]:
        """Transactions with the operator's next numbers: (payload, energy to execute) each. Use at once, under the chain's lock."""
        number, _ = self.chain.next_number(identity(self._signer.address))
        expiry = self.chain.now_ms() // 1000 + EXPIRY_SECONDS
        return [
            parse_block_item(self._signer.item(payload, sequence_number=number + n, energy=energy, expiry=expiry))
            for n, (payload, energy) in enumerate(payloads)
        ]

    def call(self, contract: int, entrypoint: str, parameter: bytes, *, items: int) -> tuple[bytes, int]:
        """Payload and energy of a call of one of the network's contracts. ValueError when there is no such contract."""
        instance = self.chain.state_at(self.chain.head.height).get(f"contract/{contract}")
        if instance is None:
            raise ValueError(f"no contract {ContractAddress(contract)}")
        payload = signer.contract_update(contract, f"{instance['name']}.{entrypoint}", parameter)
        return payload, contracts.CALL_ENERGY + contracts.ITEM_ENERGY * items

    def lots(self, contract: int, entrypoint: str, lots: Sequence[tuple[int, int, Address]]) -> list[tuple[bytes, int]]:
        """Calls of mint or burn, as many as the lots need."""
        pieces = [list(lots[n : n + ITEMS_PER_CALL]) for n in range(0, len(lots), ITEMS_PER_CALL)]
        return [self.call(contract, entrypoint, contracts.lots_parameter(piece), items=len(piece)) for piece in pieces]
