"""Rescue by liveness: the dead lose their jobs, the living never; a job that kills its workers is stopped."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from jobs import queue, rescue, review
from jobs.models import Job, JobAttempt, Worker
from jobs.tests.claims import claim, claim_one, enqueue_and_run

pytestmark = pytest.mark.django_db
QUICK = ["probe_quick"]


def make_worker(*, silent_seconds: float = 0, job_ids: tuple[int, ...] = ()) -> Worker:
    worker = Worker.objects.create(name="host:1", host="host", pid=1, services=["ProbeService"], job_ids=list(job_ids))
    beat = timezone.now() - timedelta(seconds=silent_seconds)
    Worker.objects.filter(pk=worker.pk).update(started_at=beat, heartbeat_at=beat)
    return worker


def expire_lease() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_queue SET lease_expires_at = now() - interval '1 second' WHERE status = 'processing'"
        )


def test_the_jobs_of_a_silent_worker_run_again():
    worker = make_worker(silent_seconds=60)
    queue.enqueue("probe", {})
    (job,) = claim(worker_id=worker.pk)
    assert rescue.rescue(quick_types=QUICK) == 1
    stored = Job.objects.get()
    assert (stored.status, stored.attempts, stored.rescue_count, stored.lease_token) == ("retrying", 1, 1, None)
    assert list(JobAttempt.objects.values_list("job_id", "number", "outcome", "worker")) == [
        (job.pk, 1, "rescued", "host:1")
    ]
    assert claim_one().attempts == 2


def test_a_worker_without_a_row_is_dead():
    queue.enqueue("probe", {})
    claim(worker_id=uuid4())
    assert rescue.rescue(quick_types=QUICK) == 1


def test_a_long_job_of_a_living_worker_is_never_taken_away():
    queue.enqueue("probe", {})
    worker = make_worker()
    (job,) = claim(worker_id=worker.pk)
    Worker.objects.update(job_ids=[job.pk])
    expire_lease()
    assert rescue.rescue(quick_types=QUICK) == 0
    assert Job.objects.get().lease_token == job.lease_token


def test_a_job_its_living_worker_has_forgotten_comes_back_when_the_lease_has_run_out():
    queue.enqueue("probe", {})
    worker = make_worker()
    claim(worker_id=worker.pk)
    assert rescue.rescue(quick_types=QUICK) == 0
    expire_lease()
    assert rescue.rescue(quick_types=QUICK) == 1


def test_a_job_that_loses_its_worker_three_times_is_a_dead_letter_with_that_reason():
    queue.enqueue("probe", {}, max_retries=100)
    for expected in ("retrying", "retrying", "failed"):
        claim(worker_id=uuid4())
        rescue.rescue(quick_types=QUICK)
        assert Job.objects.get().status == expected
    job = Job.objects.get()
    assert (job.last_error, job.rescue_count) == ("its worker was lost 3 times while it ran", 3)
    assert JobAttempt.objects.filter(outcome="rescued").count() == 3


def test_a_rescue_does_not_ask_for_retries():
    queue.enqueue("probe_once", {})
    claim(worker_id=uuid4())
    rescue.rescue(quick_types=QUICK)
    assert Job.objects.get().status == "retrying"


def test_neighbours_in_a_package_pay_no_attempt():
    queue.enqueue_many("probe_quick", [{}] * 3)
    claim(limit=20)
    assert rescue.rescue(quick_types=QUICK) == 3
    assert set(Job.objects.values_list("status", "attempts", "rescue_count")) == {("retrying", 0, 1)}


def test_snoozing_proves_that_the_job_does_not_kill_its_worker(effects):
    queue.enqueue("probe", {"outcome": "snooze"})
    claim(worker_id=uuid4())
    rescue.rescue(quick_types=QUICK)
    queue.snooze(claim_one(), timedelta(0), "x")
    assert Job.objects.get().rescue_count == 0


def test_old_completed_jobs_are_pruned_and_nothing_else(effects, settings):
    settings.JOB_RETENTION_DAYS = 1
    old = enqueue_and_run("probe", {})
    young = enqueue_and_run("probe", {})
    dead = enqueue_and_run("probe", {"outcome": "fail"})
    decided = enqueue_and_run("probe", {"outcome": "fail"})
    review.retry(decided, "anna", "try again")
    Job.objects.filter(pk=decided.pk).update(payload={})
    from jobs.tests.claims import run

    run(claim_one())
    parent = queue.enqueue("probe", {}, priority=9)
    child = queue.enqueue("probe", {}, parent=parent, run_at=timezone.now() + timedelta(hours=1))
    run(claim_one())
    Job.objects.filter(finished_at__isnull=False).exclude(pk=young.pk).update(
        finished_at=timezone.now() - timedelta(days=2)
    )
    assert rescue.prune() == 1
    left = set(Job.objects.values_list("pk", flat=True))
    assert left == {young.pk, dead.pk, decided.pk, parent.pk, child.pk}
    assert old.pk not in left


def test_workers_silent_for_an_hour_are_forgotten_unless_a_job_names_them():
    make_worker(silent_seconds=4000)
    holder = make_worker(silent_seconds=4000)
    alive = make_worker()
    queue.enqueue("probe", {})
    claim(worker_id=holder.pk)
    assert rescue.forget_workers() == 1
    assert set(Worker.objects.values_list("pk", flat=True)) == {holder.pk, alive.pk}
