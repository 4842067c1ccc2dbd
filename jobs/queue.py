"""The queue itself: enqueue, and the fenced end of every attempt. The claim is in claims.py, rescue in rescue.py.

Lock order, everywhere: a job's own row, then its parent's row. Never the other way round.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from jobs import database
from jobs.claims import Claimant, Turns, claim
from jobs.errors import BadPayload, ParentFinished
from jobs.models import AttemptOutcome, Job
from jobs.service import JobType, LeaseLost, registry
from jobs.states import OPEN_RESOLUTIONS, TERMINAL, assignments, guard, guard_all, guarded_update, quoted

__all__ = [
    "Claimant",
    "Turns",
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

CHANNEL = "jobs"
# "Until woken": PostgreSQL's infinity has no Python counterpart.
NEVER = "timestamptz '9000-01-01 00:00:00+00'"
SMALLINT_MAX = 32_767
_BULK_CHUNK = 10_000
_COPY_BLOCK = 1_000
# One encoder for all: json.dumps() builds a new one per call as soon as it is told anything.
_encode = json.JSONEncoder(allow_nan=False).encode
_KEY_IS_HELD = f"unique_key IS NOT NULL AND resolution IN ({', '.join(repr(r.value) for r in OPEN_RESOLUTIONS)})"

Payload = Mapping[str, Any]


# --- in ------------------------------------------------------------------------------------------------------------
def enqueue(
    job_type: str,
    payload: Payload,
    *,
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    parent: Job | None = None,
    max_retries: int | None = None,
) -> Job:
    """Put one job into the queue, in the caller's transaction: rolled back or committed together.

    `payload`: a JSON object naming rows, never carrying them. `run_at`: aware, not before; None is now. `priority`: higher first;
    None takes the type's. `max_retries`: attempts beyond the first; None takes the type's, then the setting's. `unique_key`: makes the
    call idempotent:
    while a job of this type with this key is live, completed or a dead letter, that job is returned and nothing is written (a
    discarded or cancelled one frees its key, and so does a completed one when it is pruned). `parent`: woken when its last child
    has completed; a job found by its key is not counted again.
    Raises UnknownJobType, BadPayload, ParentFinished; nothing is written then.
    """
    kind = registry().type_of(job_type)
    values: dict[str, Any] = {
        "job_type": job_type,
        "service": registry().service_of(job_type).name,
        "payload": as_json(payload),
        "run_at": run_at,
        "priority": kind.priority if priority is None else priority,
        "unique_key": unique_key,
        "parent": parent.pk if parent else None,
        "max_retries": _retries(kind, max_retries),
    }
    while True:
        with _joined():
            _check_parent(values["parent"])
            row = _insert_one(values)
            if row is not None:
                if run_at is None or run_at <= row[1]:
                    wake_after_commit()
                return _enqueued(row, values, payload)
        # Conflict on the key. The holder may be discarded just now, hence the loop; each turn either inserts or finds.
        held = Job.objects.filter(job_type=job_type, unique_key=unique_key, resolution__in=OPEN_RESOLUTIONS).first()
        if held is not None:
            return held


_INSERT = f"""
INSERT INTO job_queue (job_type, service, payload, run_at, priority, unique_key, parent_id, max_retries)
VALUES (%(job_type)s, %(service)s, %(payload)s::jsonb, coalesce(%(run_at)s::timestamptz, statement_timestamp()), %(priority)s,
        %(unique_key)s, %(parent)s, %(max_retries)s)
