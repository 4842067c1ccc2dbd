"""The description of a network before its first block: accounts, tokens and contracts, frozen. Reads and writes nothing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

CONTRACT_NAMES = {
    "token": "security_sft_multi",
    "registry": "rwa_identity_registry",
    "state_registry": "rwa_identity_registry",  # the planned one keeps the name: only its module tells it apart
    "fund": "security_mint_fund",
}
MODULE_NAMES = {**CONTRACT_NAMES, "state_registry": "rwa_identity_registry of address states"}
MODULE_REFS = {
    kind: hashlib.sha256(f"devnet module {name}".encode()).hexdigest() for kind, name in MODULE_NAMES.items()
}


@dataclass(frozen=True)
class Account:
    """An account and its verification keys in hex: {credential index: {key index: key}}. Thresholds: how many must sign."""

    address: str
    micro_ccd: int = 0
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    account_threshold: int = 1
    credential_threshold: int = 1


@dataclass(frozen=True)
class Token:
    """A protocol-level token. Balances in base units by address; lists are in force where their flag says so."""

    token_id: str
    name: str
    decimals: int
    governance: str
    balances: Mapping[str, int] = field(default_factory=dict)
    allow_list: bool = False
    deny_list: bool = True
    mintable: bool = True
    burnable: bool = True
    paused: bool = False
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A contract instance: `kind` token, fund, registry or state_registry; `name` without the "init_" in front; agents hold every role."""

    index: int
    kind: str
    owner: str
    name: str = ""
    module_ref: str = ""
    agents: tuple[str, ...] = ()

    @property
    def contract_name(self) -> str:
        return self.name or CONTRACT_NAMES[self.kind]

    @property
    def source_module(self) -> str:
        return self.module_ref or MODULE_REFS[self.kind]


@dataclass(frozen=True)
class Genesis:
    """A network's first state. `operator_seed` signs what the control service is asked to do (mint, register, fund)."""

    genesis_time_ms: int
    operator: str
    operator_seed: str
    accounts: tuple[Account, ...]
    tokens: tuple[Token, ...]
    contracts: tuple[Contract, ...]
    euro_per_energy: tuple[int, int] = (1, 50_000)
    micro_ccd_per_euro: tuple[int, int] = (50_000_000, 1)
    block_energy_limit: int = 3_000_000

    @property
    def block_hash(self) -> bytes:
        """Names the network: another genesis, another hash."""
        return hashlib.sha256(dump(self).encode()).digest()

    def cost(self, energy: int) -> int:
        """microCCD for that much energy, rounded up."""
        numerator = energy * self.euro_per_energy[0] * self.micro_ccd_per_euro[0]
        return -(-numerator // (self.euro_per_energy[1] * self.micro_ccd_per_euro[1]))


def dump(genesis: Genesis) -> str:
    return json.dumps(asdict(genesis), indent=1, sort_keys=True)
