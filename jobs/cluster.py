"""Django-Q2's cluster, supervised: nothing of it outlives its main process, and nothing hangs without the main process ending it.

The main process waits for the sentinel and for signals; the sentinel keeps the workers, the pusher and the monitor. Stop flags are shared
memory and pipes, never multiprocessing's events, whose locks die with a killed process.
"""

import logging
import multiprocessing
import os
import select
import signal
import time
import uuid
from collections.abc import Callable
from multiprocessing import connection as waiting
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

import psutil
from django import db
from django.conf import settings
from django_q.cluster import Sentinel
from django_q.conf import Conf
from django_q.worker import worker

from jobs.broker import JobQueueBroker
from jobs.liveness import adopt_orphans, board, die_with

log = logging.getLogger(__name__)

_fork = multiprocessing.get_context("fork")
_CHECK_SECONDS = 0.5
# Beyond the grace time: for the released jobs to be written and the processes to end.
_EXIT_SECONDS = 5.0
_KILL_SECONDS = 5.0


class StopFlag:
    """What Django-Q2 takes for a multiprocessing.Event; set through a pipe that is never emptied, so every waiter sees it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def set(self) -> None:
        os.write(self._write, b"!")

    def is_set(self) -> bool:
        return bool(select.select([self._read], [], [], 0)[0])

    def wait(self, timeout: float | None = None) -> bool:
        return bool(select.select([self._read], [], [], timeout)[0])


def _run_child(parent_pid: int, target: Callable[..., None], *args: Any) -> None:
    """The first thing a child of the sentinel does."""
    die_with(parent_pid)
    if target is worker:
        # Until its first slice a worker has nothing to finish. Results are of no value: never wait for the pipe at exit.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        args[1].cancel_join_thread()
    target(*args)


class GuardedSentinel(Sentinel):
    """Django-Q2's guard of the pool, with children that die with it, deaf to signals, and a stop that waits for the jobs alone."""

    def start(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a signal to the whole group is the main process's to answer
        self._pid = os.getpid()
        board.mark_guard()
        self.spawn_cluster()
        self.guard()

    def spawn_process(self, target: Callable[..., None], *args: Any) -> Any:
        process: Any = _fork.Process(
            target=_run_child, args=(self._pid, target, *args), name=f"Process-{uuid.uuid4().hex}"
        )
        process.daemon = True
        if target is worker:
            process.timer = args[2]
            self.pool.append(process)
        process.start()
        return process

    def stop(self) -> None:
        """Ask every worker to drain; end those that have not within the grace time. The others hold nothing of value."""
        deadline = time.monotonic() + settings.JOB_GRACE_SECONDS + _EXIT_SECONDS
        for process in self.pool:
            process.terminate()
        for process in self.pool:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in (*self.pool, self.pusher, self.monitor):
            process.kill()
            process.join(_KILL_SECONDS)
        for queue in (self.task_queue, self.result_queue):
            queue.cancel_join_thread()


def _run_sentinel(parent_pid: int, stop: StopFlag, start: StopFlag) -> None:
    die_with(parent_pid)
    GuardedSentinel(stop, start, uuid.uuid4(), JobQueueBroker(), Conf.TIMEOUT)


class Cluster:
    """The main process of one `qcluster`. run() returns its exit code: 0 only after a stop that was asked for and went well."""

    def __init__(self) -> None:
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._stop = StopFlag()
        self._sentinel: Any = None

    def run(self, *, once: bool = False) -> int:
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        db.connections.close_all()
        self._sentinel = _fork.Process(
            target=_run_sentinel, args=(os.getpid(), self._stop, StopFlag()), name="sentinel"
        )
        board.mark_slice()
        board.mark_guard()
        self._sentinel.start()
        if once:
            self._ask_to_stop()
        try:
            return self._supervise()
        finally:
            self._end_everything()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        board.stop()
        os.write(self._wake_write, b"!")

    def _ask_to_stop(self) -> None:
        board.stop()
        self._stop.set()

    def _supervise(self) -> int:
        """Until the sentinel has ended, or has to be ended."""
        is_asked, deadline, looked_at = False, float("inf"), time.monotonic()
        while True:
            waiting.wait([self._sentinel.sentinel, self._wake_read], timeout=_CHECK_SECONDS)
            now = time.monotonic()
            if not self._sentinel.is_alive():
                return self._sentinel_ended()
            if select.select([self._wake_read], [], [], 0)[0]:
                os.read(self._wake_read, 4096)
            if board.is_stopping and not is_asked:
                is_asked, deadline = True, now + settings.JOB_GRACE_SECONDS + 2 * _EXIT_SECONDS
                self._stop.set()
            if now > deadline:
                log.critical("the cluster does not stop: ending it")
                return 1
            if now - looked_at > 10 * _CHECK_SECONDS:
                # We were suspended, and so was everybody: nobody can have shown progress.
                board.mark_slice()
                board.mark_guard()
            looked_at = now
            if not is_asked and (what := self._stuck(now)):
                log.critical("no progress: ending the cluster", extra={"stuck": what})
                return 1

    def _sentinel_ended(self) -> int:
        if board.is_stopping and self._sentinel.exitcode == 0:
            return 0
        log.critical("the sentinel was lost: ending the cluster", extra={"exit_code": self._sentinel.exitcode})
        return 1

    def _stuck(self, now: float) -> str:
        if now - board.guard_at > settings.JOB_WATCHDOG_SECONDS:
            return "sentinel"
        if now - board.slice_at > settings.JOB_WATCHDOG_SECONDS:
            return "workers"
        return ""

    def _end_everything(self) -> None:
        """Kill every process of this cluster that is left, and see it gone. Killing the sentinel first: it cannot fork again."""
        self._sentinel.kill()
        self._sentinel.join(_KILL_SECONDS)
        deadline = time.monotonic() + _KILL_SECONDS
        while (left := self._descendants()) and time.monotonic() < deadline:
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=0.2)

    def _descendants(self) -> list[psutil.Process]:
        # Python's own tracker of shared memory is no part of the cluster; it ends with us.
        tracker = getattr(resource_tracker._resource_tracker, "_pid", None)
        return [child for child in psutil.Process().children(recursive=True) if child.pid != tracker]
