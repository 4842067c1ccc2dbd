"""A job that somebody's money depends on is retried, never discarded."""

import pytest

from bonds.tests import factories as bonds_factories
from jobs import review
from jobs.errors import Refused
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
