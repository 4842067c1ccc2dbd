"""Looks after the embedded PostgreSQL of this state directory by hand; nothing needs it in daily work."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Starts, stops, or stops and deletes the embedded PostgreSQL of STATE_DIR; says whether it accepts connections."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "remove", "status"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        server = settings.DEVDB
        in_use = settings.DATABASES["default"]["ENGINE"] == "config.devdb.backend"
        if not in_use and action in {"start", "status"}:
            raise CommandError("DATABASE_URL is set: the embedded PostgreSQL is not used")
        if action == "status":
            state = "accepts connections" if server.accepting() else "is not running"
            self.stdout.write(f"The embedded PostgreSQL in {server.tree} {state}.")
            return
        getattr(server, action)()
