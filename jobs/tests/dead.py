"""Dead letters in a test, as an attempt would leave them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs import queue
from jobs.models import Job


def dead(
    job_type: str = "probe",
    *,
    payload: Mapping[str, Any] | None = None,
    error: str = "RuntimeError: boom",
    age: timedelta = timedelta(0),
    **options: Any,
) -> Job:
    """A job that failed for good `age` ago."""
    job = queue.enqueue(job_type, payload or {}, **options)
    Job.objects.filter(pk=job.pk).update(
        status="failed", attempts=1, finished_at=timezone.now() - age, last_error=error
    )
    job.refresh_from_db()
    return job


def many_dead(count: int, job_type: str = "probe", payload: Mapping[str, Any] | None = None) -> list[int]:
    """So many dead letters at once; their numbers, in order."""
    queue.enqueue_many(job_type, [payload or {}] * count)
    fresh = Job.objects.filter(job_type=job_type, status="pending")
    numbers = list(fresh.order_by("pk").values_list("pk", flat=True))
    fresh.update(status="failed", attempts=1, finished_at=timezone.now(), last_error="RuntimeError: boom")
    return numbers
