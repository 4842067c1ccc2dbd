"""Recurring jobs: declared in code, kept by the database, each due time once, and one that is broken stops no other."""

import itertools
import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_q.models import Schedule as QSchedule
from django_q.scheduler import scheduler
from django_q.tasks import async_task

from jobs import queue, schedules
from jobs.broker import JobQueueBroker
from jobs.errors import BadRegistry, UnsupportedTask
from jobs.models import Job
from jobs.models import Tick as TickRow
from jobs.service import Schedule, Tick
from jobs.tests.clusters import cluster, wait_for
from jobs.tests.services import ProbeService

pytestmark = pytest.mark.django_db


@pytest.fixture
def declare(monkeypatch):
    """Let the probe service declare these, and bring the tables in line."""

    def declaring(*items: Schedule | Tick) -> tuple[int, int]:
        for name, kind in (("schedules", Schedule), ("ticks", Tick)):
            monkeypatch.setattr(ProbeService, name, tuple(i for i in items if isinstance(i, kind)), raising=False)
        return schedules.sync()

    yield declaring
    monkeypatch.undo()


def due_now(**where: object) -> datetime:
    at = timezone.now() - timedelta(seconds=30)
    QSchedule.objects.filter(**where).update(next_run=at)
    return at


def look() -> None:
    scheduler(broker=JobQueueBroker())


# --- schedules -----------------------------------------------------------------------------------------------------
def test_schedules_are_written_as_declared_and_removed_when_no_longer_so(declare):
    person = QSchedule.objects.create(name="by hand", func="jobs.enqueue", args="('probe', {})")
    assert declare(Schedule("probe", {"run": 1}, minutes=5), Schedule("probe", name="night", daily=time(2, 30))) == (
        2,
        0,
    )
    rows = {row.name: row for row in QSchedule.objects.exclude(pk=person.pk)}
    assert {name: (row.func, row.args, row.schedule_type, row.minutes) for name, row in rows.items()} == {
        "probe": ("jobs.enqueue", "('probe', {'run': 1})", "I", 5),
        "night": ("jobs.enqueue", "('probe', {})", "D", None),
    }
    night = rows["night"].next_run
    assert (night.hour, night.minute, night.second) == (2, 30, 0)
    assert timezone.now() < night <= timezone.now() + timedelta(days=1)
    declare()
    assert list(QSchedule.objects.values_list("name", flat=True)) == ["by hand"]


def test_syncing_again_keeps_the_due_time_unless_the_declaration_changed(declare):
    declare(Schedule("probe", minutes=5))
    at = due_now()
    declare(Schedule("probe", {"new": 1}, minutes=5))
    assert QSchedule.objects.get().next_run == at
    assert QSchedule.objects.get().args == "('probe', {'new': 1})"
    declare(Schedule("probe", daily=time(4)))
    moved = QSchedule.objects.get().next_run
    declare(Schedule("probe", daily=time(5)))
    assert (moved.hour, QSchedule.objects.get().next_run.hour) == (4, 5)


def test_settings_may_declare_schedules_too(settings, declare):
    settings.JOB_SCHEDULES = {"weekly report": {"job_type": "probe", "weekly": time(6), "payload": {"a": 1}}}
    declare()
    row = QSchedule.objects.get()
    assert (row.name, row.schedule_type, row.next_run.weekday(), row.next_run.hour) == ("weekly report", "W", 0, 6)


NOW = datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (Schedule("probe", minutes=15), NOW + timedelta(minutes=15)),
        (Schedule("probe", hourly=time(0, 20)), datetime(2026, 3, 4, 11, 20, tzinfo=UTC)),
        (Schedule("probe", hourly=time(0, 21)), datetime(2026, 3, 4, 10, 21, tzinfo=UTC)),
        (Schedule("probe", daily=time(10, 20)), datetime(2026, 3, 5, 10, 20, tzinfo=UTC)),
        (Schedule("probe", daily=time(0, 0)), datetime(2026, 3, 5, tzinfo=UTC)),
        (Schedule("probe", weekly=time(9)), datetime(2026, 3, 9, 9, tzinfo=UTC)),
        (Schedule("probe", monthly=time(9)), datetime(2026, 4, 1, 9, tzinfo=UTC)),
    ],
)
def test_the_first_due_time(schedule, first):
    assert schedules._first_at(schedule, NOW) == first


