"""The way in: joined to the caller's transaction, refused when it can never work, once per unique key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from jobs import queue, review
from jobs.errors import BadPayload, ParentFinished, UnknownJobType
from jobs.models import Job
from jobs.tests.claims import claim_one, enqueue_and_run, run
from jobs.tests.clusters import wait_for

pytestmark = pytest.mark.django_db


def test_a_job_is_stored_as_asked():
    at = timezone.now() + timedelta(hours=1)
    made = queue.enqueue("probe", {"run": "r1"}, run_at=at, priority=3, unique_key="k", max_retries=9)
    stored = Job.objects.get()
    assert (stored.pk, stored.job_type, stored.service, stored.payload) == (
        made.pk,
        "probe",
        "ProbeService",
        {"run": "r1"},
    )
    assert (stored.status, stored.run_at, stored.priority, stored.unique_key) == ("pending", at, 3, "k")
    assert (stored.attempts, stored.max_retries, stored.finished_at) == (0, 9, None)
    assert (made.status, made.run_at, made.created_at, made.payload) == (
        "pending",
        at,
        stored.created_at,
        {"run": "r1"},
    )


def test_retries_come_from_the_job_then_the_type_then_the_settings(settings):
    settings.JOB_MAX_RETRIES = 7
    assert queue.enqueue("probe", {}).max_retries == 7
    assert queue.enqueue("probe_once", {}).max_retries == 0
    assert queue.enqueue("probe_once", {}, max_retries=2).max_retries == 2


def test_a_rolled_back_caller_leaves_no_job():
    def fail_after_enqueue() -> None:
        with transaction.atomic():
            queue.enqueue("probe", {})
            queue.enqueue_many("probe", [{}, ({}, "k")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_enqueue()
    assert not Job.objects.exists()


def test_django_q2s_own_queue_stays_empty():
    queue.enqueue("probe", {})
    assert not OrmQ.objects.exists()


def test_an_unknown_type_is_refused_by_name_and_nothing_is_written():
    with pytest.raises(UnknownJobType, match="'nonsense'"):
        queue.enqueue("nonsense", {})
    with pytest.raises(UnknownJobType, match="'nonsense'"):
        queue.enqueue_many("nonsense", [{}])
    assert not Job.objects.exists()


@pytest.mark.parametrize("payload", [[], "text", None, {"at": object()}, {"x": float("nan")}, {"x": "\x00"}])
def test_a_payload_that_is_no_json_object_is_refused(payload):
    with pytest.raises(BadPayload):
        queue.enqueue("probe", payload)
    with pytest.raises(BadPayload):
        queue.enqueue_many("probe", [{}, payload])
    assert not Job.objects.exists()


def test_the_same_key_gives_the_same_job_while_it_is_live_completed_or_dead(effects):
    live = queue.enqueue("probe", {"outcome": "fail"}, unique_key="k")
    assert queue.enqueue("probe", {"other": 1}, unique_key="k").pk == live.pk
    assert run(claim_one()).status == "failed"
    assert queue.enqueue("probe", {}, unique_key="k").pk == live.pk
    done = enqueue_and_run("probe", {}, unique_key="d")
    assert done.status == "completed"
    assert queue.enqueue("probe", {}, unique_key="d").pk == done.pk
    assert Job.objects.count() == 2


def test_a_key_belongs_to_its_type():
    assert queue.enqueue("probe", {}, unique_key="k").pk != queue.enqueue("probe_quick", {}, unique_key="k").pk


def test_a_discarded_or_cancelled_job_frees_its_key(effects):
    first = enqueue_and_run("probe", {"outcome": "fail"}, unique_key="k")
    review.discard(first, "anna", "wrong run")
    second = queue.enqueue("probe", {}, unique_key="k")
    review.cancel(second, "anna", "not needed")
    third = queue.enqueue("probe", {}, unique_key="k")
    assert len({first.pk, second.pk, third.pk}) == 3


def test_many_are_stored_and_keys_respected_within_and_across_calls():
    queue.enqueue("probe", {"n": 0}, unique_key="a")
    added = queue.enqueue_many(
        "probe", [({"n": 1}, "a"), ({"n": 2}, "b"), ({"n": 3}, "b"), {"n": 4}, ({"n": 5}, None)], priority=2
    )
    assert added == 3
    assert sorted(Job.objects.values_list("payload__n", "unique_key", "priority", "service")) == [
        (0, "a", 0, "ProbeService"),
        (2, "b", 2, "ProbeService"),
        (4, None, 2, "ProbeService"),
        (5, None, 2, "ProbeService"),
    ]


def test_keys_hold_whatever_characters_they_are_made_of():
    items = [({"n": n}, f"k{odd}") for n, odd in enumerate(["\\N", "\t", "\n", "\r", "\\", "ü'\"", ""])]
    assert queue.enqueue_many("probe", items) == 7
    assert sorted(Job.objects.values_list("payload__n", "unique_key")) == [
        (payload["n"], key) for payload, key in items
    ]
    assert queue.enqueue_many("probe", items) == 0


@pytest.mark.django_db(transaction=True)
def test_a_key_somebody_takes_meanwhile_is_theirs_and_the_rest_is_added():
    with ThreadPoolExecutor(1) as others:
        with transaction.atomic():
            queue.enqueue("probe", {"n": "ours"}, unique_key="b")
            added = others.submit(enqueue_from_elsewhere, [({"n": "theirs"}, key) for key in "abc"])
            wait_for(somebody_waits_for_a_lock)
        assert added.result(20) == 2
    keys = Job.objects.values_list("unique_key", "payload__n")
    assert sorted(keys) == [("a", "theirs"), ("b", "ours"), ("c", "theirs")]


def enqueue_from_elsewhere(items) -> int:
    try:
        return queue.enqueue_many("probe", items)
    finally:
        connection.close()


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_children_are_counted_once_and_only_when_new():
    parent = queue.enqueue("probe_parent", {"children": 0})
    queue.enqueue("probe", {}, parent=parent, unique_key="a")
    queue.enqueue("probe", {}, parent=parent, unique_key="a")
    queue.enqueue_many("probe", [({}, "a"), ({}, "b"), {}], parent=parent)
    parent.refresh_from_db()
    assert (parent.children_open, parent.children.count()) == (3, 3)


def test_a_parent_that_has_ended_can_have_no_children(effects):
    parent = enqueue_and_run("probe", {})
    with pytest.raises(ParentFinished):
        queue.enqueue("probe", {}, parent=parent)
    with pytest.raises(ParentFinished):
        queue.enqueue_many("probe", [{}], parent=parent)
    assert Job.objects.count() == 1


def test_workers_are_woken_once_per_transaction_and_only_for_what_is_due(django_capture_on_commit_callbacks):
    later = timezone.now() + timedelta(hours=1)
    with django_capture_on_commit_callbacks() as nothing:
        queue.enqueue("probe", {}, run_at=later)
        queue.enqueue_many("probe", [{}], run_at=later)
        queue.enqueue_many("probe", [])
    assert nothing == []
    with django_capture_on_commit_callbacks(execute=True) as wakes, CaptureQueriesContext(connection):
        for _ in range(3):
            queue.enqueue("probe", {})
        queue.enqueue_many("probe", [{}, {}])
    assert len(wakes) == 1


def test_a_wake_up_lost_with_a_savepoint_is_asked_for_again(django_capture_on_commit_callbacks):
    def enqueue_and_undo() -> None:
        with transaction.atomic():
            queue.enqueue("probe", {})
            raise RuntimeError

    with django_capture_on_commit_callbacks() as wakes:
        with pytest.raises(RuntimeError):
            enqueue_and_undo()
        queue.enqueue("probe", {})
    assert len(wakes) == 1
