"""Bring the schedules and ticks in the database in line with those the code declares; also done after every migrate."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import schedules
from jobs.errors import BadRegistry


class Command(BaseCommand):
    help = "Writes the schedules and ticks that services and settings declare, and removes those that none declares any more."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kept, ticks = schedules.sync()
        except BadRegistry as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{kept} schedules, {ticks} ticks")
