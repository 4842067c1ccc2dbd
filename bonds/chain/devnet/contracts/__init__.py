"""What the devnet's contracts do: bond token, fund and the two registries. Must never answer an entrypoint it does not know.

The layouts are the deployed contracts' (little endian, CIS-2), taken from their schemas and, where none was at hand, from their published
source. What only a devnet needs is an entrypoint whose name begins with `devnet`, and `forcedTransfer`.
"""

from bonds.chain.devnet.contracts import fund, lots, registry, rights, token
from bonds.chain.devnet.contracts.call import CALL_ENERGY, ITEM_ENERGY, ROLE_COUNT, Call, find, invoke, methods
from bonds.chain.devnet.contracts.parameters import lots_parameter, registry_parameter, transfers_parameter
from bonds.chain.devnet.contracts.registry import IDENTITY_REGISTERED, IDENTITY_REMOVED, REGISTRY_STATES

__all__ = [
    "CALL_ENERGY",
    "IDENTITY_REGISTERED",
    "IDENTITY_REMOVED",
    "ITEM_ENERGY",
    "REGISTRY_STATES",
    "ROLE_COUNT",
    "Call",
    "find",
    "fund",
    "invoke",
    "lots",
    "lots_parameter",
    "methods",
    "registry",
    "registry_parameter",
    "rights",
    "token",
    "transfers_parameter",
]
