"""The service of the kill tests: each handler leaves effects that carry the lease token and the transaction they were written in."""

import os
import signal
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection, transaction

from jobs import queue
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, JobType, Mode, Outcome, Snooze, WaitForChildren
from jobs.tests.kill import faults

SNOOZE_SECONDS = 0.8

points = faults.install()


class HistoryService:
    """Each type takes another way through the queue: alone, in a package, in one transaction, by steps, snoozing, with children."""

    name = "HistoryService"
    job_types = (
        JobType("work"),
        JobType("work_quick", quick=True),
        JobType("work_batch", quick=True, batch=True),
        JobType("work_steps", mode=Mode.STEPS),
        JobType("work_snooze"),
        JobType("work_parent"),
        JobType("work_fatal"),
        JobType("work_doomed"),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        match job.job_type:
            case "work_steps":
                return self._steps(job, context)
            case "work_snooze":
                return self._snooze(job)
            case "work_parent":
                return self._parent(job)
            case "work_fatal":
                if job.rescue_count == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            case "work_doomed":
                if not is_decided(job):
                    return Fail("a person must look at it")
        return self._work(job)

    def process_jobs(self, jobs: Sequence[Job], context: JobContext) -> None:
        for job in jobs:
            self._work(job)

    def _work(self, job: Job) -> Outcome:
        leave(job, "done")
        points.reach(faults.BEFORE_COMMIT)
        transaction.on_commit(lambda: points.reach(faults.AFTER_COMMIT))
        return Done()

    def _steps(self, job: Job, context: JobContext) -> Outcome:
        for step in ("recorded", "done"):
            with context.fenced():
                if not has_left(job, step):
                    leave(job, step, is_atomic=False)
        return Done()

    def _snooze(self, job: Job) -> Outcome:
        if not has_left(job, "slept"):
            leave(job, "slept")
            return Snooze(timedelta(seconds=SNOOZE_SECONDS), "resting")
        return self._work(job)

    def _parent(self, job: Job) -> Outcome:
        children = [({}, f"{job.pk}:{number}") for number in range(job.payload["children"])]
        if queue.enqueue_many("work", children, parent=job):
            leave(job, "parted")
            return WaitForChildren()
        leave(job, "done")
        return Done()


def leave(job: Job, step: str, *, is_atomic: bool = True) -> None:
    """One effect. `is_atomic`: it must be committed by the transaction that ends the attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO queue_effects (job_id, step, token, is_atomic) VALUES (%s, %s, %s, %s)",
            [job.pk, step, job.lease_token, is_atomic],
        )


def has_left(job: Job, step: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM queue_effects WHERE job_id = %s AND step = %s", [job.pk, step])
        return cursor.fetchone() is not None


def is_decided(job: Job) -> bool:
    """Whether a person has looked at this dead letter."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM jobs_decision WHERE job_id = %s", [job.pk])
        return cursor.fetchone() is not None
