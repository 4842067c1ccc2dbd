"""What the processes of one cluster tell each other: numbers in shared memory, without locks, for a killed process keeps its locks."""

import ctypes
import mmap
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PARENT_CHECK_SECONDS = 1.0


class Board:
    """Shared by fork. Each number is a point of time.monotonic(), which all processes of one machine share; 0 is never."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")

    @property
    def is_stopping(self) -> bool:
        return self._numbers[0] > 0

    def stop(self) -> None:
        self._numbers[0] = time.monotonic()

    @property
    def slice_at(self) -> float:
        """When a worker last showed that it is in a slice, or in a job within its time limit."""
        return self._numbers[1]

    def mark_slice(self) -> None:
        self._numbers[1] = time.monotonic()

    @property
    def guard_at(self) -> float:
        """When the sentinel last went round its loop."""
        return self._numbers[2]

    def mark_guard(self) -> None:
        self._numbers[2] = time.monotonic()


board = Board()


def die_with(parent_pid: int) -> None:
    """End this process, by SIGKILL, as soon as `parent_pid` is no longer its parent: at once on Linux, within a second elsewhere."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=_watch_parent, args=(parent_pid,), name="parent-watch", daemon=True).start()


def adopt_orphans() -> None:
    """Make grandchildren whose parent died our own children, so that they can be found and ended. Linux; elsewhere they end alone."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
