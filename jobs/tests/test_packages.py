"""Quick jobs, completed by their own fence, and batches: one transaction each, and nobody pays for a neighbour."""

import logging
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs import batches, database, queue, worker
from jobs.errors import BadRegistry
from jobs.models import Job, JobAttempt
from jobs.queue import Claimant
from jobs.service import Done, JobContext, JobsProcessingService, JobType, Mode, WaitForChildren, registry
from jobs.tests.claims import claim, claim_one, enqueue_and_run, run
from jobs.tests.services import ProbeService, leave_effect
from jobs.timers import JobTimer
from jobs.transactions import JobTransaction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handle(monkeypatch):
    """Replace what the probe service does with one job."""

    def install(handler) -> None:
        monkeypatch.setattr(ProbeService, "process_job", lambda self, job, context: handler(job))

    return install


def statuses() -> dict[int, str]:
    return dict(Job.objects.order_by("id").values_list("id", "status"))


# --- quick jobs ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("prepare", [True, False])
def test_a_quick_job_is_completed_with_its_effects(effects, settings, prepare):
    settings.JOB_PREPARE = prepare
    job = enqueue_and_run("probe_quick", {"note": "fine"})
    assert (job.status, job.note, job.attempts, job.lease_token) == ("completed", "fine", 1, None)
    assert job.started_at <= job.finished_at
    assert effects() == [(job.pk, "")]


def test_the_fence_is_the_first_statement_and_the_completion(effects, handle):
    seen = []
    handle(lambda job: (seen.append(Job.objects.get(pk=job.pk).status), leave_effect(job), Done())[2])
    job = enqueue_and_run("probe_quick", {})
    assert (seen, job.status) == (["completed"], "completed")


def test_a_handler_that_rolls_a_savepoint_back_costs_the_next_job_nothing(effects, handle):
    """The driver answers the rollback by dropping the session's prepared statements, the queue's among them."""

    def leave_twice(job: Job) -> Done:
        leave_effect(job)
        with suppress(IntegrityError), transaction.atomic():
            Job.objects.create(job_type="twin", pk=job.pk)
        return Done()

    handle(leave_twice)
    database.settle_in(prepare=True)
    ended = [enqueue_and_run("probe_quick", {}) for _ in range(4)]
    assert [(job.status, job.attempts) for job in ended] == [("completed", 1)] * 4
    assert effects() == [(job.pk, "") for job in ended]
    assert not JobAttempt.objects.exists()


def test_a_quick_job_that_took_its_time_says_when_it_ended(effects):
    job = enqueue_and_run("probe_quick", {"sleep": 0.2})
    assert job.finished_at - job.started_at >= timedelta(seconds=0.2)


@pytest.mark.parametrize("payload", [{"boom": True}, {"outcome": "retry"}, {"outcome": "nonsense"}])
def test_a_quick_job_that_fails_leaves_nothing_and_is_retried(effects, payload):
    job = enqueue_and_run("probe_quick", payload)
    assert (job.status, job.finished_at, effects()) == ("retrying", None, [])
    assert JobAttempt.objects.get().outcome == "failed"


def test_a_quick_job_that_snoozes_keeps_its_effects_once(effects):
    job = enqueue_and_run("probe_quick", {"outcome": "snooze"})
    assert (job.status, job.attempts, job.finished_at) == ("pending", 0, None)
    assert effects() == [(job.pk, "")]


def test_a_quick_job_may_have_children_although_its_fence_had_completed_it(effects, handle):
    def parent(job: Job):
        job.payload.clear()
        queue.enqueue("probe", {}, parent=job)
        return WaitForChildren()

    handle(parent)
    job = enqueue_and_run("probe_quick", {"run": 7})
    assert (job.status, job.children_open, job.payload) == ("pending", 1, {"run": 7})
    assert Job.objects.filter(parent=job).count() == 1


def test_a_quick_child_wakes_its_parent(effects):
    parent = queue.enqueue("probe_once", {})
    queue.enqueue("probe_quick", {}, parent=parent)
    (child,) = queue.claim(Claimant(uuid4(), "h"), types=[registry().type_of("probe_quick")])
    assert run(child).status == "completed"
    assert Job.objects.get(pk=parent.pk).children_open == 0


