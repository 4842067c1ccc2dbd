"""`manage.py devnet`: a Concordium-compatible node on loopback, its chain in the state directory."""

import os
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from bonds.chain.devnet.genesis import GenesisError
from bonds.chain.devnet.process import DevnetProcess, PortInUse
from bonds.chain.devnet.store import StoreError

LOOK_SECONDS = 1.0


class Command(BaseCommand):
    help = "Serve a Concordium-compatible development network on loopback until stopped."
    requires_system_checks: list[str] = []  # a node needs neither database nor settings beyond its directory

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=20000)
        parser.add_argument(
            "--state", type=Path, default=None, help="directory of the chain (default: the setting DEVNET_DIR)"
        )
        parser.add_argument("--block-seconds", type=float, default=settings.DEVNET_BLOCK_SECONDS)
        parser.add_argument(
            "--hold", action="store_true", help="make no ordinary blocks until told to: for back-dated seeding"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        state: Path = options["state"] or Path(settings.DEVNET_DIR)
        try:
            node = DevnetProcess(
                state, port=options["port"], block_seconds=options["block_seconds"], hold=options["hold"]
            )
        except PortInUse as error:
            raise CommandError(f"devnet: {error}") from error
        except (GenesisError, StoreError, ValueError) as error:
            raise CommandError(f"devnet: {error}") from error
        with node:
            height = node.control.state()["height"]
            self.stdout.write(
                f"devnet answers at {node.address}, block {height}, state in {state} (process {os.getpid()})"
            )
            self.stdout.flush()
            while not stop.wait(LOOK_SECONDS):
                if not node.producer.alive:
                    raise CommandError("devnet: block production died")