@pytest.mark.parametrize(
    "wrong",
    [
        [Schedule("probe")],
        [Schedule("probe", minutes=5, daily=time(1))],
        [Schedule("probe", minutes=0)],
        [Schedule("gone", minutes=5)],
        [Schedule("probe", minutes=5), Schedule("probe", minutes=6)],
        [Tick("gone", seconds=5)],
        [Tick("probe", seconds=0)],
        [Tick("probe", seconds=5), Tick("probe_once", seconds=5, name="probe")],
    ],
)
def test_declarations_that_cannot_be_kept_are_refused_and_nothing_is_written(declare, wrong):
    declare(Schedule("probe", name="sound", minutes=5), Tick("probe", seconds=30))
    with pytest.raises(BadRegistry):
        declare(*wrong)
    assert list(QSchedule.objects.values_list("name", flat=True)) == ["sound"]
    assert list(TickRow.objects.values_list("name", flat=True)) == ["probe"]


@pytest.mark.django_db(transaction=True)
def test_every_due_time_is_enqueued_once_however_many_clusters_look(declare):
    declare(Schedule("probe", {"run": 1}, minutes=5))
    at = due_now()
    threads = [threading.Thread(target=lambda: (look(), connection.close())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = Job.objects.get()
    assert (job.job_type, job.payload) == ("probe", {"run": 1})
    assert job.unique_key == f"schedule:probe:{at.isoformat()}"
    QSchedule.objects.update(next_run=at)  # as a scheduler that lost its transaction would find it
    look()
    assert Job.objects.count() == 1
    due_now()
    look()
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", [{"args": "('gone', {})"}, {"args": "('probe',)"}, {"func": "math.floor"}])
def test_a_schedule_that_cannot_be_enqueued_stops_no_other(declare, broken, caplog):
    declare(Schedule("probe", name="a", minutes=5), Schedule("probe", name="b", minutes=5))
    QSchedule.objects.filter(name="a").update(**broken)
    due_now()
    look()
    assert list(Job.objects.values_list("job_type", flat=True)) == ["probe"]
    assert Job.objects.get().unique_key.startswith("schedule:b:")
    assert "a schedule enqueued nothing" in caplog.text
    assert QSchedule.objects.filter(next_run__gt=timezone.now()).count() == 2


def test_a_task_cannot_pretend_to_be_a_schedule_to_run_something_else(caplog):
    with pytest.raises(UnsupportedTask):
        async_task("math.floor", 1.5, due_at="now", sync=True)
    async_task("math.floor", 1.5, due_at="now")
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deployment_brings_its_schedules_along(declare, capsys):
    declare(Schedule("probe", minutes=5), Tick("probe", seconds=30))
    QSchedule.objects.all().delete()
    TickRow.objects.all().delete()
    call_command("migrate", "jobs", verbosity=0)
    assert (QSchedule.objects.count(), TickRow.objects.count()) == (1, 1)
    call_command("sync_schedules")
    assert capsys.readouterr().out == "1 schedules, 1 ticks\n"


# --- ticks ---------------------------------------------------------------------------------------------------------
def finish_all() -> None:
    Job.objects.exclude(status="completed").update(status="completed", finished_at=timezone.now())


def test_a_tick_keeps_its_period_without_drift(declare):
    declare(Tick("probe", seconds=30, payload={"scan": True}))
    start = timezone.now() - timedelta(seconds=100)
    TickRow.objects.update(next_at=start)
    assert schedules.enqueue_ticks() == 1
    job = Job.objects.get()
    assert (job.job_type, job.payload) == ("probe", {"scan": True})
    assert job.unique_key == f"tick:probe:{(start + timedelta(seconds=90)).isoformat()}"
    assert TickRow.objects.get().next_at == start + timedelta(seconds=120)
    assert schedules.enqueue_ticks() == 0
    assert Job.objects.count() == 1


def test_a_tick_is_passed_over_while_its_last_job_lives_and_goes_on_after_a_dead_letter(declare):
    declare(Tick("probe", seconds=1))
    assert schedules.enqueue_ticks() == 1
    for status in ("pending", "retrying"):
        Job.objects.update(status=status)
        TickRow.objects.update(next_at=timezone.now())
        assert schedules.enqueue_ticks() == 0
        assert TickRow.objects.get().next_at > timezone.now()
    Job.objects.update(status="failed", finished_at=timezone.now())
    TickRow.objects.update(next_at=timezone.now())
    assert schedules.enqueue_ticks() == 1
    assert Job.objects.count() == 2


def test_a_tick_that_cannot_be_enqueued_says_why_and_stops_no_other(declare, caplog):
    declare(Tick("probe", seconds=30, name="a"), Tick("probe_once", seconds=30, name="b"))
    TickRow.objects.filter(name="a").update(payload={"nul": "\\u0000"})
    TickRow.objects.filter(name="a").update(job_type="probe", payload={"x": "y" * 10})
    queue_enqueue = queue.enqueue

    def refuse(job_type: str, *args: object, **options: object) -> Job:
        if job_type == "probe":
            raise UnsupportedTask("not today")
        return queue_enqueue(job_type, *args, **options)

    queue.enqueue = refuse
    try:
        assert schedules.enqueue_ticks() == 1
    finally:
        queue.enqueue = queue_enqueue
    assert dict(TickRow.objects.values_list("name", "last_error")) == {"a": "not today", "b": ""}
    assert TickRow.objects.filter(next_at__gt=timezone.now()).count() == 2


def test_a_tick_of_a_type_only_a_newer_release_knows_is_left_to_it(declare):
    declare()
    TickRow.objects.create(name="newer", job_type="newer", period_seconds=5)
    before = TickRow.objects.get()
    assert schedules.enqueue_ticks() == 0
    assert TickRow.objects.get().next_at == before.next_at


def test_syncing_keeps_a_ticks_due_time_unless_its_period_changed(declare):
    declare(Tick("probe", seconds=30))
    at = timezone.now() + timedelta(seconds=17)
    TickRow.objects.update(next_at=at)
    declare(Tick("probe", seconds=30, payload={"a": 1}))
    assert (TickRow.objects.get().next_at, TickRow.objects.get().payload) == (at, {"a": 1})
    declare(Tick("probe", seconds=31))
    assert TickRow.objects.get().next_at < at


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_once_enqueue_a_due_time_once(declare):
    declare(Tick("probe", seconds=30))
    barrier, counts = threading.Barrier(5), []

    def look_at_once() -> None:
        barrier.wait()
        counts.append(schedules.enqueue_ticks())
        connection.close()

    threads = [threading.Thread(target=look_at_once) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 0, 1]
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("rule", "values"),
    [("jobs_tick_period_positive", {"period_seconds": 0}), ("jobs_tick_payload_is_object", {"payload": [1]})],
)
def test_the_table_itself_refuses(rule, values):
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        TickRow.objects.create(**{"name": "x", "job_type": "probe", "period_seconds": 5} | values)
    assert not TickRow.objects.filter(name="x").exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_clusters_tick_once_a_second(declare, effects, tmp_path):
    with cluster(tmp_path / "one", workers=2), cluster(tmp_path / "two", workers=2):
        TickRow.objects.create(name="beat", job_type="probe", period_seconds=1)
        wait_for(lambda: Job.objects.filter(status="completed").count() >= 4, 15)
    keys = [job.unique_key for job in Job.objects.order_by("id")]
    times = [datetime.fromisoformat(key.removeprefix("tick:beat:")) for key in keys]
    assert len(set(keys)) == len(keys) == len(effects())
    assert {(later - earlier) % timedelta(seconds=1) for earlier, later in itertools.pairwise(times)} == {timedelta(0)}
