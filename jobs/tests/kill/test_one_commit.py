"""On each of the queue's ways, with real commits: effect and end of attempt are one, and a lease that has moved on accepts nothing."""

from uuid import uuid4

import pytest

from jobs import batches, queue
from jobs.models import Job, JobAttempt
from jobs.service import JobContext
from jobs.tests.claims import claim, claim_one, run
from jobs.timers import JobTimer

pytestmark = pytest.mark.django_db(transaction=True)

ALONE = ["probe", "probe_quick"]


def take_over(job: Job) -> str:
    """Another worker has the job now; returns its lease."""
    token = uuid4()
    Job.objects.filter(pk=job.pk).update(lease_token=token, processed_by="other:1")
    return str(token)


def lease_of(job: Job) -> tuple[str, str]:
    stored = Job.objects.get(pk=job.pk)
    return stored.status, str(stored.lease_token)


def claim_batch(payloads: list[dict[str, object]]) -> list[Job]:
    queue.enqueue_many("probe_batch", payloads)
    return claim(limit=len(payloads))


@pytest.mark.parametrize("job_type", ALONE)
def test_the_effect_and_the_completion_are_committed_together(effects, job_type):
    queue.enqueue(job_type, {})
    job = run(claim_one())
    assert (job.status, effects()) == ("completed", [(job.pk, "")])


@pytest.mark.parametrize("job_type", ALONE)
@pytest.mark.parametrize("payload", [{"boom": True}, {"outcome": "retry"}, {"outcome": "nonsense"}])
def test_an_attempt_that_fails_leaves_neither(effects, job_type, payload):
    queue.enqueue(job_type, payload)
    job = run(claim_one())
    assert (job.status, job.lease_token, effects()) == ("retrying", None, [])


@pytest.mark.parametrize("job_type", ALONE)
def test_a_worker_whose_lease_has_moved_on_before_the_work_leaves_nothing(effects, job_type):
    queue.enqueue(job_type, {})
    late = claim_one()
    token = take_over(late)
    run(late)
    assert (lease_of(late), effects()) == (("processing", token), [])
    assert list(JobAttempt.objects.values_list("job_id", "outcome")) == [(late.pk, "stale")]


def test_a_batch_and_its_completions_are_committed_together(effects):
    jobs = claim_batch([{}, {}, {}])
    assert batches.run_together(jobs, JobContext(), JobTimer()) == []
    assert effects() == [(job.pk, "batch") for job in jobs]
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_a_batch_that_fails_leaves_neither(effects):
    jobs = claim_batch([{}, {"boom": True}, {}])
    left = batches.run_together(jobs, JobContext(), JobTimer())
    assert [job.pk for job in left] == [job.pk for job in jobs]
    assert effects() == []
    assert {(status, str(token)) for status, token in Job.objects.values_list("status", "lease_token")} == {
        ("processing", str(job.lease_token)) for job in jobs
    }


def test_a_member_whose_lease_has_moved_on_drops_out_of_its_batch(effects):
    first, late, last = claim_batch([{}, {}, {}])
    token = take_over(late)
    assert batches.run_together([first, late, last], JobContext(), JobTimer()) == []
    assert effects() == [(first.pk, "batch"), (last.pk, "batch")]
    assert lease_of(late) == ("processing", token)
    assert list(JobAttempt.objects.values_list("job_id", "outcome")) == [(late.pk, "stale")]
