"""`manage.py concordium_check`: looks at the configured nodes and at what the books expect of them. Sends nothing, reads no key."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.module_loading import import_string

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.gateway import ChainMisconfigured, Contract
from bonds.services import chain_check

CONTRACT = re.compile(r"<?(\d+)(?:,(\d+))?>?")


def contract(text: str) -> Contract:
    """ "1000", "1000,0" or "<1000,0>"."""
    match = CONTRACT.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"not a contract address: {text!r}")
    return Contract(int(match[1]), int(match[2] or 0))


class Command(BaseCommand):
    help = (
        "Say what the configured Concordium nodes, token, wallets and contracts are, and what of it is wrong. "
        "Sends nothing. Ends with 0 when all is fine, with 1 otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        beside = "beside those of the books; may be given several times"
        parser.add_argument("--wallet", action="append", default=[], metavar="ADDRESS", help=f"an account, {beside}")
        parser.add_argument("--token", action="append", default=[], metavar="ID", help=f"a token, {beside}")
        parser.add_argument(
            "--contract", action="append", default=[], type=contract, metavar="INDEX", help=f"a contract, {beside}"
        )

    def handle(self, *args: Any, wallet: list[str], token: list[str], contract: list[Contract], **options: Any) -> None:
        try:
            chain = import_string(settings.JOB_CONTEXT_FACTORY)().chain
        except ChainMisconfigured as error:
            raise CommandError(str(error)) from error
        if not isinstance(chain, ConcordiumGateway):
            raise CommandError("the configured chain is not reached through the Concordium adapter")
        findings = chain_check.check(
            chain.inspection,
            limits=chain_check.Limits(
                timedelta(seconds=settings.CHAIN_MAX_BEHIND_SECONDS), settings.PAYMENT_BATCH_SIZE
            ),
            now=timezone.now(),
            extra=chain_check.Extra(wallet, token, contract),
        )
        for finding in findings:
            self.stdout.write(f"{'FAULT' if finding.is_fault else 'ok   '} {finding.subject}: {finding.text}")
        faults = sum(finding.is_fault for finding in findings)
        if faults:
            raise CommandError(f"{faults} fault{'s' if faults > 1 else ''}, named above")
        self.stdout.write("all fine; nothing was sent")
