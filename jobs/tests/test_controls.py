"""Pauses and limits: what people stop is not claimed, and no more workers run a limited type than may."""

import threading
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from jobs import checks, controls, queue
from jobs.errors import Refused
from jobs.models import Job, Pause
from jobs.queue import Claimant
from jobs.service import registry
from jobs.tests.claims import claim

pytestmark = pytest.mark.django_db

NIGHTLY = {"actor": "ada", "reason": "the mail server is down"}


# --- pauses --------------------------------------------------------------------------------------------------------
def test_a_paused_type_is_not_claimed_until_it_is_resumed():
    stopped, other = queue.enqueue("probe", {}), queue.enqueue("probe_once", {})
    held = controls.pause(job_type="probe", **NIGHTLY)
    assert (held.scope, held.name, held.actor, held.reason) == ("type", "probe", "ada", "the mail server is down")
    assert held.since is not None
    assert controls.paused() == [held]
    assert [job.pk for job in claim()] == [other.pk]
    assert claim() == []
    controls.resume(job_type="probe", actor="bob", reason="it is back")
    assert controls.paused() == []
    assert [job.pk for job in claim()] == [stopped.pk]


def test_a_paused_service_stops_all_its_types_and_enqueueing_goes_on():
    controls.pause(service="ProbeService", **NIGHTLY)
    queue.enqueue("probe", {})
    queue.enqueue("probe_quick", {})
    assert claim() == []
    assert Job.objects.filter(status="pending", attempts=0).count() == 2


def test_a_pause_stays_as_history_with_both_people():
    controls.pause(job_type="probe", **NIGHTLY)
    controls.resume(job_type="probe", actor="bob", reason="it is back")
    controls.pause(job_type="probe", **NIGHTLY)
    old, new = Pause.objects.order_by("id")
    assert (old.resumed_by, old.resume_reason, old.resumed_at >= old.since) == ("bob", "it is back", True)
    assert new.resumed_at is None


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"job_type": "gone", **NIGHTLY}, "neither a job type nor a service"),
        ({"service": "probe", **NIGHTLY}, "neither a job type nor a service"),
        ({**NIGHTLY}, "either"),
        ({"job_type": "probe", "service": "ProbeService", **NIGHTLY}, "either"),
        ({"job_type": "probe", "actor": "ada", "reason": " "}, "a reason"),
        ({"job_type": "probe", "actor": "", "reason": "x"}, "somebody"),
    ],
)
def test_a_pause_that_says_too_little_is_refused(asked, why):
    with pytest.raises(Refused, match=why):
        controls.pause(**asked)
    assert not Pause.objects.exists()


def test_pausing_twice_and_resuming_what_runs_are_refused():
    with pytest.raises(Refused, match="not paused"):
        controls.resume(job_type="probe", **NIGHTLY)
    controls.pause(job_type="probe", **NIGHTLY)
    with pytest.raises(Refused, match="paused already"):
        controls.pause(job_type="probe", **NIGHTLY)
    assert Pause.objects.count() == 1


BROKEN = [
    ("jobs_pause_scope_known", {"scope": "host"}),
    ("jobs_pause_complete", {"reason": ""}),
    ("jobs_pause_complete", {"actor": ""}),
    ("jobs_pause_resumed_by_somebody", {"resumed_at": Now()}),
    ("jobs_pause_resumed_by_somebody", {"resumed_by": "ada"}),
]


@pytest.mark.parametrize(("rule", "values"), BROKEN)
def test_the_table_itself_refuses(rule, values):
    sound = {"scope": "type", "name": "probe", "actor": "ada", "reason": "x"}
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        Pause.objects.create(**sound | values)
    Pause.objects.create(**sound)
    with pytest.raises(IntegrityError, match="jobs_pause_one_at_a_time"), transaction.atomic():
        Pause.objects.create(**sound)
    assert Pause.objects.count() == 1


# --- limits --------------------------------------------------------------------------------------------------------
def test_no_more_workers_run_a_limited_type_than_it_declares_and_others_are_not_held_up():
    queue.enqueue_many("probe_limited", [{}] * 5, priority=5)
    first, second = claim(), claim()
    other = queue.enqueue("probe", {})
    assert [job.pk for job in claim()] == [other.pk]
    assert claim() == []
    queue.complete(first[0])
    assert [job.job_type for job in claim()] == ["probe_limited"]
    assert claim() == []
    assert second[0].status == "processing"


def test_a_package_counts_as_the_one_worker_that_runs_it(settings):
    settings.JOB_LIMITS = {"type:probe_quick": 1}
    queue.enqueue_many("probe_quick", [{}] * 30)
    assert len(claim(limit=20)) == 20
    assert claim(limit=20) == []


def test_a_services_limit_counts_all_its_types_together(settings):
    settings.JOB_LIMITS = {"service:ProbeService": 2}
    queue.enqueue_many("probe", [{}] * 2)
    queue.enqueue_many("probe_quick", [{}] * 2)
    queue.enqueue_many("probe_limited", [{}] * 2)
    assert [len(claim()) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("limits", [{"type:gone": 1}, {"service:gone": 1}, {"probe": 1}, {"type:probe": 0}])
def test_limits_that_bind_nothing_are_an_error_of_the_deployment(settings, limits):
    settings.JOB_LIMITS = limits
    assert [error.id for error in checks.check_services(None)] == ["jobs.E002"]


@pytest.mark.django_db(transaction=True)
def test_claims_at_once_never_exceed_a_limit():
    queue.enqueue_many("probe_limited", [{}] * 60)
    types = registry().served(())
    barrier, seen = threading.Barrier(6), []

    def work() -> None:
        me = Claimant(uuid4(), "host:1")
        barrier.wait()
        for _ in range(25):
            for job in queue.claim(me, types=types):
                seen.append(Job.objects.filter(status="processing").values("worker_id").distinct().count())
                queue.complete(job)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= max(seen) <= 2
    assert Job.objects.filter(status="completed").count() > 2
