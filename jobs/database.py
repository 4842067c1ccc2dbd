"""The queue's own cursor: Django's connection and transaction, but bound on the server and prepared, which Django's default is not."""

import os
import socket
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.pq import TransactionStatus

Params = Mapping[str, Any] | Sequence[Any]
Row = tuple[Any, ...]


def rows(sql: str, params: Params = ()) -> list[Row]:
    """Run one statement inside the caller's transaction and return its rows. Errors are Django's database errors."""
    return _execute(sql, params).fetchall()


def run(sql: str, params: Params = ()) -> int:
    """Run one statement whose rows do not matter; returns how many rows it touched."""
    return _execute(sql, params).rowcount


def _execute(sql: str, params: Params) -> psycopg.Cursor[Row]:
    django = wrapper()
    django.ensure_connection()
    django.validate_no_broken_transaction()
    with django.wrap_database_errors:
        return psycopg.Cursor(django.connection).execute(_bytes(sql), params or None)


@cache
def _bytes(sql: str) -> bytes:
    return sql.encode()


def wrapper() -> DatabaseWrapper:
    """Django's own connection object of this thread; the proxy django.db.connection looks it up anew for every attribute."""
    return cast("DatabaseWrapper", connections[DEFAULT_DB_ALIAS])


def raw_cursor() -> psycopg.Cursor[Row]:
    """A psycopg cursor on the connection beneath Django's: the same session, the same transaction."""
    return psycopg.Cursor(raw_connection())


def raw_connection() -> psycopg.Connection[Row]:
    connection.ensure_connection()
    return cast("psycopg.Connection[Row]", connection.connection)


def settle_in(*, prepare: bool) -> None:
    """Make this thread's connection a worker's: it stays open, and keeps the handful of statements it repeats prepared."""
    raw = raw_connection()
    connection.close_at = None  # Django-Q2 asks Django to close old connections before every slice
    threshold = 0 if prepare else None
    if raw.prepare_threshold != threshold:
        raw.prepare_threshold = threshold
    keep_alive()


_KEEPALIVE = {"idle": 5, "interval": 2, "count": 3}
_UNANSWERED_MILLISECONDS = 15_000


def keep_alive() -> None:
    """Notice within seconds, at both ends, that the other host is gone: the kernels' own patience is two hours, and as long would a row
    stay locked by a worker that lost its power. Over TCP only, once per connection."""
    raw = raw_connection()
    if raw in _kept_alive:
        return
    _kept_alive.add(raw)
    with socket.socket(fileno=os.dup(raw.pgconn.socket)) as ours:
        if ours.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("IDLE", _KEEPALIVE["idle"]),
            ("INTVL", _KEEPALIVE["interval"]),
            ("CNT", _KEEPALIVE["count"]),
        ):
            if option := getattr(socket, f"TCP_KEEP{name}", None):
                ours.setsockopt(socket.IPPROTO_TCP, option, value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MILLISECONDS)
    if settings.JOB_LISTEN:  # else a pooler is between, whose session is not ours to set
        for name, value in _KEEPALIVE.items():
            run(f"SET tcp_keepalives_{name} = {value}")
        run(f"SET tcp_user_timeout = {_UNANSWERED_MILLISECONDS}")


_kept_alive: WeakSet[psycopg.Connection[Row]] = WeakSet()
_prepared: WeakKeyDictionary[psycopg.Connection[Row], set[str]] = WeakKeyDictionary()


def prepare_once(name: str, sql: str) -> None:
    """Let EXECUTE `name` stand for `sql` on this thread's connection."""
    raw = raw_connection()
    names = _prepared.setdefault(raw, set())
    if name not in names:
        run(f"PREPARE {name} AS {sql}")
        names.add(name)


def forget_prepared() -> None:
    """What prepare_once() made on this thread's connection is gone, and is to be made again."""
    _prepared.pop(raw_connection(), None)


def is_lost() -> bool:
    """Whether this thread's connection is gone, as opposed to having refused a statement."""
    raw = connection.connection
    return raw is None or raw.closed or raw.broken


def is_idle() -> bool:
    """Whether nothing is under way on this thread's connection: no statement, and no transaction unless Django knows of it."""
    raw = connection.connection
    if raw is None or raw.closed:
        return True
    status = raw.pgconn.transaction_status
    return status == TransactionStatus.IDLE or (connection.in_atomic_block and status == TransactionStatus.INTRANS)
