"""One worker's turn, by hand: claim the next due job of this room from the real queue, run it, write its outcome."""

import uuid
from contextlib import contextmanager

from django.db import transaction

from jobs import queue
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, Mode, Outcome, Retry, Snooze, WaitForChildren, registry
from yields.service import YieldsService

CLAIMANT = queue.Claimant(uuid.UUID(int=1), "test worker")


def turn(chain) -> tuple[str, Outcome] | None:
    """Run the most urgent due job; (type, outcome), or None when nothing is due."""
    job = next(iter(queue.claim(CLAIMANT, limit=1, types=YieldsService.job_types)), None)
    if job is None:
        return None
    outcome = _run(job, chain)
    return job.job_type, outcome


def turns(chain, limit: int = 50) -> list[tuple[str, Outcome]]:
    """Turns until nothing is due."""
    done = []
    while len(done) < limit:
        one = turn(chain)
        if one is None:
            return done
        done.append(one)
    raise AssertionError(f"still busy after {limit} turns: {done[-3:]}")


def wake(job_type: str) -> None:
    """Make snoozed jobs of a type due now."""
    for job in Job.objects.filter(job_type=job_type, status="pending", children_open=0):
        Job.objects.filter(pk=job.pk).update(run_at=job.created_at, wait_reason="")


def _run(job: Job, chain) -> Outcome:
    @contextmanager
    def fence():
        with transaction.atomic():
            queue.fence(job)
            yield

    if registry().type_of(job.job_type).mode is Mode.DATABASE:
        with fence():
            outcome = YieldsService().process_job(job, JobContext(chain=chain))
            _end(job, outcome)
        return outcome
    outcome = YieldsService().process_job(job, JobContext(chain=chain, fence=fence))
    _end(job, outcome)
    return outcome


def _end(job: Job, outcome: Outcome) -> None:
    match outcome:
        case Done(note=note):
            queue.complete(job, note)
        case Snooze(delay=delay, reason=reason):
            queue.snooze(job, delay, reason)
        case WaitForChildren(reason=reason):
            queue.wait_for_children(job, reason)
        case Retry(reason=reason):
            queue.retry(job, reason)
        case Fail(reason=reason):
            queue.fail(job, reason)
