"""The bench's own servers: one PostgreSQL with every commit on disk and one Redis, in a temporary directory, gone afterwards."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench.processes import await_that
from config.devdb import DevDB

# Memory and log volume of a small server; durability is PostgreSQL's default and is checked, not set.
TUNING = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "512MB",
    "log_min_duration_statement": "-1",
}
EFFECTS_TABLE = """
CREATE TABLE IF NOT EXISTS bench_effects (
    n bigint NOT NULL, pid integer NOT NULL, enqueued_at double precision,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


@dataclass(frozen=True)
class Servers:
    """`directory`: where everything of this run lies. `redis_socket` None: there is no redis-server on this machine."""

    directory: Path
    postgres: DevDB
    redis_socket: Path | None

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self.postgres.socket_directory), user="postgres", dbname=database, autocommit=True
        )

    def create_database(self, name: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with self.connect(name) as connection:
            connection.execute(EFFECTS_TABLE)

    def environment(self, database: str) -> dict[str, str]:
        """What the processes of one contestant need to find its database and the Redis."""
        return {
            "PGHOST": str(self.postgres.socket_directory),
            "PGUSER": "postgres",
            "PGDATABASE": database,
            "STATE_DIR": str(self.directory),
            "DEVDB_NAME": database,
            "DEVDB_AUTOSTART": "0",
            "DATABASE_URL": "",
            "BENCH_REDIS_SOCKET": str(self.redis_socket or ""),
        }

    def flush_redis(self) -> None:
        if self.redis_socket:
            subprocess.run(
                ["redis-cli", "-s", str(self.redis_socket), "FLUSHALL"], check=True, capture_output=True, timeout=60
            )

    def facts(self) -> dict[str, str]:
        """Versions, and the settings the numbers depend on."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", *TUNING)
        with self.connect("postgres") as connection:
            facts = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}  # type: ignore[index]
        if facts["fsync"] != "on" or facts["synchronous_commit"] != "on":
            raise RuntimeError("the bench measures durable commits only")
        if self.redis_socket:
            said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, timeout=10, check=True)
            facts["redis"] = said.stdout.split("v=")[1].split()[0]
        return facts


@contextmanager
def servers() -> Iterator[Servers]:
    """Both servers, started; stopped and deleted at the end whatever happens."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    directory.chmod(0o755)  # the server's account must reach its data
    postgres = DevDB(directory)
    redis: subprocess.Popen[bytes] | None = None
    try:
        postgres.ensure()
        _tune(postgres)
        socket, redis = _start_redis(directory)
        yield Servers(directory, postgres, socket)
    finally:
        if redis is not None:
            redis.kill()
            redis.wait(10)
        postgres.remove()
        shutil.rmtree(directory, ignore_errors=True)


def _tune(postgres: DevDB) -> None:
    target = {"host": str(postgres.socket_directory), "user": "postgres", "dbname": "postgres"}
    with psycopg.connect(**target, autocommit=True) as connection:  # type: ignore[arg-type]
        for name, value in TUNING.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    postgres.stop()
    postgres.ensure()


def _start_redis(directory: Path) -> tuple[Path | None, subprocess.Popen[bytes] | None]:
    program = shutil.which("redis-server")
    if program is None or shutil.which("redis-cli") is None:
        return None, None
    socket = directory / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--dir", str(directory), "--save", ""]
    process = subprocess.Popen(
        [*command, "--appendonly", "yes", "--appendfsync", "everysec"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    await_that(socket.exists, seconds=15, what="redis-server opens its socket")
    return socket, process
