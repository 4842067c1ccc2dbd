"""The Concordium gateway: every promise of bonds.chain.gateway kept over the nodes' gRPC API. Decides nothing about
money; stores nothing."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from bonds.chain.concordium import addresses
from bonds.chain.concordium.client import NodeClient
from bonds.chain.concordium.inspection import Inspection
from bonds.chain.concordium.modules import Modules
from bonds.chain.concordium.nodes import Nodes
from bonds.chain.concordium.reading import Reading
from bonds.chain.concordium.signer import Signer
from bonds.chain.concordium.writing import Writing
from bonds.chain.gateway import ChainGateway


class ConcordiumGateway(Reading, Writing, ChainGateway):
    """Reads and writes through `endpoints` ("host:port", first come first asked).

    `genesis_hash` pins the network: any other is ChainMisconfigured. `signer_factory` is called at the first
    signature, so that a process which never signs never holds a key. `max_behind_seconds`: a node whose last
    finalised block is older does not count as an answer to `head`. `modules` (modules.parse): which interface a
    contract's module speaks; without it no contract's events can be read and no contract can be asked.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        tls: bool = False,
        timeout_seconds: float = 10.0,
        signer_factory: Callable[[], Signer] | None = None,
        genesis_hash: str | None = None,
        max_behind_seconds: float | None = None,
        modules: Modules | None = None,
    ) -> None:
        client = NodeClient(endpoints, tls=tls, timeout_seconds=timeout_seconds, genesis_hash=genesis_hash)
        nodes = Nodes(client, None if max_behind_seconds is None else timedelta(seconds=max_behind_seconds))
        Reading.__init__(self, nodes, modules or {})
        Writing.__init__(self, nodes, signer_factory)
        self.inspection = Inspection(client.endpoints, modules or {}, genesis_hash.lower() if genesis_hash else None)

    def same_account(self, left: str, right: str) -> bool:
        return addresses.same_account(left, right)

    def account_key(self, address: str) -> str:
        return addresses.canonical(address)
