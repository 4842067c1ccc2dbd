"""The tables of the queue: jobs, the attempts that went wrong, people's decisions, and the workers alive. No behaviour here."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from jobs.states import LIVE, OPEN_RESOLUTIONS, TERMINAL, Resolution, Status

# A dead letter that still waits for a person. The indexes and every query about dead letters name this very condition.
UNSETTLED = Q(status=Status.FAILED, resolution__in=OPEN_RESOLUTIONS)
# What failed and how, numbers and names in the message left aside: the same for jobs that failed alike. The function is made in 0003.
FINGERPRINT = Func("job_type", "last_error", function="jobs_fingerprint", output_field=models.TextField())


class Job(models.Model):
    """One piece of durable work. Written only through jobs.queue and jobs.review; a worker's writes carry its lease token.

    `run_at`: not before. `attempts` is counted at the claim, before the work. `max_retries`: attempts beyond the first.
    `unique_key`: one per type among jobs that are not discarded or cancelled. `children_open`: children neither completed nor given up
    by a person. `wait_reason`: why a pending job waits (snoozed, or for its children). `service`: who handled the type when enqueued.
    """

    id = models.BigAutoField(primary_key=True)
    job_type = models.CharField(max_length=100)
    service = models.CharField(max_length=100, db_default="")
    payload = models.JSONField(db_default=Value({}, models.JSONField()))
    status = models.CharField(max_length=10, choices=Status.choices, db_default=Status.PENDING.value)
    priority = models.SmallIntegerField(db_default=0)
    run_at = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(db_default=0)
    max_retries = models.IntegerField(db_default=5)
    rescue_count = models.SmallIntegerField(db_default=0)
    children_open = models.IntegerField(db_default=0)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children", db_index=False
    )
    unique_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - NULL: no key at all
    wait_reason = models.TextField(db_default="")
    processed_by = models.CharField(max_length=200, db_default="")
    worker_id = models.UUIDField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(db_default="")
    last_error = models.TextField(db_default="")
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True, db_default="")
    resolved_by = models.CharField(max_length=150, blank=True, db_default="")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution_reason = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "job_queue"
        permissions = (("review_job", "Can retry, discard and cancel jobs"),)
        constraints = (
            models.CheckConstraint(name="jobs_job_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(
                name="jobs_job_finished_iff_terminal",
                condition=Q(status__in=TERMINAL, finished_at__isnull=False)
                | (~Q(status__in=TERMINAL) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="jobs_job_lease_iff_processing",
                condition=Q(
                    status=Status.PROCESSING,
                    lease_token__isnull=False,
                    lease_expires_at__isnull=False,
                    worker_id__isnull=False,
                )
                | (~Q(status=Status.PROCESSING) & Q(lease_token__isnull=True, lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="jobs_job_waits_only_pending", condition=Q(wait_reason="") | Q(status=Status.PENDING)
            ),
            models.CheckConstraint(
                name="jobs_job_counts_not_negative",
                condition=Q(attempts__gte=0, max_retries__gte=0, rescue_count__gte=0, children_open__gte=0),
            ),
            models.CheckConstraint(
                name="jobs_job_payload_is_object",
                condition=Exact(
                    Func("payload", function="jsonb_typeof", output_field=models.TextField()), Value("object")
                ),
            ),
            models.CheckConstraint(
                name="jobs_job_not_own_parent", condition=Q(parent__isnull=True) | ~Q(parent=F("id"))
            ),
            models.CheckConstraint(
                name="jobs_job_resolution_complete",
                condition=Q(resolution="", resolved_by="", resolved_at__isnull=True, resolution_reason="")
                | (
                    Q(
                        resolution__in=[Resolution.RETRIED, Resolution.DISCARDED, Resolution.CANCELLED],
                        resolved_at__isnull=False,
                    )
                    & ~Q(resolved_by="")
                    & ~Q(resolution_reason="")
                ),
            ),
            models.CheckConstraint(
                name="jobs_job_given_up_is_failed",
                condition=Q(resolution__in=OPEN_RESOLUTIONS) | Q(status=Status.FAILED),
            ),
            # Enqueueing is idempotent by key: ON CONFLICT names this predicate, so they must stay equal (jobs/enqueueing.py).
            models.UniqueConstraint(
                name="jobs_job_unique_key",
                fields=["job_type", "unique_key"],
                condition=Q(unique_key__isnull=False, resolution__in=OPEN_RESOLUTIONS),
            ),
        )
        indexes = (
            # claim: the head of each type, and a package behind it
            models.Index(
                "job_type", F("priority").desc(), "run_at", "id", name="jobs_job_due", condition=Q(status__in=LIVE)
            ),
            # rescue: what is being processed
            models.Index(fields=["lease_expires_at"], name="jobs_job_leased", condition=Q(status=Status.PROCESSING)),
            # prune; throughput of the last minutes
            models.Index(fields=["finished_at"], name="jobs_job_completed", condition=Q(status=Status.COMPLETED)),
            # dead letters
            models.Index(fields=["finished_at"], name="jobs_job_failed", condition=Q(status=Status.FAILED)),
            # children of one parent
            models.Index(fields=["parent"], name="jobs_job_children", condition=Q(parent__isnull=False)),
            # dead letters nobody has settled: counted and filtered by type and age, grouped by error, found by payload
            models.Index(fields=["job_type", "finished_at"], name="jobs_job_dead", condition=UNSETTLED),
            models.Index(FINGERPRINT, "finished_at", "id", name="jobs_job_dead_error", condition=UNSETTLED),
            GinIndex(
                fields=["payload"], opclasses=["jsonb_path_ops"], name="jobs_job_dead_payload", condition=UNSETTLED
            ),
        )

    def __str__(self) -> str:
        return f"{self.job_type} {self.pk}"


class AttemptOutcome(models.TextChoices):
    FAILED = "failed", "failed"
    RESCUED = "rescued", "rescued: its worker was lost"
    INTERRUPTED = "interrupted", "interrupted: its worker was stopping"
    STALE = "stale", "stale result rejected"


class JobAttempt(models.Model):
    """An attempt that did not end well. A good one leaves no row: the job itself says when and by whom."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="history")
    number = models.IntegerField()
    outcome = models.CharField(max_length=12, choices=AttemptOutcome.choices)
    error = models.TextField(db_default="")
    traceback = models.TextField(db_default="")
    worker = models.CharField(max_length=200, db_default="")
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_attempt"
        constraints = (
            models.CheckConstraint(name="jobs_attempt_outcome_known", condition=Q(outcome__in=AttemptOutcome.values)),
            models.CheckConstraint(name="jobs_attempt_number_positive", condition=Q(number__gte=1)),
        )
        indexes = (
            # rescues and stale results counted; errors of the last minutes
            models.Index(fields=["outcome", "ended_at"], name="jobs_attempt_outcome"),
        )

    def __str__(self) -> str:
        return f"attempt {self.number} of job {self.job_id}: {self.outcome}"


