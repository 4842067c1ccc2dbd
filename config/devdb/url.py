"""DATABASE_URL, read and refused clearly; it never repeats the URL, which may hold a password."""

from typing import Any
from urllib.parse import urlsplit

import environ
import psycopg
from psycopg.conninfo import make_conninfo

from config.devdb.errors import DatabaseURLError

EXPECTED = "DATABASE_URL must look like postgres://user:password@host:5432/name"
CONNECT_TIMEOUT_SECONDS = 10
# Options Django takes out before the rest reaches the driver.
DJANGO_OPTIONS = {"assume_role", "isolation_level", "pool", "server_side_binding"}


def database_from_url(url: str) -> dict[str, Any]:
    """Django's settings for the PostgreSQL at `url`. DatabaseURLError when it names none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise DatabaseURLError(f"{EXPECTED}: its host or port is malformed") from error
    if parts.scheme not in {"postgres", "postgresql"}:
        raise DatabaseURLError(f"{EXPECTED}: its scheme is not postgres")
    if not parts.path.strip("/"):
        raise DatabaseURLError(f"{EXPECTED}: it names no database")
    found: dict[str, Any] = environ.Env.db_url_config(url)
    options = found.setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    try:
        make_conninfo("", **{key: value for key, value in options.items() if key not in DJANGO_OPTIONS})
    except psycopg.ProgrammingError as error:
        raise DatabaseURLError(f"{EXPECTED}: {str(error).strip()}") from error
    return found
