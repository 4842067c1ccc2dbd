"""Django's PostgreSQL backend, which starts the embedded server when a connection is refused."""

from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base

CONNECTION_ATTEMPTS = 3


class DatabaseWrapper(base.DatabaseWrapper):
    """A running server costs nothing extra: it is looked after only when a connection fails."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection:
        """A new connection, the server started and its database created if need be. psycopg.OperationalError when that fails."""
        for _ in range(CONNECTION_ATTEMPTS - 1):
            try:
                return super().get_new_connection(conn_params)
            except psycopg.OperationalError:
                settings.DEVDB.ensure()
                if conn_params.get("dbname") == settings.DEVDB.database:
                    settings.DEVDB.ensure_database()
        return super().get_new_connection(conn_params)