ON CONFLICT (job_type, unique_key) WHERE {_KEY_IS_HELD} DO NOTHING
RETURNING id, created_at, run_at
"""


def _insert_one(values: dict[str, Any]) -> database.Row | None:
    inserted = database.rows(_INSERT, values)
    if not inserted:
        return None
    if values["parent"] is not None:
        _count_children(values["parent"], 1)
    return inserted[0]


def _enqueued(row: database.Row, values: dict[str, Any], payload: Payload) -> Job:
    job = Job(
        id=row[0],
        created_at=row[1],
        run_at=row[2],
        payload=dict(payload),
        parent_id=values["parent"],
        status="pending",
        attempts=0,
        rescue_count=0,
        children_open=0,
        wait_reason="",
        processed_by="",
        note="",
        last_error="",
        resolution="",
        resolved_by="",
        resolution_reason="",
        **{name: values[name] for name in ("job_type", "service", "priority", "unique_key", "max_retries")},
    )
    job._state.adding = False
    job._state.db = connection.alias
    return job


def enqueue_many(
    job_type: str,
    payloads: Sequence[Payload | tuple[Payload, str | None]],
    *,
    run_at: datetime | None = None,
    priority: int | None = None,
    parent: Job | None = None,
    max_retries: int | None = None,
) -> int:
    """Put many jobs of one type into the queue, in the caller's transaction; returns how many were new.

    Each item is a payload, or a pair (payload, unique key). Keys mean what they mean in enqueue(), within the call too. The parent's
    counter is written once. Raises as enqueue() does; nothing is written then.
    """
    kind = registry().type_of(job_type)
    items: list[tuple[Payload, str | None]] = [i if isinstance(i, tuple) else (i, None) for i in payloads]
    shared = (
        job_type,
        registry().service_of(job_type).name,
        run_at,
        kind.priority if priority is None else priority,
        parent.pk if parent else None,
        _retries(kind, max_retries),
    )
    plain = [as_json(payload) for payload, key in items if key is None]
    keyed = [(as_json(payload), key) for payload, key in items if key is not None]
    with _joined():
        _check_parent(parent.pk if parent else None)
        added = _copy(plain, shared) if plain else 0
        for start in range(0, len(keyed), _BULK_CHUNK):
            added += _insert_keyed(keyed[start : start + _BULK_CHUNK], shared)
        if parent is not None and added:
            _count_children(parent.pk, added)
        if added and (run_at is None or run_at <= timezone.now()):
            wake_after_commit()
    return added


def _copy(payloads: Sequence[str], shared: tuple[Any, ...]) -> int:
    """COPY in text format, in blocks: what all rows share is written once as a prefix."""
    job_type, service, run_at, priority, parent, max_retries = shared
    at = (run_at or database.rows("SELECT statement_timestamp()")[0][0]).isoformat()
    prefix = "\t".join(map(_field, (job_type, service, at, priority, parent, max_retries))) + "\t"
    cursor = database.raw_cursor()
    columns = "job_type, service, run_at, priority, parent_id, max_retries, payload"
    with connection.wrap_database_errors, cursor.copy(f"COPY job_queue ({columns}) FROM STDIN") as copy:
        for start in range(0, len(payloads), _COPY_BLOCK):
            # JSON keeps its own control characters escaped, so only the backslash means something to COPY.
            lines = [prefix + text.replace("\\", "\\\\") for text in payloads[start : start + _COPY_BLOCK]]
            copy.write("\n".join(lines) + "\n")
    return len(payloads)


def _field(value: object) -> str:
    """A value of a COPY line; names of types and services are ours, and hold nothing that would need escaping."""
    return "\\N" if value is None else str(value)


_INSERT_KEYED = f"""
INSERT INTO job_queue (job_type, service, run_at, priority, parent_id, max_retries, payload, unique_key)
SELECT %s, %s, coalesce(%s::timestamptz, statement_timestamp()), %s, %s::bigint, %s, item.payload::jsonb, item.unique_key
FROM unnest(%s::text[], %s::text[]) AS item(payload, unique_key)
ON CONFLICT (job_type, unique_key) WHERE {_KEY_IS_HELD} DO NOTHING
"""


def _insert_keyed(items: Sequence[tuple[str, str]], shared: tuple[Any, ...]) -> int:
    # One order for everybody: two callers with overlapping keys must not wait for each other crosswise.
    items = sorted(items, key=lambda item: item[1])
    return database.run(_INSERT_KEYED, (*shared, [payload for payload, _ in items], [key for _, key in items]))


def _check_parent(parent: int | None) -> None:
    """Lock the parent's row before its children are written, so that a refusal leaves nothing behind."""
    if parent is None:
        return
    live = f"SELECT FROM job_queue WHERE id = %s AND status NOT IN ({quoted(TERMINAL)}) FOR NO KEY UPDATE"
    if not database.rows(live, (parent,)):
        raise ParentFinished(f"job {parent} has ended or does not exist: it cannot have children")


