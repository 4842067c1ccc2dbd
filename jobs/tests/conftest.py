"""The probe service instead of the product's, and a table for what its handlers leave."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from jobs.tests.services import EFFECTS_TABLE


@pytest.fixture(autouse=True)
def probe_service(settings):
    settings.JOB_SERVICES = ["jobs.tests.services.ProbeService"]
    settings.JOB_WORKER_SERVICES = []
    settings.JOB_CONTEXT_FACTORY = "jobs.tests.services.build_context"
    settings.JOB_UNKNOWN_TYPE_SECONDS = 0


@pytest.fixture
def effects(request) -> Iterator[Callable[[], list[tuple[int, str]]]]:
    """The effects committed so far, as (job id, step), in order."""
    request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")
    with connection.cursor() as cursor:
        cursor.execute(EFFECTS_TABLE)
        cursor.execute("DELETE FROM queue_effects")

    def read() -> list[tuple[int, str]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT job_id, step FROM queue_effects ORDER BY id")
            return cursor.fetchall()

    yield read
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE queue_effects")
