"""Real clusters for the tests: `manage.py qcluster` in a session of its own, and what became of each of its processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
QUICK_TIMES = {
    "JOB_LEASE_SECONDS": "1.5",
    "JOB_HEARTBEAT_SECONDS": "0.3",
    "JOB_RESCUE_SECONDS": "0.3",
    "JOB_SLICE_SECONDS": "0.5",
    "JOB_GRACE_SECONDS": "2",
    "JOB_POLL_SECONDS": "0.3",
    "JOB_RETRY_BASE_SECONDS": "0.1",
    "JOB_WATCHDOG_SECONDS": "6",
    "JOB_UNKNOWN_TYPE_SECONDS": "0",
    "JOB_CONCURRENCY": "4",
}


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until the condition holds; a TimeoutError naming it otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {condition}")
        time.sleep(0.05)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class RunningCluster:
    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self._log = log
        self.main = psutil.Process(popen.pid)
        self.seen: set[psutil.Process] = {self.main}

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def sentinel(self) -> psutil.Process:
        (sentinel,) = self.main.children()
        return sentinel

    def workers(self) -> list[psutil.Process]:
        """The workers that beat, by the table of workers."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM jobs_worker")
            beating = {pid for (pid,) in cursor.fetchall()}
        return [process for process in self.look() if process.pid in beating]

    def look(self) -> list[psutil.Process]:
        """All processes of the cluster now; remembered for `left()`."""
        found = self.main.children(recursive=True)
        self.seen |= set(found)
        return [process for process in found if is_running(process)]

    def left(self) -> list[psutil.Process]:
        """Which of the processes ever seen still run."""
        return [process for process in self.seen if is_running(process)]

    def signal(self, number: int) -> None:
        self.look()
        self.popen.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code; by then no process of the cluster may be left."""
        code = self.popen.wait(seconds)
        wait_for(lambda: not self.left(), 3)
        return code

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()


@contextmanager
def cluster(log: Path, *, workers: int = 4, **settings: str) -> Iterator[RunningCluster]:
    """A cluster on the test's database with all its workers beating; whatever is left of it afterwards is killed."""
    environment = {
        **os.environ,
        **QUICK_TIMES,
        "DJANGO_SETTINGS_MODULE": "jobs.tests.settings_cluster",
        "QUEUE_TEST_DATABASE": connection.settings_dict["NAME"],
        "JOB_CONCURRENCY": str(workers),
        **settings,
    }
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "manage.py", "qcluster"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running = RunningCluster(popen, log)
    try:
        wait_for(lambda: len(running.workers()) >= workers or popen.poll() is not None, 40)
        assert popen.poll() is None, running.output
        yield running
    finally:
        if popen.poll() is None:
            running.look()
        for process in running.left():
            process.kill()
        popen.wait(10)
