"""People's decisions: with a reason or not at all, recorded for ever, and one at a time on a row nobody runs."""

import threading
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs import queue, review
from jobs.errors import BadPayload, Refused
from jobs.models import Job, JobDecision
from jobs.tests.claims import claim_one, enqueue_and_run, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def dead(effects):
    return enqueue_and_run("probe", {"outcome": "fail"}, max_retries=2)


def snapshot() -> list[dict[str, object]]:
    return list(Job.objects.order_by("id").values())


def test_a_retried_dead_letter_has_all_its_retries_and_runs_now(dead):
    job = review.retry(dead, "anna", " the node is back ")
    assert (job.status, job.attempts, job.finished_at, job.rescue_count) == ("pending", 0, None, 0)
    assert (job.resolution, job.resolved_by, job.resolution_reason) == ("retried", "anna", "the node is back")
    assert job.resolved_at is not None
    assert job.history.count() == 1
    Job.objects.update(payload={})
    assert run(claim_one()).status == "completed"


def test_a_job_that_dies_again_can_be_decided_about_again_and_both_decisions_stay(dead):
    review.retry(dead, "anna", "first")
    assert run(claim_one()).status == "failed"
    review.discard(dead, "ben", "second")
    decisions = JobDecision.objects.order_by("id").values_list("decision", "actor", "reason")
    assert list(decisions) == [("retried", "anna", "first"), ("discarded", "ben", "second")]


def test_a_discarded_job_stays_failed(dead):
    job = review.discard(dead, "anna", "duplicate")
    assert (job.status, job.resolution, job.resolved_by, job.resolution_reason) == (
        "failed",
        "discarded",
        "anna",
        "duplicate",
    )
    assert job.finished_at == dead.finished_at


def test_a_cancelled_job_never_runs_and_is_no_dead_letter(effects):
    from jobs import metrics

    job = review.cancel(queue.enqueue("probe", {}), "anna", "not needed")
    assert (job.status, job.resolution) == ("failed", "cancelled")
    assert job.finished_at is not None
    assert metrics.figures().dead_letters == 0


@pytest.mark.parametrize("decide", [review.retry, review.discard, review.cancel])
@pytest.mark.parametrize(("actor", "reason"), [("anna", "  "), ("", "because")])
def test_nobody_decides_without_a_name_and_a_reason(dead, decide, actor, reason):
    before = snapshot()
    with pytest.raises(Refused):
        decide(dead, actor, reason)
    assert snapshot() == before
    assert not JobDecision.objects.exists()


@pytest.mark.parametrize("decide", [review.retry, review.discard])
def test_only_dead_letters_are_retried_or_discarded(effects, decide):
    jobs = [enqueue_and_run("probe", {}), queue.enqueue("probe", {})]
    discarded = review.discard(enqueue_and_run("probe", {"outcome": "fail"}, priority=1), "anna", "r")
    before = snapshot()
    for job in (*jobs, discarded):
        with pytest.raises(Refused):
            decide(job, "anna", "r")
    assert snapshot() == before


def test_a_running_ended_or_expecting_job_is_not_cancelled(effects):
    done = enqueue_and_run("probe", {})
    queue.enqueue("probe", {})
    running = claim_one()
    parent = queue.enqueue("probe", {})
    queue.enqueue("probe", {}, parent=parent)
    before = snapshot()
    for job in (done, running, parent):
        with pytest.raises(Refused):
            review.cancel(job, "anna", "r")
    assert snapshot() == before


def test_a_service_may_refuse_that_its_job_is_given_up(effects):
    dead = enqueue_and_run("probe", {"outcome": "fail", "open_payment": True})
    waiting = queue.enqueue("probe", {"open_payment": True})
    before = snapshot()
    with pytest.raises(Refused, match="a payment is open"):
        review.discard(dead, "anna", "r")
    with pytest.raises(Refused, match="a payment is open"):
        review.cancel(waiting, "anna", "r")
    assert snapshot() == before
    assert review.retry(dead, "anna", "r").status == "pending"


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_a_row_that_is_held():
    job = queue.enqueue("probe", {})
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Job.objects.select_for_update().get(pk=job.pk)
            held.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        with pytest.raises(Refused, match="worked on"):
            review.cancel(job, "anna", "r")
    finally:
        done.set()
        holder.join()
    assert Job.objects.get().status == "pending"


# --- payloads ------------------------------------------------------------------------------------------------------
@pytest.fixture
def judged(settings, effects):
    """A dead letter of a service that judges payloads."""
    settings.JOB_SERVICES = ["jobs.tests.services_judging.JudgingService"]
    return enqueue_and_run("probe", {"run": "a", "outcome": "fail", "first": 1}, unique_key="k")


def test_an_edited_payload_is_kept_as_a_difference_and_waits_for_the_retry(judged):
    job = review.edit_payload(judged, {"run": "b", "first": 1, "last": 9}, "anna", "the run was renamed")
    assert (job.payload, job.status, job.resolution) == ({"run": "b", "first": 1, "last": 9}, "failed", "")
    decision = JobDecision.objects.get()
    assert (decision.decision, decision.actor, decision.reason) == ("edited", "anna", "the run was renamed")
    assert decision.diff == {
        "added": {"last": 9},
        "removed": {"outcome": "fail"},
        "changed": {"run": {"from": "a", "to": "b"}},
    }
    review.retry(job, "anna", "r")
    assert run(claim_one()).status == "completed"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"run": 7}, BadPayload),
        (["run"], BadPayload),
        ({"run": float("nan")}, BadPayload),
        ({"run": "a\x00"}, BadPayload),
        ({"run": "\ud800"}, BadPayload),
        ({"run": "a", "outcome": "fail", "first": 1}, Refused),
    ],
)
def test_a_payload_its_service_refuses_or_that_is_the_same_changes_nothing(judged, payload, error):
    before = snapshot()
    with pytest.raises(error):
        review.edit_payload(judged, payload, "anna", "r")
    assert snapshot() == before
    assert not JobDecision.objects.exists()


