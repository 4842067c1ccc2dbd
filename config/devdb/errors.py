"""What can go wrong with the database before the first query, said in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import OperationalError


class DevDBError(psycopg.OperationalError):
    """The embedded server cannot be used. The person at the terminal acts; a worker treats it like any lost connection."""


class DatabaseURLError(ImproperlyConfigured):
    """DATABASE_URL is not the address of a PostgreSQL database. The person who set it acts."""


@contextmanager
def clear_database_errors() -> Iterator[None]:
    """Ends the process with one line and exit code 1 when the database cannot be reached or is wrongly named.

    An error of a server that did answer (it carries an SQLSTATE) keeps its traceback; `--traceback` keeps it for all.
    """
    try:
        yield
    except (DatabaseURLError, DevDBError, OperationalError) as error:
        answered = getattr(error.__cause__, "sqlstate", None) is not None
        if answered or "--traceback" in sys.argv:
            raise
        sys.exit(f"Database: {' '.join(str(error).split())}")
