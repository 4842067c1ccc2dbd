"""The Concordium adapter, on a devnet, held to everything the gateway promises."""

from typing import Any

import pytest

from bonds.chain.concordium import addresses
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.genesis import new_account
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.gateway import Contract
from bonds.tests.conftest import REGISTRY_CONTRACT, TOKEN_CONTRACT, account

pytest.register_assert_rewrite("bonds.tests.gateway_conformance")
from bonds.tests.gateway_conformance import GatewayConformance  # noqa: E402 - after its assertions are made to speak


class ConcordiumWorld:
    token_id = "EURD"
    bond, registry, nowhere = Contract(TOKEN_CONTRACT), Contract(REGISTRY_CONTRACT), Contract(9_999)

    def __init__(self, devnet: DevnetProcess, gateway: ConcordiumGateway) -> None:
        self.control, self.gateway = devnet.control, gateway
        self.unreachable = ConcordiumGateway(endpoints=["127.0.0.1:1"], timeout_seconds=1)
        self.wallet = devnet.genesis.accounts[0].address
        self.finalise()  # so that the chain's time is today's

    def person(self, *, whitelisted: bool = True) -> str:
        address = new_account()[0]
        self.control.create_accounts([(address, None)])
        if whitelisted:
            self.control.set_registry(REGISTRY_CONTRACT, [address], "whitelisted")
        self.control.advance(blocks=2)
        return address

    def alias(self, account: str) -> str:
        return addresses.encode(addresses.alias(addresses.decode(account), 7))

    def stranger(self) -> str:
        return account("nobody's")

    def mint(self, holder: str, token_id: int, amount: int) -> None:
        self.control.mint(TOKEN_CONTRACT, [(holder, token_id, amount)])
        self.control.advance(blocks=2)

    def finalise(self, *, seconds: float = 0) -> None:
        self.control.advance(blocks=3, seconds=seconds)

    def drop_next_submit(self) -> None:
        self.control.drop_next_submits(1)


class TestConcordiumOnTheDevnet(GatewayConformance):
    @pytest.fixture
    def world(self, devnet: DevnetProcess, gateway: ConcordiumGateway) -> Any:
        return ConcordiumWorld(devnet, gateway)
