"""The transaction one job runs in: transaction.atomic(durable=True) without its extra trips through the driver, and stricter at the end."""

from collections.abc import Callable
from types import TracebackType

from django.db import Error as DatabaseError
from django.db import InterfaceError, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.transaction import Atomic
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus, TransactionStatus

from jobs import database

_FINE = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY})
_DURABLE = transaction.atomic(durable=True)


class JobTransaction:
    """Leaving the block commits, an exception rolls back; an error that broke the transaction and was swallowed is raised at the end.

    Inside, Django's connection is in an atomic block like any other: on_commit() waits for the commit, atomic() makes savepoints,
    durable=True is refused. Inside another transaction, as tests run, it is transaction.atomic(durable=True) itself.
    `first`: gives a statement to send together with the BEGIN; `touched` is how many rows it changed.
    """

    __slots__ = ("_atomic", "_django", "_first", "touched")

    def __init__(self, first: Callable[[], bytes] = bytes) -> None:
        self._first = first
        self.touched = 0

    def __enter__(self) -> "JobTransaction":
        self._django = django = database.wrapper()
        self._atomic: Atomic | None = None
        django.ensure_connection()
        if django.in_atomic_block or not django.autocommit or django.connection.isolation_level is not None:
            self._atomic = transaction.atomic(durable=True)
            self._atomic.__enter__()
            if first := self._first():
                self.touched = _send(django, first)
            return self
        try:
            self.touched = self._begin()
        except InvalidSqlStatementName:
            # The driver has dropped every prepared statement of the session, as it does when a savepoint was rolled back.
            database.forget_prepared()
            self.touched = self._begin()
        django.autocommit = False
        django.in_atomic_block = True
        django.commit_on_exit = True
        django.needs_rollback = False
        django.atomic_blocks.append(_DURABLE)
        return self

    def _begin(self) -> int:
        try:
            return _send(self._django, b"BEGIN; " + self._first())
        except BaseException as error:
            _roll_back(self._django)
            if isinstance(error.__cause__, InvalidSqlStatementName):
                raise error.__cause__ from None
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broken = None if error else _broken(self._django)
        if self._atomic is None:
            self._leave(error or broken)
        else:
            self._atomic.__exit__(kind or (type(broken) if broken else None), error or broken, trace)
        if broken:
            raise broken

    def _leave(self, error: BaseException | None) -> None:
        django = self._django
        django.atomic_blocks.pop()
        django.in_atomic_block = False
        try:
            if django.closed_in_transaction:
                django.closed_in_transaction, django.connection = False, None
            elif error:
                _roll_back(django)
            else:
                _commit(django)
        finally:
            django.autocommit, django.needs_rollback = True, False
        if error:
            django.run_on_commit = []
        elif django.run_on_commit:
            django.run_and_clear_commit_hooks()


def _broken(django: DatabaseWrapper) -> Exception | None:
    """Why the transaction cannot commit although nobody raises; PostgreSQL would answer its COMMIT with a silent rollback."""
    if django.closed_in_transaction or django.connection is None:
        return InterfaceError("the connection was closed inside the transaction")
    if django.needs_rollback or django.connection.pgconn.transaction_status == TransactionStatus.INERROR:
        return transaction.TransactionManagementError("an error that broke the transaction was swallowed inside it")
    return None


def _commit(django: DatabaseWrapper) -> None:
    try:
        _send(django, b"COMMIT")
    except BaseException:
        _roll_back(django)
        django.run_on_commit = []
        raise


def _roll_back(django: DatabaseWrapper) -> None:
    if django.connection.pgconn.transaction_status in {TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN}:
        django.close()  # cut off in the middle of a statement: nothing more can be said on this connection
        return
    try:
        _send(django, b"ROLLBACK")
    except DatabaseError:
        django.close()


def _send(django: DatabaseWrapper, commands: bytes) -> int:
    """Run statements without parameters in one trip; returns how many rows the last one touched.

    Beneath psycopg's cursor, whose care for parameters, types and prepared statements costs more here than the trip itself.
    """
    raw = django.connection
    with django.wrap_database_errors, raw.lock:
        raw.pgconn.send_query(commands)
        results = raw.wait(execute(raw.pgconn))
        for result in results:
            if result.status not in _FINE:
                raise error_from_result(result, encoding=raw.info.encoding)
        return results[-1].command_tuples or 0
