"""Several hosts on one PostgreSQL: they share the work, one's death is the others' to repair, and a rolling restart costs nothing."""

import signal
from contextlib import ExitStack

import pytest

from jobs import queue
from jobs.models import Job, JobAttempt, Worker
from jobs.tests.clusters import QUICK_TIMES, cluster, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LEASE_SECONDS = float(QUICK_TIMES["JOB_LEASE_SECONDS"])


def host(directory, name, **settings):
    """A cluster that takes itself for the host `name`."""
    return cluster(
        directory / f"{name}.log",
        workers=2,
        DJANGO_SETTINGS_MODULE="jobs.tests.kill.settings",
        QUEUE_TEST_HOST=name,
        **settings,
    )


def hosts_of(jobs):
    return {job.processed_by.rpartition(":")[0] for job in jobs}


def all_completed():
    return not Job.objects.exclude(status="completed").exists()


def assert_each_once(effects, count):
    left = [job_id for job_id, _ in effects()]
    assert len(left) == len(set(left)) == count


def test_two_hosts_share_the_work(effects, tmp_path):
    with host(tmp_path, "north") as north, host(tmp_path, "south") as south:
        assert set(Worker.objects.values_list("host", flat=True)) == {"north", "south"}
        queue.enqueue_many("probe", [{"sleep": 0.1}] * 40)
        wait_for(all_completed)
        assert north.stop() == south.stop() == 0
    assert hosts_of(Job.objects.all()) == {"north", "south"}
    assert_each_once(effects, 40)
    assert not JobAttempt.objects.exists()


def test_the_jobs_of_a_host_that_dies_are_done_by_the_other_after_the_lease(effects, tmp_path):
    with host(tmp_path, "south") as south, host(tmp_path, "north") as north:
        queue.enqueue_many("probe", [{"sleep": 2}] * 4)
        wait_for(lambda: Job.objects.filter(status="processing").count() == 4)  # one for each worker: two for each host
        of_the_dead = list(Job.objects.filter(processed_by__startswith="north:").values_list("pk", flat=True))
        assert len(of_the_dead) == 2
        north.look()
        for process in north.left():
            process.suspend()  # all at once, as when the power goes: nobody sees another one die
        for process in north.left():
            process.kill()
        wait_for(lambda: JobAttempt.objects.filter(outcome="rescued").count() == 2, LEASE_SECONDS + 10)
        wait_for(all_completed)
        north.popen.wait(5)
        assert north.left() == []
        assert south.stop() == 0
    assert_each_once(effects, 4)
    assert hosts_of(Job.objects.filter(pk__in=of_the_dead)) == {"south"}
    assert set(JobAttempt.objects.values_list("job_id", flat=True)) == set(of_the_dead)


def test_a_rolling_restart_under_load_loses_and_repeats_nothing_and_costs_no_attempt(effects, tmp_path):
    queue.enqueue_many("probe", [{"sleep": 0.03}] * 300)
    queue.enqueue_many("probe_quick", [{"sleep": 0.01}] * 600)
    queue.enqueue_many("probe", [{"sleep": 0.4}] * 8, priority=1)
    with ExitStack() as stack:
        old = stack.enter_context(host(tmp_path, "host0"))
        for generation in range(1, 4):
            new = stack.enter_context(host(tmp_path, f"host{generation}"))
            done = len(effects())
            wait_for(lambda done=done: len(effects()) > done + 40)
            assert not all_completed(), "the load was over before the restarts"
            old.signal(signal.SIGTERM)
            assert old.wait() == 0
            old = new
        wait_for(all_completed)
        assert old.stop() == 0
    assert hosts_of(Job.objects.all()) == {"host0", "host1", "host2", "host3"}
    assert_each_once(effects, 908)
    assert set(Job.objects.values_list("attempts", "rescue_count")) == {(1, 0)}
    assert not JobAttempt.objects.exists()
    assert not Worker.objects.exists()