def test_a_stale_quick_job_touches_nothing(effects):
    queue.enqueue("probe_quick", {})
    stale = claim_one()
    queue.release(stale)
    current = claim_one()
    run(stale)
    assert (statuses(), effects()) == ({current.pk: "processing"}, [])
    assert JobAttempt.objects.get().outcome == "stale"
    assert run(current).status == "completed"


def test_an_error_swallowed_by_the_handler_is_no_completion(effects, handle):
    def careless(job: Job) -> Done:
        leave_effect(job)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
        except Exception:
            return Done()
        raise AssertionError

    handle(careless)
    job = enqueue_and_run("probe_quick", {})
    assert (job.status, effects()) == ("retrying", [])
    assert "swallowed" in job.last_error


def test_what_waits_for_the_commit_runs_after_it_and_never_after_a_rollback(effects, handle):
    rung = []

    def handler(job: Job) -> Done:
        transaction.on_commit(lambda: rung.append(connection.in_atomic_block))
        with transaction.atomic():
            leave_effect(job)
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic(durable=True):
            pass
        assert (connection.in_atomic_block, connection.get_autocommit(), rung) == (True, False, [])
        if job.payload.get("fails"):
            raise ValueError
        return Done()

    handle(handler)
    done = enqueue_and_run("probe_quick", {})
    assert (done.status, effects(), rung) == ("completed", [(done.pk, "")], [False])
    assert enqueue_and_run("probe_quick", {"fails": True}).status == "retrying"
    assert (len(effects()), rung) == (1, [False])
    assert (connection.in_atomic_block, connection.get_autocommit()) == (False, True)


def test_a_time_limit_in_the_middle_of_a_statement_rolls_back(effects, handle, settings):
    def slow(job: Job) -> Done:
        leave_effect(job)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        return Done()

    handle(slow)
    job = enqueue_and_run("probe_hurried", {})
    assert (job.status, job.last_error) == ("retrying", "ran over its time limit of 0.2 s")
    assert effects() == []


def test_a_job_transaction_inside_another_is_a_savepoint_of_it(effects):
    job = queue.enqueue("probe", {})
    with transaction.atomic():
        transaction.get_connection().atomic_blocks[-1]._from_testcase = True
        with pytest.raises(IntegrityError), JobTransaction():
            Job.objects.create(job_type="twin", pk=job.pk)
        with JobTransaction():
            leave_effect(job, "kept")
    assert effects() == [(job.pk, "kept")]


# --- batches -------------------------------------------------------------------------------------------------------
def batch(*payloads: dict[str, object], **options: object) -> list[Job]:
    queue.enqueue_many("probe_batch", payloads, **options)
    return claim(limit=50)


def do(jobs: list[Job]) -> list[int]:
    """Run a package as a worker does; returns the ids that had to go one by one."""
    left = batches.run_together(jobs, JobContext(), JobTimer())
    for job in left:
        worker.run_job(job, JobContext(), JobTimer())
    return [job.pk for job in left]


def test_a_batch_is_one_transaction_and_every_member_is_completed(effects):
    jobs = batch(*[{}] * 10)
    assert do(jobs) == []
    assert statuses() == {job.pk: "completed" for job in jobs}
    assert effects() == [(job.pk, "batch") for job in jobs]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM job_queue")
        assert cursor.fetchone() == (1,)


def test_only_the_failing_member_fails(effects, caplog):
    jobs = batch({}, {"boom": True}, {"note": "third"})
    assert do(jobs) == [job.pk for job in jobs]
    assert list(statuses().values()) == ["completed", "retrying", "completed"]
    assert effects() == [(jobs[0].pk, ""), (jobs[2].pk, "")]
    (attempt,) = JobAttempt.objects.all()
    assert (attempt.job_id, attempt.number, attempt.error) == (jobs[1].pk, 1, "RuntimeError: boom")
    assert Job.objects.get(pk=jobs[2].pk).note == "third"


