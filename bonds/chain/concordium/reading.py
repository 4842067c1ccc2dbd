"""The reading side of the gateway over the nodes' gRPC API: accounts, tokens, contract views, blocks. Stores nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import grpc

from bonds.chain.concordium import addresses, tokens, views
from bonds.chain.concordium.client import Endpoint, NodeRefused
from bonds.chain.concordium.events import EventReader, SourceModules
from bonds.chain.concordium.modules import Modules
from bonds.chain.concordium.nodes import (
    LAST_FINAL,
    Nodes,
    account_info,
    at_height,
    block_info,
    given,
    head_of,
    require_aware,
)
from bonds.chain.concordium.values import encode_address
from bonds.chain.gateway import (
    Block,
    ChainMisconfigured,
    ChainRefused,
    ChainUnavailable,
    Contract,
    Head,
    RegistryState,
    Token,
)
from bonds.chain.wire import node_pb2

BLOCKS_PER_ROUND = 50


class Reading:
    """Every method may raise ChainUnavailable. `modules`: which interface a contract's module speaks."""

    def __init__(self, nodes: Nodes, modules: Modules) -> None:
        self._nodes = nodes
        self._modules = modules

    def head(self) -> Head:
        return self._nodes.client.on_any(self._nodes.fresh_head)

    def token(self, token_id: str) -> Token:
        request = node_pb2.TokenInfoRequest(block_hash=LAST_FINAL, token_id=node_pb2.Str(value=token_id))
        info = self._nodes.on_fresh(lambda endpoint: endpoint.unary("GetTokenInfo", request))
        state = info.token_state
        try:
            module_state = tokens.decode_token_state(state.module_state.value)
        except ValueError as error:
            raise ChainRefused(f"the state of token {token_id} cannot be read: {error}") from None
        return Token(
            token_id=info.token_id.value,
            decimals=state.decimals,
            total_supply_units=state.total_supply.value,
            name=str(module_state.get("name", "")),
            paused=module_state.get("paused") is True,
        )

    # ---- accounts ----

    def _final_account(self, account: str) -> Any:
        decoded = addresses.decode(account)
        return self._nodes.on_fresh(lambda endpoint: account_info(endpoint, decoded, LAST_FINAL))

    def token_balance_units(self, account: str, token_id: str) -> int:
        for token in self._final_account(account).tokens:
            if token.token_id.value.lower() == token_id.lower():
                return int(token.token_account_state.balance.value)
        return 0

    def fee_balance_microccd(self, account: str) -> int:
        """What the account can spend: staked and scheduled CCD left out."""
        info = self._final_account(account)
        return int(info.available_balance.value if info.HasField("available_balance") else info.amount.value)

    # ---- contracts ----

    def registry_states(
        self, registry: Contract, addresses: Sequence[str], block_hash: str
    ) -> Mapping[str, RegistryState]:
        """Asks the registry's own view for each address as spelt: `isVerified` (yes is whitelisted, no is not in the
        registry; such a registry knows no blacklist) or `getAddressState`, by the module it runs at that block.

        ChainRefused naming the address for which the contract gives no answer; then nothing is known of any.
        ChainMisconfigured for a contract that is no known registry. ValueError for a malformed address.
        """
        parameters = {address: encode_address(address) for address in addresses}  # what either view takes
        block = given(bytes.fromhex(block_hash))

        def ask(endpoint: Endpoint) -> dict[str, RegistryState]:
            block_info(endpoint, block)
            instance = views.instance(endpoint, registry, block)
            return views.registry_states(endpoint, instance, parameters, block, self._modules)

        return self._nodes.client.on_any(ask) if parameters else {}

    def lot_balances(
        self, contract: Contract, lots: Sequence[tuple[str, int]], block_hash: str
    ) -> Mapping[tuple[str, int], int]:
        """Asks `balanceOf`: frozen and unfrozen together. 0 also for a token id the contract does not know.

        ChainRefused naming token id and holders for which there is no answer. ChainMisconfigured for a contract that is
        no known bond token. ValueError for a malformed holder or a token id beyond u64.
        """
        queries = views.lots_queries(lots)
        block = given(bytes.fromhex(block_hash))

        def ask(endpoint: Endpoint) -> dict[tuple[str, int], int]:
            block_info(endpoint, block)
            instance = views.instance(endpoint, contract, block)
            return views.lot_balances(endpoint, instance, queries, block, self._modules)

        return self._nodes.client.on_any(ask) if queries else {}

    def has_contract(self, contract: Contract, height: int) -> bool:
        def ask(endpoint: Endpoint) -> bool:
            block_info(endpoint, at_height(height))
            try:
                views.instance(endpoint, contract, at_height(height))
            except NodeRefused as error:
                if error.code is grpc.StatusCode.NOT_FOUND:
                    return False
                raise
            return True

        return self._nodes.on_fresh(ask)

    # ---- blocks ----

    def blocks(self, first_height: int, last_height: int, contracts: Sequence[Contract]) -> Iterator[Block]:
        """ChainUnavailable while a height is not final at any node; ChainMisconfigured when two answers do not join into
        one chain. All blocks before the fault have been given by then. An event that cannot be read is in its block as
        `unread`, and stops nothing."""
        wanted = frozenset(contracts)
        parent_hash = ""  # of the block that is being read
        sources = SourceModules(lambda contract: self._source_module(contract, parent_hash))
        reader = EventReader(wanted, self._modules, sources)
        previous: str | None = None
        for info, summaries in self._fetched(first_height, last_height, wanted):
            parent_hash = info.parent_block.value.hex()
            if previous is not None and parent_hash != previous:
                head = head_of(info)
                raise ChainMisconfigured(f"block {head.block_hash} at {head.height} is not a child of {previous}")
            block = _block(info, summaries, reader)
            previous = block.block_hash
            yield block

    def _fetched(
        self, first_height: int, last_height: int, wanted: Collection[Contract]
    ) -> Iterator[tuple[Any, list[Any]]]:
        for start in range(first_height, last_height + 1, BLOCKS_PER_ROUND):
            heights = range(start, min(start + BLOCKS_PER_ROUND, last_height + 1))
            yield from self._nodes.client.on_any(partial(_fetch, heights=heights, with_events=bool(wanted)))

    def _source_module(self, contract: Contract, block_hash: str) -> str:
        """The module reference of a contract that has just emitted, as it was after the block before."""
        block = given(bytes.fromhex(block_hash))

        def ask(endpoint: Endpoint) -> str:
            block_info(endpoint, block)
            return views.instance(endpoint, contract, block).module_ref

        return self._nodes.client.on_any(ask)

    def last_block_at(self, moment: datetime) -> Head:
        """By bisection over heights: about 26 calls on a chain of 50 million blocks."""
        require_aware(moment)
        return self._nodes.client.on_any(lambda endpoint: _bisect(endpoint, moment))