def _count_children(parent: int, added: int) -> None:
    database.run("UPDATE job_queue SET children_open = children_open + %s WHERE id = %s", (added, parent))


def _joined() -> AbstractContextManager[object]:
    """The caller's transaction, or one of our own where there is none. No savepoint: nothing is written before a refusal."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


def as_json(payload: Payload) -> str:
    """The payload as the table takes it; BadPayload when it is no JSON object or holds what PostgreSQL cannot store."""
    if not isinstance(payload, Mapping):
        raise BadPayload(f"a payload is a JSON object, not {type(payload).__name__}")
    try:
        text = _encode(payload)
    except (TypeError, ValueError) as error:
        raise BadPayload(f"the payload is not JSON: {error}") from None
    if "\\u0000" in text:
        raise BadPayload("the payload holds a NUL character, which PostgreSQL cannot store")
    return text


def _retries(kind: JobType, asked: int | None) -> int:
    for value in (asked, kind.max_retries):
        if value is not None:
            return value
    return int(settings.JOB_MAX_RETRIES)


def wake_after_commit() -> None:
    """Wake the idle workers once the jobs can be seen, at most once per transaction.

    After the commit and not within it: a NOTIFY inside a transaction holds a database-wide lock through the commit's disk write.
    Lost with the process in between, it costs one poll interval.
    """
    if not any(entry[1] is _notify for entry in connection.run_on_commit):
        transaction.on_commit(_notify)


def _notify() -> None:
    database.run(f"NOTIFY {CHANNEL}")


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
    with _joined():
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
    with _joined():
        _end(job, _RELEASE)
        if reason:
            _record(job, AttemptOutcome.INTERRUPTED, reason)
        wake_after_commit()


_RELEASE_ALL = f"UPDATE job_queue q SET {assignments('release', attempts='q.attempts - 1')} WHERE {guard_all('release')}"


def release_all(jobs: Sequence[Job]) -> int:
    """Give jobs that were never begun back, in their old places; returns how many. Those that have moved on are left alone."""
    if not jobs:
        return 0
    with _joined():
        given = database.run(_RELEASE_ALL, _leases(jobs))
        wake_after_commit()
    return given


def interrupt(job: Job, reason: str) -> None:
    """The attempt was cut off by the loss of the database: run again at once. As often as a lost worker may, then a dead letter."""
    if job.rescue_count + 1 >= settings.JOB_RESCUE_LIMIT:
        fail(job, f"{reason}, {job.rescue_count + 1} times in a row")
        return
    with _joined():
        _end(job, _INTERRUPT, reason=reason)
        _record(job, AttemptOutcome.INTERRUPTED, reason)


def retry(job: Job, reason: str, *, after: timedelta | None = None, traceback: str = "") -> None:
    """This attempt failed: back off, or go to the dead letters when the retries are used up."""
    if job.attempts > job.max_retries:
        fail(job, reason, traceback=traceback)
        return
    delay = after.total_seconds() if after is not None else backoff_seconds(job.attempts)
    with _joined():
        _end(job, _RETRY, delay=delay, reason=reason)
        _record(job, AttemptOutcome.FAILED, reason, traceback)


def fail(job: Job, reason: str, *, traceback: str = "") -> None:
    """Terminal: to the dead letters. Its parent keeps waiting until a person decides."""
    with _joined():
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
