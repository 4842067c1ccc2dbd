"""A bulk decision is durable: previewed, confirmed by its count, frozen, throttled, cancellable, and taken up again after a crash."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from jobs import operations, queue, review
from jobs.deadletters import DeadLetterFilter, read_filter
from jobs.errors import Refused
from jobs.models import Job, JobDecision, JobOperation, JobOperationMember
from jobs.service import JobContext, Snooze, registry
from jobs.tests.claims import claim_one, run
from jobs.tests.dead import dead, many_dead

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def with_operations(settings):
    settings.JOB_SERVICES = ["jobs.operations.OperationsService", "jobs.tests.services_judging.JudgingService"]


def previewed(action: str = "retry", chosen: DeadLetterFilter | None = None, **options) -> JobOperation:
    return operations.preview(action, chosen or DeadLetterFilter(), actor="anna", reason="the node is back", **options)


def confirmed(action: str = "retry", chosen: DeadLetterFilter | None = None, **options) -> JobOperation:
    preview = previewed(action, chosen, **options)
    return operations.confirm(preview.pk, typed_count=preview.total, actor="ben")


def run_chunk() -> Job:
    """One claim of the operation's job and one run of it, whatever else is due."""
    Job.objects.filter(job_type="job_operation", status="pending").update(run_at=timezone.now() - timedelta(days=1))
    job = claim_one()
    assert job.job_type == "job_operation"
    return run(job)


def run_all() -> JobOperation:
    while run_chunk().status != "completed":
        pass
    return JobOperation.objects.get()


def everything() -> list[object]:
    models = (Job, JobDecision, JobOperation, JobOperationMember)
    return [list(model.objects.order_by("pk").values()) for model in models]


# --- preview -------------------------------------------------------------------------------------------------------
def test_a_preview_shows_what_would_be_met_and_touches_nothing():
    jobs = [dead(age=timedelta(hours=n)) for n in range(6)] + [dead("probe_quick")]
    dead(payload={"run": "other"})
    review.discard(dead(), "anna", "r")
    before = list(Job.objects.order_by("pk").values())
    met = previewed(chosen=read_filter({"failed_before": timezone.now()}), rate_per_second=7)
    assert (met.status, met.total, met.done, met.rate_per_second) == ("previewed", 8, 0, 7)
    assert met.preview["by_type"] == {"probe": 7, "probe_quick": 1}
    assert met.preview["oldest"] == jobs[5].finished_at.isoformat()
    assert met.preview["sample"] == [jobs[n].pk for n in (5, 4, 3, 2, 1)]
    assert list(Job.objects.order_by("pk").values()) == before
    assert not JobOperationMember.objects.exists()


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "delete"},
        {"actor": ""},
        {"reason": "  "},
        {"rate_per_second": 0},
        {"rate_per_second": 2001},
        {"chosen": DeadLetterFilter(job_type="probe_quick")},
    ],
)
def test_a_preview_that_cannot_become_an_operation_is_refused(asked):
    dead()
    before = everything()
    options = {"action": "retry", "chosen": DeadLetterFilter(), "actor": "anna", "reason": "r"} | asked
    with pytest.raises(Refused):
        operations.preview(options.pop("action"), options.pop("chosen"), **options)
    assert everything() == before


def test_too_many_at_once_are_refused(monkeypatch):
    monkeypatch.setattr(operations, "MEMBERS_AT_MOST", 2)
    for _ in range(3):
        dead()
    with pytest.raises(Refused, match="more than 2 "):
        previewed()
    assert not JobOperation.objects.exists()


def test_old_previews_are_forgotten():
    dead()
    old = previewed()
    JobOperation.objects.update(created_at=timezone.now() - timedelta(days=2))
    previewed()
    assert not JobOperation.objects.filter(pk=old.pk).exists()


# --- confirmation --------------------------------------------------------------------------------------------------
def test_the_typed_count_freezes_the_members_and_starts_the_job():
    jobs = [dead() for _ in range(3)]
    preview = previewed()
    late = dead()
    running = operations.confirm(preview.pk, typed_count=3, actor="ben")
    assert (running.status, running.confirmed_by, running.total) == ("running", "ben", 3)
    assert [member.job_id for member in running.members.order_by("job_id")] == [job.pk for job in jobs]
    assert Job.objects.filter(job_type="job_operation").values("payload", "status").get() == {
        "payload": {"operation": preview.pk},
        "status": "pending",
    }
    assert run_all().done == 3
    late.refresh_from_db()
    assert late.status == "failed", "what failed after the preview is nobody's decision yet"


@pytest.mark.parametrize(("typed", "actor"), [(2, "ben"), (4, "ben"), (0, "ben"), (3, "")])
def test_another_count_or_nobody_starts_nothing(typed, actor):
    for _ in range(3):
        dead()
    preview = previewed()
    before = everything()
    with pytest.raises(Refused):
        operations.confirm(preview.pk, typed_count=typed, actor=actor)
    assert everything() == before