def test_where_nobody_judges_payloads_or_the_job_is_no_dead_letter_nothing_is_edited(dead, settings):
    waiting = queue.enqueue("probe", {"run": "a"})
    before = snapshot()
    with pytest.raises(Refused, match="no service says which ones are right"):
        review.edit_payload(dead, {"run": "b"}, "anna", "r")
    settings.JOB_SERVICES = ["jobs.tests.services_judging.JudgingService"]
    with pytest.raises(Refused, match="is pending"):
        review.edit_payload(waiting, {"run": "b"}, "anna", "r")
    with pytest.raises(Refused):
        review.edit_payload(dead, {"run": "b"}, "anna", " ")
    assert snapshot() == before
    assert not JobDecision.objects.exists()


def test_to_json_true_and_one_are_different():
    assert review.payload_diff({"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": True}) == {
        "changed": {"a": {"from": 1, "to": True}}
    }


# --- trees ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def tree():
    """A root with two children, one of which has a child of its own; above the root a parent that stays."""
    top = queue.enqueue("probe", {})
    root = queue.enqueue("probe", {}, parent=top)
    child, other = (queue.enqueue("probe_quick", {}, parent=root) for _ in range(2))
    return {"top": top, "root": root, "child": child, "other": other, "leaf": queue.enqueue("probe", {}, parent=child)}


def test_a_tree_is_cancelled_whole(tree):
    cancelled = review.cancel_tree(tree["root"], "anna", "the run was called off")
    assert (cancelled.status, cancelled.resolution, cancelled.children_open) == ("failed", "cancelled", 0)
    jobs = {job.pk: job for job in Job.objects.all()}
    for name in ("root", "child", "other", "leaf"):
        job = jobs[tree[name].pk]
        assert (job.status, job.resolution, job.resolved_by, job.children_open) == ("failed", "cancelled", "anna", 0)
    assert (jobs[tree["top"].pk].status, jobs[tree["top"].pk].children_open) == ("pending", 0)
    decisions = JobDecision.objects.values_list("job", "decision", "actor", "reason")
    assert set(decisions) == {
        (tree[name].pk, "cancelled", "anna", "the run was called off") for name in ("root", "child", "other", "leaf")
    }


def test_what_has_ended_below_stays_and_a_dead_letter_is_still_to_be_decided_about(tree):
    for name, status in (("other", "completed"), ("leaf", "failed")):
        Job.objects.filter(pk=tree[name].pk).update(status=status, finished_at=timezone.now())
    Job.objects.filter(pk=tree["root"].pk).update(children_open=1)
    review.cancel_tree(tree["root"], "anna", "r")
    states = dict(Job.objects.values_list("pk", "resolution"))
    assert [states[tree[name].pk] for name in ("root", "child", "other", "leaf")] == ["cancelled", "cancelled", "", ""]
    assert review.discard(tree["leaf"], "anna", "r").resolution == "discarded"


def test_a_tree_with_a_running_job_is_left_as_it_is(tree):
    Job.objects.filter(pk=tree["leaf"].pk).update(
        status="processing", lease_token=uuid4(), lease_expires_at=timezone.now(), worker_id=uuid4()
    )
    before = snapshot()
    with pytest.raises(Refused, match="1 of its jobs are being worked on"):
        review.cancel_tree(tree["root"], "anna", "r")
    assert snapshot() == before
    assert not JobDecision.objects.exists()


def test_a_tree_with_an_objection_or_too_large_or_ended_is_left_as_it_is(tree, monkeypatch):
    Job.objects.filter(pk=tree["leaf"].pk).update(payload={"open_payment": True})
    before = snapshot()
    with pytest.raises(Refused, match="a payment is open"):
        review.cancel_tree(tree["root"], "anna", "r")
    monkeypatch.setattr(review, "TREE_AT_MOST", 3)
    with pytest.raises(Refused, match="more than 3 jobs"):
        review.cancel_tree(tree["root"], "anna", "r")
    with pytest.raises(Refused):
        review.cancel_tree(tree["root"], "anna", "")
    assert snapshot() == before
    assert not JobDecision.objects.exists()


def test_an_ended_job_is_no_tree_to_cancel(dead):
    with pytest.raises(Refused, match="only a waiting job"):
        review.cancel_tree(dead, "anna", "r")


@pytest.mark.django_db(transaction=True)
def test_a_child_of_a_running_parent_is_not_given_up_while_the_parent_holds_its_row(monkeypatch):
    monkeypatch.setattr(review, "_PARENT_SECONDS", 0.2)
    parent = queue.enqueue("probe", {})
    child = queue.enqueue("probe", {}, parent=parent)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Job.objects.select_for_update(no_key=True).get(pk=parent.pk)
            held.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        with pytest.raises(Refused, match="its parent"):
            review.cancel(child, "anna", "r")
    finally:
        done.set()
        holder.join()
    assert set(Job.objects.values_list("status", flat=True)) == {"pending"}
    assert not JobDecision.objects.exists()
