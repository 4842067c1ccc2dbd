"""A package of a batch type, done in one transaction; whoever does not fit in is left for the way of one job alone."""

import logging
import time
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError

from jobs import logs, queue
from jobs.models import Job
from jobs.running import DatabaseLost, drop_busy_connection, is_outage, reject_stale
from jobs.service import Done, JobContext, Outcome, registry
from jobs.timers import Interrupted, JobTimer
from jobs.transactions import JobTransaction

log = logging.getLogger(__name__)


class _Apart(Exception):
    """Some members end otherwise than Done: everything is rolled back, and they are left out. Their positions in the package."""

    def __init__(self, positions: frozenset[int]) -> None:
        self.positions = positions


def run_together(jobs: Sequence[Job], context: JobContext, timer: JobTimer) -> list[Job]:
    """Do a claimed package at once where its type is declared `batch`; returns the jobs still to be run one by one.

    One transaction: a single statement fences and completes all members (those that have moved on drop out), then the service's
    process_jobs(). After an exception all are left, and nothing of it has happened; a member whose outcome is not Done is left alone.
    The type's time limit holds for the package. Raises DatabaseLost only.
    """
    if len(jobs) < 2 or not registry().type_of(jobs[0].job_type).batch:
        return list(jobs)
    members, apart = list(jobs), []
    with logs.bind(job_type=jobs[0].job_type, jobs=len(jobs)):
        try:
            while members:
                try:
                    _reject(_transact(members, context, timer))
                    break
                except _Apart as left:
                    apart += [members[position] for position in left.positions]
                    members = [job for position, job in enumerate(members) if position not in left.positions]
            return _as_stored(apart)
        except BaseException as error:
            # Whatever interrupted the handler may have left a statement under way: such a connection cannot be used again.
            drop_busy_connection()
            if is_outage(error):
                raise DatabaseLost from error
            if not isinstance(error, Exception | Interrupted):
                raise
            log.warning("a batch failed: its jobs run one by one", exc_info=error)
            return _as_stored([*members, *apart])


def _transact(jobs: Sequence[Job], context: JobContext, timer: JobTimer) -> list[Job]:
    """The one transaction; returns the members that had moved on before it."""
    kind = registry().type_of(jobs[0].job_type)
    with JobTransaction():
        held = queue.complete_all_first(jobs)
        if held:
            began = time.monotonic()
            with timer.running(kind.time_limit_seconds):
                outcomes = registry().process_jobs(held, context)
            if any(not isinstance(outcome, Done) for outcome in outcomes):
                raise _Apart(frozenset(_positions(jobs, held, outcomes)))
            notes = [outcome.note for outcome in outcomes if isinstance(outcome, Done)]
            queue.confirm_all(held, notes, seconds=time.monotonic() - began)
    return [job for job in jobs if job not in held] if len(held) < len(jobs) else []


def _positions(jobs: Sequence[Job], held: Sequence[Job], outcomes: Sequence[Outcome]) -> list[int]:
    """Where in `jobs` those are whose outcome is not Done."""
    odd = {job.pk for job, outcome in zip(held, outcomes, strict=True) if not isinstance(outcome, Done)}
    return [position for position, job in enumerate(jobs) if job.pk in odd]


def _reject(stale: Sequence[Job]) -> None:
    for job in stale:
        with logs.bind(job_id=job.pk):
            reject_stale(job)


def _as_stored(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in their order of arrival, with their payloads as they are in the table: the handler may have changed them in memory."""
    if not jobs:
        return []
    try:
        payloads = dict(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("pk", "payload"))
    except (OperationalError, InterfaceError) as error:
        raise DatabaseLost from error
    for job in jobs:
        job.payload = payloads.get(job.pk, job.payload)
    return sorted(jobs, key=lambda job: job.pk)
