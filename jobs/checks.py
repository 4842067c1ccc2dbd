"""System checks: what would make the queue lose work or corrupt connections is refused before anything starts."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from jobs import controls
from jobs.errors import BadRegistry
from jobs.service import registry

POOL = "DATABASES: psycopg's pool cannot be used: forked workers would share its sockets. Remove the option 'pool'."


def pool_is_on() -> bool:
    """Whether the database is configured with psycopg's connection pool."""
    return bool(connections["default"].settings_dict.get("OPTIONS", {}).get("pool"))


@register(Tags.database, Tags.compatibility)
def check_pool(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    return [Error(POOL, id="jobs.E001")] if pool_is_on() else []


@register(Tags.compatibility)
def check_services(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    try:
        for kind in registry().served(settings.JOB_WORKER_SERVICES):
            controls.limits_of(kind)
    except BadRegistry as error:
        return [Error(str(error), id="jobs.E002")]
    return []


@register(Tags.compatibility)
def check_times(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """A lease must survive a missed beat, or healthy workers lose their jobs."""
    if settings.JOB_LEASE_SECONDS < 2 * settings.JOB_HEARTBEAT_SECONDS:
        return [Error("JOB_LEASE_SECONDS must be at least twice JOB_HEARTBEAT_SECONDS", id="jobs.E003")]
    return []