def test_a_preview_that_is_out_of_date_starts_nothing():
    jobs = [dead() for _ in range(3)]
    preview = previewed()
    review.retry(jobs[0], "carl", "r")
    before = everything()
    with pytest.raises(Refused, match="2 jobs by now, and 3 at the preview"):
        operations.confirm(preview.pk, typed_count=3, actor="ben")
    assert everything() == before


def test_an_operation_is_confirmed_once():
    dead()
    running = confirmed()
    before = everything()
    with pytest.raises(Refused, match="confirmed before"):
        operations.confirm(running.pk, typed_count=1, actor="ben")
    with pytest.raises(Refused, match="no operation"):
        operations.confirm(running.pk + 1, typed_count=1, actor="ben")
    assert everything() == before


# --- execution -----------------------------------------------------------------------------------------------------
def test_each_member_is_decided_as_if_alone_and_says_what_became_of_it():
    fine, open_payment, broken, gone, settled = (
        dead(),
        dead(payload={"open_payment": True}),
        dead(payload={"broken": True}),
        dead(),
        dead(),
    )
    confirmed("discard")
    Job.objects.filter(pk=gone.pk).delete()
    review.retry(settled, "carl", "r")
    Job.objects.filter(pk=settled.pk).update(run_at=timezone.now() + timedelta(days=1))
    ended = run_all()
    assert (ended.status, ended.done, ended.skipped, ended.errored) == ("completed", 1, 3, 1)
    assert ended.finished_at is not None
    results = {m.job_id: (m.outcome, m.detail) for m in ended.members.all()}
    assert results == {
        fine.pk: ("done", ""),
        open_payment.pk: ("skipped", f"job {open_payment.pk} cannot be discarded: a payment is open"),
        broken.pk: ("errored", "LookupError: the run cannot be read"),
        gone.pk: ("skipped", "it is not in the queue any more"),
        settled.pk: ("skipped", f"job {settled.pk} is pending, not failed"),
    }
    decision = JobDecision.objects.get(job=fine)
    assert (decision.decision, decision.actor, decision.reason) == ("discarded", "ben", "the node is back")
    assert decision.operation == ended
    assert not JobDecision.objects.filter(job__in=[open_payment, broken]).exists()
    assert set(Job.objects.filter(pk__in=[open_payment.pk, broken.pk]).values_list("status", "resolution")) == {
        ("failed", "")
    }


def test_ten_thousand_dead_letters_are_retried():
    numbers = many_dead(10_000)
    confirmed(rate_per_second=500)
    ended = run_all()
    assert (ended.status, ended.done, ended.skipped, ended.errored) == ("completed", 10_000, 0, 0)
    retried = Job.objects.filter(job_type="probe", status="pending", resolution="retried", resolved_by="ben")
    assert sorted(retried.values_list("pk", flat=True)) == numbers
    assert JobDecision.objects.filter(decision="retried", operation=ended).count() == 10_000
    assert Counter(ended.members.values_list("outcome", flat=True)) == {"done": 10_000}


def test_a_chunk_is_two_seconds_of_the_rate_and_snoozes_for_the_rest():
    many_dead(50)
    confirmed(rate_per_second=10)
    job = run_chunk()
    assert (job.status, job.attempts, job.wait_reason) == ("pending", 0, "10 jobs a second")
    assert timedelta(seconds=1) < job.run_at - timezone.now() <= timedelta(seconds=2)
    assert JobOperation.objects.get().done == 20


def test_a_cancelled_operation_reaches_nobody_else_and_keeps_what_is_done():
    many_dead(50)
    running = confirmed(rate_per_second=10)
    run_chunk()
    cancelled = operations.cancel(running.pk, actor="carl", reason="enough")
    assert (cancelled.status, cancelled.cancelled_by, cancelled.cancel_reason) == ("cancelled", "carl", "enough")
    assert run_chunk().note == "the operation is cancelled"
    assert Counter(cancelled.members.values_list("outcome", flat=True)) == {"done": 20, "": 30}
    assert Job.objects.filter(job_type="probe", status="failed").count() == 30
    before = everything()
    with pytest.raises(Refused, match="only a running one"):
        operations.cancel(running.pk, actor="carl", reason="enough")
    assert everything() == before


@pytest.mark.parametrize(("actor", "reason"), [("", "r"), ("carl", " ")])
def test_nobody_cancels_without_a_name_and_a_reason(actor, reason):
    dead()
    running = confirmed()
    before = everything()
    with pytest.raises(Refused):
        operations.cancel(running.pk, actor=actor, reason=reason)
    assert everything() == before


