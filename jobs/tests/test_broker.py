"""Django-Q2's ways in: jobs.enqueue lands in job_queue, everything else raises at the call, and its own tables stay empty."""

import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task, schedule

from jobs.broker import JobQueueBroker
from jobs.errors import UnknownJobType, UnsupportedTask
from jobs.models import Job

pytestmark = pytest.mark.django_db


def test_async_task_lands_in_job_queue_in_the_callers_transaction():
    async_task("jobs.enqueue", "probe", {"run": 1}, unique_key="k", priority=3)
    job = Job.objects.get()
    assert (job.job_type, job.payload, job.unique_key, job.priority) == ("probe", {"run": 1}, "k", 3)

    def enqueue_and_fail() -> None:
        with transaction.atomic():
            async_task("jobs.enqueue", "probe", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        enqueue_and_fail()
    assert Job.objects.count() == 1
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        ("math.floor", (1.5,), {}),
        (time.time, (), {}),
        ("math.floor", (1.5,), {"sync": True}),
        ("jobs.enqueue", ("probe",), {}),
        ("jobs.enqueue", ("probe", {}), {"parent": 1}),
    ],
)
def test_any_other_task_raises_at_the_call(function, args, kwargs):
    with pytest.raises(UnsupportedTask):
        async_task(function, *args, **kwargs)
    assert not Job.objects.exists()
    assert not Task.objects.exists()


def test_an_unknown_type_raises_at_the_call():
    with pytest.raises(UnknownJobType):
        async_task("jobs.enqueue", "nonsense", {})


@pytest.mark.django_db(transaction=True)  # the scheduler closes connections it finds
def test_a_schedule_of_jobs_enqueue_lands_in_job_queue_when_due():
    due = timezone.now() - timedelta(minutes=1)
    schedule("jobs.enqueue", "probe", {"tick": 1}, schedule_type=Schedule.HOURLY, next_run=due)
    scheduler(broker=JobQueueBroker())
    scheduler(broker=JobQueueBroker())
    assert list(Job.objects.values_list("job_type", "payload")) == [("probe", {"tick": 1})]
    assert not OrmQ.objects.exists()


def test_nothing_else_can_be_scheduled():
    with pytest.raises(UnsupportedTask):
        schedule("math.floor", 1.5)
    assert not Schedule.objects.exists()


def test_the_queue_of_django_q2_holds_tokens_for_slices_alone():
    ((ack, package),) = JobQueueBroker().dequeue()
    token = SignedPackage.loads(package)
    assert ack is None
    assert (token["func"], token["timeout"], token["args"]) == ("jobs.worker.run_slice", -1, ())
