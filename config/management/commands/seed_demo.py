"""Fill a fresh database and a fresh devnet with the demo's bond, holders and coupon. Run before the devnet itself is started."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.genesis import GenesisError
from bonds.chain.devnet.process import DevnetProcess, PortInUse
from bonds.chain.devnet.store import StoreError
from config import seed


class Command(BaseCommand):
    help = "Seed the demo: a bond with holders whose tokens and PLT wallet live on the devnet. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--holders", type=int, default=1000, help="how many holders the bond has")

    def handle(self, *args: Any, holders: int, **options: Any) -> None:
        if not 1 <= holders <= 100_000:
            raise CommandError("--holders must be between 1 and 100000")
        now = timezone.now()
        try:
            with DevnetProcess(settings.DEVNET_DIR, hold=True) as node:
                seed.on_chain(node.control, holders, now=now)
                wallet = node.genesis.accounts[0].address
                gateway = ConcordiumGateway(
                    endpoints=[node.address], tls=False, timeout_seconds=10, signer_factory=None
                )
                number = gateway.next_sequence_number(wallet)
        except (GenesisError, PortInUse, StoreError) as error:
            raise CommandError(f"the devnet in {settings.DEVNET_DIR} cannot be seeded: {error}") from error
        seed.in_books(wallet_address=wallet, next_sequence_number=number, holders=holders, now=now)
        self.stdout.write(f"demo data ready: {holders} holders, one coupon")
