"""One claimed job, run to the end of its attempt: its transaction, its outcome, and what becomes of an exception."""

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.db import InterfaceError, OperationalError, connections, transaction

from jobs import database, logs, queue
from jobs.errors import BadPayload, ParentFinished, UnknownJobType
from jobs.models import Job
from jobs.service import (
    Done,
    Fail,
    JobContext,
    JobType,
    LeaseLost,
    Mode,
    Outcome,
    Retry,
    Snooze,
    WaitForChildren,
    registry,
)
from jobs.timers import GraceOver, JobTimer, TimeLimitExceeded
from jobs.transactions import JobTransaction

log = logging.getLogger(__name__)


class _RollBack(Exception):
    """Carries an outcome that undoes the handler's writes out of the job's transaction."""

    def __init__(self, outcome: Retry | Fail) -> None:
        self.outcome = outcome


class DatabaseLost(Exception):
    """The connection went away under a job; what became of the attempt is found out when the database is back."""


def run_job(job: Job, context: JobContext, timer: JobTimer) -> None:
    """Run one claimed job to the end of its attempt, whatever the handler does. Raises DatabaseLost only.

    Mode DATABASE: the fence, the handler's writes and the outcome are one transaction; an outcome of Retry or Fail, like an exception,
    rolls the handler's writes back. Mode STEPS: the handler's own transactions are fenced, the outcome is a transaction of its own.
    """
    with logs.bind(job_id=job.pk, job_type=job.job_type, attempt=job.attempts):
        try:
            try:
                _perform(job, context, timer)
            except BaseException as error:
                # Whatever interrupted the handler may have left a statement under way: such a connection cannot be used again.
                drop_busy_connection()
                if is_outage(error):
                    raise DatabaseLost from error
                _end_badly(job, error)
        except (OperationalError, InterfaceError) as error:
            raise DatabaseLost from error


def _perform(job: Job, context: JobContext, timer: JobTimer) -> None:
    kind = registry().type_of(job.job_type)
    if kind.mode is Mode.STEPS:
        with timer.running(kind.time_limit_seconds):
            outcome = registry().process_job(job, replace(context, fence=lambda: _fenced(job)))
        _settle(job, outcome)
        return
    try:
        if not kind.quick or job.children_open or not _perform_at_once(job, kind, context, timer):
            _perform_fenced(job, kind, context, timer)
    except _RollBack as undone:
        _settle(job, undone.outcome)


def _perform_fenced(job: Job, kind: JobType, context: JobContext, timer: JobTimer) -> None:
    with JobTransaction():
        queue.fence(job)
        with timer.running(kind.time_limit_seconds):
            outcome = registry().process_job(job, context)
        if isinstance(outcome, Retry | Fail):
            raise _RollBack(outcome)
        _settle(job, outcome)


class _NotAtOnce(Exception):
    """The outcome is none that a completed job could have."""


def _perform_at_once(job: Job, kind: JobType, context: JobContext, timer: JobTimer) -> bool:
    """Run a quick job that is completed by its own fence. False, and nothing has happened, when it ends otherwise than completed:
    its handler, which touches nothing but the database, must be run again behind a plain fence."""
    try:
        with JobTransaction(lambda: queue.completing(job)) as opened:
            if not opened.touched:
                raise LeaseLost(f"job {job.pk} has moved on")
            began = time.monotonic()
            with timer.running(kind.time_limit_seconds):
                outcome = registry().process_job(job, context)
            if isinstance(outcome, Retry | Fail):
                raise _RollBack(outcome)
            if not isinstance(outcome, Done):
                raise _NotAtOnce
            queue.confirm(job, outcome.note, seconds=time.monotonic() - began)
    except (_NotAtOnce, ParentFinished):
        job.refresh_from_db(fields=["payload"])  # the handler may have changed it in memory
        return False
    return True


@contextmanager
def _fenced(job: Job) -> Iterator[None]:
    with transaction.atomic(durable=True):
        queue.fence(job)
        yield


def _settle(job: Job, outcome: Outcome) -> None:
    match outcome:
        case Done(note):
            queue.complete(job, note)
        case Snooze(delay, reason):
            queue.snooze(job, delay, reason)
        case WaitForChildren(reason):
            queue.wait_for_children(job, reason)
        case Retry(reason, after):
            queue.retry(job, reason, after=after)
        case Fail(reason):
            queue.fail(job, reason)
        case _:
            raise TypeError(f"a handler returns an outcome of jobs.service, not {type(outcome).__name__}")


def _end_badly(job: Job, error: BaseException) -> None:
    """Record an attempt that raised. LeaseLost here too: the job may have moved on while the handler failed."""
    try:
        match error:
            case LeaseLost():
                reject_stale(job)
            case GraceOver():
                queue.release(job, "its worker was stopping")
            case TimeLimitExceeded():
                limit = registry().type_of(job.job_type).time_limit_seconds
                queue.retry(job, f"ran over its time limit of {limit:g} s", traceback=_text(error))
            case UnknownJobType() | BadPayload():
                queue.fail(job, str(error), traceback=_text(error))
            case Exception():
                log.warning("attempt failed", exc_info=error)
                queue.retry(job, f"{type(error).__name__}: {error}", traceback=_text(error))
            case _:
                raise error
    except LeaseLost:
        reject_stale(job)


def reject_stale(job: Job) -> None:
    log.warning("stale result rejected")
    queue.record_stale(job, "the job had moved on: its lease was no longer this worker's")


def _text(error: BaseException) -> str:
    # PostgreSQL stores no NUL; a traceback may quote one.
    return "".join(traceback.format_exception(error)).replace("\x00", "\\x00")


def is_outage(error: BaseException | None) -> bool:
    """Whether a lost connection is behind this error, wrapped by the handler or not."""
    if not database.is_lost():
        return False
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return True
        error = error.__cause__ or error.__context__
    return False


def drop_busy_connection() -> None:
    if not database.is_idle():
        connections["default"].close()
