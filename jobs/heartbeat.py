"""One thread per worker process: it owns the LISTEN connection and the worker's heartbeat row, and rescues the jobs of the dead."""

import logging
import os
import random
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from uuid import UUID, uuid4

import psutil
import psycopg
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from jobs import database, rescue, schedules
from jobs.liveness import board
from jobs.queue import CHANNEL, Claimant
from jobs.service import registry
from jobs.timers import JobTimer

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_HOUSEKEEPING_SECONDS = 60.0
# A handler that does not even react to its alarm is stuck outside Python: only the end of the process frees the worker.
_STUCK_SECONDS = 10.0
_OUTAGE_LOG_SECONDS = 15.0

_BEAT = """
INSERT INTO jobs_worker (id, name, host, pid, services, job_ids, rss_bytes)
VALUES (%(id)s, %(name)s, %(host)s, %(pid)s, %(services)s, %(jobs)s, %(rss)s)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = clock_timestamp(), job_ids = excluded.job_ids, rss_bytes = excluded.rss_bytes
"""


def is_of_database(error: BaseException) -> bool:
    """Whether the error is Django's or the driver's: raised by a lost database, not by a mistake of ours."""
    return isinstance(error, DatabaseError | psycopg.Error)


class Doorbell:
    """A pipe that wakes the main thread: rung by the heartbeat's thread and by signal handlers, where locks are out of the question."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def ring(self) -> None:
        with suppress(BlockingIOError):  # full of rings nobody has heard yet: enough
            os.write(self._write, b"!")

    def hush(self) -> None:
        """Forget what has rung so far. Before looking for work, never after."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def wait(self, seconds: float) -> None:
        """Until it rings, at most `seconds`."""
        if seconds > 0:
            select.select([self._read], [], [], seconds)

    def fileno(self) -> int:
        """For select()."""
        return self._read


class OutageLog:
    """Few lines about a database that is away: one at the start, one every quarter of a minute, one at the end. For both threads."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said_at = 0.0

    def lost(self, error: BaseException) -> None:
        """`error`: what showed it. One that is not the database's own keeps its traceback: it may be ours."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._said_at >= _OUTAGE_LOG_SECONDS:
            self._said_at = now
            facts = {"seconds": round(now - self._since), "error": str(error).strip().partition("\n")[0]}
            log.warning("database unavailable", extra=facts, exc_info=None if is_of_database(error) else error)

    def back(self) -> None:
        if self._since is not None:
            log.warning("database available again", extra={"seconds": round(time.monotonic() - self._since)})
            self._since, self._said_at = None, 0.0


class Heartbeat(threading.Thread):
    """Beats every JOB_HEARTBEAT_SECONDS while the process lives. The main thread sets `job_ids` to what it has claimed and not ended."""

    def __init__(self, timer: JobTimer) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.host = socket.gethostname()
        self.worker_id: UUID = uuid4()
        self.claimant = Claimant(self.worker_id, f"{self.host}:{os.getpid()}")
        self.job_ids: tuple[int, ...] = ()
        self.doorbell = Doorbell()
        self.outage = OutageLog()
        self._timer = timer
        self._beaten_at = 0.0
        self._rescued_at = 0.0
        self._kept_house_at = time.monotonic() + random.uniform(-_HOUSEKEEPING_SECONDS, 0)  # noqa: S311 - spreads load
        self._closing = threading.Event()
        self._closing_bell = Doorbell()

    @property
    def is_fresh(self) -> bool:
        """Whether others still take this worker for alive; a worker that is not must claim nothing."""
        return time.monotonic() - self._beaten_at < settings.JOB_LEASE_SECONDS

    def run(self) -> None:
        while not self._closing.is_set():
            try:
                self._attend()
            except Exception as error:  # noqa: BLE001 - the worker's edge: without a heartbeat it would lose its jobs
                connection.close()
                self.outage.lost(error)
                self._closing.wait(random.uniform(0.3, 1.0))  # noqa: S311 - spreads load
        connection.close()

    def close(self) -> None:
        """Stop beating and remove the row, so that nobody waits for this worker's leases. The database may be away: then they expire."""
        self._closing.set()
        self._closing_bell.ring()
        self.join(_TICK_SECONDS)  # or its last beat could come after the row is gone
        try:
            database.run("DELETE FROM jobs_worker WHERE id = %s", (self.worker_id,))
        except DatabaseError as error:
            self.outage.lost(error)
        finally:
            connection.close()

    def _attend(self) -> None:
        raw = database.raw_connection()
        database.keep_alive()
        raw.add_notify_handler(lambda notification: self.doorbell.ring())
        if settings.JOB_LISTEN:
            database.run(f"LISTEN {CHANNEL}")
        while not self._closing.is_set():
            self._beat_when_due()
            self.outage.back()
            self._watch_main_thread()
            self._listen(min(_TICK_SECONDS, settings.JOB_HEARTBEAT_SECONDS))

    def _listen(self, seconds: float) -> None:
        """Hear notifications as they come until `seconds` have passed."""
        pgconn = database.raw_connection().pgconn
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._closing.is_set():
            if pgconn.socket in select.select([pgconn.socket, self._closing_bell.fileno()], [], [], left)[0]:
                with connection.wrap_database_errors:
                    pgconn.consume_input()
                while pgconn.notifies():
                    self.doorbell.ring()

    def _beat_when_due(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at >= settings.JOB_HEARTBEAT_SECONDS:
            self._beat()
        schedules.enqueue_ticks()
        if now - self._rescued_at >= settings.JOB_RESCUE_SECONDS:
            self._rescued_at = now
            rescued = rescue.rescue(quick_types=[kind.name for kind in registry().served(()) if kind.quick])
            if rescued:
                log.warning("jobs of lost workers rescued", extra={"jobs": rescued})
            rescue.reject_unknown_types(registry().types)
        if now - self._kept_house_at >= _HOUSEKEEPING_SECONDS:
            self._kept_house_at = now
            rescue.prune()
            rescue.forget_workers()

    def _beat(self) -> None:
        started = time.monotonic()
        facts = {
            "id": self.worker_id,
            "name": self.claimant.name,
            "host": self.host,
            "pid": os.getpid(),
            "services": sorted(settings.JOB_WORKER_SERVICES) or [service.name for service in registry().services],
            "jobs": list(self.job_ids),
            "rss": psutil.Process().memory_info().rss,
        }
        database.run(_BEAT, facts)
        first, self._beaten_at = self._beaten_at == 0.0, started
        if first:
            self.doorbell.ring()

    def _watch_main_thread(self) -> None:
        limit_at = self._timer.limit_at
        if limit_at is None:
            return
        if time.monotonic() - limit_at > _STUCK_SECONDS:
            log.critical("a job does not react to its time limit: ending the worker", extra={"jobs": self.job_ids})
            os.kill(os.getpid(), signal.SIGKILL)
        board.mark_slice()
