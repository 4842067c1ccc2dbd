"""The embedded PostgreSQL: a private server for one checkout, started on the first connection when DATABASE_URL is unset."""

from config.devdb.errors import DatabaseURLError, DevDBError, clear_database_errors
from config.devdb.server import DevDB
from config.devdb.url import database_from_url

__all__ = ["DatabaseURLError", "DevDB", "DevDBError", "clear_database_errors", "database_from_url"]
