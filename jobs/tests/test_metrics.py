"""The figures: exact on a small table, honest about what they do not count on a large one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import metrics, queue
from jobs.models import Job, JobAttempt, Worker
from jobs.tests.dead import dead

pytestmark = pytest.mark.django_db


def completed(job_type: str = "probe", *, ago: float = 10, wait: float = 0, took: float = 0, **fields) -> Job:
    """A job that was completed `ago` seconds before now."""
    finished = timezone.now() - timedelta(seconds=ago)
    started = finished - timedelta(seconds=took)
    due = started - timedelta(seconds=wait)
    times = {"run_at": due, "created_at": due, "started_at": started, "finished_at": finished}
    return Job.objects.create(
        job_type=job_type, service="ProbeService", status="completed", attempts=1, **times, **fields
    )


def failed_attempt(job: Job, *, ago: float = 1) -> None:
    JobAttempt.objects.create(job=job, number=1, outcome="failed", ended_at=timezone.now() - timedelta(seconds=ago))


def timing(job_type: str) -> metrics.Timings:
    return next(found for found in metrics.timings() if found.job_type == job_type)


def test_waiting_jobs_are_counted_by_type_and_status_and_the_longest_due_is_found_in_any_priority():
    now = timezone.now()
    queue.enqueue("probe", {}, priority=9)
    queue.enqueue("probe", {}, priority=1, run_at=now - timedelta(hours=1))
    queue.enqueue("probe_quick", {}, run_at=now + timedelta(hours=1))
    Job.objects.filter(pk=queue.enqueue("probe", {}).pk).update(status="retrying")
    found = metrics.figures()
    assert found.by_type == {"probe": {"pending": 2, "retrying": 1}, "probe_quick": {"pending": 1}}
    assert (found.due, found.capped_types) == (3, [])
    assert 3600 <= found.oldest_due_seconds < 3700


def test_an_empty_queue_has_empty_figures():
    found = metrics.figures()
    assert set(found.by_status.values()) == {0}
    assert (found.due, found.oldest_due_seconds, found.dead_letters, found.oldest_dead_letter_seconds) == (0, 0, 0, 0)
    assert metrics.timings() == []


def test_dead_letters_and_their_age_leave_out_what_is_settled():
    dead(age=timedelta(hours=2))
    settled = dead(age=timedelta(days=9))
    Job.objects.filter(pk=settled.pk).update(
        resolution="discarded", resolved_by="a", resolved_at=timezone.now(), resolution_reason="r"
    )
    found = metrics.figures()
    assert (found.dead_letters, found.by_type) == (1, {"probe": {"failed": 1}})
    assert 7200 <= found.oldest_dead_letter_seconds < 7300


def test_a_flood_is_counted_up_to_the_cap_and_named(monkeypatch):
    monkeypatch.setattr(metrics, "COUNTED_AT_MOST", 3)
    queue.enqueue_many("probe_quick", [{}] * 10)
    queue.enqueue("probe", {})
    found = metrics.figures()
    assert found.capped_types == ["probe_quick"]
    assert found.by_type == {"probe_quick": {"pending": 4}, "probe": {"pending": 1}}
    assert found.due == 5


def test_percentiles_are_of_waiting_and_of_processing():
    for n in range(1, 101):
        completed(wait=n, took=n / 10, ago=20)
    found = timing("probe")
    assert found.completed == 100
    assert found.wait == metrics.Percentiles(50.5, 95.05, 99.01)
    assert found.processing == metrics.Percentiles(pytest.approx(5.05), pytest.approx(9.505), pytest.approx(9.901))
    assert found.last_success_seconds == pytest.approx(20, abs=5)
    assert found.per_second == pytest.approx(100 / 20, rel=0.3)


def test_types_and_services_are_measured_apart_and_a_type_comes_before_its_service():
    completed("probe", took=1)
    completed("probe_quick", took=3)
    failed_attempt(dead("probe_quick"))
    failed_attempt(dead("probe_once"))
    shown = [(found.job_type, found.completed, found.failed_attempts, found.error_rate) for found in metrics.timings()]
    assert shown == [
        ("probe", 1, 0, 0.0),
        ("probe_once", 0, 1, 1.0),
        ("probe_quick", 1, 1, 0.5),
        ("", 2, 2, 0.5),
    ]
    assert timing("probe_once").wait is None
    assert timing("").processing == metrics.Percentiles(2.0, pytest.approx(2.9), pytest.approx(2.98))


def test_only_the_window_and_the_last_completions_are_measured(monkeypatch):
    completed(ago=metrics.WINDOW_SECONDS + 60, wait=500)
    failed_attempt(dead("probe_quick"), ago=metrics.WINDOW_SECONDS + 60)
    assert metrics.timings() == []
    monkeypatch.setattr(metrics, "SAMPLE_ROWS", 2)
    for ago, wait in ((30, 9), (20, 1), (10, 1)):
        completed(ago=ago, wait=wait)
    assert (timing("probe").completed, timing("probe").wait) == (2, metrics.Percentiles(1.0, 1.0, 1.0))


def test_a_service_shows_its_workers_its_health_and_its_types():
    completed("probe", took=1)
    Worker.objects.create(name="w", host="h", pid=1, services=["ProbeService"])
    old = Worker.objects.create(name="old", host="h", pid=2, services=["ProbeService"])
    Worker.objects.filter(pk=old.pk).update(
        started_at=timezone.now() - timedelta(hours=1), heartbeat_at=timezone.now() - timedelta(minutes=5)
    )
    (service,) = metrics.services()
    assert (service["name"], service["workers_alive"], service["completed"]) == ("ProbeService", 1, 1)
    kinds = {kind["name"]: kind for kind in service["job_types"]}
    assert (kinds["probe"]["completed"], kinds["probe"]["error_rate"]) == (1, 0.0)
    assert (kinds["probe_once"]["completed"], kinds["probe_once"]["last_success_seconds"]) == (0, None)


def test_machines_show_tables_connections_and_each_workers_memory():
    Worker.objects.create(name="w", host="h", pid=7, services=[], job_ids=[1, 2], rss_bytes=5)
    found = metrics.machines()
    assert found.tables[0].name == "job_queue"
    assert found.tables[0].size_bytes > 0
    assert found.connections["active"] >= 1
    (process,) = found.processes
    assert (process.name, process.pid, process.rss_bytes, process.jobs, process.is_alive) == ("w", 7, 5, 2, True)
