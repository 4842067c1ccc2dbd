"""Exits 0 when this container's worker has shown its heartbeat to the database lately, 1 when it has not."""

import os
import socket
import sys

import psycopg

HEARTBEAT = """
    SELECT 1 FROM jobs_worker WHERE host = %s AND heartbeat_at > now() - make_interval(secs => %s) LIMIT 1
"""


def beats() -> bool:
    seconds = float(os.environ.get("JOB_LEASE_SECONDS", "20"))
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
        return connection.execute(HEARTBEAT, [socket.gethostname(), seconds]).fetchone() is not None


if __name__ == "__main__":
    sys.exit(0 if beats() else 1)
