"""What becomes of an attempt: every outcome, every failure, and the fence under all of them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from jobs import queue, worker
from jobs.models import Job, JobAttempt
from jobs.service import JobContext, LeaseLost
from jobs.tests.claims import claim, claim_one, enqueue_and_run, run

pytestmark = pytest.mark.django_db


def seconds_until_run(job: Job) -> float:
    return (job.run_at - timezone.now()).total_seconds()


def history(job: Job) -> list[tuple[int, str, str]]:
    return list(JobAttempt.objects.filter(job=job).order_by("id").values_list("number", "outcome", "error"))


def test_the_claim_counts_the_attempt_and_takes_a_lease():
    queue.enqueue("probe", {})
    worker_id = uuid4()
    (job,) = claim(worker_id=worker_id)
    stored = Job.objects.get()
    assert (stored.status, stored.attempts, stored.processed_by, stored.worker_id) == (
        "processing",
        1,
        "host:1",
        worker_id,
    )
    assert stored.lease_token == job.lease_token is not None
    assert stored.started_at is not None
    assert stored.finished_at is None
    assert claim() == []


def test_done_completes_with_its_note_and_leaves_no_attempt_row(effects):
    job = enqueue_and_run("probe", {"note": "all fine"})
    assert (job.status, job.note, job.attempts, job.lease_token) == ("completed", "all fine", 1, None)
    assert job.finished_at is not None
    assert job.finished_at >= job.started_at
    assert effects() == [(job.pk, "")]
    assert history(job) == []


def test_snooze_waits_at_no_cost_and_keeps_the_effects(effects):
    job = enqueue_and_run("probe", {"outcome": "snooze"})
    assert (job.status, job.attempts, job.wait_reason) == ("pending", 0, "waiting for the block")
    assert 290 < seconds_until_run(job) <= 300
    assert effects() == [(job.pk, "")]
    assert history(job) == []


def test_a_retry_rolls_back_backs_off_and_is_recorded(effects, settings):
    settings.JOB_RETRY_BASE_SECONDS = 100.0
    job = enqueue_and_run("probe", {"outcome": "retry"})
    assert (job.status, job.attempts, job.last_error) == ("retrying", 1, "not now")
    assert 70 < seconds_until_run(job) <= 125
    assert effects() == []
    assert history(job) == [(1, "failed", "not now")]


def test_the_handlers_own_delay_wins(effects):
    assert 85 < seconds_until_run(enqueue_and_run("probe", {"outcome": "retry_after"})) <= 90


def test_backoff_doubles_up_to_its_ceiling_with_a_quarter_of_jitter(settings):
    settings.JOB_RETRY_BASE_SECONDS, settings.JOB_RETRY_MAX_SECONDS = 2.0, 3600.0
    for attempts, middle in ((1, 2), (2, 4), (5, 32), (20, 3600), (10_000, 3600)):
        drawn = [queue.backoff_seconds(attempts) for _ in range(50)]
        assert middle * 0.75 <= min(drawn) < max(drawn) <= middle * 1.25


def test_used_up_retries_are_a_dead_letter(effects):
    queue.enqueue("probe", {"outcome": "retry"}, max_retries=1)
    run(claim_one())
    Job.objects.update(run_at=timezone.now())
    job = run(claim_one())
    assert (job.status, job.attempts, job.resolution) == ("failed", 2, "")
    assert job.finished_at is not None
    assert history(job) == [(1, "failed", "not now"), (2, "failed", "not now")]
    assert effects() == []


def test_a_type_without_retries_dies_at_once(effects):
    assert enqueue_and_run("probe_once", {"boom": True}).status == "failed"


def test_fail_is_terminal_whatever_retries_are_left(effects):
    job = enqueue_and_run("probe", {"outcome": "fail"})
    assert (job.status, job.attempts, job.last_error) == ("failed", 1, "never")
    assert effects() == []


def test_a_bad_payload_is_terminal(effects):
    job = enqueue_and_run("probe", {"bad": True})
    assert (job.status, job.last_error) == ("failed", "nothing to be done with it")
    assert effects() == []


def test_an_unexpected_exception_is_recorded_with_its_traceback_and_retried(effects):
    job = enqueue_and_run("probe", {"boom": True})
    assert (job.status, job.last_error) == ("retrying", "RuntimeError: boom")
    attempt = JobAttempt.objects.get()
    assert (attempt.number, attempt.outcome, attempt.worker) == (1, "failed", "host:1")
    assert 'raise RuntimeError("boom")' in attempt.traceback
    assert attempt.started_at < attempt.ended_at
    assert effects() == []


def test_an_answer_that_is_no_outcome_is_a_failure(effects):
    job = enqueue_and_run("probe", {"outcome": "nonsense"})
    assert job.status == "retrying"
    assert "not NoneType" in job.last_error
    assert effects() == []


def test_a_job_over_its_time_limit_is_stopped_and_retried(effects):
    job = enqueue_and_run("probe_hurried", {"sleep": 5})
    assert (job.status, job.last_error) == ("retrying", "ran over its time limit of 0.2 s")
    assert (job.finished_at, effects()) == (None, [])


def test_a_row_of_a_type_no_service_knows_is_a_dead_letter_with_that_reason():
    from jobs import rescue
    from jobs.service import registry

    old = Job.objects.create(job_type="gone")
    known = queue.enqueue("probe", {})
    assert rescue.reject_unknown_types(registry().types) == 1
    old.refresh_from_db()
    known.refresh_from_db()
    assert (old.status, old.last_error) == ("failed", "no service knows the job type gone")
    assert known.status == "pending"


def test_a_new_releases_type_is_left_alone_while_it_rolls_out(settings):
    from jobs import rescue

    settings.JOB_UNKNOWN_TYPE_SECONDS = 60
    Job.objects.create(job_type="newer")
    assert rescue.reject_unknown_types(["probe"]) == 0
    assert Job.objects.get().status == "pending"


# --- the fence -----------------------------------------------------------------------------------------------------
ENDS = {
    "complete": queue.complete,
    "snooze": lambda job: queue.snooze(job, timedelta(0), "x"),
    "wait": lambda job: queue.wait_for_children(job, "x"),
    "retry": lambda job: queue.retry(job, "x"),
    "fail": lambda job: queue.fail(job, "x"),
    "release": lambda job: queue.release(job, "x"),
    "interrupt": lambda job: queue.interrupt(job, "x"),
    "fence": queue.fence,
}


def row(job: Job) -> dict[str, object]:
    return Job.objects.values().get(pk=job.pk)


@pytest.mark.parametrize("end", ENDS)
def test_a_stale_token_can_do_nothing_to_a_job_that_was_claimed_again(end):
    queue.enqueue("probe", {})
    stale = claim_one()
    queue.release(stale)
    current = claim_one()
    assert (current.pk, current.attempts) == (stale.pk, stale.attempts)
    before = row(current)
    with pytest.raises(LeaseLost):
        ENDS[end](stale)
    assert row(current) == before
    assert not JobAttempt.objects.exists()


def test_a_stale_result_is_rejected_rolled_back_and_kept_in_the_history(effects):
    queue.enqueue("probe", {})
    stale = claim_one()
    queue.release(stale)
    current = claim_one()
    run(stale)
    assert row(current)["status"] == "processing"
    assert effects() == []
    assert [outcome for _, outcome, _ in history(current)] == ["stale"]
    assert run(current).status == "completed"
    assert effects() == [(current.pk, "")]


def test_a_steps_job_checks_its_token_in_each_of_its_transactions(effects):
    queue.enqueue("probe_steps", {})
    job = claim_one()
    taken_over = {"done": False}

    class Thief(JobContext):
        def fenced(self):
            if effects() and not taken_over["done"]:
                taken_over["done"] = True
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE job_queue SET lease_token = gen_random_uuid()")
            return super().fenced()

    worker.run_job(job, Thief(), worker.JobTimer())
    assert effects() == [(job.pk, "first")]
    assert row(job)["status"] == "processing"
    assert [outcome for _, outcome, _ in history(job)] == ["stale"]


def test_a_steps_job_runs_its_steps_and_completes(effects):
    job = enqueue_and_run("probe_steps", {})
    assert job.status == "completed"
    assert effects() == [(job.pk, "first"), (job.pk, "second")]


def test_fenced_belongs_to_a_running_job_of_mode_steps():
    with pytest.raises(RuntimeError, match="STEPS"):
        JobContext().fenced()


def test_a_release_costs_no_attempt_and_runs_at_once():
    queue.enqueue("probe", {})
    queue.release(claim_one(), "its worker was stopping")
    job = Job.objects.get()
    assert (job.status, job.attempts, job.lease_token) == ("pending", 0, None)
    assert history(job) == [(1, "interrupted", "its worker was stopping")]
    assert claim_one().attempts == 1


def test_a_job_cut_off_by_the_database_three_times_in_a_row_is_a_dead_letter():
    queue.enqueue("probe", {})
    for _ in range(2):
        queue.interrupt(claim_one(), "the database went away")
        assert Job.objects.get().status == "retrying"
    queue.interrupt(claim_one(), "the database went away")
    job = Job.objects.get()
    assert (job.status, job.last_error) == ("failed", "the database went away, 3 times in a row")


def test_run_due_runs_everything_due_and_says_how_many(effects):
    queue.enqueue_many("probe_quick", [{}] * 5)
    queue.enqueue("probe", {})
    queue.enqueue("probe", {}, run_at=timezone.now() + timedelta(hours=1))
    assert worker.run_due(JobContext()) == 6
    assert sorted(Job.objects.values_list("status", flat=True)) == ["completed"] * 6 + ["pending"]