def test_a_member_that_is_not_done_goes_alone_and_the_others_together(effects):
    jobs = batch({}, {"outcome": "snooze"}, {"note": "third"}, {"outcome": "fail"})
    assert do(jobs) == [jobs[1].pk, jobs[3].pk]
    assert list(statuses().values()) == ["completed", "pending", "completed", "failed"]
    assert effects() == [(jobs[0].pk, "batch"), (jobs[2].pk, "batch"), (jobs[1].pk, "")]
    assert Job.objects.get(pk=jobs[2].pk).note == "third"


def test_a_member_that_moved_on_drops_out_of_the_batch(effects, caplog):
    jobs = batch({}, {}, {})
    Job.objects.filter(pk=jobs[1].pk).update(lease_token=uuid4())
    with caplog.at_level(logging.WARNING):
        assert do(jobs) == []
    assert list(statuses().values()) == ["completed", "processing", "completed"]
    assert effects() == [(jobs[0].pk, "batch"), (jobs[2].pk, "batch")]
    assert JobAttempt.objects.values_list("job_id", "outcome").get() == (jobs[1].pk, "stale")


def test_too_few_outcomes_are_a_failure_of_the_batch_and_of_nobody_in_it(effects):
    jobs = batch({"short": True}, {})
    assert do(jobs) == [job.pk for job in jobs]
    assert list(statuses().values()) == ["completed", "completed"]
    assert [step for _, step in effects()] == ["", ""]


def test_a_batch_over_its_time_limit_is_done_one_by_one(effects, monkeypatch):
    hurried = ProbeService()
    hurried.job_types = (JobType("probe_batch", quick=True, batch=True, time_limit_seconds=0.3),)
    monkeypatch.setattr("jobs.batches.registry", lambda: JobsProcessingService([hurried]))
    jobs = batch({"sleep": 0.2}, {"sleep": 0.2})
    assert do(jobs) == [job.pk for job in jobs]
    assert list(statuses().values()) == ["completed", "completed"]


def test_a_batch_counts_its_parents_down_and_wakes_them_once(effects):
    parents = [queue.enqueue("probe_parent", {"children": 0}) for _ in range(2)]
    me = Claimant(uuid4(), "h")
    for parent in parents:
        queue.enqueue_many("probe_batch", [{}] * 3, parent=parent)
    for parent in (queue.claim(me, types=[registry().type_of("probe_parent")])[0] for _ in parents):
        queue.wait_for_children(parent, "waiting")
    assert do(queue.claim(me, types=[registry().type_of("probe_batch")])) == []
    for parent in Job.objects.filter(job_type="probe_parent"):
        assert (parent.children_open, parent.wait_reason, parent.run_at <= timezone.now()) == (0, "", True)


def test_run_due_does_batches_too(effects):
    queue.enqueue_many("probe_batch", [{}] * 5)
    assert worker.run_due(JobContext()) == 5
    assert {step for _, step in effects()} == {"batch"}


@pytest.mark.parametrize(
    "kind",
    [JobType("x", batch=True), JobType("x", batch=True, quick=True, mode=Mode.STEPS)],
    ids=["slow", "steps"],
)
def test_only_quick_types_of_mode_database_can_be_batches(kind):
    service = ProbeService()
    service.job_types = (kind,)
    with pytest.raises(BadRegistry, match="batch"):
        JobsProcessingService([service])


def test_a_service_without_process_jobs_cannot_declare_a_batch():
    class Lacking:
        name = "Lacking"
        job_types = (JobType("x", quick=True, batch=True),)

        def process_job(self, job, context):
            return Done()

    with pytest.raises(BadRegistry, match="no process_jobs"):
        JobsProcessingService([Lacking()])


def test_what_was_never_begun_is_given_back_in_its_old_place(effects):
    queue.enqueue_many("probe_quick", [{}] * 3)
    jobs = claim(limit=3)
    before = dict(Job.objects.values_list("pk", "run_at"))
    queue.complete(jobs[0])
    assert queue.release_all(jobs) == 2
    assert list(statuses().values()) == ["completed", "pending", "pending"]
    assert dict(Job.objects.values_list("pk", "run_at")) == before
    assert set(Job.objects.exclude(pk=jobs[0].pk).values_list("attempts", flat=True)) == {0}
