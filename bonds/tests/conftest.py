"""A devnet whose blocks are made only when a test says so and a gateway to it; and nodes that answer what a test tells them to."""

import hashlib
from collections.abc import Iterator

import pytest

from bonds.chain.concordium import addresses, modules
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.devnet.process import DevnetProcess
from bonds.tests.fake_node import Network, Node

TOKEN_CONTRACT, REGISTRY_CONTRACT = 1000, 1001
INTERFACES = {
    "token": "security_sft_multi",
    "fund": "security_mint_fund",
    "registry": "rwa_identity_registry",
    "state_registry": "address_state_registry",
}
DEVNET_MODULES = modules.parse(f"{reference}={INTERFACES[kind]}" for kind, reference in MODULE_REFS.items())


def account(name: str) -> str:
    """An address as accounts have them: its last three bytes are not zero, so that no test mistakes it for the account's key."""
    return addresses.encode(hashlib.sha256(f"test account {name}".encode()).digest())


@pytest.fixture
def devnet(tmp_path) -> Iterator[DevnetProcess]:
    with DevnetProcess(tmp_path / "devnet", hold=True) as node:
        yield node


@pytest.fixture
def gateway(devnet) -> ConcordiumGateway:
    return ConcordiumGateway(
        endpoints=[devnet.address],
        signer_factory=lambda: KeyFileSigner(devnet.wallet_keys_file),
        timeout_seconds=5,
        modules=DEVNET_MODULES,
    )


@pytest.fixture
def network() -> Iterator[Network]:
    served = Network()
    yield served
    served.stop()


@pytest.fixture
def node() -> Node:
    return Node()
