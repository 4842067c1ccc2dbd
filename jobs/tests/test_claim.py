"""The claim: most urgent first, never one row twice, never more of a slow type than one."""

import threading
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from jobs import queue
from jobs.models import Job
from jobs.queue import Claimant
from jobs.service import registry
from jobs.tests.claims import claim


@pytest.mark.django_db
def test_priority_then_time_then_order_of_arrival_across_types():
    first = queue.enqueue("probe", {})
    early = queue.enqueue("probe_once", {}, run_at=timezone.now() - timedelta(hours=1))
    urgent = queue.enqueue("probe_steps", {}, priority=5)
    last = queue.enqueue("probe", {})
    assert [claim()[0].pk for _ in range(4)] == [urgent.pk, early.pk, first.pk, last.pk]


@pytest.mark.django_db
def test_a_job_is_not_claimed_before_its_time():
    queue.enqueue("probe", {}, run_at=timezone.now() + timedelta(seconds=60))
    assert claim() == []


@pytest.mark.django_db
def test_slow_types_are_taken_one_by_one_and_quick_ones_in_packages():
    queue.enqueue_many("probe", [{}] * 3)
    queue.enqueue_many("probe_quick", [{}] * 30)
    assert [len(claim(limit=20)) for _ in range(6)] == [1, 1, 1, 20, 10, 0]


@pytest.mark.django_db
def test_a_worker_claims_only_the_types_it_serves():
    queue.enqueue("probe", {})
    other = queue.enqueue("probe_once", {})
    served = [registry().type_of("probe_once")]
    assert [job.pk for job in queue.claim(Claimant(uuid4(), "h"), limit=5, types=served)] == [other.pk]


@pytest.mark.django_db
def test_every_claim_has_a_token_of_its_own():
    queue.enqueue_many("probe_quick", [{}] * 5)
    assert len({job.lease_token for job in claim(limit=5)}) == 5


@pytest.mark.django_db
def test_a_row_whose_worker_was_lost_before_is_claimed_alone():
    queue.enqueue_many("probe_quick", [{}] * 3)
    suspect = Job.objects.order_by("id").first()
    Job.objects.filter(pk=suspect.pk).update(rescue_count=1)
    assert [job.pk for job in claim(limit=20)] == [suspect.pk]
    assert len(claim(limit=20)) == 2


@pytest.mark.django_db
def test_a_suspect_behind_others_is_left_out_of_their_package():
    queue.enqueue_many("probe_quick", [{}] * 3)
    suspect = Job.objects.order_by("id").last()
    Job.objects.filter(pk=suspect.pk).update(rescue_count=1)
    assert suspect.pk not in {job.pk for job in claim(limit=20)}
    assert [job.pk for job in claim(limit=20)] == [suspect.pk]


@pytest.mark.django_db(transaction=True)
def test_claims_at_once_never_hand_out_one_row_twice():
    queue.enqueue_many("probe_quick", [{}] * 400)
    queue.enqueue_many("probe", [{}] * 40)
    taken: Counter[int] = Counter()
    lock, barrier = threading.Lock(), threading.Barrier(6)

    def take_all() -> None:
        barrier.wait()
        while jobs := claim(limit=7):
            with lock:
                taken.update(job.pk for job in jobs)
        connection.close()

    threads = [threading.Thread(target=take_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while jobs := claim(limit=50):
        taken.update(job.pk for job in jobs)
    assert len(taken) == 440
    assert set(taken.values()) == {1}
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_a_claim_passes_over_rows_that_others_hold():
    queue.enqueue_many("probe", [{}] * 2)
    held, free = Job.objects.order_by("id")
    done, locked = threading.Event(), threading.Event()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic():
            Job.objects.select_for_update().get(pk=held.pk)
            locked.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(10)
    try:
        assert [job.pk for job in claim()] == [free.pk]
    finally:
        done.set()
        holder.join()
