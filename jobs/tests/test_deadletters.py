"""Dead letters are found by type, service, error, age and payload, and shown in groups that failed alike."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import database, queue, review
from jobs.deadletters import DeadLetterFilter, bounded, groups, newest_first, read_filter
from jobs.errors import BadFilter, TooBroad
from jobs.models import Job
from jobs.tests.dead import dead

pytestmark = pytest.mark.django_db


def found(**asked: object) -> set[int]:
    return set(read_filter(asked).rows().values_list("pk", flat=True))


def test_each_part_of_a_filter_narrows_it():
    old = dead(payload={"run": "a"}, error="RuntimeError: boom", age=timedelta(hours=3))
    new = dead("probe_quick", payload={"run": 7}, error="ValueError: no")
    queue.enqueue("probe", {"run": "a"})
    assert found() == {old.pk, new.pk}
    assert found(job_type="probe") == {old.pk}
    assert found(service="ProbeService") == {old.pk, new.pk}
    assert found(service="BondsService") == set()
    an_hour_ago = timezone.now() - timedelta(hours=1)
    assert found(failed_before=an_hour_ago) == {old.pk}
    assert found(failed_after=an_hour_ago.isoformat()) == {new.pk}
    assert found(payload={"run": "a"}) == {old.pk}
    assert found(payload={"run": "7"}) == {new.pk}, "an integer in the payload is found by its text"
    assert found(job_type="probe", payload={"run": "7"}) == set()


def test_the_search_text_says_the_same_in_words():
    one = dead(payload={"run": "a"})
    dead(payload={"run": "b"})
    (group,) = groups(DeadLetterFilter())
    assert found(q="payload.run:a") == {one.pk}
    assert found(q="type:probe payload.run:a service:ProbeService") == {one.pk}
    assert len(found(q=f"error:{group.fingerprint}")) == 2
    assert found(q="type:probe_quick payload.run:a") == set()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"q": "run"}, "q"),
        ({"q": "age:7"}, "q"),
        ({"q": "payload.secret:7"}, "q"),
        ({"payload": {"secret": "7"}}, "payload"),
        ({"payload": {"run": ""}}, "payload"),
        ({"payload": {"run": {"a": 1}}}, "payload"),
        ({"payload": {"run": True}}, "payload"),
        ({"payload": "run"}, "payload"),
        ({"failed_after": "yesterday"}, "failed_after"),
        ({"failed_before": "2026-13-40T00:00:00Z"}, "failed_before"),
        ({"failed_before": "2026-01-01T00:00:00"}, "failed_before"),
        ({"job_type": "x" * 201}, "job_type"),
        ({"job_type": "a\x00b"}, "job_type"),
    ],
)
def test_a_filter_that_cannot_be_understood_names_the_part_at_fault(asked, field):
    with pytest.raises(BadFilter) as refused:
        read_filter(asked)
    assert refused.value.field == field


def test_a_filter_survives_being_stored():
    asked = {"job_type": "probe", "payload": {"run": "7"}, "failed_before": "2026-03-01T14:05:00+00:00"}
    chosen = read_filter(asked)
    assert chosen.as_dict() == asked
    assert read_filter(chosen.as_dict()) == chosen
    assert DeadLetterFilter().is_empty
    assert DeadLetterFilter().as_dict() == {}


def test_what_a_person_settled_is_no_dead_letter_any_more():
    kept, gone, again = dead(), dead(), dead()
    review.discard(gone, "anna", "r")
    review.retry(again, "anna", "r")
    assert found() == {kept.pk}


ALIKE = [
    ("RuntimeError: payment 7 of run 3f2b-11", "RuntimeError: payment 12 of run 99ab-42"),
    ("KeyError: 'alpha'", "KeyError: 'beta'"),
    ('no holder "x y"', 'no holder "z"'),
    ("boom\nTraceback one", "boom\nTraceback two"),
    ("node gave 4f00ee81b2", "node gave 77aa01c3d4"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_jobs_that_failed_alike_are_one_group(one, other):
    first, last = dead(error=one, age=timedelta(hours=2)), dead(error=other)
    (group,) = groups(DeadLetterFilter())
    assert (group.count, group.is_capped, group.job_type, group.service) == (2, False, "probe", "ProbeService")
    assert (group.first_seen, group.last_seen) == (first.finished_at, last.finished_at)
    assert (group.newest, group.error) == (last.pk, other)


@pytest.mark.parametrize("other", [("probe", "ValueError: boom"), ("probe_quick", "RuntimeError: boom")])
def test_another_error_or_another_type_is_another_group(other):
    dead(error="RuntimeError: boom")
    dead(error="RuntimeError: boom")
    dead(other[0], error=other[1])
    assert [group.count for group in groups(DeadLetterFilter())] == [2, 1]


def test_groups_of_a_filter_count_what_meets_it():
    dead(payload={"run": "a"}, error="x")
    dead(payload={"run": "b"}, error="x")
    dead(payload={"run": "a"}, error="y")
    chosen = read_filter({"q": "payload.run:a"})
    assert sorted((group.error, group.count) for group in groups(chosen)) == [("x", 1), ("y", 1)]


def test_a_large_group_is_counted_up_to_the_cap(monkeypatch):
    monkeypatch.setattr("jobs.deadletters.COUNTED_AT_MOST", 2)
    for _ in range(3):
        dead()
    (group,) = groups(DeadLetterFilter())
    assert (group.count, group.is_capped) == (2, True)


def test_pages_go_by_the_time_of_the_failure():
    jobs = [dead(age=timedelta(minutes=minutes)) for minutes in (5, 30, 1, 30)]
    order = [jobs[2].pk, jobs[0].pk, jobs[3].pk, jobs[1].pk]
    rows = DeadLetterFilter().rows()
    assert [job.pk for job in newest_first(rows, before=None, limit=3)] == order[:3]
    assert [job.pk for job in newest_first(rows, before=order[2], limit=3)] == order[3:]
    with pytest.raises(BadFilter):
        newest_first(rows, before=queue.enqueue("probe", {}).pk, limit=3)


def test_a_search_that_reads_too_long_is_stopped_and_the_connection_is_as_before(monkeypatch):
    monkeypatch.setattr("jobs.deadletters._READ_SECONDS", "0.05")
    with pytest.raises(TooBroad, match="narrow it"), bounded():
        database.rows("SELECT pg_sleep(5)")
    with bounded():
        assert database.rows("SHOW statement_timeout") == [("50ms",)]
    assert database.rows("SHOW statement_timeout") == [("0",)]


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"job_type": "probe"}, "jobs_job_dead"),
        ({"fingerprint": "840f4b71bdf5"}, "jobs_job_dead_error"),
        ({"payload": {"run": "a"}}, "jobs_job_dead_payload"),
    ],
)
def test_each_filter_has_its_index(asked, index):
    Job.objects.bulk_create(
        Job(
            job_type=f"t{n % 20}",
            payload={"run": n},
            status="failed",
            finished_at=timezone.now(),
            last_error=f"e{'x' * n}",
        )
        for n in range(1, 400)
    )
    database.run("ANALYZE job_queue")
    plan = read_filter(asked).rows().explain()
    assert f"{index} " in plan or f"{index}\n" in plan or plan.rstrip().endswith(index), plan
