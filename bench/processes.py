"""Child processes of the bench: started in sessions of their own, stopped or killed as whole sessions, never left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


class TooLate(Exception):
    """A bounded wait ran out."""


def await_that(condition: Callable[[], object], *, seconds: float, what: str, every: float = 0.05) -> None:
    """Until `condition` holds; TooLate saying `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TooLate(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def call(command: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> str:
    """Run one command to its end and return what it printed; RuntimeError with its own words when it fails."""
    process = _start(command, environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = process.communicate(timeout=seconds)[0].decode(errors="replace")
    finally:
        _signal_session(process.pid, signal.SIGKILL)
        process.wait(10)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said[-3000:]}")
    return said


class Workers:
    """The worker processes of one contestant, with everything they forked."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._leaders = [_start(command, environment, stdout=output, stderr=output) for command in commands]

    def are_alive(self) -> bool:
        return all(leader.poll() is None for leader in self._leaders)

    def members(self) -> list[psutil.Process]:
        """All processes of the sessions now."""
        return [process for leader in self._leaders for process in _session(leader.pid)]

    def kill(self) -> None:
        """SIGKILL for every process at once; returns when all are gone."""
        for leader in self._leaders:
            _signal_session(leader.pid, signal.SIGKILL)
        for leader in self._leaders:
            leader.wait(10)
        await_that(lambda: not self.members(), seconds=10, what="the killed processes are gone")

    def stop(self) -> None:
        """SIGTERM to the leaders, then SIGKILL to whatever is left ten seconds later."""
        for leader in self._leaders:
            if leader.poll() is None:
                leader.terminate()
        deadline = time.monotonic() + 10
        for leader in self._leaders:
            try:
                leader.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        self.kill()


@contextmanager
def running(commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path) -> Iterator[Workers]:
    """Workers for the length of the block; none of them outlives it."""
    workers = Workers(commands, environment, log)
    try:
        yield workers
    finally:
        workers.stop()


def _start(command: Sequence[str], environment: Mapping[str, str], **streams: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **streams,  # type: ignore[call-overload]
    )


def _session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def _signal_session(leader: int, number: int) -> None:
    """The leader's group at one stroke, then whoever left the group but not the session."""
    with suppress(ProcessLookupError):
        os.killpg(leader, number)
    for process in _session(leader):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
