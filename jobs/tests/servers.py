"""A PostgreSQL of one test's own, with the queue's tables in it: it may be stopped, crashed and started while others test on theirs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings

from jobs.tests.clusters import QUICK_TIMES, ROOT, is_running, wait_for

DATABASE = "queue_private"


class PrivateServer:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.devdb = type(settings.DEVDB)(directory)
        self.host: str = self.devdb.settings(name=DATABASE)["HOST"]
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL"}},
            **QUICK_TIMES,
            "DJANGO_SETTINGS_MODULE": "jobs.tests.settings_cluster",
            "QUEUE_TEST_DATABASE": DATABASE,
            "STATE_DIR": str(directory),
            "DEVDB_AUTOSTART": "0",
        }

    def prepare(self, *statements: str) -> None:
        """Start it and make the queue's tables; then run the test's own statements."""
        self.devdb.ensure()
        self.devdb.ensure_database()
        migrate = [sys.executable, "manage.py", "migrate", "jobs", "--skip-checks", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=self.environment, check=True, timeout=120)
        for statement in statements:
            self.query(statement)

    def query(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        """Through a connection of its own: the server comes and goes."""
        with psycopg.connect(host=self.host, user="postgres", dbname=DATABASE, autocommit=True) as connection:
            cursor = connection.execute(sql, params or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def stop_immediately(self) -> None:
        """As a crash: PostgreSQL's immediate shutdown, without a checkpoint, every connection cut."""
        (pid_file,) = self.devdb.tree.glob("pg[0-9]*/postmaster.pid")
        postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
        postmaster.send_signal(signal.SIGQUIT)
        wait_for(lambda: not is_running(postmaster), 10)

    def start(self) -> None:
        """Returns when it takes connections again."""
        self.devdb.ensure()

    def remove(self) -> None:
        self.devdb.remove()
