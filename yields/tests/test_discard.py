"""A job that somebody's money depends on is retried, never discarded."""

import pytest

from bonds.tests import factories as bonds_factories
from jobs import review
from jobs.errors import BadPayload, Refused
from jobs.models import Job
from jobs.queue import enqueue
from yields.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    return factories.run(factories.config(bonds_factories.bond()), status="executing")


def dead(run, job_type="yield_payment", payload=()) -> Job:
    job = enqueue(job_type, {"run": str(run.pk), "first": 1, "last": 10} | dict(payload))
    Job.objects.filter(pk=job.pk).update(status="failed", finished_at=job.created_at)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("status", ["planned", "ready", "signed", "submitted"])
def test_a_payment_job_with_open_payments_cannot_be_discarded(run, status):
    bonds_factories.payment(run.bond, run=run.pk, status=status)
    job = dead(run)
    with pytest.raises(Refused, match="still has 1 payments to make"):
        review.discard(job, "operator", "tired of it")
    job.refresh_from_db()
    assert (job.status, job.resolution) == ("failed", "")


@pytest.mark.parametrize("status", ["executing", "needs_attention"])
@pytest.mark.parametrize("job_type", ["yield_distribution", "yield_calculation", "yield_payment"])
def test_no_job_of_a_run_that_is_not_closed_can_be_discarded(run, job_type, status):
    type(run).objects.filter(pk=run.pk).update(status=status, error_message="a person looks")
    job = dead(run, job_type)
    with pytest.raises(Refused, match="is not closed"):
        review.discard(job, "operator", "tired of it")
    job.refresh_from_db()
    assert job.resolution == ""


def test_a_job_of_no_run_at_all_can_be_discarded(run):
    job = dead(run, payload={"run": "nonsense"})
    review.discard(job, "operator", "old data")
    job.refresh_from_db()
    assert job.resolution == "discarded"


# --- editing -------------------------------------------------------------------------------------------------------
def test_a_payload_is_edited_within_its_run(run):
    snapshot(run, holders=10)
    job = dead(run, payload={"last": 11})
    review.edit_payload(job, {"run": str(run.pk), "first": 1, "last": 10}, "operator", "one too many")
    job.refresh_from_db()
    assert (job.payload["last"], job.status) == (10, "failed")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"last": 11}, "last: the run has positions 1 to 10"),
        ({"first": 0}, "0 to 10 is no range of positions"),
        ({"run": "00000000-0000-4000-8000-000000000000"}, "no yield distribution"),
        ({"run": 7}, "the payload names no run"),
        ({"holder": "somebody"}, "has exactly: first, last, run"),
    ],
)
def test_a_payload_that_cannot_be_right_is_refused_and_changes_nothing(run, changes, why):
    snapshot(run, holders=10)
    job = dead(run)
    with pytest.raises(BadPayload, match=why):
        review.edit_payload(job, job.payload | changes, "operator", "a try")
    job.refresh_from_db()
    assert (job.payload, job.decisions.count()) == ({"run": str(run.pk), "first": 1, "last": 10}, 0)


def test_a_payload_of_a_closed_run_is_refused(run):
    snapshot(run, holders=10)
    job = dead(run)
    type(run).objects.filter(pk=run.pk).update(status="cancelled", completed_at=job.created_at)
    with pytest.raises(BadPayload, match="is closed"):
        review.edit_payload(job, job.payload | {"last": 9}, "operator", "a try")


def snapshot(run, holders: int) -> None:
    run.snapshot = factories.snapshot(run.bond, total_holders=holders)
    run.save(update_fields=["snapshot"])
