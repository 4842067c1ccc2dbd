"""The demo's supervisor, with small real processes: together they stop, and none is left behind."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command

from config.supervisor import ChildEnded, Supervisor

ROOT = Path(__file__).resolve().parents[2]

WAITS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
ENDS = "import sys; print('enough', flush=True); sys.exit(3)"
LEAVES_A_GRANDCHILD = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(p.pid, flush=True); time.sleep(600)"
)
TELLS_ITS_END = (
    "import signal, sys, time\n"
    "def end(*_):\n"
    "    time.sleep(0.3); print('ended', flush=True); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
)
SUPERVISES_THREE = """
import os, sys
from pathlib import Path
from config.supervisor import StopAsked, Supervisor
supervisor = Supervisor(out=sys.stdout, grace_seconds=5)
try:
    with supervisor.listening():
        for name in ("one", "two", "three"):
            supervisor.start(name, [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
                             cwd=Path.cwd(), env=os.environ)
        while True:
            supervisor.tick()
except StopAsked:
    print("stopped", flush=True)
"""


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(out: io.StringIO) -> Iterator[Supervisor]:
    supervisor = Supervisor(out=out, grace_seconds=1)
    with supervisor.listening():
        yield supervisor


@pytest.fixture
def start(supervisor: Supervisor) -> Callable[[str, str], None]:
    return lambda name, code: supervisor.start(name, [sys.executable, "-c", code], cwd=ROOT, env=os.environ)


@pytest.fixture
def supervised() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A supervisor in a process of its own, with the process ids of its three children."""
    command = [sys.executable, "-c", SUPERVISES_THREE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        pids = [int(process.stdout.readline().split()[1]) for _ in range(3)]
        yield process, pids
        process.kill()


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while alive := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_stops_every_child_and_ends_well(supervised, number):
    process, pids = supervised
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert process.stdout.read().splitlines()[-1] == "stopped"
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's death on Linux")
def test_a_killed_supervisor_takes_its_children_along(supervised):
    process, pids = supervised
    process.kill()
    process.wait(timeout=20)
    wait_until_gone(pids)


def test_a_child_that_ends_is_reported_and_the_others_are_stopped(supervisor, start, out):
    start("stays", WAITS)
    start("leaves", ENDS)
    with pytest.raises(ChildEnded, match="leaves ended with exit code 3"):
        supervisor.wait_until(lambda: False, seconds=20)
    pids = [child.process.pid for child in supervisor._children]

    supervisor.stop()

    assert "leaves   enough\n" in out.getvalue()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_the_first_child_stays_until_all_the_others_are_gone(supervisor, start, out):
    start("ground", TELLS_ITS_END)
    start("upper", TELLS_ITS_END)
    supervisor.wait_until(lambda: out.getvalue().count("up\n") == 2, seconds=20)
    supervisor.stop()
    assert out.getvalue().splitlines()[-2:] == ["upper    ended", "ground   ended"]


def test_a_child_that_will_not_stop_is_killed_after_the_grace_time(supervisor, start, out):
    start("stubborn", STUBBORN)
    supervisor.wait_until(lambda: "up" in out.getvalue(), seconds=20)
    (pid,) = [child.process.pid for child in supervisor._children]
    supervisor.stop()
    assert out.getvalue().splitlines()[-1] == "stubborn did not stop in time: killed"
    assert not psutil.pid_exists(pid)


def test_what_a_child_left_behind_is_ended_too(supervisor, start, out):
    start("parent", LEAVES_A_GRANDCHILD)
    supervisor.wait_until(lambda: "\n" in out.getvalue(), seconds=20)
    grandchild = int(out.getvalue().split()[1])
    supervisor.stop()
    wait_until_gone([grandchild])


def test_a_step_run_to_its_end_returns_its_exit_code_while_the_others_go_on(supervisor, start, out):
    start("stays", WAITS)
    assert supervisor.run_once("step", [sys.executable, "-c", ENDS], cwd=ROOT, env=os.environ) == 3
    assert "step     enough\n" in out.getvalue()
    supervisor.tick()  # nobody else has ended


def test_a_port_in_use_refuses_the_demo_in_one_line_before_anything_is_started(settings):
    settings.CHAIN_ENDPOINTS = ["127.0.0.1:20000"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} is in use: choose another with --port"):
            call_command("demo", port=port)
        settings.CHAIN_ENDPOINTS = [f"127.0.0.1:{port}"]
        with pytest.raises(CommandError, match=f"port {port} is in use: name another for the devnet"):
            call_command("demo", port=0)


@pytest.mark.parametrize("endpoints", [["grpc.testnet.concordium.com:20000"], ["127.0.0.1:1", "127.0.0.1:2"], []])
def test_the_demo_never_runs_against_a_chain_that_is_not_its_own(settings, endpoints):
    settings.CHAIN_ENDPOINTS = endpoints
    with pytest.raises(CommandError, match="the demo brings its own chain"):
        call_command("demo")
