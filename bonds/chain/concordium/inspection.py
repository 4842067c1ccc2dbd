"""What one node says of its network, a token, an account and a contract, for a person who checks a configuration.

Only asks. There is nothing here that signs or sends, and no key is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from bonds.chain.concordium import addresses, contracts, outcomes, tokens, views
from bonds.chain.concordium.client import Endpoint
from bonds.chain.concordium.contracts import AgentRole, Module
from bonds.chain.concordium.modules import Modules, require
from bonds.chain.concordium.nodes import LAST_FINAL, account_info, block_info, given, head_of
from bonds.chain.gateway import ChainRefused, Contract, RegistryState
from bonds.chain.wire import node_pb2

FIRST_PROTOCOL_WITH_TOKENS = 9


@dataclass(frozen=True)
class TokenFacts:
    """A PLT at the block; `has_allow_list` and `has_deny_list`: which lists are in force."""

    token_id: str
    name: str
    decimals: int
    total_supply_units: int
    paused: bool
    has_allow_list: bool
    has_deny_list: bool


@dataclass(frozen=True)
class TokenHolding:
    balance_units: int
    is_allowed: bool
    is_denied: bool


@dataclass(frozen=True)
class AccountFacts:
    """`available_microccd` leaves out what is staked or scheduled. `holdings` by token id in lower case; an absent token is a zero
    balance on no list."""

    sequence_number: int
    available_microccd: int
    holdings: Mapping[str, TokenHolding]

    def holding(self, token_id: str) -> TokenHolding:
        return self.holdings.get(token_id.lower(), TokenHolding(0, is_allowed=False, is_denied=False))


class NodeInspection:
    """One node, asked about one block: its last finalised one when this was made, so that all answers fit together.

    Every method raises what Endpoint raises: ChainUnavailable for no answer, ChainRefused for what does not exist.
    """

    def __init__(self, endpoint: Endpoint, modules: Modules) -> None:
        consensus = endpoint.unary("GetConsensusInfo", node_pb2.Empty())
        self.genesis_hash: str = consensus.genesis_block.value.hex()
        self.protocol_version = int(consensus.protocol_version) + 1  # the enum counts from 0
        self.head = head_of(block_info(endpoint, LAST_FINAL))
        self._endpoint = endpoint
        self._modules = modules
        self._block = given(bytes.fromhex(self.head.block_hash))

    def token(self, token_id: str) -> TokenFacts:
        request = node_pb2.TokenInfoRequest(block_hash=self._block, token_id=node_pb2.Str(value=token_id))
        info = self._endpoint.unary("GetTokenInfo", request)
        state = _module_state(info.token_state.module_state.value, f"the state of token {token_id}")
        return TokenFacts(
            token_id=info.token_id.value,
            name=str(state.get("name", "")),
            decimals=info.token_state.decimals,
            total_supply_units=info.token_state.total_supply.value,
            paused=state.get("paused") is True,
            has_allow_list=state.get("allowList") is True,
            has_deny_list=state.get("denyList") is True,
        )

    def account(self, address: str) -> AccountFacts:
        """ValueError for a malformed address."""
        info = account_info(self._endpoint, addresses.decode(address), self._block)
        available = info.available_balance if info.HasField("available_balance") else info.amount
        holdings = {}
        for token in info.tokens:
            state = _module_state(token.token_account_state.module_state.value, f"the state of {address}")
            holdings[token.token_id.value.lower()] = TokenHolding(
                balance_units=token.token_account_state.balance.value,
                is_allowed=state.get("allowList") is True,
                is_denied=state.get("denyList") is True,
            )
        return AccountFacts(info.sequence_number.value, available.value, holdings)

    def cost_microccd(self, energy: int) -> int:
        """What that much energy costs at the block's exchange rates, rounded up."""
        parameters = self._endpoint.unary("GetBlockChainParameters", self._block)
        version = parameters.WhichOneof("parameters")
        if version not in ("v2", "v3"):
            raise ChainRefused("the chain's parameters are of a version this product does not know")
        current = getattr(parameters, version)
        cost = Fraction(energy)
        for rate in (current.euro_per_energy.value, current.micro_ccd_per_euro.value):
            if not rate.denominator:
                raise ChainRefused("the chain's parameters give no exchange rate")
            cost *= Fraction(rate.numerator, rate.denominator)
        return ceil(cost)

    # ---- contracts ----

    def module_ref(self, contract: Contract) -> str:
        return views.instance(self._endpoint, contract, self._block).module_ref

    def interface(self, contract: Contract, wanted: Sequence[Module]) -> Module:
        """The interface the contract's module speaks. ChainMisconfigured when CHAIN_MODULES names none or another."""
        return require(self._modules, contract, self.module_ref(contract), wanted)

    def registry_state(self, registry: Contract, address: str) -> RegistryState:
        """What the registry itself answers for the address."""
        instance = views.instance(self._endpoint, registry, self._block)
        parameters = {address: contracts.is_verified_parameter(address)}
        return views.registry_states(self._endpoint, instance, parameters, self._block, self._modules)[address]

    def has_roles(self, token: Contract, address: str, roles: Sequence[AgentRole]) -> bool:
        """Whether the bond token counts the address as an agent with all of these roles (`isAgent`)."""
        instance = views.instance(self._endpoint, token, self._block)
        request = node_pb2.InvokeInstanceRequest(
            block_hash=self._block,
            instance=node_pb2.ContractAddress(index=token.index, subindex=token.subindex),
            amount=node_pb2.U64(value=0),
            entrypoint=node_pb2.Str(value=f"{instance.name}.isAgent"),
            parameter=node_pb2.Bytes(value=contracts.is_agent_parameter(address, roles)),
            energy=node_pb2.U64(value=views.READ_CALL_ENERGY),
        )
        answer = self._endpoint.unary("InvokeInstance", request)
        if answer.WhichOneof("result") != "success":
            reason = outcomes.rejection(answer.failure.reason)
            raise ChainRefused(f"isAgent gives no answer: {reason.reason} {reason.detail}".rstrip())
        try:
            return contracts.read_bool(answer.success.return_value)
        except ValueError as error:
            raise ChainRefused(f"isAgent gives no answer: {error}") from None


def _module_state(data: bytes, what: str) -> Mapping[str, object]:
    if not data:
        return {}
    try:
        return tokens.decode_token_state(data)
    except ValueError as error:
        raise ChainRefused(f"{what} cannot be read: {error}") from None


@dataclass(frozen=True)
class Inspection:
    """The endpoints of a gateway, each to be asked by itself: a failover would hide what is wrong with one of them."""

    endpoints: Sequence[Endpoint]
    modules: Modules
    pinned_genesis_hash: str | None

    def ask(self, endpoint: Endpoint) -> NodeInspection:
        return NodeInspection(endpoint, self.modules)
