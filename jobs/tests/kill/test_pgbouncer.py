"""A cluster behind PgBouncer in transaction mode: no LISTEN, nothing prepared, more clients than connections, and the same promises."""

import os
import shutil
import socket
import subprocess
from importlib import import_module

import psutil
import psycopg
import pytest

from jobs.tests.clusters import wait_for
from jobs.tests.kill import checker, faults
from jobs.tests.servers import DATABASE

# By name: this room may not import the wiring.
Account = import_module("config.devdb.binaries").Account
BINARY = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
POOL = 4
CONFIGURATION = """
[databases]
{database} = host={host} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
log_connections = 0
log_disconnections = 0
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BINARY is None and not os.environ.get("REQUIRE_ALL_SUITES"), reason="needs pgbouncer (a Debian package)"
    ),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def url(server, tmp_path):
    """The address of the private server behind a PgBouncer of the test's own."""
    assert BINARY, "REQUIRE_ALL_SUITES is set, but there is no pgbouncer"
    port = free_port()
    file = tmp_path / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(database=DATABASE, host=server.host, port=port, pool=POOL))
    # As root it must become somebody whom the server's peer authentication knows.
    become = ["--user", Account.current().name] if os.geteuid() == 0 else []
    with (tmp_path / "pgbouncer.log").open("wb") as output:
        bouncer = subprocess.Popen([BINARY, *become, str(file)], stdout=output, stderr=output)
    address = f"postgres://postgres@127.0.0.1:{port}/{DATABASE}"
    try:
        wait_for(lambda: answers(address) or bouncer.poll() is not None, 10)
        assert bouncer.poll() is None, (tmp_path / "pgbouncer.log").read_text()
        yield address
    finally:
        bouncer.kill()
        bouncer.wait(10)


def answers(address):
    try:
        psycopg.connect(address, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_cluster_works_and_survives_a_killed_worker(played, server, url):
    port = int(url.rpartition(":")[2].partition("/")[0])
    with played.cluster(DATABASE_URL=url, JOB_LISTEN="0", JOB_PREPARE="0") as running:
        played.points.arm(faults.BEFORE_COMMIT)
        for job_type, count in {
            "work": 10,
            "work_quick": 100,
            "work_batch": 60,
            "work_steps": 5,
            "work_snooze": 2,
        }.items():
            played.enqueue(job_type, count)
        played.enqueue("work_parent", payload='{"children": 3}')
        busy = played.waiting_process()
        clients = [c for c in psutil.net_connections("tcp4") if c.status == "ESTABLISHED" and c.laddr.port == port]
        busy.kill()
        played.points.release()
        wait_for(lambda: played.open_jobs() == 0, 30)
        backends = server.query(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )[0][0]
        assert backends <= POOL < len(clients)
        assert running.stop() == 0
    assert checker.violations(played.history()) == []
    assert played.statuses() == {"completed": 181}
