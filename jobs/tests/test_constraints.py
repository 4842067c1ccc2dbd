"""What the database itself refuses, whoever asks."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import queue
from jobs.models import Job, JobAttempt, JobDecision, Worker

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TOKEN = uuid.uuid4()
BROKEN_JOBS = [
    ("jobs_job_status_known", {"status": "sleeping"}),
    ("jobs_job_finished_iff_terminal", {"status": "completed"}),
    ("jobs_job_finished_iff_terminal", {"finished_at": NOW}),
    ("jobs_job_lease_iff_processing", {"status": "processing"}),
    ("jobs_job_lease_iff_processing", {"lease_token": TOKEN}),
    ("jobs_job_lease_iff_processing", {"status": "processing", "lease_token": TOKEN, "lease_expires_at": NOW}),
    ("jobs_job_waits_only_pending", {"status": "failed", "finished_at": NOW, "wait_reason": "x"}),
    ("jobs_job_counts_not_negative", {"attempts": -1}),
    ("jobs_job_counts_not_negative", {"max_retries": -1}),
    ("jobs_job_counts_not_negative", {"rescue_count": -1}),
    ("jobs_job_counts_not_negative", {"children_open": -1}),
    ("jobs_job_payload_is_object", {"payload": [1]}),
    ("jobs_job_resolution_complete", {"resolution": "retried"}),
    ("jobs_job_resolution_complete", {"resolution": "retried", "resolved_by": "a", "resolved_at": NOW}),
    ("jobs_job_resolution_complete", {"resolved_by": "a"}),
    (
        "jobs_job_given_up_is_failed",
        {"resolution": "discarded", "resolved_by": "a", "resolved_at": NOW, "resolution_reason": "r"},
    ),
]


@pytest.mark.parametrize(("constraint", "fields"), BROKEN_JOBS)
def test_a_job_that_contradicts_itself_cannot_be_stored(constraint, fields):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Job.objects.create(job_type="probe", **fields)
    assert not Job.objects.exists()


def test_a_job_is_not_its_own_parent():
    job = queue.enqueue("probe", {})
    with pytest.raises(IntegrityError, match="jobs_job_not_own_parent"), transaction.atomic():
        Job.objects.update(parent=job)


def test_a_held_key_cannot_be_stored_twice():
    queue.enqueue("probe", {}, unique_key="k")
    with pytest.raises(IntegrityError, match="jobs_job_unique_key"), transaction.atomic():
        Job.objects.create(job_type="probe", unique_key="k")
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [("jobs_attempt_outcome_known", {"outcome": "fine"}), ("jobs_attempt_number_positive", {"number": 0})],
)
def test_an_attempt_has_a_number_and_a_known_outcome(constraint, fields):
    job = queue.enqueue("probe", {})
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        JobAttempt.objects.create(job=job, **{"number": 1, "outcome": "failed", **fields})


@pytest.mark.parametrize("fields", [{"decision": ""}, {"actor": ""}, {"reason": ""}])
def test_a_decision_says_what_who_and_why(fields):
    job = queue.enqueue("probe", {})
    with pytest.raises(IntegrityError, match="jobs_decision_complete"), transaction.atomic():
        JobDecision.objects.create(job=job, **{"decision": "retried", "actor": "anna", "reason": "r", **fields})


@pytest.mark.parametrize(
    "fields", [{"decision": "edited", "diff": {}}, {"decision": "retried", "diff": {"added": {"run": 7}}}]
)
def test_exactly_an_edit_says_what_changed(fields):
    job = queue.enqueue("probe", {})
    with pytest.raises(IntegrityError, match="jobs_decision_diff_iff_edited"), transaction.atomic():
        JobDecision.objects.create(job=job, **{"actor": "anna", "reason": "r", **fields})
    assert not JobDecision.objects.exists()


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("jobs_worker_beats_after_start", {"heartbeat_at": NOW, "started_at": NOW + timedelta(seconds=1)}),
        ("jobs_worker_pid_positive", {"pid": 0}),
    ],
)
def test_a_worker_is_a_process_that_beats(constraint, fields):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Worker.objects.create(**{"name": "w", "host": "h", "pid": 1, "services": [], **fields})