def test_a_crash_loses_the_transaction_under_way_and_nothing_else(monkeypatch):
    numbers = many_dead(30)
    confirmed("discard", rate_per_second=15)
    decide, seen = review.discard, []

    def crash_at_the_eleventh(job, *args, **options):
        seen.append(job.pk)
        if len(seen) == 11:
            raise OperationalError("the server closed the connection")
        return decide(job, *args, **options)

    monkeypatch.setattr(review, "discard", crash_at_the_eleventh)
    assert run_chunk().status == "retrying"
    assert JobOperation.objects.get().done == 10
    assert Job.objects.get(pk=numbers[10]).resolution == ""
    Job.objects.filter(job_type="job_operation").update(status="pending")
    ended = run_all()
    assert (ended.status, ended.done) == ("completed", 30)
    assert JobDecision.objects.count() == 30, "nobody is decided about twice"


def test_a_worker_presumed_dead_decides_about_nobody():
    many_dead(3)
    confirmed()
    job = claim_one()
    Job.objects.filter(pk=job.pk).update(lease_token="00000000-0000-0000-0000-000000000001")
    run(job)
    assert JobOperation.objects.get().done == 0
    assert Job.objects.filter(status="failed").count() == 3


def test_the_job_of_a_running_operation_is_not_discarded():
    dead()
    running = confirmed()
    job = Job.objects.get(job_type="job_operation")
    Job.objects.filter(pk=job.pk).update(status="failed", finished_at=timezone.now())
    with pytest.raises(Refused, match="cancel that first"):
        review.discard(job, "anna", "r")
    operations.cancel(running.pk, actor="anna", reason="r")
    assert review.discard(job, "anna", "r").resolution == "discarded"


def test_a_job_of_no_operation_is_a_dead_letter():
    queue.enqueue("job_operation", {"operation": 7})
    assert (run_chunk().status, Job.objects.get().last_error) == ("failed", "there is no operation 7")


def test_the_members_of_two_operations_are_decided_once():
    dead()
    first, second = previewed(), previewed("discard")
    operations.confirm(first.pk, typed_count=1, actor="ben")
    operations.confirm(second.pk, typed_count=1, actor="ben")
    run_chunk()
    run_chunk()
    second.refresh_from_db()
    assert Counter(JobOperationMember.objects.values_list("outcome", flat=True)) == {"done": 1, "skipped": 1}
    assert JobDecision.objects.count() == 1


def test_the_service_waits_only_in_the_queue():
    many_dead(2)
    running = confirmed(rate_per_second=1)
    job = Job(pk=1, job_type="job_operation", payload={"operation": running.pk})
    outcome = registry().process_job(job, JobContext(fence=transaction.atomic))
    assert isinstance(outcome, Snooze)
    assert timedelta(0) < outcome.delay <= timedelta(seconds=2)


# --- what the table refuses ----------------------------------------------------------------------------------------
NOW = timezone.now()
BROKEN = [
    ("jobs_operation_known", {"action": "delete"}),
    ("jobs_operation_complete", {"reason": ""}),
    ("jobs_operation_complete", {"actor": ""}),
    ("jobs_operation_runs_when_confirmed", {"status": "running"}),
    ("jobs_operation_runs_when_confirmed", {"confirmed_at": NOW}),
    ("jobs_operation_finished_iff_ended", {"finished_at": NOW}),
    ("jobs_operation_finished_iff_ended", {"status": "completed", "confirmed_at": NOW, "confirmed_by": "b", "done": 3}),
    ("jobs_operation_cancelled_by_somebody", {"cancelled_by": "carl"}),
    ("jobs_operation_counts_add_up", {"done": 2, "skipped": 1, "errored": 1}),
    ("jobs_operation_counts_add_up", {"done": -1}),
    (
        "jobs_operation_counts_add_up",
        {"status": "completed", "confirmed_at": NOW, "confirmed_by": "b", "finished_at": NOW, "done": 2},
    ),
    ("jobs_operation_rate_positive", {"rate_per_second": 0}),
]


@pytest.mark.parametrize(("constraint", "fields"), BROKEN)
def test_an_operation_that_contradicts_itself_cannot_be_stored(constraint, fields):
    whole = {"action": "retry", "actor": "a", "reason": "r", "rate_per_second": 1, "total": 3}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        JobOperation.objects.create(**whole | fields)
    assert not JobOperation.objects.exists()


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("jobs_operation_member_once", {}),
        ("jobs_operation_member_ended_iff_outcome", {"job_id": 0, "outcome": "done"}),
        ("jobs_operation_member_ended_iff_outcome", {"job_id": 0, "outcome": "odd", "ended_at": NOW, "detail": "d"}),
        ("jobs_operation_member_says_why", {"job_id": 0, "outcome": "skipped", "ended_at": NOW}),
    ],
)
def test_a_member_is_frozen_once_and_ends_with_a_reason(constraint, fields):
    job = dead()
    running = confirmed()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        JobOperationMember.objects.create(operation=running, **{"job_id": job.pk} | fields)
    assert running.members.count() == 1
