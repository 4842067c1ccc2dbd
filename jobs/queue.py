"""The queue itself: the fenced end of every attempt. Putting in is in enqueueing.py, the claim in claims.py, rescue in rescue.py.

Lock order, everywhere: a job's own row, then its parent's row. Never the other way round.
"""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from jobs import database
from jobs.claims import Claimant, Turns, claim
from jobs.enqueueing import CHANNEL, as_json, enqueue, enqueue_many, joined, wake_after_commit
from jobs.models import AttemptOutcome, Job
from jobs.service import LeaseLost
from jobs.states import assignments, guard, guard_all, guarded_update

__all__ = [
    "CHANNEL",
    "Claimant",
    "Turns",
    "as_json",
    "backoff_seconds",
    "child_ended",
    "claim",
    "complete",
    "enqueue",
    "enqueue_many",
    "fail",
    "fence",
    "interrupt",
    "record_stale",
    "release",
    "retry",
    "snooze",
    "wait_for_children",
    "wake_after_commit",
]

# "Until woken": PostgreSQL's infinity has no Python counterpart.
NEVER = "timestamptz '9000-01-01 00:00:00+00'"


# --- the end of an attempt: every statement carries the lease token --------------------------------------------------
def fence(job: Job) -> None:
    """Lock the job's row for this transaction, or raise LeaseLost when the job has moved on. First statement of a job's transaction."""
    held = database.rows(
        "SELECT q.id FROM job_queue q WHERE q.id = %s AND q.lease_token = %s AND q.status = 'processing' FOR NO KEY UPDATE",
        (job.pk, job.lease_token),
    )
    if not held:
        raise LeaseLost(f"job {job.pk} has moved on")


_COMPLETE = guarded_update("complete", returning="q.parent_id", note="%(note)s", last_error="''")
_SNOOZE = guarded_update(
    "snooze",
    attempts="q.attempts - 1",
    rescue_count="0",
    run_at="clock_timestamp() + make_interval(secs => %(delay)s)",
    wait_reason="%(reason)s",
)
_WAIT = guarded_update(
    "wait_for_children",
    attempts="q.attempts - 1",
    rescue_count="0",
    run_at=f"CASE WHEN q.children_open > 0 THEN {NEVER} ELSE clock_timestamp() END",
    wait_reason="CASE WHEN q.children_open > 0 THEN %(reason)s ELSE '' END",
)
_RELEASE = guarded_update("release", attempts="q.attempts - 1", run_at="clock_timestamp()")
_RETRY = guarded_update("retry", run_at="clock_timestamp() + make_interval(secs => %(delay)s)", last_error="%(reason)s")
_FAIL = guarded_update("fail", last_error="%(reason)s")
_INTERRUPT = guarded_update(
    "interrupt", rescue_count="q.rescue_count + 1", run_at="clock_timestamp()", last_error="%(reason)s"
)


def _end(job: Job, sql: str, **params: object) -> database.Row:
    ended = database.rows(sql, {"id": job.pk, "token": job.lease_token, **params})
    if not ended:
        raise LeaseLost(f"job {job.pk} has moved on")
    return ended[0]


def complete(job: Job, note: str = "") -> None:
    """The work is done. Joins the caller's transaction, so that effects and completion are one commit; wakes the parent if the last.

    LeaseLost when another worker has the job: the caller's transaction must roll back. (All functions of this section.)
    """
    with joined():
        (parent,) = _end(job, _COMPLETE, note=note)
        if parent is not None:
            child_ended(parent)


# The work begins with this statement, not with the claim of the package: what lies between is waiting.
_AT_ONCE = {"started_at": "clock_timestamp()", "note": "''", "last_error": "''"}


def _completing_sql(job: str, lease: str) -> str:
    changes = assignments("complete", **_AT_ONCE)
    return f"UPDATE job_queue q SET {changes} WHERE q.id = {job} AND {guard('complete', lease=lease)}"


_COMPLETING = _completing_sql("$1", "$2")


def completing(job: Job) -> bytes:
    """The fence and the completion in one statement, the first of a quick job's transaction; confirm() follows the work.

    Touches one row or, when the job has moved on, none. The row lock is the fence's, so nobody else can touch the job until the
    transaction ends; a rollback leaves it as it was claimed.
    """
    if not settings.JOB_PREPARE:
        return _completing_sql(f"{job.pk:d}", f"'{job.lease_token}'::uuid").encode()
    database.prepare_once("jobs_complete(bigint, uuid)", _COMPLETING)
    return b"EXECUTE jobs_complete(%d, '%s')" % (job.pk, str(job.lease_token).encode())


# A completion written before the work is right to within this; beyond it the time is written again.
_FINISHED_SECONDS = 0.01


def confirm(job: Job, note: str, *, seconds: float) -> None:
    """The work behind completing() is done, after so many seconds. In the same transaction; wakes the parent if the last."""
    if note or seconds > _FINISHED_SECONDS:
        database.run("UPDATE job_queue SET finished_at = clock_timestamp(), note = %s WHERE id = %s", (note, job.pk))
    if job.parent_id is not None:
        child_ended(job.parent_id)


_COMPLETE_ALL = (
    f"UPDATE job_queue q SET {assignments('complete', **_AT_ONCE)} WHERE {guard_all('complete')} RETURNING q.id"
)
_CONFIRM_ALL = """
UPDATE job_queue q SET finished_at = clock_timestamp(), note = done.note
FROM unnest(%s::bigint[], %s::text[]) AS done(id, note) WHERE q.id = done.id
"""


