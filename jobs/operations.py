"""One decision about many dead letters: previewed, confirmed with the typed count, carried out in throttled chunks by a job of its own.

Each member is decided by the same functions of jobs.review as a single job, so that the two cannot differ. Lock order: the operation's
job, the operation, then the members.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, F, Min
from django.db.models.functions import Now

from jobs import database, queue, review
from jobs.deadletters import DeadLetterFilter, bounded, read_filter
from jobs.errors import BadPayload, Refused
from jobs.models import Job, JobOperation, JobOperationMember
from jobs.service import Done, JobContext, JobType, Mode, Outcome, Snooze

JOB_TYPE = "job_operation"
MEMBERS_AT_MOST = 100_000
RATE_AT_MOST = 2000
DEFAULT_RATE = 200
_SAMPLE = 5
# A chunk is so many seconds of the rate: long beside the wait for the next claim, short beside the patience of who cancels.
_CHUNK_SECONDS = 2
_CHUNK_AT_MOST = timedelta(seconds=10)
# Members decided in one transaction. A discard also locks its member's parent: only one at a time keeps every lock order.
_TOGETHER = {"retry": 200, "discard": 1}
_FORGET_PREVIEWS_AFTER = timedelta(days=1)

Action = JobOperation.Action
Status = JobOperation.Status
MemberOutcome = JobOperationMember.Outcome


# --- by a person -----------------------------------------------------------------------------------------------------
def preview(
    action: str, chosen: DeadLetterFilter, *, actor: str, reason: str, rate_per_second: int = DEFAULT_RATE
) -> JobOperation:
    """Look what `action` would meet, and keep it to be confirmed; no job is touched. May be called again at will.

    The answer's `total` and `preview`: {"oldest": time or None, "by_type": {type: count}, "sample": job ids, oldest first}. Dead
    letters that come later are no members. Raises Refused when there is nothing to decide, or more than 100,000; TooBroad.
    """
    reason = _stated(actor, reason)
    if action not in Action.values:
        raise Refused(f"there is no bulk {action}, only {', '.join(Action.values)}")
    if not 1 <= rate_per_second <= RATE_AT_MOST:
        raise Refused(f"the rate is 1 to {RATE_AT_MOST} jobs a second")
    now: datetime = database.rows("SELECT clock_timestamp()")[0][0]
    chosen = replace(chosen, failed_before=min(chosen.failed_before or now, now))
    with bounded():
        found = _seen(chosen)
    total = sum(found["by_type"].values())
    if total == 0:
        raise Refused("no dead letter meets this filter")
    if total > MEMBERS_AT_MOST:
        raise Refused(f"more than {MEMBERS_AT_MOST:,} dead letters meet this filter: narrow it")
    _forget_old_previews()
    made = JobOperation.objects.create(
        action=action,
        filter=chosen.as_dict(),
        preview=found,
        actor=actor,
        reason=reason,
        rate_per_second=rate_per_second,
        total=total,
    )
    made.refresh_from_db()
    return made


def _seen(chosen: DeadLetterFilter) -> dict[str, Any]:
    few = Job.objects.filter(pk__in=chosen.rows().values("pk")[: MEMBERS_AT_MOST + 1])
    by_type = dict(few.values_list("job_type").annotate(n=Count("pk")).order_by("job_type"))
    oldest = chosen.rows().aggregate(oldest=Min("finished_at"))["oldest"]
    sample = list(chosen.rows().order_by("finished_at", "pk").values_list("pk", flat=True)[:_SAMPLE])
    return {"oldest": oldest.isoformat() if oldest else None, "by_type": by_type, "sample": sample}


def _forget_old_previews() -> None:
    JobOperation.objects.filter(status=Status.PREVIEWED, created_at__lt=Now() - _FORGET_PREVIEWS_AFTER).delete()


@transaction.atomic
def confirm(number: int, *, typed_count: int, actor: str) -> JobOperation:
    """Freeze the members and start: the operation is running then, and its job enqueued. A second call is refused.

    `typed_count`: what the person typed; it must be the preview's total, and still be met. Raises Refused; nothing is written then.
    """
    if not actor:
        raise Refused("an operation needs somebody who confirms it")
    operation = _locked(number)
    if operation.status != Status.PREVIEWED:
        raise Refused(f"operation {number} is {operation.status}: it was confirmed before")
    if typed_count != operation.total:
        raise Refused(f"{typed_count} was typed, but the preview met {operation.total} jobs")
    frozen = _freeze(operation)
    if frozen != operation.total:
        raise Refused(f"the filter meets {frozen} jobs by now, and {operation.total} at the preview: preview again")
    JobOperation.objects.filter(pk=number).update(status=Status.RUNNING, confirmed_at=Now(), confirmed_by=actor)
    queue.enqueue(JOB_TYPE, {"operation": number}, unique_key=f"{JOB_TYPE}:{number}")
    operation.refresh_from_db()
    return operation


def _freeze(operation: JobOperation) -> int:
    chosen = read_filter(operation.filter).rows().values("pk")
    sql, params = chosen.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_operation_member (operation_id, job_id) SELECT %s, met.id FROM ({sql}) AS met(id)",
            [operation.pk, *params],
        )
        return int(cursor.rowcount)


@transaction.atomic
def cancel(number: int, *, actor: str, reason: str) -> JobOperation:
    """Stop a running operation: what is decided stays decided, no further member is reached. Waits for the chunk under way.

    Raises Refused when it is not running; nothing is written then.
    """
    reason = _stated(actor, reason)
    operation = _locked(number)
    if operation.status != Status.RUNNING:
        raise Refused(f"operation {number} is {operation.status}: only a running one can be cancelled")
    JobOperation.objects.filter(pk=number).update(
        status=Status.CANCELLED, finished_at=Now(), cancelled_by=actor, cancel_reason=reason
    )
    operation.refresh_from_db()
    return operation


def _stated(actor: str, reason: str) -> str:
    reason = reason.strip()
    if not actor or not reason:
        raise Refused("a bulk operation needs somebody who decides it, and a reason")
    return reason


def _locked(number: int) -> JobOperation:
    found = JobOperation.objects.select_for_update().filter(pk=number).first()
    if found is None:
        raise Refused(f"there is no operation {number}")
    return found


# --- by the queue itself ---------------------------------------------------------------------------------------------
class OperationsService:
    """Carries out confirmed operations; the queue's only service of its own."""

    name = "QueueService"
    job_types = (JobType(JOB_TYPE, mode=Mode.STEPS, max_retries=20, time_limit_seconds=120.0),)
    search_keys = ("operation",)

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        """One chunk, then a snooze as long as the rate asks. A crash loses at most the transaction under way, and no result."""
        number = _number(job)
        rate = JobOperation.objects.values_list("rate_per_second", flat=True).get(pk=number)
        started, reached = context.now(), 0
        while reached < rate * _CHUNK_SECONDS and context.now() - started < _CHUNK_AT_MOST:
            step = _step(number, at_most=rate * _CHUNK_SECONDS - reached, transaction=context.fenced())
            if step.is_ended:
                return Done(step.note)
            reached += step.reached
        due = started + timedelta(seconds=reached / rate)
        return Snooze(max(due - context.now(), timedelta(0)), f"{rate} jobs a second")

    def may_discard(self, job: Job) -> str | None:
        """Without its job a running operation would never end."""
        number = job.payload.get("operation")
        if isinstance(number, int) and JobOperation.objects.filter(pk=number, status=Status.RUNNING).exists():
            return f"operation {number} is running: cancel that first"
        return None


