"""What people decide about jobs: retry, discard, cancel, edit; actor and reason recorded beside the row, which is never deleted."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

from jobs import database, queue
from jobs.errors import BadPayload, Refused, UnknownJobType
from jobs.models import Decision, Job, JobDecision, JobOperation
from jobs.service import registry
from jobs.states import LIVE, OPEN_RESOLUTIONS, Resolution, Status, assignments, guard, guarded_update

TREE_AT_MOST = 20_000
_PARENT_SECONDS = 2
_IS_HELD = "job {} is being worked on just now"
_RESOLVED = {
    "resolved_by": "%(actor)s",
    "resolved_at": "clock_timestamp()",
    "resolution_reason": "%(reason)s",
}
_TO_PENDING = assignments(
    "reopen",
    attempts="0",
    rescue_count="0",
    run_at="clock_timestamp()",
    resolution=f"'{Resolution.RETRIED.value}'",
    **_RESOLVED,
)
_REOPEN = f"UPDATE job_queue q SET {_TO_PENDING} WHERE q.id = ANY(%(ids)s) AND {guard('reopen')}"
_RECORD = """
INSERT INTO jobs_decision (job_id, decision, actor, reason, operation_id)
SELECT id, '{}', %(actor)s, %(reason)s, %(operation)s::bigint FROM unnest(%(ids)s::bigint[]) id ORDER BY id
"""
_RECORD_RETRIES = _RECORD.format(Decision.RETRIED.value)
_RECORD_CANCELS = _RECORD.format(Decision.CANCELLED.value)
_CANCEL = guarded_update("cancel", resolution=f"'{Resolution.CANCELLED.value}'", **_RESOLVED)
_TO_CANCELLED = assignments(
    "cancel",
    resolution=f"'{Resolution.CANCELLED.value}'",
    children_open="q.children_open - (SELECT count(*) FROM job_queue c WHERE c.parent_id = q.id AND c.id = ANY(%(ids)s))",
    **_RESOLVED,
)
_CANCEL_ALL = f"UPDATE job_queue q SET {_TO_CANCELLED} WHERE q.id = ANY(%(ids)s) AND {guard('cancel')}"


def retry(job: Job, actor: str, reason: str) -> Job:
    """Give a dead letter its retries back and run it now; returns the job as it is then.

    A discarded or cancelled job cannot be retried: its key may be taken and its parent no longer waits. Raises Refused; nothing is
    written then.
    """
    if refused := retry_many([job.pk], actor, reason):
        raise Refused(refused[job.pk])
    return Job.objects.get(pk=job.pk)


@transaction.atomic
def retry_many(
    numbers: Sequence[int], actor: str, reason: str, *, operation: JobOperation | None = None
) -> dict[int, str]:
    """Retry the dead letters among these jobs; returns why each of the others was left as it is. Waits for no lock.

    `operation`: the bulk operation that carries the decision out. Raises Refused without an actor and a reason.
    """
    reason = _stated(actor, reason)
    # A running job of mode DATABASE holds its row until it ends: do not make a person wait for it.
    locked = Job.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=numbers).in_bulk()
    refused = {number: why for number in numbers if (why := _no_dead_letter(number, locked.get(number)))}
    chosen = [number for number in locked if number not in refused]
    if chosen:
        params = {"ids": chosen, "actor": actor, "reason": reason}
        moved = database.run(_REOPEN, params)
        assert moved == len(chosen), "the rows are locked and were looked at"
        database.run(_RECORD_RETRIES, params | {"operation": operation.pk if operation else None})
        queue.wake_after_commit()
    return refused


@transaction.atomic
def discard(job: Job, actor: str, reason: str, *, operation: JobOperation | None = None) -> Job:
    """Close a dead letter for good: it stays failed, frees its key, and its parent waits for it no more. Raises Refused.

    A service may refuse with a reason of its own: method may_discard(job) -> str | None, asked under the job's lock.
    """
    reason = _stated(actor, reason)
    locked = _locked(job)
    _refuse_unless_dead_letter(locked)
    if objection := _objection(locked):
        raise Refused(f"job {locked.pk} cannot be discarded: {objection}")
    database.run(
        "UPDATE job_queue SET resolution = %s, resolved_by = %s, resolved_at = clock_timestamp(), resolution_reason = %s WHERE id = %s",
        (Resolution.DISCARDED.value, actor, reason, locked.pk),
    )
    _release_parent(locked)
    return _decided(locked, Decision.DISCARDED, actor, reason, operation=operation)


@transaction.atomic
def cancel(job: Job, actor: str, reason: str) -> Job:
    """End a job that has not begun or waits: failed with the resolution cancelled, never a dead letter. Raises Refused.

    A running job cannot be cancelled: it ends by itself, within its time limit. Nor can one whose children are open.
    """
    reason = _stated(actor, reason)
    locked = _locked(job)
    if locked.status not in LIVE:
        raise Refused(f"job {locked.pk} is {locked.status}: only a waiting job can be cancelled")
    if locked.children_open:
        raise Refused(f"job {locked.pk} has {locked.children_open} open children: cancel them first")
    if objection := _objection(locked):
        raise Refused(f"job {locked.pk} cannot be cancelled: {objection}")
    moved = database.rows(_CANCEL, {"id": locked.pk, "actor": actor, "reason": reason})
    assert moved, "the row is locked and was looked at"
    _release_parent(locked)
    return _decided(locked, Decision.CANCELLED, actor, reason)


@transaction.atomic
def cancel_tree(job: Job, actor: str, reason: str) -> Job:
    """Cancel a waiting job with all its descendants that have not ended, or none of them; returns the job.

    Refused while one of them runs, when a service objects to one, or beyond 20,000; dead letters below it stay what they are. A parent
    is locked before its children here, so that it can get no new ones; no lock is waited for, hence no deadlock.
    """
    reason = _stated(actor, reason)
    root = _locked(job)
    if root.status not in LIVE:
        raise Refused(f"job {root.pk} is {root.status}: only a waiting job can be cancelled")
    tree = _locked_tree(root)
    for member in tree:
        if objection := _objection(member):
            raise Refused(f"job {member.pk} cannot be cancelled: {objection}")
    params = {"ids": [member.pk for member in tree], "actor": actor, "reason": reason}
    cancelled = database.run(_CANCEL_ALL, params)
    assert cancelled == len(tree), "the rows are locked and were looked at"
    database.run(_RECORD_CANCELS, params | {"operation": None})
    _release_parent(root)
    root.refresh_from_db()
    return root


def _locked_tree(root: Job) -> list[Job]:
    tree = level = [root]
    while level:
        below = Job.objects.filter(parent__in=[member.pk for member in level])
        unfinished = below.filter(status__in=[*LIVE, Status.PROCESSING]).count()
        level = list(below.filter(status__in=LIVE).select_for_update(skip_locked=True, no_key=True))
        if len(level) != unfinished:
            held = unfinished - len(level)
            raise Refused(f"{held} of its jobs are being worked on just now: pause their type, or try again")
        tree = [*tree, *level]
        if len(tree) > TREE_AT_MOST:
            raise Refused(f"more than {TREE_AT_MOST:,} jobs belong to job {root.pk}: cancel its children's trees first")
    return tree


@transaction.atomic
def edit_payload(job: Job, payload: Mapping[str, Any], actor: str, reason: str) -> Job:
    """Correct the payload of a dead letter; returns the job. It stays a dead letter: retry it next.

    Only where the owning service can judge it: method validate_payload(job_type, payload) -> None, raising BadPayload, asked under the
    job's lock. What changed is kept in the decision's `diff`. Raises Refused and BadPayload; nothing is written then.
    """
    reason = _stated(actor, reason)
    locked = _locked(job)
    _refuse_unless_dead_letter(locked)
    wanted = _as_stored(payload)
    _validator(locked)(locked.job_type, wanted)
    diff = payload_diff(locked.payload, wanted)
    if not diff:
        raise Refused(f"job {locked.pk} has this payload already")
    database.run("UPDATE job_queue SET payload = %s::jsonb WHERE id = %s", (json.dumps(wanted), locked.pk))
    return _decided(locked, Decision.EDITED, actor, reason, diff=diff)


def _as_stored(payload: Any) -> dict[str, Any]:
    """The payload as the table would give it back; BadPayload for what it cannot hold."""
    if not isinstance(payload, Mapping):
        raise BadPayload(f"a payload is a JSON object, not {type(payload).__name__}")
    try:
        text = json.dumps(payload, allow_nan=False, ensure_ascii=False)
        text.encode()  # half a surrogate pair is no text to PostgreSQL
    except (TypeError, ValueError) as error:
        raise BadPayload(f"the payload is not JSON: {error}") from None
    if "\\u0000" in text:
        raise BadPayload("the payload holds a NUL character, which PostgreSQL cannot store")
    stored: dict[str, Any] = json.loads(text)
    return stored


def payload_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What to add, remove and change at the top level to come from one payload to the other; empty when they are the same."""
    parts = {
        "added": {key: after[key] for key in after if key not in before},
        "removed": {key: before[key] for key in before if key not in after},
        "changed": {
            key: {"from": before[key], "to": after[key]}
            for key in after
            if key in before and not _is_same(before[key], after[key])
        },
    }
    return {part: keys for part, keys in parts.items() if keys}


