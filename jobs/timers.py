"""The hard time limit of one job, and the grace a stopping worker gives it: a signal in the worker's main thread, armed only there."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """Stops a handler from outside; not an Exception, so that no handler swallows it."""


class TimeLimitExceeded(Interrupted):
    """The job ran longer than its type allows."""


class GraceOver(Interrupted):
    """The worker is stopping and the job did not end within the grace time."""


class JobTimer:
    """At most one job is timed at once. The deadlines are points of time.monotonic()."""

    def __init__(self) -> None:
        self._limit_at: float | None = None
        self._grace_at = math.inf
        self._rings_at = math.inf
        self._is_armed = False

    @property
    def limit_at(self) -> float | None:
        """When the running job is over its limit; None when no job runs. May be read from another thread."""
        return self._limit_at

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Own the process's alarm for a whole package: inside, running() costs no system call. Off the main thread nothing is timed."""
        if self._is_armed or threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGALRM, self._ring)
        outer_seconds, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        self._is_armed, self._rings_at = True, math.inf
        try:
            yield
        finally:
            self._limit_at = None
            self._is_armed = False
            signal.setitimer(signal.ITIMER_REAL, outer_seconds)
            signal.signal(signal.SIGALRM, previous)

    @contextmanager
    def running(self, seconds: float) -> Iterator[None]:
        """Raise TimeLimitExceeded or GraceOver inside the block when its time is up. Off the main thread there is no limit."""
        with self.armed():
            if not self._is_armed or threading.current_thread() is not threading.main_thread():
                yield
                return
            try:
                self._limit_at = time.monotonic() + seconds
                # An alarm that is set already and comes too early sets the next one itself: most jobs never touch it.
                if min(self._limit_at, self._grace_at) < self._rings_at:
                    self._ring_in_time()
                yield
            finally:
                # First of all: an alarm that is already on its way finds nothing to interrupt.
                self._limit_at = None

    def stop_within(self, seconds: float) -> None:
        """The worker is stopping: the running job has this long, if its own limit does not come first. Safe in a signal handler."""
        self._grace_at = min(self._grace_at, time.monotonic() + seconds)
        if self._limit_at is not None:
            self._ring_in_time()

    def _ring_in_time(self) -> None:
        assert self._limit_at is not None
        self._rings_at = min(self._limit_at, self._grace_at)
        signal.setitimer(signal.ITIMER_REAL, max(self._rings_at - time.monotonic(), 1e-6))  # zero would disarm

    def _ring(self, signum: int, frame: FrameType | None) -> None:
        self._rings_at = math.inf
        if self._limit_at is None:
            return
        if time.monotonic() < min(self._limit_at, self._grace_at):
            self._ring_in_time()
            return
        over_limit = self._limit_at <= self._grace_at
        self._limit_at = None
        raise TimeLimitExceeded if over_limit else GraceOver
