"""Checks every chain of the audit log. Ends with 1 and a line for each break where one no longer holds."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bonds.models import AuditEntry
from bonds.services import audit


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(audit.breaks())
        for one in found:
            self.stderr.write(f"{one.chain} entry {one.number}: {one.fault}")
        if found:
            raise CommandError(f"{len(found)} breaks in the audit log")
        chains = AuditEntry.objects.values("chain").distinct().count()
        self.stdout.write(f"{AuditEntry.objects.count()} entries in {chains} chains: none was changed")
