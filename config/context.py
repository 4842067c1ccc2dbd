"""Build what every job handler is given from settings: the chain, the mailer, the clock. The only place that names an adapter."""

import os
from functools import cache

from django.conf import settings
from django.core import mail
from django.utils.module_loading import import_string

from bonds.chain.concordium import modules
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyEnvironmentSigner, KeyFileSigner, Signer
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.gateway import ChainGateway, ChainMisconfigured
from jobs.service import JobContext

KEYS_VARIABLE = "CLOUD_WALLET_KEYS"
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
        signer_factory=signer,
        genesis_hash=settings.CHAIN_GENESIS_HASH or None,
        max_behind_seconds=settings.CHAIN_MAX_BEHIND_SECONDS,
        modules=modules.parse(settings.CHAIN_MODULES or devnet_modules()),
    )


def signer() -> Signer:
    """Who signs for the cloud wallet, as settings.CLOUD_WALLET_SIGNER describes it. ChainMisconfigured where that cannot be had."""
    if settings.CLOUD_WALLET_SIGNER:
        try:
            made: Signer = import_string(settings.CLOUD_WALLET_SIGNER)()
        except ImportError as error:
            raise ChainMisconfigured(f"CLOUD_WALLET_SIGNER: {error}") from error
        return made
    if os.environ.get(KEYS_VARIABLE):
        return KeyEnvironmentSigner(KEYS_VARIABLE)
    return KeyFileSigner(settings.CLOUD_WALLET_KEYS_FILE)


def devnet_modules() -> list[str]:
    """The devnet's contracts as CHAIN_MODULES would name them."""
    return [f"{reference}={DEVNET_INTERFACES[kind]}" for kind, reference in MODULE_REFS.items()]


def build() -> JobContext:
    """What settings.JOB_CONTEXT_FACTORY names."""
    return JobContext(chain=chain(), mailer=mail.get_connection)
