"""Build what every job handler is given from settings: the chain, the mailer, the clock. The only place that names an adapter."""

from functools import cache

from django.conf import settings
from django.core import mail

from bonds.chain.concordium import modules
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.gateway import ChainGateway
from jobs.service import JobContext

# What the devnet's modules are, by its own names of them.
DEVNET_INTERFACES = {
    "token": "security_sft_multi",
    "fund": "security_mint_fund",
    "registry": "rwa_identity_registry",
    "state_registry": "address_state_registry",
}


@cache
def chain() -> ChainGateway:
    """The one gateway of this process; connections open on first use, keys are read at the first signature.

    ChainMisconfigured for settings that cannot be used, naming the setting.
    """
    return ConcordiumGateway(
        endpoints=settings.CHAIN_ENDPOINTS,
        tls=settings.CHAIN_TLS,
        timeout_seconds=settings.CHAIN_TIMEOUT_SECONDS,
        signer_factory=lambda: KeyFileSigner(settings.CLOUD_WALLET_KEYS_FILE),
        genesis_hash=settings.CHAIN_GENESIS_HASH or None,
        max_behind_seconds=settings.CHAIN_MAX_BEHIND_SECONDS,
        modules=modules.parse(settings.CHAIN_MODULES or devnet_modules()),
    )


def devnet_modules() -> list[str]:
    """The devnet's contracts as CHAIN_MODULES would name them."""
    return [f"{reference}={DEVNET_INTERFACES[kind]}" for kind, reference in MODULE_REFS.items()]


def build() -> JobContext:
    """What settings.JOB_CONTEXT_FACTORY names."""
    return JobContext(chain=chain(), mailer=mail.get_connection)