def _fetch(endpoint: Endpoint, heights: range, with_events: bool) -> list[tuple[Any, list[Any]]]:
    """Block infos of these heights in order, with the transactions of each where they are wanted and there are any."""
    infos = []
    for height, info in zip(heights, endpoint.many("GetBlockInfo", map(at_height, heights)), strict=True):
        if isinstance(info, NodeRefused) or not info.finalized or info.height.value != height:
            raise ChainUnavailable(f"{endpoint.address}: no finalised block at height {height} yet")
        infos.append(info)
    hashes = [info.hash.value for info in infos if with_events and info.transaction_count]
    summaries = dict(zip(hashes, endpoint.streams("GetBlockTransactionEvents", map(given, hashes)), strict=True))
    return [(info, summaries.get(info.hash.value, [])) for info in infos]


def _block(info: Any, summaries: list[Any], reader: EventReader) -> Block:
    events = reader.read(sorted(summaries, key=lambda summary: summary.index.value))
    head = head_of(info)
    return Block(
        height=head.height,
        block_hash=head.block_hash,
        parent_hash=info.parent_block.value.hex(),
        time=head.time,
        events=tuple(events.lots),
        fund_events=tuple(events.funds),
        registry_events=tuple(events.registries),
        unread=tuple(events.unread),
    )


def _bisect(endpoint: Endpoint, moment: datetime) -> Head:
    high = head_of(block_info(endpoint, LAST_FINAL))
    if high.time <= moment:
        # A later block may still qualify, here or at a node that lags less: only a block after the moment settles it.
        raise ChainUnavailable(f"{endpoint.address}: its last finalised block is not yet after {moment.isoformat()}")
    low = head_of(block_info(endpoint, at_height(0)))
    if low.time > moment:
        raise ChainRefused(f"the chain began at {low.time.isoformat()}, after {moment.isoformat()}")
    while high.height - low.height > 1:
        middle = head_of(block_info(endpoint, at_height((low.height + high.height) // 2)))
        low, high = (middle, high) if middle.time <= moment else (low, middle)
    return low