def _is_same(one: Any, other: Any) -> bool:
    # As JSON: to Python true is 1, and 1.0 is 1.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def can_edit(job_type: str) -> bool:
    """Whether the service of this type judges edited payloads."""
    return job_type in registry().types and hasattr(registry().service_of(job_type), "validate_payload")


def _validator(job: Job) -> Callable[[str, Mapping[str, Any]], None]:
    if not can_edit(job.job_type):
        raise Refused(f"payloads of {job.job_type} cannot be edited: no service says which ones are right")
    validate: Callable[[str, Mapping[str, Any]], None] = registry().service_of(job.job_type).validate_payload  # type: ignore[attr-defined]
    return validate


def _stated(actor: str, reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Refused("a reason is required")
    if not actor:
        raise Refused("a decision needs somebody who takes it")
    return reason


def _locked(job: Job) -> Job:
    found = Job.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=job.pk).first()
    if found is None:
        raise Refused(_IS_HELD.format(job.pk))
    return found


def _refuse_unless_dead_letter(job: Job) -> None:
    if refusal := _no_dead_letter(job.pk, job):
        raise Refused(refusal)


def _no_dead_letter(number: int, job: Job | None) -> str:
    """Why this job, locked or not to be had, is no dead letter to decide about; empty when it is one."""
    if job is None:
        return _IS_HELD.format(number)
    if job.status != Status.FAILED:
        return f"job {number} is {job.status}, not failed"
    return "" if job.resolution in OPEN_RESOLUTIONS else f"job {number} was {job.resolution} before"


