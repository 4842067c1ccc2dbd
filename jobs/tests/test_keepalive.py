"""A host that loses its power says nothing to the other end: over TCP both ends must find out in seconds, or rows stay locked for hours."""

import json
import os
import subprocess
import sys

import pytest

from jobs.tests.clusters import ROOT
from jobs.tests.servers import DATABASE, PrivateServer

pytestmark = pytest.mark.slow

# Loopback, but nobody else's: the embedded server's port is fixed.
ADDRESS = "127.83.14.9"
LOOK = """
import json, os, socket, django
django.setup()
from jobs import database
database.settle_in(prepare=False)
ours = socket.socket(fileno=os.dup(database.raw_connection().pgconn.socket))
names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
print(json.dumps({
    "server": [database.rows(f"SHOW {name}")[0][0] for name in names],
    "client": [ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
              + [ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")],
}))
"""


@pytest.fixture
def server(tmp_path):
    private = PrivateServer(tmp_path / "state")
    try:
        private.devdb.ensure()
        private.devdb.ensure_database()
        private.query(f"ALTER SYSTEM SET listen_addresses = '{ADDRESS}'")
        ((file,),) = private.query("SHOW hba_file")
        with open(file, "a") as access:
            access.write("host all all 127.0.0.0/8 trust\n")
        private.stop_immediately()
        private.start()
        yield private
    finally:
        private.remove()


def look(server, **settings):
    """What a worker's connection over TCP has been told, at either end."""
    address = {"DATABASE_URL": f"postgres://postgres@{ADDRESS}:5432/{DATABASE}"}
    environment = {**os.environ, **server.environment, **address, **settings}
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(answer.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="names the socket options of Linux")
def test_both_ends_of_a_workers_connection_notice_within_seconds(server):
    seen = look(server)
    assert seen["server"] == ["5", "2", "3", "15000"]
    assert seen["client"] == [1, 5, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="names the socket options of Linux")
def test_a_session_that_a_pooler_shares_is_left_alone(server):
    seen = look(server, JOB_LISTEN="0")
    assert seen["server"][0] != "5"
    assert seen["client"] == [1, 5, 2, 3]
