"""Runs several processes in one terminal: their output prefixed, all of them stopped together, none of them left behind.

It has one thread: it reads its children's output and looks after them in the same loop, so that starting a child is
safe at any time. It knows nothing of what the children do.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TICK_SECONDS = 0.2
PR_SET_PDEATHSIG = 1  # prctl(2)
COLOURS = (36, 33, 35, 32, 34)


class ChildEnded(Exception):
    """A child ended although nobody asked it to. The supervisor stops the others."""


class StopAsked(Exception):
    """SIGINT, SIGTERM or SIGHUP arrived. The supervisor stops everything."""


class Child:
    """One started process and the piece of its output that has no line end yet."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.process = process
        self.unfinished = b""


class Supervisor:
    """Children start in the order they depend on each other: the first stays until all the others are gone.

    `out` receives their lines; `grace_seconds` is what each has between the request to stop and the kill.
    """

    def __init__(self, *, out: TextIO, grace_seconds: float) -> None:
        self._out = out
        self._grace_seconds = grace_seconds
        self._children: list[Child] = []
        self._outputs = selectors.DefaultSelector()
        self._signals_seen = 0
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: nothing is after the fork

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it the stop signals are ours; whatever ends it, no child outlives it."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            self.stop()
            self._outputs.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, name: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        """Starts `command` in a session of its own: a Ctrl-C in the terminal reaches the supervisor alone."""
        process = subprocess.Popen(  # noqa: S603 - the caller's argument list, no shell
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._die_with_supervisor,  # noqa: PLW1509 - one thread, one system call
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        child = Child(name, process)
        self._children.append(child)
        self._outputs.register(process.stdout, selectors.EVENT_READ, child)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Returns when `condition` holds. TimeoutError after `seconds`; ChildEnded and StopAsked as they happen."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError
            self.tick()

    def run_once(self, name: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        """Runs `command` to its end beside the others and returns its exit code."""
        self.start(name, command, cwd=cwd, env=env)
        child = self._children.pop()
        try:
            while child.process.poll() is None:
                self.tick()
        finally:
            self._end([child])
        return child.process.returncode

    def tick(self) -> None:
        """Passes on what the children say for a moment. ChildEnded when one is gone, StopAsked after a signal."""
        self._pass_on(TICK_SECONDS)
        if self._signals_seen:
            raise StopAsked
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise ChildEnded(f"{child.name} ended with {_meaning(code)}")

    def stop(self) -> None:
        """Asks everybody to stop, the first child last; kills whoever needs longer than the grace time. Safe to repeat."""
        self._signals_seen = 0  # one more signal from here on means: at once
        first, others = self._children[:1], self._children[1:]
        self._end(others)
        self._end(first)
        self._children.clear()

    # --- inside ------------------------------------------------------------------------------------------------

    def _on_signal(self, *_: object) -> None:
        self._signals_seen += 1

    def _die_with_supervisor(self) -> None:
        if self._libc:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + self._grace_seconds
        while any(child.process.poll() is None for child in children):
            if time.monotonic() > deadline or self._signals_seen:
                break
            self._pass_on(TICK_SECONDS)
        for child in children:
            if child.process.poll() is None:
                self._say(child.name, "did not stop in time: killed")
            self._kill_group(child)
            child.process.wait()
        self._pass_on(0)
        for child in children:
            self._forget_output(child)

    def _kill_group(self, child: Child) -> None:
        """Ends the child and whatever it started and left behind in its session's group."""
        try:
            os.killpg(child.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says it with the second
            return

    def _pass_on(self, seconds: float) -> None:
        if not self._outputs.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._outputs.select(seconds):
            child: Child = key.data
            piece = os.read(key.fd, 65536)
            if not piece:
                self._forget_output(child)
                continue
            *lines, child.unfinished = (child.unfinished + piece).split(b"\n")
            for line in lines:
                self._say(child.name, line.decode(errors="replace"))

    def _forget_output(self, child: Child) -> None:
        output = child.process.stdout
        if output is None or output.closed:
            return
        if child.unfinished:
            self._say(child.name, child.unfinished.decode(errors="replace"))
            child.unfinished = b""
        self._outputs.unregister(output)
        output.close()

    def _say(self, name: str, line: str) -> None:
        label = name.ljust(8)
        if self._out.isatty():
            label = f"\x1b[{COLOURS[sum(name.encode()) % len(COLOURS)]}m{label}\x1b[0m"
        self._out.write(f"{label} {line.rstrip()}\n")
        self._out.flush()


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