def _objection(job: Job) -> str | None:
    try:
        service = registry().service_of(job.job_type)
    except UnknownJobType:
        return None
    ask: Callable[[Job], str | None] | None = getattr(service, "may_discard", None)
    return ask(job) if ask else None


def _release_parent(job: Job) -> None:
    """Its parent waits for it no more. A running parent holds its own row: nobody waits for it for long."""
    if job.parent_id is None:
        return
    try:
        with transaction.atomic():
            before = database.rows("SELECT current_setting('lock_timeout')")[0][0]
            database.run(f"SET LOCAL lock_timeout = '{_PARENT_SECONDS}s'")
            database.rows("SELECT id FROM job_queue WHERE id = %s FOR NO KEY UPDATE", (job.parent_id,))
            database.rows("SELECT set_config('lock_timeout', %s, true)", (before,))
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Refused(f"its parent, job {job.parent_id}, is being worked on just now: try again") from None
        raise
    queue.child_ended(job.parent_id)


def _decided(
    job: Job,
    decision: Decision,
    actor: str,
    reason: str,
    *,
    diff: Mapping[str, Any] | None = None,
    operation: JobOperation | None = None,
) -> Job:
    JobDecision.objects.create(
        job=job, decision=decision, actor=actor, reason=reason, diff=diff or {}, operation=operation
    )
    job.refresh_from_db()
    return job