def _leases(jobs: Sequence[Job]) -> dict[str, object]:
    return {"ids": [job.pk for job in jobs], "leases": [job.lease_token for job in jobs]}


def complete_all_first(jobs: Sequence[Job]) -> list[Job]:
    """completing() for a package, in one statement; returns the jobs that are still ours, for the others have moved on."""
    held = database.rows(_COMPLETE_ALL, _leases(jobs))
    ids = {row[0] for row in held}
    return [job for job in jobs if job.pk in ids]


def confirm_all(jobs: Sequence[Job], notes: Sequence[str], *, seconds: float) -> None:
    """confirm() for a package. Each parent is counted down once, in one order for everybody."""
    if seconds > _FINISHED_SECONDS or any(notes):
        database.run(_CONFIRM_ALL, ([job.pk for job in jobs], list(notes)))
    ended = Counter(job.parent_id for job in jobs if job.parent_id is not None)
    for parent in sorted(ended):
        child_ended(parent, ended[parent])


def snooze(job: Job, delay: timedelta, reason: str) -> None:
    """Run again after `delay`; the attempt is handed back, for waiting is not failing."""
    _end(job, _SNOOZE, delay=delay.total_seconds(), reason=reason or "snoozed")


def wait_for_children(job: Job, reason: str) -> None:
    """Sleep until the last child has completed; due at once when none is open any more, so that no wake-up can be missed."""
    _end(job, _WAIT, reason=reason or "waiting for children")


def release(job: Job, reason: str = "") -> None:
    """Give an unfinished job back at no cost: its worker stops. With a reason, the interruption is kept in the job's history."""
    with joined():
        _end(job, _RELEASE)
        if reason:
            _record(job, AttemptOutcome.INTERRUPTED, reason)
        wake_after_commit()


_RELEASE_ALL = (
    f"UPDATE job_queue q SET {assignments('release', attempts='q.attempts - 1')} WHERE {guard_all('release')}"
)


def release_all(jobs: Sequence[Job]) -> int:
    """Give jobs that were never begun back, in their old places; returns how many. Those that have moved on are left alone."""
    if not jobs:
        return 0
    with joined():
        given = database.run(_RELEASE_ALL, _leases(jobs))
        wake_after_commit()
    return given


def interrupt(job: Job, reason: str) -> None:
    """The attempt was cut off by the loss of the database: run again at once. As often as a lost worker may, then a dead letter."""
    if job.rescue_count + 1 >= settings.JOB_RESCUE_LIMIT:
        fail(job, f"{reason}, {job.rescue_count + 1} times in a row")
        return
    with joined():
        _end(job, _INTERRUPT, reason=reason)
        _record(job, AttemptOutcome.INTERRUPTED, reason)


def retry(job: Job, reason: str, *, after: timedelta | None = None, traceback: str = "") -> None:
    """This attempt failed: back off, or go to the dead letters when the retries are used up."""
    if job.attempts > job.max_retries:
        fail(job, reason, traceback=traceback)
        return
    delay = after.total_seconds() if after is not None else backoff_seconds(job.attempts)
    with joined():
        _end(job, _RETRY, delay=delay, reason=reason)
        _record(job, AttemptOutcome.FAILED, reason, traceback)


def fail(job: Job, reason: str, *, traceback: str = "") -> None:
    """Terminal: to the dead letters. Its parent keeps waiting until a person decides."""
    with joined():
        _end(job, _FAIL, reason=reason)
        _record(job, AttemptOutcome.FAILED, reason, traceback)


def backoff_seconds(attempts: int) -> float:
    """Exponential from JOB_RETRY_BASE_SECONDS, at most JOB_RETRY_MAX_SECONDS, with a quarter of jitter either way."""
    exponent = min(attempts - 1, 40)  # beyond it the ceiling holds anyway, and the power would overflow
    seconds = min(settings.JOB_RETRY_BASE_SECONDS * 2**exponent, settings.JOB_RETRY_MAX_SECONDS)
    return float(seconds * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, guards nothing


def record_stale(job: Job, reason: str) -> None:
    """Keep in the history that a result came after the job had moved on and was refused. Touches nothing else."""
    _record(job, AttemptOutcome.STALE, reason)


def _record(job: Job, outcome: AttemptOutcome, error: str, traceback: str = "") -> None:
    database.run(
        "INSERT INTO jobs_attempt (job_id, number, outcome, error, traceback, worker, started_at, ended_at) "
        "SELECT q.id, %s, %s, %s, %s, %s, %s, clock_timestamp() FROM job_queue q WHERE q.id = %s",
        (job.attempts, outcome.value, error, traceback, job.processed_by, job.started_at, job.pk),
    )


# --- parents -------------------------------------------------------------------------------------------------------
_CHILD_ENDED = """
UPDATE job_queue q SET children_open = q.children_open - %(ended)s,
  run_at = CASE WHEN q.children_open = %(ended)s AND q.wait_reason <> '' THEN least(q.run_at, clock_timestamp()) ELSE q.run_at END,
  wait_reason = CASE WHEN q.children_open = %(ended)s THEN '' ELSE q.wait_reason END
WHERE q.id = %(id)s RETURNING q.children_open, q.status
"""


def child_ended(parent: int, ended: int = 1) -> None:
    """So many children fewer; the last one wakes the parent. In the children's own transaction, after their rows: exactly once each.

    A parent that is a dead letter is counted down too: it may be retried, and must not wait for a child that has ended meanwhile.
    """
    counted = database.rows(_CHILD_ENDED, {"id": parent, "ended": ended})
    if counted and counted[0][0] == 0:
        wake_after_commit()
