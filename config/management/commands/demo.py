"""The whole product on one machine: database, devnet, web, worker and listener, seeded, in one terminal."""

import errno
import http.client
import os
import socket
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config.supervisor import ChildEnded, StopAsked, Supervisor

LOOPBACK = "127.0.0.1"
DEVNET_SECONDS = 60.0
WEB_SECONDS = 120.0
STOP_MARGIN_SECONDS = 10.0  # over the grace time running jobs have
PAGE = "/console/login/"


class Command(BaseCommand):
    help = "Migrates, seeds, runs every process of the product; Ctrl-C stops them all. Run it again to continue."
    requires_system_checks = ()  # migrate runs them, after the ports were looked at

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="of the console")
        parser.add_argument("--no-browser", action="store_true", help="do not open the console in a browser")

    def handle(self, *args: Any, port: int, no_browser: bool, **options: Any) -> None:
        """Runs until a signal (exit code 0) or until a process ends by itself (exit code 1)."""
        self.started = time.monotonic()
        self.port = port
        self.devnet_port = _devnet_port()
        _require_free(port, "choose another with --port, or `make demo PORT=8001`")
        _require_free(self.devnet_port, "name another for the devnet: CHAIN_ENDPOINTS=127.0.0.1:20001")
        self.supervisor = Supervisor(out=sys.stdout, grace_seconds=settings.JOB_GRACE_SECONDS + STOP_MARGIN_SECONDS)
        try:
            with _database(), self.supervisor.listening():
                self._bring_up()
                self._announce(open_browser=not no_browser)
                while True:
                    self.supervisor.tick()
        except StopAsked:
            self.stdout.write("All stopped.")
        except ChildEnded as error:
            raise CommandError(
                f"{error}; everything else was stopped. Nothing is lost: `make demo` goes on from here"
            ) from error

    def _bring_up(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        connections.close_all()
        self.supervisor.tick()  # a Ctrl-C that came meanwhile counts
        self._seed()  # opens the devnet's books itself: before the devnet
        self._start("devnet", "devnet", "--port", str(self.devnet_port))
        self._wait_for("the devnet", lambda: _connects(self.devnet_port), seconds=DEVNET_SECONDS)
        gunicorn = ["-m", "gunicorn", "config.wsgi", "--bind", f"{LOOPBACK}:{self.port}", "--threads", "4"]
        self._start_python("web", *gunicorn, "--no-control-socket", "--log-level", "warning")
        self._start("worker", "qcluster")
        self._start("listener", "listen_events")
        self._wait_for("the console", lambda: _answers(self.port), seconds=WEB_SECONDS)

    def _seed(self) -> None:
        command = [sys.executable, "manage.py", "seed_demo"]
        code = self.supervisor.run_once("seed", command, cwd=settings.BASE_DIR, env=_environment())
        if code:
            raise CommandError(f"seeding ended with exit code {code}; everything else was stopped")

    def _announce(self, *, open_browser: bool) -> None:
        from config.seed import DEMO_PASSWORD, DEMO_USER

        address = f"http://{LOOPBACK}:{self.port}/console/"
        seconds = time.monotonic() - self.started
        self.stdout.write(
            f"\nReady after {seconds:.0f} s: {address}  log in as {DEMO_USER} / {DEMO_PASSWORD}\n"
            "Ctrl-C stops everything; the next `make demo` continues where this one ends.\n"
        )
        self.stdout.flush()
        has_screen = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
        if open_browser and has_screen and sys.stdout.isatty():
            webbrowser.open(address)

    def _start(self, name: str, *command: str) -> None:
        self._start_python(name, "manage.py", *command)

    def _start_python(self, name: str, *arguments: str) -> None:
        self.supervisor.start(name, [sys.executable, *arguments], cwd=settings.BASE_DIR, env=_environment())

    def _wait_for(self, what: str, condition: Any, *, seconds: float) -> None:
        try:
            self.supervisor.wait_until(condition, seconds=seconds)
        except TimeoutError as error:
            raise CommandError(f"{what} does not answer after {seconds:.0f} s; everything was stopped") from error


@contextmanager
def _database() -> Iterator[None]:
    """The embedded server stays while the demo runs and is stopped after it, if the demo was what started it."""
    if settings.DATABASES["default"]["ENGINE"] != "config.devdb.backend":
        yield
        return
    with settings.DEVDB.held():
        try:
            yield
        finally:
            connections.close_all()


def _environment() -> dict[str, str]:
    """What the children are given: this state directory, and quiet logs unless asked otherwise."""
    return {
        "LOG_LEVEL": "WARNING",
        **os.environ,
        "STATE_DIR": str(settings.STATE_DIR),
        "PYTHONUNBUFFERED": "1",
        # Both are said by libraries while they load, in every process, and neither is a fault: see pyproject.toml.
        "PYTHONWARNINGS": "ignore:Retry and timeout:UserWarning,ignore:No directory at:UserWarning",
    }


def _devnet_port() -> int:
    """The port of the one loopback node the settings name. CommandError for any other: the demo brings its own chain."""
    host, _, port = settings.CHAIN_ENDPOINTS[0].rpartition(":") if settings.CHAIN_ENDPOINTS else ("", "", "")
    if len(settings.CHAIN_ENDPOINTS) != 1 or host not in {LOOPBACK, "localhost"} or not port.isdigit():
        raise CommandError(f"the demo brings its own chain: unset CHAIN_ENDPOINTS, or set it to {LOOPBACK}:<port>")
    return int(port)


def _require_free(port: int, advice: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise CommandError(f"port {port} {reason}: {advice}") from error


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _answers(port: int) -> bool:
    """Whether the log-in page really comes."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", PAGE)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
