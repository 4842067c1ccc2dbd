"""A service of the tests' own, and the effects its handlers leave: one row in queue_effects each."""

import os
import signal
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection

from jobs import queue
from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, JobType, Mode, Outcome, Retry, Snooze, WaitForChildren

EFFECTS_TABLE = "CREATE TABLE IF NOT EXISTS queue_effects (id bigserial PRIMARY KEY, job_id bigint, step text, pid int)"


def leave_effect(job: Job, step: str = "") -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO queue_effects (job_id, step, pid) VALUES (%s, %s, %s)", [job.pk, step, os.getpid()])


class ProbeService:
    """Does what the payload says: sleep, fail, kill its worker, have children."""

    name = "ProbeService"
    job_types = (
        JobType("probe"),
        JobType("probe_quick", quick=True),
        JobType("probe_steps", mode=Mode.STEPS),
        JobType("probe_hurried", time_limit_seconds=0.2),
        JobType("probe_once", max_retries=0),
        JobType("probe_parent"),
        JobType("probe_urgent", quick=True, priority=7, package=3),
        JobType("probe_batch", quick=True, batch=True, package=50),
        JobType("probe_limited", max_running=2),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        payload = job.payload
        if job.job_type == "probe_parent":
            return self._parent(job)
        if job.job_type == "probe_steps":
            with context.fenced():
                leave_effect(job, "first")
        else:
            leave_effect(job)
        self._misbehave(job, payload)
        if job.job_type == "probe_steps":
            with context.fenced():
                leave_effect(job, "second")
        return self._outcome(payload)

    def process_jobs(self, jobs: Sequence[Job], context: JobContext) -> Sequence[Outcome] | None:
        """All at once, in one statement; each still does what its own payload says."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO queue_effects (job_id, step, pid) SELECT id, 'batch', %s FROM unnest(%s::bigint[]) id",
                [os.getpid(), [job.pk for job in jobs]],
            )
        for job in jobs:
            self._misbehave(job, job.payload)
        if jobs[0].payload.get("short"):
            return []
        return [self._outcome(job.payload) for job in jobs] if any(job.payload for job in jobs) else None

    def _misbehave(self, job: Job, payload: dict[str, Any]) -> None:
        time.sleep(payload.get("sleep", 0))
        if payload.get("kill") or (payload.get("kill_once") and job.rescue_count == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if payload.get("boom"):
            raise RuntimeError("boom")
        if payload.get("bad"):
            raise BadPayload("nothing to be done with it")

    def _outcome(self, payload: dict[str, Any]) -> Outcome:
        match payload.get("outcome"):
            case "retry":
                return Retry("not now")
            case "retry_after":
                return Retry("not now", after=timedelta(seconds=90))
            case "fail":
                return Fail("never")
            case "snooze":
                return Snooze(timedelta(minutes=5), "waiting for the block")
            case "wait":
                return WaitForChildren()
            case "nonsense":
                return None  # type: ignore[return-value]
        return Done(payload.get("note", ""))

    def _parent(self, job: Job) -> Outcome:
        keys = [(dict(job.payload.get("child", {})), f"{job.pk}:{n}") for n in range(job.payload["children"])]
        if queue.enqueue_many("probe", keys, parent=job):
            return WaitForChildren()
        leave_effect(job, "woken")
        return Done()

    def may_discard(self, job: Job) -> str | None:
        return "a payment is open" if job.payload.get("open_payment") else None


def build_context() -> JobContext:
    return JobContext()
