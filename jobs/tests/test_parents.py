"""Parents wait without a worker, and are woken exactly once: by the last child, in the child's own transaction."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from jobs import queue, review
from jobs.models import Job
from jobs.tests.claims import claim, claim_one, run


@pytest.fixture
def family(effects):
    """A parent that sleeps for its three children."""
    queue.enqueue("probe_parent", {"children": 3})
    return run(claim_one())


def woken(parent: Job) -> bool:
    parent.refresh_from_db()
    return parent.status == "pending" and parent.wait_reason == "" and parent.children_open == 0


@pytest.mark.django_db
def test_a_waiting_parent_holds_no_worker_and_costs_no_attempt(family):
    assert (family.status, family.attempts, family.children_open) == ("pending", 0, 3)
    assert family.wait_reason == "waiting for children"
    assert family.run_at.year == 9000
    assert {job.job_type for job in claim(limit=10)} == {"probe"}


@pytest.mark.django_db
def test_the_last_child_wakes_the_parent_which_then_completes(family, effects):
    for left in (2, 1, 0):
        assert not woken(family)
        run(claim_one())
        family.refresh_from_db()
        assert family.children_open == left
    assert woken(family)
    assert run(claim_one()).status == "completed"
    assert effects()[-1] == (family.pk, "woken")
    assert claim() == []


@pytest.mark.django_db
def test_a_dead_child_keeps_its_parent_waiting_until_a_person_retries_it(family):
    doomed = Job.objects.filter(parent=family).first()
    Job.objects.filter(pk=doomed.pk).update(payload={"outcome": "fail"})
    for _ in range(3):
        run(claim_one())
    assert not woken(family)
    assert family.children_open == 1
    Job.objects.filter(pk=doomed.pk).update(payload={})
    review.retry(doomed, "anna", "fixed")
    assert run(claim_one()).status == "completed"
    assert woken(family)


@pytest.mark.django_db
@pytest.mark.parametrize("decide", [review.discard, review.cancel])
def test_a_child_given_up_by_a_person_is_waited_for_no_more(family, decide):
    given_up = Job.objects.filter(parent=family).last()
    if decide is review.discard:
        Job.objects.filter(pk=given_up.pk).update(payload={"outcome": "fail"})
        for _ in range(3):
            run(claim_one())
    decide(given_up, "anna", "not needed")
    while jobs := claim():
        if jobs[0].pk == family.pk:
            queue.release(jobs[0])
            break
        run(jobs[0])
    assert woken(family)


@pytest.mark.django_db
def test_a_parent_that_waits_after_its_children_have_ended_does_not_sleep_for_ever(effects):
    parent = queue.enqueue("probe", {"outcome": "wait"}, priority=-1)
    queue.enqueue("probe", {}, parent=parent)
    run(claim_one())
    parent = run(claim_one())
    assert (parent.status, parent.children_open, parent.wait_reason) == ("pending", 0, "")
    assert claim_one().pk == parent.pk


@pytest.mark.django_db
def test_a_snoozing_parent_is_woken_early_by_its_last_child(effects):
    parent = queue.enqueue("probe", {"outcome": "snooze"}, priority=1)
    queue.enqueue("probe", {}, parent=parent)
    assert run(claim_one()).wait_reason == "waiting for the block"
    run(claim_one())
    assert woken(parent)
    assert claim_one().pk == parent.pk


@pytest.mark.django_db
def test_a_parent_that_has_not_begun_keeps_its_time(effects):
    from django.utils import timezone

    at = timezone.now() + timedelta(hours=1)
    parent = queue.enqueue("probe", {}, run_at=at)
    queue.enqueue("probe", {}, parent=parent)
    run(claim_one())
    parent.refresh_from_db()
    assert (parent.run_at, parent.children_open) == (at, 0)


@pytest.mark.django_db(transaction=True)
def test_children_that_end_together_lose_no_wake_up_and_do_not_deadlock(effects):
    for _ in range(5):
        parent = queue.enqueue("probe_parent", {"children": 0, "marker": True})
        (claimed,) = claim()
        queue.enqueue_many("probe_quick", [{}] * 8, parent=claimed)
        children = claim_types("probe_quick", 8)
        barrier = threading.Barrier(9)
        errors: list[BaseException] = []

        def end(action, job, barrier=barrier, errors=errors):
            try:
                barrier.wait()
                action(job)
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=end, args=(run, child)) for child in children]
        # The parent decides to wait at the very moment its children end.
        threads.append(threading.Thread(target=end, args=(lambda job: queue.wait_for_children(job, "x"), claimed)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert woken(parent)
        assert claim_one().pk == parent.pk
        queue.complete(Job.objects.get(pk=parent.pk))


@pytest.mark.django_db(transaction=True)
def test_handing_children_out_again_does_not_wait_for_one_that_is_completing(effects):
    """It holds its parent, for which the child waits: were it to wait for the child, neither would ever go on."""
    parent = queue.enqueue("probe_parent", {"children": 0, "marker": True})
    queue.enqueue_many("probe_quick", [({}, "a"), ({}, "b")], parent=parent)
    (child,) = claim_types("probe_quick", 1)
    with transaction.atomic():
        assert queue.complete_all_first([child]) == [child]
        with ThreadPoolExecutor(1) as others:
            again = others.submit(hand_out, [({}, "a"), ({}, "b"), ({}, "c")], parent)
            assert again.result(20) == 1
        queue.confirm_all([child], [""], seconds=0)
    parent.refresh_from_db()
    assert (parent.children_open, parent.children.count()) == (2, 3)


def hand_out(children, parent: Job) -> int:
    try:
        return queue.enqueue_many("probe_quick", children, parent=parent)
    finally:
        connection.close()


def claim_types(job_type: str, limit: int) -> list[Job]:
    from uuid import uuid4

    from jobs.service import registry

    return queue.claim(queue.Claimant(uuid4(), "host:2"), limit=limit, types=[registry().type_of(job_type)])


@pytest.mark.django_db
def test_a_child_that_ends_while_its_parent_is_a_dead_letter_is_counted(effects):
    parent = queue.enqueue("probe_parent", {"children": 0})
    held = claim_one()
    queue.enqueue("probe", {}, parent=parent)
    queue.fail(held, "its worker was lost")
    run(claim_one())
    review.retry(Job.objects.get(pk=parent.pk), "operator", "the cause is gone")
    held = claim_one()
    queue.enqueue("probe", {}, parent=held)
    queue.wait_for_children(held, "waiting")
    run(claim_one())
    assert woken(parent)