class Decision(models.TextChoices):
    RETRIED = "retried", "retried"
    DISCARDED = "discarded", "discarded"
    CANCELLED = "cancelled", "cancelled"
    EDITED = "edited", "payload edited"


class JobDecision(models.Model):
    """What a person decided about a job, for ever; the job's own resolution columns show only the last one.

    `diff`: what an edit did to the payload, {"added": {key: value}, "removed": {key: value}, "changed": {key: {"from": v, "to": v}}}.
    `operation`: the bulk operation that carried the decision out; empty for one taken about this job alone.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=10, choices=Decision.choices)
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    decided_at = models.DateTimeField(db_default=Now())
    diff = models.JSONField(blank=True, db_default=Value({}, models.JSONField()))
    operation = models.ForeignKey(
        "JobOperation", null=True, blank=True, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )

    class Meta:
        db_table = "jobs_decision"
        constraints = (
            models.CheckConstraint(
                name="jobs_decision_complete",
                condition=Q(decision__in=Decision.values) & ~Q(actor="") & ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="jobs_decision_diff_iff_edited",
                condition=(Q(decision=Decision.EDITED) & ~Q(diff={})) | (~Q(decision=Decision.EDITED) & Q(diff={})),
            ),
        )

    def __str__(self) -> str:
        return f"{self.decision} by {self.actor}"


class Worker(models.Model):
    """A worker process. The row is its heartbeat: one small write every JOB_HEARTBEAT_SECONDS, never on the jobs' own rows.

    A job is safe from rescue while its worker beats and names it in `job_ids`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200)
    host = models.CharField(max_length=150)
    pid = models.IntegerField()
    services = ArrayField(models.TextField())
    job_ids = ArrayField(models.BigIntegerField(), db_default=Value([], ArrayField(models.BigIntegerField())))
    rss_bytes = models.BigIntegerField(db_default=0)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_worker"
        constraints = (
            models.CheckConstraint(
                name="jobs_worker_beats_after_start", condition=Q(heartbeat_at__gte=F("started_at"))
            ),
            models.CheckConstraint(name="jobs_worker_pid_positive", condition=Q(pid__gt=0)),
        )

    def __str__(self) -> str:
        return self.name


