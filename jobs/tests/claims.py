"""Claiming in a test: one worker's name, the probe service's types."""

from uuid import UUID, uuid4

from jobs import queue
from jobs.models import Job
from jobs.queue import Claimant
from jobs.service import JobContext, registry
from jobs.timers import JobTimer
from jobs.worker import run_job


def claim(*, limit: int = 1, worker_id: UUID | None = None) -> list[Job]:
    return queue.claim(Claimant(worker_id or uuid4(), "host:1"), limit=limit, types=registry().served(()))


def claim_one() -> Job:
    (job,) = claim()
    return job


def run(job: Job) -> Job:
    """Run a claimed job; returns it as the table has it then."""
    run_job(job, JobContext(), JobTimer())
    return Job.objects.get(pk=job.pk)


def enqueue_and_run(job_type: str, payload: dict[str, object], **options: object) -> Job:
    queue.enqueue(job_type, payload, **options)  # type: ignore[arg-type]
    return run(claim_one())
