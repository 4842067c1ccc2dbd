"""What a cell of the kill matrix is played with: a private server, clusters on it, and their processes by name."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from jobs.tests.clusters import ROOT, RunningCluster, is_running, wait_for
from jobs.tests.kill import checker
from jobs.tests.kill.faults import Points
from jobs.tests.servers import PrivateServer

WORKERS = 3
LEASE_SECONDS = 1.0
TIMES = {
    "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
    "JOB_HEARTBEAT_SECONDS": "0.2",
    "JOB_RESCUE_SECONDS": "0.2",
    "JOB_SLICE_SECONDS": "0.4",
    "JOB_POLL_SECONDS": "0.2",
    "JOB_CONCURRENCY": str(WORKERS),
    "DJANGO_SETTINGS_MODULE": "jobs.tests.kill.settings",
}


class KilledCluster(RunningCluster):
    """A cluster whose workers are found in the private server's table."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path, server: PrivateServer) -> None:
        super().__init__(popen, log)
        self._server = server

    def workers(self) -> list[psutil.Process]:
        beating = {pid for (pid,) in self._server.query("SELECT pid FROM jobs_worker")}
        return [process for process in self.look() if process.pid in beating]

    def left(self) -> list[psutil.Process]:
        """Every process of the cluster's session that still runs, ever seen or not."""
        return [
            process for process in psutil.process_iter() if _session(process) == self.main.pid and is_running(process)
        ]


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


class Rig:
    def __init__(self, server: PrivateServer, directory: Path) -> None:
        self.server = server
        self._points_directory = directory / "points"
        self._points_directory.mkdir()
        self._log = directory / "cluster.log"
        self.points = Points(self._points_directory)

    def reset(self) -> None:
        self.points.clear()
        self._log.unlink(missing_ok=True)
        self.server.query(checker.FORGET)

    @contextmanager
    def cluster(self, **settings: str) -> Iterator[KilledCluster]:
        """With all its workers beating. Whatever is left of it afterwards is killed, suspended or not."""
        points = {"QUEUE_TEST_POINTS": str(self._points_directory)}
        environment = {**self.server.environment, **TIMES, **points, **settings}
        with self._log.open("ab") as output:
            popen = subprocess.Popen(
                [sys.executable, "manage.py", "qcluster"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        running = KilledCluster(popen, self._log, self.server)
        try:
            wait_for(lambda: len(running.workers()) >= WORKERS or popen.poll() is not None)
            assert popen.poll() is None, running.output
            yield running
        finally:
            if popen.poll() is None:
                running.look()
            for process in running.left():
                process.kill()
            popen.wait(10)

    def enqueue(self, job_type: str, count: int = 1, payload: str = "{}") -> None:
        self.server.query(
            "INSERT INTO job_queue (job_type, service, payload) SELECT %s, 'HistoryService', %s FROM generate_series(1, %s)",
            (job_type, payload, count),
        )
        self.server.query("NOTIFY jobs")

    def decide(self, action: str, count: int) -> None:
        """A confirmed bulk operation on so many dead letters that no other one has, and the job that carries it out."""
        ((number,),) = self.server.query(
            "INSERT INTO jobs_operation (action, status, actor, reason, rate_per_second, total, confirmed_at, confirmed_by) "
            "VALUES (%s, 'running', 'anna', 'tested', 100, %s, now(), 'anna') RETURNING id",
            (action, count),
        )
        self.server.query(
            "INSERT INTO jobs_operation_member (operation_id, job_id) SELECT %s, q.id FROM job_queue q "
            "WHERE q.status = 'failed' AND NOT EXISTS (SELECT FROM jobs_operation_member m WHERE m.job_id = q.id) LIMIT %s",
            (number, count),
        )
        self.enqueue("job_operation", payload=f'{{"operation": {number}}}')

    def open_jobs(self) -> int:
        sql = "SELECT count(*) FROM job_queue WHERE status NOT IN ('completed', 'failed')"
        return int(self.server.query(sql)[0][0])

    def statuses(self) -> dict[str, int]:
        return dict(self.server.query("SELECT status, count(*) FROM job_queue GROUP BY 1"))  # type: ignore[arg-type]

    def waiting_process(self) -> psutil.Process:
        """The process that has come to the armed point."""
        wait_for(self.points.reached, 15)
        return psutil.Process(self.points.reached())

    def sleeper(self) -> psutil.Process:
        """The worker whose job is snoozing now."""
        sql = "SELECT processed_by FROM job_queue WHERE status = 'pending' AND wait_reason = 'resting'"
        wait_for(lambda: self.server.query(sql), 15)
        return psutil.Process(int(self.server.query(sql)[0][0].rpartition(":")[2]))

    def history(self) -> checker.History:
        return checker.read(self.server.query)


def see_it_gone(running: KilledCluster, seconds: float = 6.0) -> None:
    """No process of the cluster is left, without anybody's help."""
    running.popen.wait(seconds)
    wait_for(lambda: not running.left(), 3)


def kill_idle_workers(running: KilledCluster, busy: psutil.Process) -> None:
    """One by one; each is replaced before the next one dies."""
    for victim in [process for process in running.workers() if process.pid != busy.pid]:
        victim.send_signal(signal.SIGKILL)
        wait_for(lambda: sum(map(is_running, running.workers())) >= WORKERS)