class Pause(models.Model):
    """A type or a service nobody claims for: who stopped it, why and since when. Kept after it was resumed, as history."""

    class Scope(models.TextChoices):
        TYPE = "type", "job type"
        SERVICE = "service", "service"

    scope = models.CharField(max_length=7, choices=Scope.choices)
    name = models.CharField(max_length=100)
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    since = models.DateTimeField(db_default=Now())
    resumed_at = models.DateTimeField(null=True, blank=True)
    resumed_by = models.CharField(max_length=150, blank=True, db_default="")
    resume_reason = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "jobs_pause"
        constraints = (
            models.CheckConstraint(name="jobs_pause_scope_known", condition=Q(scope__in=["type", "service"])),
            models.CheckConstraint(name="jobs_pause_complete", condition=~Q(name="") & ~Q(actor="") & ~Q(reason="")),
            models.CheckConstraint(
                name="jobs_pause_resumed_by_somebody",
                condition=Q(resumed_at__isnull=True, resumed_by="", resume_reason="")
                | (Q(resumed_at__gte=F("since")) & ~Q(resumed_by="") & ~Q(resume_reason="")),
            ),
            models.UniqueConstraint(
                name="jobs_pause_one_at_a_time", fields=["scope", "name"], condition=Q(resumed_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.name} paused by {self.actor}"


class Tick(models.Model):
    """A job enqueued every `period_seconds`: declared by a service, advanced by the workers (jobs/schedules.py).

    `next_at`: the next due time. `last_job_id`: the job of the last one, which may have been pruned since. `last_error`: why the last due
    time enqueued nothing.
    """

    name = models.CharField(max_length=100, primary_key=True)
    job_type = models.CharField(max_length=100)
    payload = models.JSONField(db_default=Value({}, models.JSONField()))
    period_seconds = models.IntegerField()
    next_at = models.DateTimeField(db_default=Now())
    last_job_id = models.BigIntegerField(null=True, blank=True)
    last_error = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "jobs_tick"
        constraints = (
            models.CheckConstraint(name="jobs_tick_period_positive", condition=Q(period_seconds__gte=1)),
            models.CheckConstraint(
                name="jobs_tick_payload_is_object",
                condition=Exact(
                    Func("payload", function="jsonb_typeof", output_field=models.TextField()), Value("object")
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} every {self.period_seconds} s"


class JobOperation(models.Model):
    """One decision about many dead letters, durable: previewed, confirmed with the typed count, carried out in chunks by a job.

    `filter`: what was asked for, as jobs.deadletters reads it. `preview`: what it met then, shown before the confirmation. `total`: how
    many jobs it met, and after the confirmation how many members are frozen. `rate_per_second`: members at most.
    """

    class Action(models.TextChoices):
        RETRY = "retry", "retry"
        DISCARD = "discard", "discard"

    class Status(models.TextChoices):
        PREVIEWED = "previewed", "previewed"
        RUNNING = "running", "running"
        COMPLETED = "completed", "completed"
        CANCELLED = "cancelled", "cancelled"

    action = models.CharField(max_length=7, choices=Action.choices)
    filter = models.JSONField(db_default=Value({}, models.JSONField()))
    preview = models.JSONField(db_default=Value({}, models.JSONField()))
    status = models.CharField(max_length=9, choices=Status.choices, db_default="previewed")
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    rate_per_second = models.IntegerField()
    total = models.IntegerField()
    done = models.IntegerField(db_default=0)
    skipped = models.IntegerField(db_default=0)
    errored = models.IntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=150, blank=True, db_default="")
    finished_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True, db_default="")
    cancel_reason = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "jobs_operation"
        verbose_name = "bulk operation"
        constraints = (
            models.CheckConstraint(
                name="jobs_operation_known",
                condition=Q(action__in=["retry", "discard"])
                & Q(status__in=["previewed", "running", "completed", "cancelled"]),
            ),
            models.CheckConstraint(name="jobs_operation_complete", condition=~Q(actor="") & ~Q(reason="")),
            models.CheckConstraint(
                name="jobs_operation_runs_when_confirmed",
                condition=Q(status="previewed", confirmed_at__isnull=True, confirmed_by="")
                | (
                    Q(status__in=["running", "completed", "cancelled"], confirmed_at__isnull=False)
                    & ~Q(confirmed_by="")
                ),
            ),
            models.CheckConstraint(
                name="jobs_operation_finished_iff_ended",
                condition=Q(status__in=["completed", "cancelled"], finished_at__isnull=False)
                | Q(status__in=["previewed", "running"], finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="jobs_operation_cancelled_by_somebody",
                condition=(Q(status="cancelled") & ~Q(cancelled_by="") & ~Q(cancel_reason=""))
                | (~Q(status="cancelled") & Q(cancelled_by="", cancel_reason="")),
            ),
            models.CheckConstraint(
                name="jobs_operation_counts_add_up",
                condition=Q(
                    done__gte=0, skipped__gte=0, errored__gte=0, total__gte=F("done") + F("skipped") + F("errored")
                )
                & (~Q(status="completed") | Q(total=F("done") + F("skipped") + F("errored"))),
            ),
            models.CheckConstraint(name="jobs_operation_rate_positive", condition=Q(rate_per_second__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.action} of {self.total} jobs"


class JobOperationMember(models.Model):
    """One job of a bulk operation, frozen at its confirmation, and what became of it. Empty outcome: not reached yet.

    `job_id` is a number and no reference: a job that was completed in the meantime may be pruned.
    """

    class Outcome(models.TextChoices):
        WAITING = "", "not reached"
        DONE = "done", "done"
        SKIPPED = "skipped", "skipped"
        ERRORED = "errored", "errored"

    operation = models.ForeignKey(JobOperation, on_delete=models.PROTECT, related_name="members", db_index=False)
    job_id = models.BigIntegerField()
    outcome = models.CharField(max_length=7, choices=Outcome.choices, blank=True, db_default="")
    detail = models.TextField(blank=True, db_default="")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "jobs_operation_member"
        constraints = (
            models.UniqueConstraint(name="jobs_operation_member_once", fields=["operation", "job_id"]),
            models.CheckConstraint(
                name="jobs_operation_member_ended_iff_outcome",
                condition=Q(outcome="", ended_at__isnull=True, detail="")
                | Q(outcome__in=["done", "skipped", "errored"], ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="jobs_operation_member_says_why",
                condition=Q(outcome__in=["", "done"]) | ~Q(detail=""),
            ),
        )
        indexes = (
            # the next chunk
            models.Index(fields=["operation", "job_id"], name="jobs_operation_member_next", condition=Q(outcome="")),
        )

    def __str__(self) -> str:
        return f"job {self.job_id} of operation {self.operation_id}"