@dataclass(frozen=True)
class _Step:
    reached: int
    is_ended: bool = False
    note: str = ""


def _number(job: Job) -> int:
    number = job.payload.get("operation")
    if not isinstance(number, int) or not JobOperation.objects.filter(pk=number).exists():
        raise BadPayload(f"there is no operation {number!r}")
    return number


def _step(number: int, *, at_most: int, transaction: AbstractContextManager[None]) -> _Step:
    """Decide about the next members in one fenced transaction, results and counters with them."""
    with transaction:
        operation = _locked(number)
        if operation.status != Status.RUNNING:
            return _Step(0, is_ended=True, note=f"the operation is {operation.status}")
        waiting = operation.members.filter(outcome=MemberOutcome.WAITING).order_by("job_id")
        members = list(waiting[: min(at_most, _TOGETHER[operation.action])])
        if not members:
            JobOperation.objects.filter(pk=number).update(status=Status.COMPLETED, finished_at=Now())
            note = f"{operation.done} done, {operation.skipped} skipped, {operation.errored} errored"
            return _Step(0, is_ended=True, note=note)
        jobs = Job.objects.in_bulk([member.job_id for member in members])
        decide = _retry if operation.action == Action.RETRY else _discard
        _record(operation, members, decide(operation, [member.job_id for member in members], jobs))
        return _Step(len(members))


_Result = tuple[JobOperationMember.Outcome, str]
_IS_GONE = "it is not in the queue any more"


def _retry(operation: JobOperation, numbers: Sequence[int], jobs: Mapping[int, Job]) -> list[_Result]:
    refused = review.retry_many(list(jobs), operation.confirmed_by, operation.reason, operation=operation)
    return [_result(_IS_GONE if number not in jobs else refused.get(number, "")) for number in numbers]


def _discard(operation: JobOperation, numbers: Sequence[int], jobs: Mapping[int, Job]) -> list[_Result]:
    return [_discard_one(operation, jobs[number]) if number in jobs else _result(_IS_GONE) for number in numbers]


def _discard_one(operation: JobOperation, job: Job) -> _Result:
    try:
        review.discard(job, operation.confirmed_by, operation.reason, operation=operation)
    except Refused as refusal:
        return _result(str(refusal))
    except (OperationalError, InterfaceError):
        raise  # the database itself: the whole step is done again
    except Exception as error:  # noqa: BLE001 - a service whose objection fails is this member's result, not the end of the operation
        return MemberOutcome.ERRORED, f"{type(error).__name__}: {error}"
    return _result("")


def _result(refusal: str) -> _Result:
    return (MemberOutcome.SKIPPED, refusal) if refusal else (MemberOutcome.DONE, "")


def _record(operation: JobOperation, members: Sequence[JobOperationMember], results: Sequence[_Result]) -> None:
    database.run(
        "UPDATE jobs_operation_member m SET outcome = r.outcome, detail = r.detail, ended_at = clock_timestamp() "
        "FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS r(id, outcome, detail) WHERE m.id = r.id",
        (
            [member.pk for member in members],
            [outcome.value for outcome, _ in results],
            [detail.replace("\x00", "\\x00") for _, detail in results],
        ),
    )
    outcomes = [outcome for outcome, _ in results]
    JobOperation.objects.filter(pk=operation.pk).update(
        done=F("done") + outcomes.count(MemberOutcome.DONE),
        skipped=F("skipped") + outcomes.count(MemberOutcome.SKIPPED),
        errored=F("errored") + outcomes.count(MemberOutcome.ERRORED),
    )
