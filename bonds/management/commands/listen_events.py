"""The events-listener: follows finalised blocks and keeps the books. Stops on SIGTERM or SIGINT, after the block it is writing.

Passing trouble (no database, no node) is waited out. A chain that does not continue the books, or events that contradict them, end the
process with an error: no restart can help, and the console says that nothing is read any more.
"""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.utils.module_loading import import_string

from bonds.chain.gateway import ChainUnavailable
from bonds.services import listener

log = logging.getLogger("bonds.listener")


class Command(BaseCommand):
    help = "Follow the chain's finalised blocks and keep the holdings and investments of every bond."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="catch up to the present head and stop")
        parser.add_argument("--every", type=float, default=1.0, help="seconds between two looks at the chain")

    def handle(self, *args: Any, once: bool, every: float, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        chain = import_string(settings.JOB_CONTEXT_FACTORY)().chain
        quiet = _Repeats()
        while not stop.is_set():
            try:
                _listen(chain, stop, every=every, once=once)
            except (OperationalError, InterfaceError) as error:
                quiet.warn("the database cannot be reached", error)
                connections.close_all()
            except ChainUnavailable as error:
                quiet.warn("the chain gives no fresh answer", error)
            if once:
                return
            stop.wait(every)
            close_old_connections()


def _listen(chain: Any, stop: threading.Event, *, every: float, once: bool) -> None:
    with listener.only_listener() as won:
        if not won:
            stop.wait(every)
            return
        while not stop.is_set():
            listener.catch_up(chain, is_stopping=stop.is_set)
            if once:
                return
            stop.wait(every)


class _Repeats:
    """Say the same trouble once, not every second."""

    def __init__(self) -> None:
        self._last = ""

    def warn(self, message: str, error: Exception) -> None:
        text = f"{message}: {error}"
        if text != self._last:
            self._last = text
            log.warning(message, extra={"error": str(error).strip()})
