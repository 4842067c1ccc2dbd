"""Real clusters, killed in every way there is: each job's effect exactly once, nothing stuck, no process left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import connection
from django_q.models import OrmQ, Task

from jobs import queue
from jobs.models import Job, JobAttempt, Worker
from jobs.tests.clusters import ROOT, cluster, is_running, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def statuses() -> set[str]:
    return set(Job.objects.values_list("status", flat=True))


def all_completed() -> bool:
    return statuses() == {"completed"}


def assert_each_once(effects, count: int) -> None:
    left = [job_id for job_id, _ in effects()]
    assert len(left) == len(set(left)) == count


@pytest.fixture
def log(tmp_path):
    return tmp_path / "cluster.log"


def test_jobs_run_once_each_and_the_cluster_stops_cleanly(effects, log):
    with cluster(log) as running:
        queue.enqueue_many("probe_quick", [{}] * 200)
        queue.enqueue_many("probe", [{}] * 20)
        queue.enqueue("probe_parent", {"children": 5})
        wait_for(all_completed)
        assert running.stop() == 0
    left = [job_id for job_id, step in effects() if step != "woken"]
    assert len(left) == len(set(left)) == 225
    assert not OrmQ.objects.exists()
    assert not Task.objects.exists()
    assert not Worker.objects.exists()
    assert "Traceback" not in running.output


def test_slow_jobs_run_side_by_side(effects, log):
    with cluster(log) as running:
        for _ in range(4):
            queue.enqueue("probe", {"sleep": 2})
        wait_for(lambda: Job.objects.filter(status="processing").count() == 4)
        wait_for(all_completed)
        assert len(set(Job.objects.values_list("processed_by", flat=True))) == 4
        assert running.stop() == 0


def test_an_idle_cluster_picks_up_a_job_without_waiting_for_its_poll(effects, log):
    with cluster(log, JOB_POLL_SECONDS="20", JOB_SLICE_SECONDS="20") as running:
        time.sleep(1)  # all idle, none between two slices
        queue.enqueue("probe", {})
        wait_for(all_completed, 5)
        assert running.stop() == 0


def test_a_worker_killed_in_the_middle_of_a_job(effects, log):
    with cluster(log) as running:
        job = queue.enqueue("probe", {"kill_once": True})
        bystanders = queue.enqueue_many("probe", [{}] * 10)
        wait_for(all_completed)
        assert_each_once(effects, bystanders + 1)
        job.refresh_from_db()
        assert (job.attempts, job.rescue_count) == (2, 1)
        assert list(JobAttempt.objects.values_list("job_id", "outcome")) == [(job.pk, "rescued")]
        assert running.stop() == 0


def test_a_job_that_kills_every_worker_ends_as_a_dead_letter(effects, log):
    with cluster(log) as running:
        job = queue.enqueue("probe", {"kill": True}, max_retries=50)
        wait_for(lambda: statuses() == {"failed"})
        job.refresh_from_db()
        assert job.last_error == "its worker was lost 3 times while it ran"
        queue.enqueue("probe", {})
        wait_for(lambda: statuses() == {"failed", "completed"})
        assert running.stop() == 0


def test_the_whole_cluster_killed_and_a_new_one_started(effects, log):
    queue.enqueue_many("probe", [{"sleep": 0.05}] * 60)
    with cluster(log) as first:
        wait_for(lambda: len(effects()) >= 8)
        first.signal(signal.SIGKILL)
        first.wait(3)
        assert first.left() == []
    with cluster(log) as second:
        wait_for(all_completed)
        assert second.stop() == 0
    assert_each_once(effects, 60)


def test_the_sentinel_alone_killed_ends_the_cluster_promptly_and_loudly(effects, log):
    with cluster(log) as running:
        queue.enqueue("probe", {"sleep": 30})
        wait_for(lambda: statuses() == {"processing"})
        running.look()
        running.sentinel.kill()
        assert running.wait(4) == 1
        assert "the sentinel was lost" in running.output
    assert effects() == []


def test_every_idle_worker_killed_one_by_one_then_jobs_still_run(effects, log):
    with cluster(log) as running:
        for victim in running.workers():
            victim.kill()
            wait_for(lambda: sum(is_running(p) for p in running.workers()) >= 4)
        queue.enqueue_many("probe", [{}] * 20)
        wait_for(all_completed)
        assert_each_once(effects, 20)
        assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_process_group_drains(effects, log, number):
    with cluster(log) as running:
        queue.enqueue_many("probe", [{"sleep": 0.7}] * 4)
        wait_for(lambda: Job.objects.filter(status="processing").count() == 4)
        running.look()
        os.killpg(running.main.pid, number)
        assert running.wait(8) == 0
    assert all_completed()
    assert_each_once(effects, 4)
    assert not JobAttempt.objects.exists()


def test_a_job_longer_than_the_grace_is_released_at_no_cost(effects, log):
    with cluster(log, JOB_GRACE_SECONDS="0.5") as running:
        queue.enqueue("probe", {"sleep": 60})
        wait_for(lambda: statuses() == {"processing"})
        assert running.stop() == 0
    job = Job.objects.get()
    assert (job.status, job.attempts, job.rescue_count) == ("pending", 0, 0)
    assert JobAttempt.objects.get().outcome == "interrupted"
    assert effects() == []


def test_a_suspended_worker_is_no_reason_to_stop_and_its_job_runs_once(effects, log):
    with cluster(log) as running:
        queue.enqueue("probe_steps", {"sleep": 1.0})
        wait_for(lambda: len(effects()) == 1)
        worker_pid = int(Job.objects.get().processed_by.rpartition(":")[2])
        victim = next(process for process in running.workers() if process.pid == worker_pid)
        victim.suspend()
        wait_for(all_completed)
        victim.resume()
        wait_for(lambda: JobAttempt.objects.filter(outcome="stale").exists())
        assert sorted(step for _, step in effects()) == ["first", "first", "second"]
        assert sorted(JobAttempt.objects.values_list("outcome", flat=True)) == ["rescued", "stale"]
        assert running.stop() == 0


def test_workers_that_cannot_get_a_token_end_the_cluster(effects, log):
    with cluster(log) as running:
        pusher = next(p for p in running.look() if p.ppid() == running.sentinel.pid and p not in running.workers())
        silent = [p for p in running.look() if p.ppid() == running.sentinel.pid and p not in running.workers()]
        assert pusher in silent
        for process in silent:  # pusher and monitor: no more tokens, and nobody dies
            process.suspend()
        queue.enqueue("probe", {})
        assert running.wait(20) == 1
        assert "no progress" in running.output
        assert running.left() == []


def refused(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "qcluster"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_psycopgs_pool_is_refused_in_one_line():
    answer = refused(
        DJANGO_SETTINGS_MODULE="jobs.tests.settings_cluster",
        QUEUE_TEST_DATABASE=connection.settings_dict["NAME"],
        QUEUE_TEST_POOL="1",
    )
    assert answer.returncode != 0
    assert "psycopg's pool cannot be used" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_database_that_cannot_be_reached_is_one_line():
    answer = refused(DATABASE_URL="postgres://nobody:secret@127.0.0.1:1/none")
    assert answer.returncode != 0
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "Traceback" not in answer.stderr
    assert "secret" not in answer.stderr
