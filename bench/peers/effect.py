"""The measured job's body for peers that run plain functions: one committed INSERT, in the middle of the time the job takes."""

import os
import threading
import time

import psycopg

INSERT = "INSERT INTO bench_effects (n, pid, enqueued_at) VALUES (%s, %s, %s)"
REDIS_SOCKET = os.environ.get("BENCH_REDIS_SOCKET", "")
_local = threading.local()


def connection() -> psycopg.Connection:
    """This thread's, opened in this process: workers fork."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.connection = psycopg.connect("", autocommit=True, prepare_threshold=0)
    return _local.connection


def leave(n: int, enqueued_at: float | None = None, sleep: float = 0) -> None:
    """Do the job."""
    if sleep:
        time.sleep(sleep / 2)
    connection().execute(INSERT, (n, os.getpid(), enqueued_at))
    if sleep:
        time.sleep(sleep / 2)


def truncate(*tables: str) -> None:
    connection().execute(f"TRUNCATE {', '.join(tables)} CASCADE")
