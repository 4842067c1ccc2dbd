"""The measured job as a service of the queue: one INSERT, committed with the job's completion; alone, in a batch, or set-based."""

import os
import time
from collections.abc import Sequence

from jobs import database
from jobs.models import Job
from jobs.service import Done, JobContext, JobType, Outcome

PER_JOB, BATCH, SET_BASED = "bench_per_job", "bench_batch", "bench_set_based"
SET_SIZE = 200  # one statement for so many
_INSERT = "INSERT INTO bench_effects (n, pid, enqueued_at) VALUES (%s, %s, %s)"
_INSERT_SET = """
INSERT INTO bench_effects (n, pid, enqueued_at)
SELECT made.n, %s, made.enqueued_at FROM unnest(%s::bigint[], %s::float8[]) AS made(n, enqueued_at)
"""


class BenchService:
    """A job that takes `payload.sleep` seconds leaves its effect in the middle of them."""

    name = "bench"
    job_types = (
        JobType(PER_JOB, quick=True),
        JobType(BATCH, quick=True, batch=True),
        JobType(SET_BASED, quick=True, batch=True, package=SET_SIZE),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        half = job.payload.get("sleep", 0) / 2
        if half:
            time.sleep(half)
        database.run(_INSERT, (job.payload["n"], os.getpid(), job.payload.get("at")))
        if half:
            time.sleep(half)
        return Done()

    def process_jobs(self, jobs: Sequence[Job], context: JobContext) -> None:
        if jobs[0].job_type == BATCH:
            for job in jobs:
                self.process_job(job, context)
            return
        half = sum(job.payload.get("sleep", 0) for job in jobs) / 2
        if half:
            time.sleep(half)
        numbers = [job.payload["n"] for job in jobs]
        database.run(_INSERT_SET, (os.getpid(), numbers, [job.payload.get("at") for job in jobs]))
        if half:
            time.sleep(half)


def build_context() -> JobContext:
    """Nothing of the outside world."""
    return JobContext()
