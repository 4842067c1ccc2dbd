"""The lingering slice a worker runs: claim from job_queue, run, commit, wait for the doorbell. The only place that catches everything.

Every token of the broker makes a worker call run_slice(). It returns after JOB_SLICE_SECONDS, always normally: Django-Q2 then checks its
memory and may recycle the process. Whatever happens to the database, a slice neither raises nor spins.
"""

import logging
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing import util
from types import FrameType
from uuid import uuid4

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from jobs import batches, database, queue
from jobs.heartbeat import Heartbeat
from jobs.liveness import board
from jobs.models import Job
from jobs.queue import Claimant
from jobs.running import DatabaseLost, run_job
from jobs.service import JobContext, JobType, LeaseLost, registry
from jobs.timers import JobTimer

log = logging.getLogger(__name__)

_LOST_DATABASE = "the database went away while it ran"
_PAUSE_SECONDS = 1.0
# After so long what is left of a package is given back: neither it nor other types must wait behind slow members.
_PACKAGE_SECONDS = 0.5


# --- packages ------------------------------------------------------------------------------------------------------
def run_due(context: JobContext, *, limit: int = 1000) -> int:
    """Run what is due, in this thread and without a cluster, until nothing is or `limit` jobs have run; returns how many.

    For tests and one-off commands: the same claims, fences and outcomes as a worker's, no heartbeat.
    """
    claimant, timer = Claimant(uuid4(), f"direct:{os.getpid()}"), JobTimer()
    done = 0
    while done < limit and (jobs := queue.claim(claimant, types=registry().served(()), limit=limit - done)):
        for job in batches.run_together(jobs, context, timer):
            run_job(job, context, timer)
        done += len(jobs)
    return done


class WorkerRuntime:
    """What one worker process keeps between slices: its heartbeat, its timer, the handlers' context, and jobs cut off by an outage."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.timer = JobTimer()
        self.heartbeat = Heartbeat(self.timer)
        self.types: Sequence[JobType] = registry().served(settings.JOB_WORKER_SERVICES)
        self.context: JobContext = import_string(settings.JOB_CONTEXT_FACTORY)()
        self.is_in_slice = False
        self._is_leaving = False
        self._cut_off: list[Job] = []
        self._turns = queue.Turns()
        signal.signal(signal.SIGTERM, self._on_terminate)
        util.Finalize(self, self.heartbeat.close, exitpriority=10)
        self.heartbeat.start()

    @property
    def is_stopping(self) -> bool:
        return self._is_leaving or board.is_stopping

    def _on_terminate(self, signum: int, frame: FrameType | None) -> None:
        self._is_leaving = True
        if self.is_in_slice:
            self.timer.stop_within(settings.JOB_GRACE_SECONDS)
            self.heartbeat.doorbell.ring()
        elif board.is_stopping:
            # Blocked in Django-Q2's queue, where no token will come any more. Alone, the next slice sees the flag instead: leaving
            # the queue's internals half-way would take its place in the queue along.
            raise SystemExit(0)

    def work(self, seconds: float) -> None:
        """Claim and run for `seconds`; idle meanwhile where nothing is due."""
        until = time.monotonic() + seconds
        while not self.is_stopping and (left := until - time.monotonic()) > 0:
            board.mark_slice()
            self.heartbeat.doorbell.hush()
            if not self._may_claim() or not self._run_package():
                self.heartbeat.doorbell.wait(min(left, settings.JOB_POLL_SECONDS))

    def _may_claim(self) -> bool:
        if not self.heartbeat.is_fresh:
            return False
        database.settle_in(prepare=settings.JOB_PREPARE)
        while self._cut_off:
            _put_back(self._cut_off[0])
            self._cut_off.pop(0)
            self._hold([])
        return True

    def _run_package(self) -> bool:
        jobs = queue.claim(self.heartbeat.claimant, types=self.types, turns=self._turns)
        self._hold(jobs)
        if jobs:
            with self.timer.armed():
                self._run_all(jobs)
        self._hold([])
        return bool(jobs)

    def _run_all(self, jobs: Sequence[Job]) -> None:
        """Together where the type allows it, and what is left one by one; what cannot be begun in time is given back."""
        late_at = time.monotonic() + _PACKAGE_SECONDS
        left = list(jobs)
        try:
            left = batches.run_together(jobs, self.context, self.timer)
            for position in range(len(left)):
                if self.is_stopping or (position > 0 and time.monotonic() > late_at):
                    queue.release_all(left)
                    return
                run_job(left[0], self.context, self.timer)
                del left[0]
        except DatabaseLost:
            self._cut_off += left
            self._hold([])
            raise

    def _hold(self, jobs: Sequence[Job]) -> None:
        self.heartbeat.job_ids = tuple(job.pk for job in (*jobs, *self._cut_off))


def _put_back(job: Job) -> None:
    """Find out what became of an attempt the database's absence cut off: if our lease still stands, it did not commit; run it again."""
    try:
        queue.interrupt(job, _LOST_DATABASE)
    except LeaseLost:
        log.info("an interrupted job had ended or moved on", extra={"job_id": job.pk})


_runtime: WorkerRuntime | None = None


def run_slice() -> None:
    """What Django-Q2 runs for each token: one slice of this process's WorkerRuntime. Leaves by SystemExit only when told to stop."""
    global _runtime  # noqa: PLW0603 - one runtime per process, and a forked process must make its own
    board.mark_slice()
    try:
        if _runtime is None or _runtime.pid != os.getpid():
            _runtime = WorkerRuntime()
        _slice(_runtime)
    except Exception:
        # The last line: a slice that raised would be repeated at once, and for ever.
        log.exception("a worker cannot be set up")
        time.sleep(_PAUSE_SECONDS)
    if _runtime is not None and _runtime.is_stopping:
        raise SystemExit(0)


def _slice(runtime: WorkerRuntime) -> None:
    runtime.is_in_slice = True
    try:
        runtime.work(settings.JOB_SLICE_SECONDS)
    except Exception as error:  # noqa: BLE001 - the worker's edge
        connections.close_all()
        runtime.heartbeat.outage.lost(error.__cause__ or error)
        runtime.heartbeat.doorbell.wait(_PAUSE_SECONDS)
    finally:
        runtime.is_in_slice = False
