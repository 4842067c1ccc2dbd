"""Durable work: the job queue, its workers and its dead letters. Knows no domain; the only importer of django_q."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.models import Job


def enqueue(job_type: str, payload: dict[str, Any], **options: Any) -> "Job":
    """The one function Django-Q2's own ways in may name ("jobs.enqueue"); everybody else imports jobs.queue.enqueue."""
    from jobs.queue import enqueue as enqueue_job  # models exist only once the apps are loaded

    return enqueue_job(job_type, payload, **options)
